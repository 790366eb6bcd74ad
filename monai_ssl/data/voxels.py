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


"""What reading a volume gives, whatever its format, and the errors that refuse one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["RejectedVolumeError", "Rejection", "Voxels", "clean_voxels", "compact"]

_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, order=True)
class Rejection:
    """A file that is no part of any volume, or a volume that cannot be trusted, and why."""

    file: str
    reason: str


class RejectedVolumeError(ValueError):
    """A volume refused on reading. `rejection` names the file and the reason."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.rejection = Rejection(file, reason)

    def __str__(self) -> str:
        return f"{self.rejection.file}: {self.rejection.reason}"


@dataclass(frozen=True, eq=False)
class Voxels:
    """
    The voxels of a volume, in the axes of its source.

    Attributes:
        array: (X, Y, Z); int16 when every value is an integer that fits, else float32. Invalid voxels (padding, NaN,
            infinity) hold the smallest valid value.
        affine: (4, 4) float64, voxel index to RAS millimetres.
        valid: (X, Y, Z) bool, False where invalid; None when all are valid.
        offsets: (Z,) float64, where along the third axis each slice truly lies, in steps of the affine: 0, 1, 2 ...
            when the slices are evenly spaced.
        warnings: what only the voxels could tell.
    """

    array: np.ndarray
    affine: np.ndarray
    valid: np.ndarray | None
    offsets: np.ndarray
    warnings: tuple[str, ...] = ()


def clean_voxels(
    file: str,
    array: np.ndarray,
    valid: np.ndarray | None,
    affine: np.ndarray,
    offsets: np.ndarray | None = None,
    warnings: tuple[str, ...] = (),
) -> Voxels:
    """
    Fill invalid voxels with the smallest valid value and choose int16 or float32.

    Args:
        file: the name for errors.
        array: (X, Y, Z), any real type; overwritten where invalid.
        valid: (X, Y, Z) bool, or None when no voxel is known to be invalid. NaN and infinity are found here.
        affine: (4, 4).
        offsets: (Z,), as in `Voxels`; None for even spacing.
        warnings: found on reading, carried on.

    Raises:
        RejectedVolumeError: when no voxel is valid.
    """
    notes = list(warnings)
    if array.dtype.kind == "f":
        # One slice after another: the mask of a whole volume is only made when there is something to mask.
        lost = sum(int(np.count_nonzero(~np.isfinite(array[..., k]))) for k in range(array.shape[2]))
        if lost:
            finite = np.isfinite(array)
            valid = finite if valid is None else valid & finite
            notes.append(f"{lost} of {array.size} voxels are NaN or infinite; they count as invalid")
    low, high = _ends(array, valid)
    if low > high:
        raise RejectedVolumeError(file, "no valid voxel: all are padding, NaN or infinite")
    if max(-float(low), float(high)) > np.finfo(np.float32).max:
        raise RejectedVolumeError(file, f"values from {low:g} to {high:g} exceed float32")
    if low == high:
        notes.append(f"constant: every valid voxel is {low:g}")
    if valid is not None:
        for k in range(array.shape[2]):
            array[..., k][~valid[..., k]] = low
    array = compact(array)
    offsets = np.arange(array.shape[2], dtype=np.float64) if offsets is None else offsets
    return Voxels(array, affine, valid, offsets, tuple(notes))


def _ends(array: np.ndarray, valid: np.ndarray | None) -> tuple[float, float]:
    """The smallest and largest valid value; of int16 without a mask, for which it is enough, any two that differ."""
    low, high = np.inf, -np.inf
    for k in range(array.shape[2]):
        part = array[..., k] if valid is None else array[..., k][valid[..., k]]
        if part.size:
            low, high = min(low, part.min()), max(high, part.max())
        if array.dtype == np.int16 and valid is None and low < high:
            break
    return low, high


def compact(array: np.ndarray) -> np.ndarray:
    """`array` as int16 when every value is an integer that fits, else as float32; in its own memory order."""
    if array.dtype == np.int16:
        return array
    whole = array.dtype.kind in "iub" or all(
        np.array_equal(array[..., k], np.rint(array[..., k])) for k in range(array.shape[-1])
    )
    fits = array.min(initial=0) >= _INT16.min and array.max(initial=0) <= _INT16.max
    return array.astype(np.int16 if whole and fits else np.float32, copy=False)
