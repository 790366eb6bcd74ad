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


"""The geometry of a stack of DICOM images: its order, its affine, and how far it is from a regular grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monai_ssl.data.dicom.image import ImageHeader
from monai_ssl.data.volume import relative_name

__all__ = ["StackGeometry", "find_places", "places_along", "stack_by_number", "stack_by_position"]

# Slice distances that differ by less count as even; highdicom's spatial.py uses the same relative tolerance.
_SPACING_TOLERANCE = 0.01
# Positions written with two decimals make even distances differ by this much; a step that is as small has more of them.
_ROUNDING_MM = 0.0101
_ROUNDING_SHARE = 0.3
# A gap this close to a multiple of the slice distance is a gap of missing slices.
_MULTIPLE_TOLERANCE = 0.05
_SHEAR_DEGREES = 0.2
_SCATTER_MM = 0.1
# Two images this close, in mm, are two images at one position; so are two that are closer than this share of the usual
# distance, as where the table or the rounding is not the same at each time point, but not any further apart.
_SAME_POSITION_MM = 1e-3
_SAME_POSITION_SHARE = 0.1
_JITTER_MM = 0.1
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class StackGeometry:
    """
    Attributes:
        order: indices of the headers in slice order.
        affine: (4, 4), index (column, row, slice) to RAS millimetres.
        offsets: (N,), where each slice truly lies, in steps of the affine.
        warnings: what is not as in a regular grid, with figures.
    """

    order: list[int]
    affine: np.ndarray
    offsets: np.ndarray
    warnings: list[str]


def places_along(headers: list[ImageHeader]) -> np.ndarray:
    """(N,) millimetres along the slice normal of images with a position."""
    return np.array([header.position for header in headers]) @ _directions(headers[0])[2]


def find_places(headers: list[ImageHeader]) -> np.ndarray:
    """
    Which images lie at one place.

    Args:
        headers: alike in orientation, all with a position, or all without one: their number stands for it then, and
            without that each image has a place of its own.

    Returns:
        (N,) number of the place of each, in order of place.
    """
    if headers[0].position is None:
        keys = [str(k) if header.number is None else f"#{header.number}" for k, header in enumerate(headers)]
        return np.unique(keys, return_inverse=True)[1]
    along = places_along(headers)
    order = np.argsort(along, kind="stable")
    gaps = np.diff(along[order])
    # Half of the way is made in steps of this size or larger ones, however many small ones lie between them.
    steps = np.sort(gaps)
    usual = steps[np.searchsorted(np.cumsum(steps), steps.sum() / 2)] if len(steps) else 0.0
    near = max(_SAME_POSITION_MM, min(_JITTER_MM, _SAME_POSITION_SHARE * usual))
    places = np.empty(len(headers), dtype=np.int64)
    places[order] = np.concatenate([[0], np.cumsum(gaps >= near)])
    return places


def stack_by_position(headers: list[ImageHeader], root: Path) -> StackGeometry:
    """
    Order images by their position along the slice normal.

    Args:
        headers: alike in size and orientation, each with a position.
        root: the folder that names in errors are relative to.

    Raises:
        ValueError: when two images lie at one position.
    """
    warnings = (
        [] if headers[0].orientation else ["no image orientation: axial, rows to posterior, columns to left assumed"]
    )
    if len(headers) == 1 and headers[0].thickness is None:
        warnings.append("one slice without a thickness: 1 mm assumed")
    row, column, normal = _directions(headers[0])
    origins = np.array([header.position for header in headers])
    along = origins @ normal
    order = np.argsort(along, kind="stable")
    origins, along = origins[order], along[order]
    gaps = np.diff(along)
    shared = np.flatnonzero(np.diff(find_places(headers)[order]) == 0)
    if len(shared):
        k = int(shared[0])
        names = (_name(headers[order[i]], root) for i in (k, k + 1))
        raise ValueError(
            f"different images at one position, {along[k]:g} mm along the slice normal, such as {' and '.join(names)}: "
            "several time points, echoes or reconstructions that no tag splits into whole sets; separate them first"
        )
    step, offsets = normal * (headers[0].thickness or 1.0), np.zeros(1)
    if len(headers) > 1:
        step = (origins[-1] - origins[0]) / (len(headers) - 1)
        offsets = (along - along[0]) / (step @ normal)
        warnings += _irregularities(gaps, along) + _shear(origins, offsets, step, normal)
    return StackGeometry([int(k) for k in order], _affine(headers[0], row, column, step, origins[0]), offsets, warnings)


def stack_by_number(headers: list[ImageHeader], root: Path) -> StackGeometry:
    """
    Order images without a position by InstanceNumber.

    Args:
        headers: alike in size.
        root: the folder that names in errors are relative to.

    Raises:
        ValueError: when the numbers do not give an order either.
    """
    numbers = [header.number for header in headers]
    known = [number for number in numbers if number is not None]
    if len(headers) > 1 and len(set(known)) < len(headers):
        raise ValueError("neither positions nor distinct InstanceNumbers: the order of the slices is not known")
    row, column, normal = _directions(headers[0])
    order = sorted(range(len(headers)), key=lambda k: numbers[k] or 0)
    affine = _affine(headers[0], row, column, normal * (headers[0].thickness or 1.0), np.zeros(3))
    warnings = []
    if len(headers) > 1:
        warnings = ["no position: ordered by InstanceNumber, which may be wrong; origin and slice distance are assumed"]
    elif not headers[0].projection:
        warnings = ["no position: origin and slice distance are assumed"]
    return StackGeometry(order, affine, np.arange(len(headers), dtype=np.float64), warnings)


def _name(header: ImageHeader, root: Path) -> str:
    name = relative_name(header.path, root)
    return name if header.frame is None else f"frame {header.frame + 1} of {name}"


def _directions(header: ImageHeader) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    orientation = np.array(header.orientation or (1, 0, 0, 0, 1, 0), dtype=np.float64)
    row, column = orientation[:3], orientation[3:]
    normal = np.cross(row, column)
    return row / np.linalg.norm(row), column / np.linalg.norm(column), normal / np.linalg.norm(normal)


def _affine(
    header: ImageHeader, row: np.ndarray, column: np.ndarray, step: np.ndarray, origin: np.ndarray
) -> np.ndarray:
    # PixelSpacing is (between rows, between columns); the first array axis runs along a row, from column to column.
    between_rows, between_columns = header.spacing or (1.0, 1.0)
    affine = np.eye(4)
    affine[:3] = np.column_stack([row * between_columns, column * between_rows, step, origin])
    return _LPS_TO_RAS @ affine


def _irregularities(gaps: np.ndarray, along: np.ndarray) -> list[str]:
    usual = float(np.median(gaps))
    if np.abs(gaps - usual).max() <= max(_SPACING_TOLERANCE * usual, min(_ROUNDING_MM, _ROUNDING_SHARE * usual)):
        return []
    multiples = gaps / usual
    missing = int((np.rint(multiples) - 1).sum())
    if missing and (np.abs(multiples - np.rint(multiples)) <= _MULTIPLE_TOLERANCE).all() and multiples.min() > 0.5:
        k = int(gaps.argmax())
        return [
            f"missing slices: {missing} at a slice distance of {usual:g} mm, "
            f"the largest gap {gaps[k]:g} mm from {along[k]:g} to {along[k + 1]:g} mm along the slice normal"
        ]
    values, counts = np.unique(gaps.round(2), return_counts=True)
    shown = ", ".join(f"{value:g} mm x {count}" for value, count in list(zip(values, counts, strict=True))[:6])
    more = f" and {len(values) - 6} more distances" if len(values) > 6 else ""
    return [f"uneven slice distance: {shown}{more}; the affine has the mean, {gaps.mean():.4g} mm"]


def _shear(origins: np.ndarray, offsets: np.ndarray, step: np.ndarray, normal: np.ndarray) -> list[str]:
    warnings = []
    sideways = float(np.linalg.norm(step - (step @ normal) * normal))
    angle = float(np.degrees(np.arctan2(sideways, step @ normal)))
    if angle > _SHEAR_DEGREES and sideways * (len(origins) - 1) > np.sqrt(2) * _ROUNDING_MM:
        warnings.append(f"gantry tilt: slices are stacked {angle:.1f} degrees off their normal, a sheared volume")
    scatter = float(np.linalg.norm(origins - origins[0] - offsets[:, None] * step, axis=1).max())
    if scatter > _SCATTER_MM:
        warnings.append(f"slice origins scatter up to {scatter:.2f} mm sideways")
    return warnings
