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


"""From stored pixels to modality values (HU for CT)."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.pixels import apply_modality_lut, pixel_array
from pydicom.uid import RLELossless

from monai_ssl.data.dicom.tags import UnreadableTagError, number_of, value_of

__all__ = ["modality_values"]

_INT16 = np.iinfo(np.int16)
_FLOAT32_MAX = float(np.finfo(np.float32).max)


def modality_values(dataset: FileDataset, frame: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """
    The values of one image: high bits masked, slope and intercept or the modality look-up table applied.

    Args:
        dataset: with its pixels.
        frame: of a multi-frame image, counted from 0.

    Returns:
        (rows, columns) int16 where all valid values are integers that fit, else a wider integer or float64, MONOCHROME1
        not inverted; and (rows, columns) bool, True where padded, or None. Padded values are 0.

    Raises:
        Exception: whatever a decoder stumbled over.

    See:
        https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.6.3.html,
        https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.5.html#sect_C.7.5.1.1.2
    """
    if frame is None and "NumberOfFrames" in dataset:
        dataset.NumberOfFrames = 1  # what the header says otherwise has been settled, or is no number
    allocated = pixel_array(dataset, index=frame, view_only=True, correct_unused_bits=False)
    stored = _stored(dataset, allocated)
    padding = _padding(dataset, allocated, stored)
    if value_of(dataset, "ModalityLUTSequence"):
        values = np.array(apply_modality_lut(stored, dataset))
    else:
        values = _rescaled(stored, dataset, frame, padding)
    if padding is not None:
        values[padding] = 0
    return values, padding


def _stored(dataset: FileDataset, allocated: np.ndarray) -> np.ndarray:
    # Bits beyond the stored ones may hold overlays or anything else.
    width = 8 * allocated.dtype.itemsize
    bits = int(number_of(dataset, "BitsStored") or width)
    if allocated.dtype.kind not in "iu" or bits == width:
        return allocated
    if not 0 < bits < width:
        raise UnreadableTagError(f"{bits} bits stored of {width} allocated")
    syntax = dataset.file_meta.TransferSyntaxUID
    high = number_of(dataset, "HighBit")
    # Other codecs hand over the value itself, wherever it lay.
    lowest = int(high) + 1 - bits if high is not None and not (syntax.is_compressed and syntax != RLELossless) else 0
    if not 0 <= lowest <= width - bits:
        raise UnreadableTagError(f"high bit {lowest + bits - 1} with {bits} bits stored of {width} allocated")
    return (allocated << (width - bits - lowest)) >> (width - bits)


def _rescaled(stored: np.ndarray, dataset: FileDataset, frame: int | None, padding: np.ndarray | None) -> np.ndarray:
    slope, intercept = number_of(dataset, "RescaleSlope", frame), number_of(dataset, "RescaleIntercept", frame)
    slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
    low, high = (end.item() for end in _ends(stored, padding))
    if max(abs(low), abs(high)) * abs(slope) + abs(intercept) > _FLOAT32_MAX:
        raise UnreadableTagError("rescale slope and intercept give values beyond float32")
    if stored.dtype.kind not in "iu" or not slope.is_integer() or not intercept.is_integer():
        return stored * np.float64(slope) + intercept
    ends = sorted(end * int(slope) + int(intercept) for end in (low, high))
    if ends[0] < _INT16.min or ends[1] > _INT16.max:
        return stored * np.float64(slope) + intercept
    # 16-bit arithmetic wraps around and comes back, since the results fit.
    values = stored.astype(np.int16)
    if slope != 1:
        values *= np.int64(slope).astype(np.int16)
    values += np.int64(intercept).astype(np.int16)
    return values


def _ends(stored: np.ndarray, padding: np.ndarray | None) -> tuple[np.integer, np.integer]:
    if padding is not None:
        valid = stored[~padding]
        return (valid.min(), valid.max()) if valid.size else (stored.dtype.type(0), stored.dtype.type(0))
    return stored.min(), stored.max()


def _padding(dataset: FileDataset, allocated: np.ndarray, stored: np.ndarray) -> np.ndarray | None:
    value = value_of(dataset, "PixelPaddingValue")
    if value is None or allocated.dtype.kind not in "iu":
        return None
    limit = value_of(dataset, "PixelPaddingRangeLimit")
    ends = sorted(_as_stored(end, allocated.dtype) for end in (value, value if limit is None else limit))
    padding = (stored >= ends[0]) & (stored <= ends[1])
    if stored is not allocated:
        # Some scanners pad with a value that needs all allocated bits, which masking would change.
        padding |= (allocated >= ends[0]) & (allocated <= ends[1])
    return padding if padding.any() else None


def _as_stored(value: int | bytes, dtype: np.dtype) -> int:
    # The tag may be written as unsigned where pixels are signed, or the other way: the same bits are meant.
    bits = 8 * dtype.itemsize
    number = int.from_bytes(value, "little") if isinstance(value, bytes) else int(value)
    number %= 1 << bits
    return number - (1 << bits) if dtype.kind == "i" and number >= 1 << (bits - 1) else number
