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


"""A volume on a grid of another spacing: linear, antialiased, and never blending what is no measurement."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from monai_ssl.data.limits import check_size
from monai_ssl.data.voxels import Voxels
from monai_ssl.orientation import canonical_axes

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["axis_weights", "resample"]

# A last voxel this much of a step beyond the source is rounding, not extrapolation.
_SLACK = 1e-6
# Below half its weight from valid voxels, a new voxel would show more of its neighbours than of itself.
_LEAST_SUPPORT = 0.5 - 1e-5
_SQUARE = 1e-3
_LEAST_SIDE = 8
_TILTED = "resampled along the axes of a sheared volume (gantry tilt): the shear stays, spacing is that along the tilt"


def resample(voxels: Voxels, spacing: tuple[float, float, float], max_gib: float) -> Voxels:
    """
    The volume at another distance of voxels, from its first voxel on, along its own axes.

    Slices count at their true positions, evenly spaced or not. Invalid voxels carry no weight (normalised convolution,
    Knutsson and Westin 1993, https://doi.org/10.1109/CVPR.1993.341081), and a new voxel with less than half of its
    weight on valid ones is invalid. One slice of the source is resampled at a time.

    Args:
        voxels: as read.
        spacing: millimetres along right-left, anterior-posterior and superior-inferior, or those of the volume's axes
            that lie closest to them. An axis of one voxel stays as it is.
        max_gib: the most that the new voxels may take.

    Returns:
        A new volume of the same type: int16 is rounded, and stays within its values.

    Raises:
        ValueError: when it would be too large, or no slice in any direction be left of 8 x 8 pixels; when no voxel is
            valid in it, or slices share a position.
    """
    order = canonical_axes(voxels.affine).order
    steps = np.linalg.norm(voxels.affine[:3, :3], axis=0)
    wanted = np.empty(3)
    wanted[list(order)] = spacing
    positions = [np.arange(size, dtype=np.float64) for size in voxels.array.shape[:2]] + [voxels.offsets]
    if (np.diff(voxels.offsets) <= 0).any():
        raise ValueError("slices at one position, or out of order, cannot be resampled")
    # In steps of the source, along each axis.
    pitch = [
        1.0 if len(places) == 1 else want / step for places, want, step in zip(positions, wanted, steps, strict=True)
    ]
    shape = [_count(places, each) for places, each in zip(positions, pitch, strict=True)]
    masked = voxels.valid is not None
    size = math.prod(shape) * (voxels.array.itemsize + masked)
    check_size(size, size, max_gib)
    if sorted(shape)[1] < min(_LEAST_SIDE, sorted(voxels.array.shape)[1]):
        left = " x ".join(map(str, shape))
        raise ValueError(f"{left} voxels would be left, and {_LEAST_SIDE} are the fewest along a side of a slice")
    weights = [axis_weights(places, each) for places, each in zip(positions, pitch, strict=True)]
    array, valid = _apply(voxels, weights)
    affine = voxels.affine.copy()
    affine[:3, 3] += affine[:3, 2] * voxels.offsets[0]
    affine[:3, :3] *= pitch
    unit = voxels.affine[:3, :3] / steps
    sheared = np.abs(unit.T @ unit - np.eye(3)).max() > _SQUARE
    warnings = (*voxels.warnings, _TILTED) if sheared else voxels.warnings
    return replace(
        voxels,
        array=array,
        affine=affine,
        valid=valid,
        offsets=np.arange(shape[2], dtype=np.float64),
        warnings=warnings,
    )


def axis_weights(positions: np.ndarray, pitch: float) -> csr_array:
    """
    How much each old sample along an axis counts in each new one.

    The samples are joined by straight lines, and these averaged by a triangle about each new place, so that a ramp
    comes back as it is, wherever the samples lie and up to both ends, and no weight is negative. The triangle and the
    lines together are as wide as a triangle of half-width `pitch` (antialiasing): it shrinks to nothing, which is
    linear interpolation, where the new samples are no further apart than the old ones, and at the ends to what fits.

    Args:
        positions: (N,) float64, ascending.
        pitch: distance of the new samples, which begin at the first old one and end at or before the last.

    Returns:
        (M, N) float32, sparse; rows sum to 1.

    Example:
        >>> axis_weights(np.arange(3.0), 0.5).toarray()[1]
        array([0.5, 0.5, 0. ], dtype=float32)
    """
    from scipy.sparse import csr_array  # a quarter of a second that other workers need not wait

    new = np.minimum(positions[0] + pitch * np.arange(_count(positions, pitch)), positions[-1])
    if len(positions) == 1:
        return csr_array(np.ones((1, 1), dtype=np.float32))
    gaps = np.diff(positions)
    left = np.clip(np.searchsorted(positions, new, side="right") - 1, 0, len(gaps) - 1)
    data, indices, ends = [], [], [0]
    for place, gap in zip(new, gaps[left], strict=True):
        wide = 0.0 if pitch <= gap * (1 + _SLACK) else np.sqrt(pitch**2 - gap**2)
        # Symmetrical at the ends as well, down to the sample itself.
        half = max(min(wide, place - positions[0], positions[-1] - place), 0.0)
        first, last = np.searchsorted(positions, (place - half, place + half))
        taps = np.arange(max(first - 1, 0), min(last + 1, len(positions)))
        values = _hats(positions[taps], place, half)
        used = values > _SLACK**2
        data.append(values[used] / values[used].sum())
        indices.append(taps[used])
        ends.append(ends[-1] + int(used.sum()))
    shape = (len(new), len(positions))
    return csr_array((np.concatenate(data).astype(np.float32), np.concatenate(indices), ends), shape=shape)


def _hats(nodes: np.ndarray, place: float, half: float) -> np.ndarray:
    """
    The part of each node in the straight lines between them, averaged by a triangle.

    A hat function is made of three ramps that begin at a node and its neighbours. The average of such a ramp,
    max(x - node, 0), over the triangle has a closed form.
    """
    far = (nodes - place) / max(half, _SLACK**2)
    ramps = np.maximum(place - nodes, 0) + half * np.maximum(1 - np.abs(far), 0) ** 3 / 6
    # Before the first node all of the ramp counts, behind the last nothing.
    return np.diff(np.diff(ramps) / np.diff(nodes), prepend=-1, append=0)


def _count(positions: np.ndarray, pitch: float) -> int:
    return int(np.floor((positions[-1] - positions[0]) / pitch + _SLACK * len(positions))) + 1


def _apply(voxels: Voxels, weights: list[csr_array]) -> tuple[np.ndarray, np.ndarray | None]:
    across, down, along = weights
    shape = tuple(weight.shape[0] for weight in weights)
    array = np.empty(shape, dtype=voxels.array.dtype, order="F")
    valid = None if voxels.valid is None else np.empty(shape, dtype=bool, order="F")
    planes: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}
    for new in range(shape[2]):
        taps = slice(along.indptr[new], along.indptr[new + 1])
        used = dict(zip(along.indices[taps].tolist(), along.data[taps], strict=True))
        # Neighbouring slices share their sources; those behind are no longer needed.
        planes = {k: planes[k] if k in planes else _plane(voxels, k, across, down) for k in used}
        values = sum(weight * planes[k][0] for k, weight in used.items())
        if valid is not None:
            support = sum(weight * planes[k][1] for k, weight in used.items())
            valid[..., new] = support >= _LEAST_SUPPORT
            values = np.divide(values, support, out=np.zeros_like(values), where=support >= _LEAST_SUPPORT)
        array[..., new] = np.rint(values) if array.dtype.kind == "i" else values
    if valid is None:
        return array, None
    if not valid.any():
        raise ValueError("no valid voxel is left")
    array[~valid] = array[valid].min()
    return array, None if valid.all() else valid


def _plane(voxels: Voxels, k: int, across: csr_array, down: csr_array) -> tuple[np.ndarray, np.ndarray | None]:
    spread = partial(_in_plane, across=across, down=down)
    values = voxels.array[..., k].astype(np.float32)
    if voxels.valid is None:
        return spread(values), None
    mask = voxels.valid[..., k].astype(np.float32)
    return spread(values * mask), spread(mask)


def _in_plane(image: np.ndarray, across: csr_array, down: csr_array) -> np.ndarray:
    return across @ np.ascontiguousarray((down @ np.ascontiguousarray(image.T)).T)
