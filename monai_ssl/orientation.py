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

"""
Where the patient lies in the array: which axis is axial, and how a slice is turned for display.

Affines are 4x4, voxel index to millimetres, in the RAS frame of NIfTI and MONAI. Planes are called by the closest
canonical axis, as `nibabel.as_closest_canonical` does, so an oblique volume has an axial axis as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import nibabel
import numpy as np

__all__ = ["PLANES", "CanonicalAxes", "array_axis", "canonical_axes", "few_at_a_time", "slice_positions", "to_display"]

# The world axis (0 right, 1 anterior, 2 superior) along which slices of a plane follow one another.
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}


class CanonicalAxes(NamedTuple):
    """
    For each world axis, right, anterior and superior in this order, the array axis that lies closest to it.

    Attributes:
        order: the array axes, a permutation of 0, 1, 2.
        signs: +1 where the index grows towards right, anterior, superior; -1 where it grows the other way.
    """

    order: tuple[int, int, int]
    signs: tuple[int, int, int]


def canonical_axes(affine: np.ndarray) -> CanonicalAxes:
    """
    Find the array axes closest to right, anterior and superior.

    Args:
        affine: (4, 4), voxel index to RAS millimetres; may be oblique, flipped, permuted or sheared.

    Raises:
        ValueError: when it is not (4, 4), not finite or singular, so that it names no directions.

    Example:
        >>> canonical_axes(np.diag([-0.7, -0.7, 2.5, 1]))
        CanonicalAxes(order=(0, 1, 2), signs=(-1, -1, 1))
    """
    affine = np.asarray(affine, dtype=np.float64)
    if affine.shape != (4, 4):
        raise ValueError(f"affine must have shape (4, 4), got {affine.shape}")
    linear = affine[:3, :3]
    lengths = np.linalg.norm(linear, axis=0)
    # The determinant of the unit directions: a test of its own scale, so that small voxels are no fault.
    if not np.isfinite(affine).all() or not lengths.all() or abs(np.linalg.det(linear / lengths)) < 1e-6:
        raise ValueError(
            f"affine must be finite and invertible, got {affine.tolist()}; repair the header of the volume"
        )
    orientation = nibabel.io_orientation(affine)
    order = np.argsort(orientation[:, 0])
    x, y, z = (int(axis) for axis in order)
    right, anterior, superior = (int(sign) for sign in orientation[order, 1])
    return CanonicalAxes((x, y, z), (right, anterior, superior))


def array_axis(affine: np.ndarray, axis: str | int) -> int:
    """
    The array axis, 0 to 2, along which the slices of a plane follow one another.

    Args:
        affine: (4, 4), voxel index to RAS millimetres.
        axis: "axial", "coronal" or "sagittal"; or the array axis itself, -3 to 2.

    Raises:
        ValueError: for any other axis, or an affine without directions.

    Example:
        >>> array_axis(np.eye(4), "axial")
        2
    """
    if isinstance(axis, str) and axis in PLANES:
        return canonical_axes(affine).order[PLANES[axis]]
    if isinstance(axis, (int, np.integer)) and not isinstance(axis, bool) and -3 <= axis < 3:
        return int(axis) % 3
    raise ValueError(f"axis must be one of {', '.join(sorted(PLANES))} or an array axis -3 to 2, got {axis!r}")


def to_display(volume: np.ndarray, affine: np.ndarray, axis: str | int = "axial") -> np.ndarray:
    """
    The slices of a volume as a radiologist sees them: a view, no copy.

    Axial rows run to posterior, columns to the patient's left; coronal rows to inferior, columns to left; sagittal rows
    to inferior, columns to posterior. Slices stay in source index order along the axis.

    Args:
        volume: (X, Y, Z).
        affine: (4, 4), voxel index to RAS millimetres.
        axis: "axial", "coronal", "sagittal" or an array axis.

    Returns:
        (N, H, W), N being the length of that array axis.

    Raises:
        ValueError: when `volume` is not three-dimensional, or as `array_axis`.

    Example:
        >>> to_display(np.zeros((4, 5, 6)), np.eye(4), "coronal").shape
        (5, 6, 4)
    """
    if volume.ndim != 3:
        raise ValueError(f"volume must have shape (X, Y, Z), got {volume.shape}")
    sliced = array_axis(affine, axis)
    order, signs = canonical_axes(affine)
    plane = order.index(sliced)
    # Of the two axes left, superior is the row before anterior, anterior before right; all of them run downwards.
    row, column = (world for world in (2, 1, 0) if world != plane)
    images = volume.transpose(sliced, order[row], order[column])
    return images[:, :: -signs[row], :: -signs[column]]


def few_at_a_time(images: np.ndarray, few: int = 16) -> Iterator[tuple[slice, np.ndarray]]:
    """
    Slices in contiguous blocks, so that whatever looks at them needs no copy of the volume.

    Args:
        images: (N, H, W), such as `to_display` gives.
        few: slices in a block.

    Yields:
        Which ones, and (up to `few`, H, W), C-contiguous; a view where the images are so already.

    Example:
        >>> [block.shape for _, block in few_at_a_time(np.zeros((3, 4, 5)).T, 4)]
        [(4, 4, 3), (1, 4, 3)]
    """
    for start in range(0, len(images), few):
        places = slice(start, start + few)
        source = images[places]
        if source.flags.c_contiguous:
            yield places, source
            continue
        block = np.empty(source.shape, dtype=source.dtype)
        # Where slices interleave in memory, a cache line is read once for all of them.
        for row in range(0, source.shape[1], 8):
            block[:, row : row + 8] = source[:, row : row + 8]
        yield places, block


def slice_positions(affine: np.ndarray, shape: tuple[int, ...], axis: str | int = "axial") -> np.ndarray:
    """
    Where each slice lies along its plane's normal, in DICOM patient coordinates.

    Axial positions grow to superior, coronal to posterior, sagittal to left. The normal is perpendicular to the slice
    also where the volume is oblique or sheared (gantry tilt), so every voxel of a slice has the same position.

    Args:
        affine: (4, 4), voxel index to RAS millimetres.
        shape: of the volume, (X, Y, Z).
        axis: "axial", "coronal", "sagittal" or an array axis.

    Returns:
        (N,) float64 in millimetres, in source index order.

    Raises:
        ValueError: as `array_axis`.

    Example:
        >>> slice_positions(np.diag([1, 1, 2.5, 1]), (4, 4, 3), "axial")
        array([0. , 2.5, 5. ])
    """
    affine = np.asarray(affine, dtype=np.float64)
    sliced = array_axis(affine, axis)
    order, signs = canonical_axes(affine)
    plane = order.index(sliced)
    step = affine[:3, sliced]
    normal = np.cross(affine[:3, (sliced + 1) % 3], affine[:3, (sliced + 2) % 3])
    normal /= np.linalg.norm(normal)
    # Superior is +S in RAS, but posterior and left are -A and -R.
    towards = signs[plane] if plane == PLANES["axial"] else -signs[plane]
    normal *= towards * np.sign(normal @ step)
    return normal @ affine[:3, 3] + np.arange(shape[sliced]) * (normal @ step)
