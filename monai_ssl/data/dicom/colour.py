# Copyright (c) monai_ssl contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Colour images as grey ones, as colour PNG are read."""

from __future__ import annotations

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGBaseline8Bit, JPEGLSTransferSyntaxes, RLELossless

from monai_ssl.data.dicom.tags import number_of, text_of

__all__ = ["grey_values", "is_colour", "samples_of"]

_PALETTE, _HALVED = "PALETTE COLOR", "YBR_FULL_422"
_THREE = ("RGB", "YBR_FULL", _HALVED, "YBR_ICT", "YBR_RCT")
# What is left is JPEG, lossless or of 12 bits, of which the decoder of grey images hands over no colours.
_COMPRESSED = {RLELossless, JPEGBaseline8Bit, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes}


def is_colour(dataset: Dataset) -> bool:
    """Whether an image has colours, its own or those of a palette."""
    return (number_of(dataset, "SamplesPerPixel") or 1) != 1 or not (
        text_of(dataset, "PhotometricInterpretation") or "MONOCHROME2"
    ).startswith("MONOCHROME")


def samples_of(dataset: Dataset) -> int:
    """
    How many numbers are stored for each pixel of a colour image: 1 with a palette, 2 where every second pixel has the
    colour of the one before it, else 3.

    Raises:
        ValueError: when its colours cannot be read.
    """
    samples, kind = number_of(dataset, "SamplesPerPixel") or 1, text_of(dataset, "PhotometricInterpretation")
    syntax = UID(text_of(dataset.file_meta, "TransferSyntaxUID"))
    if samples != (1 if kind == _PALETTE else 3) or kind not in (_PALETTE, *_THREE):
        raise ValueError(
            "a colour image whose colours are none of RGB, YBR_FULL, YBR_FULL_422, YBR_ICT, YBR_RCT, PALETTE"
        )
    if number_of(dataset, "BitsAllocated") not in (8, 16):
        raise ValueError("a colour image of neither 8 nor 16 bits")
    if syntax.is_compressed and not syntax.is_deflated and syntax not in _COMPRESSED and kind != _PALETTE:
        raise ValueError("a colour image in a form of JPEG that is read of grey images only; store it uncompressed")
    return 2 if kind == _HALVED and not syntax.is_compressed else int(samples)


def grey_values(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """
    The brightness of a colour image.

    Args:
        pixels: (rows, columns, 3) RGB, or (rows, columns) places in the palette of `dataset`.
        dataset: of the file.

    Returns:
        (rows, columns) uint8 or uint16, 0.299 red + 0.587 green + 0.114 blue.

    Raises:
        Exception: whatever pydicom stumbled over in the palette.
    """
    colours = apply_color_lut(pixels, dataset) if pixels.ndim == 2 else pixels
    return cv2.cvtColor(np.ascontiguousarray(colours), cv2.COLOR_RGB2GRAY)
