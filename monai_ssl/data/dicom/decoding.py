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


"""The pixels of an image: one decoder for each coding, and none is handed what another one could not read."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from monai_ssl.data.dicom.gdcm_process import decode_by_gdcm
from monai_ssl.data.dicom.intact import DamagedStreamError, check_intact

__all__ = ["coding_name", "decode_pixels"]

_GDCM = "gdcm"
_DECODERS: dict[str, str] = {
    RLELossless: "pylibjpeg",
    **dict.fromkeys(JPEGTransferSyntaxes, _GDCM),
    **dict.fromkeys(JPEGLSTransferSyntaxes, "pyjpegls"),
    **dict.fromkeys(JPEG2000TransferSyntaxes, "pylibjpeg"),
}
# GDCM's worker tells nothing of colours.
_COLOUR_DECODERS: dict[str, str] = {JPEGBaseline8Bit: "pillow"}


def coding_name(syntax: str) -> str:
    """What a transfer syntax is called; a private one may tell whose file it is, and is not told."""
    name = UID(syntax).name
    return "unknown transfer syntax" if name == syntax else name


def decode_pixels(dataset: FileDataset, frame: int | None) -> np.ndarray:
    """
    The (rows, columns) pixels of an image as allocated; (rows, columns, 3) RGB of one in colour.

    Args:
        dataset: of the file.
        frame: of a multi-frame image, counted from 0.

    Raises:
        DamagedStreamError: when compressed pixels are damaged in a way that can be told.
        Exception: whatever the decoder stumbled over; that of run lengths panics with a `BaseException`.
    """
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    decoder = (_COLOUR_DECODERS if samples > 1 else {}).get(syntax) or _DECODERS.get(syntax, "")
    if not decoder or "PixelData" not in dataset:
        return pixel_array(dataset, index=frame, view_only=True, correct_unused_bits=False)
    offsets = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
    extended = tuple(dataset[tag].value for tag in offsets) if all(tag in dataset for tag in offsets) else None
    stream = get_frame(
        dataset.PixelData, frame or 0, number_of_frames=int(dataset.get("NumberOfFrames") or 1),
        extended_offsets=extended,
    )  # fmt: skip
    size, allocated = (int(dataset.Rows), int(dataset.Columns)), int(dataset.BitsAllocated)
    stored = int(dataset.get("BitsStored") or allocated)
    check_intact(stream, syntax, size, allocated * samples, stored)
    if decoder != _GDCM:
        return pixel_array(dataset, index=frame, view_only=True, correct_unused_bits=False, decoding_plugin=decoder)
    signed = int(dataset.PixelRepresentation)
    if syntax == JPEGExtended12Bit and stored > 8:
        raise DamagedStreamError("no decoder of JPEG Extended takes more than 8 bits")
    content = decode_by_gdcm(stream, syntax, *size, allocated, stored, signed)
    if len(content) != size[0] * size[1] * allocated // 8:
        raise DamagedStreamError(f"{len(content):,} bytes where rows and columns need another number")
    return np.frombuffer(content, f"<{'i' if signed else 'u'}{allocated // 8}").reshape(size)
