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

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut
from pydicom.uid import UID, RLELossless

from monai_ssl.data.dicom.tags import UnreadableTagError, number_of, text_of, value_of

__all__ = ["Encoding", "encoding_of", "modality_values"]

_INT16 = np.iinfo(np.int16)
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Encoding:
    """
    How the pixels of an image encode its values.

    Attributes:
        bits: how many of the allocated ones are stored; 0 for all.
        high: the highest of these, where it is not the last of `bits`.
        slope: value of one stored unit.
        intercept: value of a stored 0.
        padding: first and last padding value, as the tags hold them; None where nothing is padded.
    """

    bits: int
    high: int | None
    slope: float
    intercept: float
    padding: tuple[float | bytes, float | bytes] | None


def encoding_of(dataset: Dataset, frame: int | None) -> Encoding:
    """
    What the tags tell of the encoding.

    Args:
        dataset: of the file.
        frame: of an enhanced image, counted from 0.

    Raises:
        UnreadableTagError: when one of them is no number.
    """
    bits, high = number_of(dataset, "BitsStored"), number_of(dataset, "HighBit")
    syntax = UID(text_of(dataset.file_meta, "TransferSyntaxUID"))
    # Codecs other than run lengths hand over the value itself, wherever it lay.
    moved = syntax.is_compressed and syntax != RLELossless
    slope, intercept = number_of(dataset, "RescaleSlope", frame), number_of(dataset, "RescaleIntercept", frame)
    kind = next((kind for kind in ("DoubleFloat", "Float") if f"{kind}PixelData" in dataset), "")
    padding = _one_number(dataset, f"{kind}PixelPaddingValue")
    limit = _one_number(dataset, f"{kind}PixelPaddingRangeLimit")
    return Encoding(
        bits=int(bits or 0),
        high=None if high is None or moved else int(high),
        slope=1.0 if slope is None else slope,
        intercept=intercept or 0.0,
        padding=None if padding is None else (padding, padding if limit is None else limit),
    )


def _one_number(dataset: Dataset, tag: str) -> float | bytes | None:
    value = value_of(dataset, tag)
    if not isinstance(value, int | float | bytes | None):
        raise UnreadableTagError(f"{tag} is not one number")
    return value


def modality_values(
    allocated: np.ndarray, encoding: Encoding, look_up: Dataset | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """
    The values of one image: high bits masked, slope and intercept or the modality look-up table applied.

    Args:
        allocated: (rows, columns), as they lie in the file or come from a decoder.
        encoding: what they mean.
        look_up: the data set whose modality look-up table takes the place of slope and intercept, if any.

    Returns:
        (rows, columns) int16 where all valid values are integers that fit, else a wider integer or float64, MONOCHROME1
        not inverted; and (rows, columns) bool, True where padded, or None. Padded values are 0.

    Raises:
        UnreadableTagError: when the tags contradict one another, or values exceed float32.
        Exception: whatever pydicom stumbled over in the look-up table.

    See:
        https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.6.3.html,
        https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.5.html#sect_C.7.5.1.1.2
    """
    stored = _stored(allocated, encoding)
    padding = _padding(encoding, allocated, stored)
    values = np.array(apply_modality_lut(stored, look_up)) if look_up else _rescaled(stored, encoding, padding)
    if padding is not None:
        values[padding] = 0
    return values, padding


def _stored(allocated: np.ndarray, encoding: Encoding) -> np.ndarray:
    # Bits beyond the stored ones may hold overlays or anything else.
    width, bits = 8 * allocated.dtype.itemsize, encoding.bits
    if allocated.dtype.kind not in "iu" or bits in (0, width):
        return allocated
    if not 0 < bits < width:
        raise UnreadableTagError(f"{bits} bits stored of {width} allocated")
    lowest = 0 if encoding.high is None else encoding.high + 1 - bits
    if not 0 <= lowest <= width - bits:
        raise UnreadableTagError(f"high bit {encoding.high} with {bits} bits stored of {width} allocated")
    smallest = -(1 << bits - 1) if allocated.dtype.kind == "i" else 0
    if lowest == 0 and allocated.min() >= smallest and allocated.max() < smallest + (1 << bits):
        return allocated
    return (allocated << (width - bits - lowest)) >> (width - bits)


def _rescaled(stored: np.ndarray, encoding: Encoding, padding: np.ndarray | None) -> np.ndarray:
    slope, intercept = encoding.slope, encoding.intercept
    low, high = (end.item() for end in _ends(stored, padding))
    if max(abs(low), abs(high)) * abs(slope) + abs(intercept) > _FLOAT32_MAX:
        raise UnreadableTagError("rescale slope and intercept give values beyond float32")
    if stored.dtype.kind not in "iu" or not slope.is_integer() or not intercept.is_integer():
        return stored * np.float64(slope) + intercept
    ends = sorted(end * int(slope) + int(intercept) for end in (low, high))
    if ends[0] < _INT16.min or ends[1] > _INT16.max:
        return stored * np.float64(slope) + intercept
    # 16-bit arithmetic wraps around and comes back, since the results fit.
    values = stored.view(np.int16) if stored.dtype in (np.int16, np.uint16) else stored.astype(np.int16)
    if slope != 1:
        values = values * np.int64(slope).astype(np.int16)
    return values + np.int64(intercept).astype(np.int16)


def _ends(stored: np.ndarray, padding: np.ndarray | None) -> tuple[np.integer, np.integer]:
    if padding is not None:
        valid = stored[~padding]
        return (valid.min(), valid.max()) if valid.size else (stored.dtype.type(0), stored.dtype.type(0))
    return stored.min(), stored.max()


def _padding(encoding: Encoding, allocated: np.ndarray, stored: np.ndarray) -> np.ndarray | None:
    if encoding.padding is None:
        return None
    # As float32 a value and the pixels that hold it are equal.
    as_stored = _as_stored if allocated.dtype.kind in "iu" else lambda end, dtype: dtype.type(end)
    ends = sorted(as_stored(end, allocated.dtype) for end in encoding.padding)
    padding = (stored >= ends[0]) & (stored <= ends[1])
    if stored is not allocated:
        # Some scanners pad with a value that needs all allocated bits, which masking would change.
        padding |= (allocated >= ends[0]) & (allocated <= ends[1])
    return padding if padding.any() else None


def _as_stored(value: float | bytes, dtype: np.dtype) -> int:
    # The tag may be written as unsigned where pixels are signed, or the other way: the same bits are meant.
    bits = 8 * dtype.itemsize
    number = int.from_bytes(value, "little") if isinstance(value, bytes) else int(value)
    number %= 1 << bits
    return number - (1 << bits) if dtype.kind == "i" and number >= 1 << (bits - 1) else number
