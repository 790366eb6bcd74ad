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


"""Reading the voxels of a DICOM series."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.pixels import apply_modality_lut

from monai_ssl.data.dicom_header import read_dataset
from monai_ssl.data.volume import Volume, relative_name
from monai_ssl.data.voxels import RejectedVolumeError, Voxels, clean_voxels

__all__ = ["DicomVolume"]

_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class DicomVolume(Volume):
    """
    One stack of single-frame DICOM images.

    Attributes:
        affine: rows of the (4, 4) matrix, index (column, row, slice) to RAS millimetres; the slice step is the mean.
        offsets: where each slice truly lies, in steps of the affine.
    """

    affine: tuple[tuple[float, ...], ...]
    offsets: tuple[float, ...]

    def read(self) -> Voxels:
        """
        The rescaled values (HU for CT), slope and intercept taken from each slice, padding marked invalid.

        Raises:
            RejectedVolumeError: when a file is damaged, naming it.

        See:
            https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.6.3.html
        """
        columns, rows, count = self.shape
        stack = np.empty((count, rows, columns), dtype=np.int16)
        valid: np.ndarray | None = None
        for k, path in enumerate(self.files):
            values, padding = self._slice(path)
            if stack.dtype == np.int16 and not _fits_int16(values):
                stack = stack.astype(np.float32)
            stack[k] = values
            if padding is not None:
                if valid is None:
                    valid = np.ones(stack.shape, dtype=bool)
                valid[k] = ~padding
        mask = None if valid is None else valid.T
        return clean_voxels(self.name, stack.T, mask, np.array(self.affine), np.array(self.offsets))

    def _slice(self, path: Path) -> tuple[np.ndarray, np.ndarray | None]:
        name = relative_name(path, self.root)
        try:
            dataset = read_dataset(path)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                raw = dataset.pixel_array
        except Exception as error:  # decoders raise whatever they stumbled over
            reason = (str(error) or type(error).__name__).splitlines()[0][:200]
            raise RejectedVolumeError(name, f"pixels cannot be read ({reason})") from error
        if raw.shape != self.shape[1::-1]:
            raise RejectedVolumeError(
                name, f"{raw.shape[1]} x {raw.shape[0]} pixels, expected {self.shape[0]} x {self.shape[1]}"
            )
        padding = _padding(dataset, raw)
        values = _rescaled(dataset, raw)
        if padding is not None:
            values[padding] = 0  # any value that fits; filled when the whole volume is known
        return values, padding


def _rescaled(dataset: FileDataset, raw: np.ndarray) -> np.ndarray:
    if "ModalityLUTSequence" in dataset:
        return np.array(apply_modality_lut(raw, dataset))
    slope, intercept = float(dataset.get("RescaleSlope") or 1), float(dataset.get("RescaleIntercept") or 0)
    if raw.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        values = raw.astype(np.int32 if raw.dtype.itemsize <= 2 and abs(slope) < 2**14 else np.int64)
        if slope != 1:
            np.multiply(values, int(slope), out=values)
        np.add(values, int(intercept), out=values)
        return values
    return raw * np.float64(slope) + intercept


def _padding(dataset: FileDataset, raw: np.ndarray) -> np.ndarray | None:
    value = dataset.get("PixelPaddingValue")
    if value is None or raw.dtype.kind not in "iu":
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    ends = sorted(_as_stored(end, raw.dtype) for end in (value, value if limit is None else limit))
    padding = (raw >= ends[0]) & (raw <= ends[1])
    return padding if padding.any() else None


def _as_stored(value: int | bytes, dtype: np.dtype) -> int:
    # The tag may be written as unsigned where pixels are signed, or the other way: the same bits are meant.
    bits = 8 * dtype.itemsize
    number = int.from_bytes(value, "little") if isinstance(value, bytes) else int(value)
    number %= 1 << bits
    return number - (1 << bits) if dtype.kind == "i" and number >= 1 << (bits - 1) else number


def _fits_int16(values: np.ndarray) -> bool:
    return values.dtype.kind in "iu" and values.min() >= _INT16.min and values.max() <= _INT16.max
