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


"""From the headers of DICOM images to volumes: what belongs together, in which order, and what is odd about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from monai_ssl.data.dicom.geometry import StackGeometry, stack_by_number, stack_by_position
from monai_ssl.data.dicom.header import DicomHeader
from monai_ssl.data.dicom.moments import split_kinds, split_moments, without_copies
from monai_ssl.data.dicom.volume import DicomVolume
from monai_ssl.data.limits import check_size
from monai_ssl.data.volume import part_name, relative_name
from monai_ssl.data.voxels import Rejection

__all__ = ["build_series"]

# Images of one series that differ in geometry from the rest: so many make a volume, fewer are strays.
_SMALLEST_PART = 3
_ORIENTATION_TOLERANCE = 2e-3  # direction cosines
_SPACING_TOLERANCE = 1e-3  # relative
# Modalities whose values are calibrated, so that raw ones are a finding.
_CALIBRATED = {"CT", "PT"}


def build_series(
    headers: Iterable[DicomHeader], root: Path, max_gib: float
) -> tuple[list[DicomVolume], list[Rejection]]:
    """
    Group images by SeriesInstanceUID and geometry, and order each group along its slice normal.

    Within a series, images of another size, pixel spacing, orientation, study or frame of reference, and images without
    a position, are a volume of their own when there are three or more of them (or no larger group), and strays
    otherwise. Several images at each place are a volume for each time point, echo or the like that a tag tells apart.

    Args:
        headers: of images, in any order.
        root: the folder that names in warnings are relative to.
        max_gib: the most that one volume may take.

    Returns:
        The volumes and the refusals. Two patients under one series, or different images at one position that no tag
        tells apart, refuse the series.
    """
    by_series: dict[str, list[DicomHeader]] = defaultdict(list)
    for header in sorted(headers, key=lambda header: (header.path, header.frame or 0)):
        by_series[header.series].append(header)
    volumes: list[DicomVolume] = []
    rejections: list[Rejection] = []
    for series, members in sorted(by_series.items()):
        if _several_people(members):
            rejections.append(_refused(members, "two patients under one SeriesInstanceUID", root))
            continue
        stacks, strays = _stacks(members, root)
        rejections += strays
        stacked: list[tuple[list[DicomHeader], list[str]]] = []
        for stack in stacks:
            try:
                stacked += _moments(stack, len(stacks), root, max_gib)
            except ValueError as error:
                rejections.append(_refused(stack, str(error), root))
        for number, (stack, warnings) in enumerate(stacked, start=1):
            try:
                volumes.append(_volume(part_name(series, number), stack, warnings, root, max_gib))
            except ValueError as error:
                rejections.append(_refused(stack, str(error), root))
    return volumes, rejections


def _several_people(headers: list[DicomHeader]) -> bool:
    patients = {header.patient for header in headers}
    # Where an id is missing, a name or a date of birth still tells two people apart.
    people = {header.person for header in headers if header.person} if "" in patients else set()
    return len(patients - {""}) > 1 or len(people) > 1


def _stacks(headers: list[DicomHeader], root: Path) -> tuple[list[list[DicomHeader]], list[Rejection]]:
    headers = _without_meaningless(headers)
    groups: list[list[DicomHeader]] = []
    for header in headers:
        group = next((group for group in groups if not _difference(group[0], header)), None)
        if group is None:
            groups.append([header])
        else:
            group.append(header)
    groups.sort(key=len, reverse=True)
    fewest = min(len(groups[0]), _SMALLEST_PART)
    refused = [
        Rejection(relative_name(header.path, root), f"stray in its series: {_difference(groups[0][0], header)}")
        for group in groups
        for header in group
        if len(group) < fewest
    ]
    return [group for group in groups if len(group) >= fewest], sorted(set(refused))


def _without_meaningless(headers: list[DicomHeader]) -> list[DicomHeader]:
    # Some anonymisers give every image a frame of reference or a study of its own, which then tells nothing.
    most = max(1, len(headers) // _SMALLEST_PART)
    if len({header.reference for header in headers}) > most:
        headers = [replace(header, reference="") for header in headers]
    if len({header.study for header in headers}) > most:
        headers = [replace(header, study="") for header in headers]
    return headers


def _difference(one: DicomHeader, other: DicomHeader) -> str:
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
    if not _close(one.orientation, other.orientation, _ORIENTATION_TOLERANCE):
        return "another orientation"
    if not _close(one.spacing, other.spacing, _SPACING_TOLERANCE * min(one.spacing or (0,))):
        return f"pixel spacing {_told(other.spacing)}, the others have {_told(one.spacing)}"
    return ""


def _close(one: tuple[float, ...] | None, other: tuple[float, ...] | None, tolerance: float) -> bool:
    if one is None or other is None or one == other:
        return one == other
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def _told(spacing: tuple[float, ...] | None) -> str:
    return "unknown" if spacing is None else f"{' x '.join(f'{value:g}' for value in spacing)} mm"


def _moments(
    stack: list[DicomHeader], stacks: int, root: Path, max_gib: float
) -> list[tuple[list[DicomHeader], list[str]]]:
    warnings = []
    moments = split_moments(stack, max_gib)
    if len(moments) == 1:
        stack, copies = without_copies(stack, root, max_gib)
        if copies:
            names = [relative_name(header.path, root) for header in copies]
            warnings.append(f"the same image twice, left out: {_listed(names)}")
            moments = split_moments(stack, max_gib)
    if len(moments) == 1 and len(kinds := split_kinds(stack, _SMALLEST_PART)) > 1:
        moments = [("EchoTime, ConvolutionKernel or ImageType", kind) for kind in kinds]
    if stacks > 1:
        warnings.append(f"the series holds {stacks} stacks of differing geometry; this is one of them")
    told = [
        f"{len(moments)} sets of images in one place, told apart by {tag}; this is one" for tag, _ in moments if tag
    ]
    return [(group, [*warnings, *told[:1]]) for _, group in moments]


def _volume(source: str, stack: list[DicomHeader], warnings: list[str], root: Path, max_gib: float) -> DicomVolume:
    reference = stack[0]
    arrange = stack_by_number if reference.position is None else stack_by_position
    geometry: StackGeometry = arrange(stack, root)
    ordered = [stack[k] for k in geometry.order]
    shape = (reference.columns, reference.rows, len(ordered))
    size = 2 * shape[0] * shape[1] * shape[2]
    check_size(size, size, max_gib)
    patients = {header.patient for header in ordered if header.patient}
    spacing = np.linalg.norm(geometry.affine[:3, :3], axis=0)
    return DicomVolume(
        source=source,
        series=reference.series,
        patient=patients.pop() if patients else None,
        root=root,
        files=tuple(header.path for header in ordered),
        format="DICOM",
        modality=reference.modality,
        shape=shape,
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        warnings=(*warnings, *geometry.warnings, *_findings(ordered)),
        frames=tuple(header.frame for header in ordered),
        plain=tuple(header.plain for header in ordered),
        affine=tuple(tuple(float(value) for value in row) for row in geometry.affine),
        offsets=tuple(float(offset) for offset in geometry.offsets),
        max_gib=max_gib,
    )


def _findings(headers: list[DicomHeader]) -> list[str]:
    count = len(headers)
    raw, inverted, annotated, lossy = (
        sum(flags) for flags in zip(*((not h.rescaled, h.inverted, h.annotated, h.lossy) for h in headers), strict=True)
    )
    findings = []
    if raw and (headers[0].modality in _CALIBRATED or raw < count):
        findings.append(f"no rescale slope and intercept to HU in {raw} of {count} images: not HU")
    if headers[0].spacing is None:
        findings.append("no PixelSpacing: 1 mm assumed")
    if inverted:
        findings.append(f"MONOCHROME1 in {inverted} of {count} images: values as the modality means them, not inverted")
    if annotated:
        findings.append(f"BurnedInAnnotation in {annotated} of {count} images: text in the pixels may name the patient")
    if lossy:
        findings.append(f"lossy compression in {lossy} of {count} images")
    return findings


def _refused(headers: list[DicomHeader], reason: str, root: Path) -> Rejection:
    names = sorted(relative_name(header.path, root) for header in headers)
    return Rejection(names[0], reason if len(names) == 1 else f"{reason} (all {len(names)} images of the stack)")


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
