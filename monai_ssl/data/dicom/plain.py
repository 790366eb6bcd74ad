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

"""Uncompressed pixels where the header told that they lie: read without parsing the file once more."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from monai_ssl.data.dicom.file import PixelData
from monai_ssl.data.dicom.tags import UnreadableTagError, number_of, text_of, value_of
from monai_ssl.data.dicom.values import Encoding, encoding_of

__all__ = ["Matrix", "PlainPixels", "find_plain"]

_ORDERS: dict[str, str] = {ImplicitVRLittleEndian: "<", ExplicitVRLittleEndian: "<", ExplicitVRBigEndian: ">"}
_SIGNS: dict[float | None, str] = {0: "u", 1: "i"}


class Matrix(NamedTuple):
    """Size of the pixel matrix, and the bits allocated for a pixel."""

    frames: int
    rows: int
    columns: int
    bits: int


@dataclass(frozen=True, slots=True)
class PlainPixels:
    """
    Where the pixels of one image lie, as they were found.

    Attributes:
        state: size in bytes and time of the file.
        start: of the pixels in the file.
        shape: (rows, columns).
        dtype: of a pixel, for numpy.
        encoding: what the pixels mean.
    """

    state: tuple[int, int]
    start: int
    shape: tuple[int, int]
    dtype: str
    encoding: Encoding

    def read(self, path: Path) -> np.ndarray | None:
        """
        (rows, columns), as allocated; None when the file is another one by now.

        Raises:
            OSError: when it cannot be read.
        """
        pixels = np.empty(self.shape, self.dtype)
        with open(path, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if (status.st_size, status.st_mtime_ns) != self.state:
                return None
            file.seek(self.start)
            return pixels if file.readinto(pixels.data) == pixels.nbytes else None


def find_plain(dataset: Dataset, matrix: Matrix, pixels: PixelData, frame: int | None) -> PlainPixels | None:
    """
    Where the pixels of an image can be read from without a decoder; None where one is needed, or tags are odd.

    Args:
        dataset: the header.
        matrix: as it tells, checked against the size of the pixels.
        pixels: of the file.
        frame: of a multi-frame image, counted from 0.
    """
    order = _ORDERS.get(text_of(dataset.file_meta, "TransferSyntaxUID"))
    width = matrix.bits // 8
    if pixels.fragments is not None or pixels.state is None or not pixels.integers or order is None or width > 4:
        return None
    try:
        sign = _SIGNS.get(number_of(dataset, "PixelRepresentation"))
        if sign is None or (order == ">" and width == 1) or value_of(dataset, "ModalityLUTSequence") is not None:
            return None  # big-endian bytes may be swapped in pairs
        encoding = encoding_of(dataset, frame)
    except UnreadableTagError:
        return None
    start = pixels.start + (frame or 0) * matrix.rows * matrix.columns * width
    return PlainPixels(pixels.state, start, (matrix.rows, matrix.columns), f"{order}{sign}{width}", encoding)
