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


"""Which images of a series are alike in geometry, and which are strays."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from monai_ssl.data.dicom.header import no_slice
from monai_ssl.data.dicom.image import ImageHeader
from monai_ssl.data.volume import relative_name
from monai_ssl.data.voxels import Rejection

__all__ = ["split_stacks"]

# Images of one series that differ in geometry from the rest: so many make a volume, fewer are strays.
_SMALLEST_PART = 3
_ORIENTATION_TOLERANCE = 2e-3  # direction cosines
_SPACING_TOLERANCE = 1e-3  # relative
# So many images with a frame of reference of their own, and it tells nothing.
_NEARLY_ALL = 0.9


def split_stacks(headers: list[ImageHeader], root: Path) -> tuple[list[list[ImageHeader]], list[Rejection]]:
    """
    Group the images of one series by geometry.

    Images of another size, modality, pixel spacing, orientation, study or frame of reference, and images without a
    position, are a stack of their own when there are three or more of them (or no larger stack), and strays otherwise.
    Projections such as radiographs are a stack each.

    Args:
        headers: of one series.
        root: the folder that names in refusals are relative to.

    Returns:
        The stacks, largest first, and the strays.
    """
    refused = [(header, no_slice(header.sets.get("FrameType", ""))) for header in headers]
    strays = [(header, f"frame {(header.frame or 0) + 1}: {reason}") for header, reason in refused if reason]
    projections: dict[str, list[ImageHeader]] = defaultdict(list)
    for header in headers:
        if header.projection:
            projections[header.instance or str(header.path)].append(header)
    groups = _alike(_without_meaningless([h for h, reason in refused if not reason and not h.projection]))
    groups.sort(key=len, reverse=True)
    fewest = min(len(groups[0]), _SMALLEST_PART) if groups else 0
    strays += [
        (header, f"stray in its series: {_difference(groups[0][0], header)}")
        for group in groups
        for header in group
        if len(group) < fewest
    ]
    stacks = [group for group in groups if len(group) >= fewest]
    rejections = {Rejection(relative_name(header.path, root), reason) for header, reason in strays}
    return stacks + list(projections.values()), sorted(rejections)


def _alike(headers: list[ImageHeader]) -> list[list[ImageHeader]]:
    """Each image goes to the first group that it is alike to. Images that are equal in all are looked up once."""
    equal: dict[tuple, list[ImageHeader]] = defaultdict(list)
    for header in headers:
        equal[*_exact(header), header.orientation, header.spacing].append(header)
    groups: dict[tuple, list[list[ImageHeader]]] = defaultdict(list)
    figures: dict[tuple, np.ndarray] = {}
    for members in equal.values():
        exact, figure = _exact(members[0]), _figures(members[0])
        known = figures.setdefault(exact, np.empty((16, len(figure))))
        count = len(groups[exact])
        near = np.flatnonzero((np.abs(known[:count] - figure) <= 1).all(axis=1))
        if len(near):
            groups[exact][near[0]] += members
            continue
        if count == len(known):
            known = figures[exact] = np.concatenate([known, np.empty_like(known)])
        known[count] = figure
        groups[exact].append(members)
    order = {id(header): k for k, header in enumerate(headers)}
    found = [sorted(group, key=lambda header: order[id(header)]) for one in groups.values() for group in one]
    return sorted(found, key=lambda group: order[id(group[0])])


def _exact(header: ImageHeader) -> tuple:
    missing = (header.position is None, header.orientation is None, header.spacing is None)
    return (header.rows, header.columns, header.modality, header.study, header.reference, *missing)


def _figures(header: ImageHeader) -> np.ndarray:
    """What images of one stack may differ in, in units of the tolerance."""
    turns = np.array(header.orientation or (0.0,) * 6) / _ORIENTATION_TOLERANCE
    return np.concatenate([turns, np.log(header.spacing or (1.0, 1.0)) / _SPACING_TOLERANCE])


def _without_meaningless(headers: list[ImageHeader]) -> list[ImageHeader]:
    # Some anonymisers give every image a frame of reference or a study of its own, which then tells nothing.
    most = _NEARLY_ALL * len(headers)
    if len(headers) > 1 and len({header.reference for header in headers}) >= most:
        headers = [replace(header, reference="") for header in headers]
    if len(headers) > 1 and len({header.study for header in headers}) >= most:
        headers = [replace(header, study="") for header in headers]
    return headers


def _difference(one: ImageHeader, other: ImageHeader) -> str:
    if (one.rows, one.columns) != (other.rows, other.columns):
        return f"{other.columns} x {other.rows} pixels, the others have {one.columns} x {one.rows}"
    if one.modality != other.modality:
        return "another modality"
    if one.study != other.study:
        return "another study"
    if one.reference != other.reference:
        return "another frame of reference"
    if (one.position is None) != (other.position is None):
        return "no position, unlike the others" if other.position is None else "a position, unlike the others"
    if (one.orientation is None) != (other.orientation is None) or np.abs(_figures(one) - _figures(other))[
        :6
    ].max() > 1:
        return "another orientation"
    return f"pixel spacing {_told(other.spacing)}, the others have {_told(one.spacing)}"


def _told(spacing: tuple[float, ...] | None) -> str:
    return "unknown" if spacing is None else f"{' x '.join(f'{value:g}' for value in spacing)} mm"
