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


"""Where an image lies, as its tags tell."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from monai_ssl.data.dicom.tags import number_or_none, numbers_of

__all__ = ["orientation_of", "position_of", "spacing_of", "thickness_of"]

# Direction cosines are written with few digits; further off than this they are no directions.
_UNIT_TOLERANCE = 0.01
# Wider than whatever was scanned, so that figures beyond are damage: 100 m off the origin, pixels of 1 nm or 1 m.
_FARTHEST_MM = 1e5
_PIXEL_MM = (1e-6, 1e3)


def position_of(dataset: Dataset, frame: int | None) -> tuple[float, ...] | None:
    """
    Of its first pixel, in LPS millimetres.

    Raises:
        ValueError: when it is no position, or an absurd one.
    """
    position = numbers_of(dataset, "ImagePositionPatient", 3, frame)
    if position is not None and max(map(abs, position)) > _FARTHEST_MM:
        raise ValueError(f"position more than {_FARTHEST_MM:,.0f} mm off the origin")
    return position


def orientation_of(dataset: Dataset, frame: int | None) -> tuple[float, ...] | None:
    """
    The directions of its rows and of its columns.

    Raises:
        ValueError: when they are no two directions.
    """
    orientation = numbers_of(dataset, "ImageOrientationPatient", 6, frame)
    if orientation is not None and not _orthonormal(orientation):
        raise ValueError("image orientation is not two perpendicular directions")
    return orientation


def spacing_of(dataset: Dataset, frame: int | None) -> tuple[tuple[float, ...] | None, str]:
    """
    Millimetres between rows and between columns, and the keyword of the tag that tells.

    Raises:
        ValueError: when they are no such numbers, or absurd ones.
    """
    for tag in ("PixelSpacing", "ImagerPixelSpacing"):
        spacing = numbers_of(dataset, tag, 2, frame)
        if spacing is not None and min(spacing) > 0:
            if min(spacing) < _PIXEL_MM[0] or max(spacing) > _PIXEL_MM[1]:
                raise ValueError(f"{tag} beyond {_PIXEL_MM[0]:g} to {_PIXEL_MM[1]:g} mm")
            return spacing, tag
    return None, ""


def thickness_of(dataset: Dataset, frame: int | None) -> float | None:
    """Millimetres from slice to slice, as far as one image tells."""
    for tag in ("SpacingBetweenSlices", "SliceThickness"):
        number = number_or_none(dataset, tag, frame)
        if number and _PIXEL_MM[0] <= abs(number) <= _PIXEL_MM[1]:
            return abs(number)
    return None


def _orthonormal(orientation: tuple[float, ...]) -> bool:
    row, column = orientation[:3], orientation[3:]
    skew = sum(a * b for a, b in zip(row, column, strict=True))
    return max(abs(math.hypot(*row) - 1), abs(math.hypot(*column) - 1), abs(skew)) < _UNIT_TOLERANCE
