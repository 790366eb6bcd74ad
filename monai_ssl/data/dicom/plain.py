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

"""Pixels where the header told that they lie: uncompressed ones are read without parsing the file once more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from monai_ssl.data.dicom.colour import is_colour
from monai_ssl.data.dicom.file import State, state_of
from monai_ssl.data.dicom.pixel_data import PixelData
from monai_ssl.data.dicom.tags import UnreadableTagError, number_of, text_of, value_of
from monai_ssl.data.dicom.values import Encoding, encoding_of

__all__ = ["Matrix", "PlainPixels", "StoredPixels", "check_state", "find_pixels"]

_ORDERS: dict[str, str] = {ImplicitVRLittleEndian: "<", ExplicitVRLittleEndian: "<", ExplicitVRBigEndian: ">"}
_SIGNS: dict[float | None, str] = {0: "u", 1: "i"}


class Matrix(NamedTuple):
    """Size of the pixel matrix, the bits allocated for a number, and how many of them a pixel has."""

    frames: int
    rows: int
    columns: int
    bits: int
    samples: int = 1


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """
    The pixels of one image as they were found, for a decoder.

    Attributes:
        state: of the file.
        surplus: bytes that no pixel needs.
    """

    state: State
    surplus: int


@dataclass(frozen=True, slots=True)
class PlainPixels(StoredPixels):
    """
    Where uncompressed pixels of one image lie.

    Attributes:
        start: of the pixels in the file.
        shape: (rows, columns).
        dtype: of a pixel, for numpy.
        encoding: what the pixels mean.
    """

    start: int
    shape: tuple[int, int]
    dtype: str
    encoding: Encoding

    def read(self, path: Path) -> np.ndarray:
        """
        (rows, columns), as allocated.

        Raises:
            OSError: when they cannot be read, or the file is another one by now.
        """
        pixels = np.empty(self.shape, self.dtype)
        with open(path, "rb", buffering=0) as file:
            check_state(file, self)
            file.seek(self.start)
            if file.readinto(pixels.data) != pixels.nbytes:
                raise OSError("the file ends within them")
        return pixels


def check_state(stream: BinaryIO, pixels: StoredPixels) -> None:
    """
    Hold an open file against what was found.

    Raises:
        OSError: when it is another one by now.
    """
    if state_of(stream) != pixels.state:
        raise OSError("the file has changed since it was found; run again")


def find_pixels(dataset: Dataset, matrix: Matrix, pixels: PixelData, frame: int | None) -> StoredPixels:
    """
    Where the pixels of an image can be read from, without a decoder unless one is needed or tags are odd.

    Args:
        dataset: the header.
        matrix: as it tells, checked against the size of the pixels.
        pixels: of the file.
        frame: of a multi-frame image, counted from 0.
    """
    order = _ORDERS.get(text_of(dataset.file_meta, "TransferSyntaxUID"))
    width = matrix.bits // 8
    size = matrix.rows * matrix.columns * width * matrix.samples
    coded = StoredPixels(pixels.state, pixels.size - matrix.frames * size if pixels.fragments is None else 0)
    if pixels.fragments is not None or pixels.inflated or not pixels.integers or order is None or width > 4:
        return coded
    if is_colour(dataset):
        return coded
    try:
        sign = _SIGNS.get(number_of(dataset, "PixelRepresentation"))
        if sign is None or (order == ">" and width == 1) or value_of(dataset, "ModalityLUTSequence") is not None:
            return coded  # big-endian bytes may be swapped in pairs
        encoding = encoding_of(dataset, frame)
    except UnreadableTagError:
        return coded
    start = pixels.start + (frame or 0) * size
    return PlainPixels(
        pixels.state, coded.surplus, start, (matrix.rows, matrix.columns), f"{order}{sign}{width}", encoding
    )
