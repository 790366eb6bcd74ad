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


"""Several images at one place: the same one twice, time points that can be told apart, or neither."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np

from monai_ssl.data.dicom.file import open_dicom, read_dataset
from monai_ssl.data.dicom.header import DicomHeader
from monai_ssl.data.dicom.tags import MOMENTS, text_of
from monai_ssl.data.dicom.volume import read_images
from monai_ssl.data.voxels import RejectedVolumeError

__all__ = ["Moment", "split_kinds", "split_moments", "without_copies"]

Moment = tuple[str, list[DicomHeader]]
_GROUPS = ["PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"]


def split_moments(headers: list[DicomHeader], max_gib: float) -> list[Moment]:
    """
    Tell time points, echoes or reconstructions of one series apart.

    Args:
        headers: alike in geometry.
        max_gib: see `open_dicom`.

    Returns:
        For each moment the keyword of the tag that tells it apart and its images, which lie at the places that those of
        every other moment lie at, once each. A single one, without a keyword, when there is one image at each place or
        when no tag tells them apart.
    """
    places = _by_place(headers)
    if len(places) == len(headers):
        return [("", headers)]
    told = _moment_tags(headers, max_gib)
    for tag in MOMENTS:
        groups: dict[str, list[DicomHeader]] = defaultdict(list)
        for header in headers:
            groups[told[header.path, header.frame][tag]].append(header)
        if len(groups) > 1 and all(
            len(group) == len(places) and _by_place(group).keys() == places.keys() for group in groups.values()
        ):
            # The order of the files, not of the values, which are text.
            return [(tag, group) for group in sorted(groups.values(), key=lambda group: _order(group[0]))]
    return [("", headers)]


def split_kinds(headers: list[DicomHeader], fewest: int) -> list[list[DicomHeader]]:
    """
    Tell images of differing echo time, kernel or image type apart that are woven into one another.

    Kinds that lie one behind the other, such as two blocks of an acquisition, stay together.

    Args:
        headers: alike in geometry.
        fewest: kinds with fewer images tell nothing.
    """
    kinds: dict[tuple[str, ...], list[DicomHeader]] = defaultdict(list)
    for header in headers:
        kinds[header.kind].append(header)
    if len(kinds) == 1 or min(map(len, kinds.values())) < fewest or headers[0].position is None:
        return [headers]
    row, column = np.reshape(headers[0].orientation or (1, 0, 0, 0, 1, 0), (2, 3))
    along = [np.array([h.position for h in group]) @ np.cross(row, column) for group in kinds.values()]
    blocks = sorted((places.min(), places.max()) for places in along)
    woven = any(next_low < high for (_, high), (next_low, _) in pairwise(blocks))
    return list(kinds.values()) if woven else [headers]


def without_copies(
    headers: list[DicomHeader], root: Path, max_gib: float
) -> tuple[list[DicomHeader], list[DicomHeader]]:
    """
    Leave out images that lie where another one lies and are equal to it, pixel for pixel.

    Args:
        headers: alike in geometry.
        root: the folder that names in errors are relative to.
        max_gib: see `open_dicom`.

    Returns:
        What is left, and the copies.

    Raises:
        ValueError: when the pixels of one of them cannot be read.
    """
    copies = []
    for group in _by_place(headers).values():
        seen: list[np.ndarray] = []
        for header in group if len(group) > 1 else ():
            values = _values(header, root, max_gib)
            if any(np.array_equal(values, other) for other in seen):
                copies.append(header)
            else:
                seen.append(values)
    out = {(header.path, header.frame) for header in copies}
    return [header for header in headers if (header.path, header.frame) not in out], copies


def _by_place(headers: list[DicomHeader]) -> dict[tuple, list[DicomHeader]]:
    places: dict[tuple, list[DicomHeader]] = defaultdict(list)
    for header in headers:
        # Without a position the number is all there is; without both every image has a place of its own.
        place = header.position or (header.number,)
        places[place if place != (None,) else (header.path,)].append(header)
    return places


def _moment_tags(headers: list[DicomHeader], max_gib: float) -> dict[tuple[Path, int | None], dict[str, str]]:
    told = {}
    by_file: dict[Path, list[int | None]] = defaultdict(list)
    for header in headers:
        by_file[header.path].append(header.frame)
    for path, frames in by_file.items():
        with open_dicom(path, max_gib) as stream:
            dataset = read_dataset(stream, stop_before_pixels=True, specific_tags=[*MOMENTS, *_GROUPS])
        for frame in frames:
            told[path, frame] = {tag: text_of(dataset, tag, frame) for tag in MOMENTS}
    return told


def _values(header: DicomHeader, root: Path, max_gib: float) -> np.ndarray:
    try:
        ((_, values, padding),) = read_images([(header.path, header.frame, header.plain)], root, max_gib)
    except RejectedVolumeError as error:
        raise ValueError(str(error)) from error
    return values if padding is None else np.where(padding, np.nan, values)


def _order(header: DicomHeader) -> tuple[Path, int]:
    return header.path, header.frame or 0
