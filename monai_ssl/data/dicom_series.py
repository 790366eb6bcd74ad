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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from monai_ssl.data.dicom import DicomVolume
from monai_ssl.data.dicom_geometry import StackGeometry, stack_by_number, stack_by_position
from monai_ssl.data.dicom_header import DicomHeader
from monai_ssl.data.volume import relative_name
from monai_ssl.data.voxels import Rejection

__all__ = ["build_series"]

# Images of one series that differ in geometry from the rest: so many make a volume, fewer are strays.
_SMALLEST_PART = 3
_ORIENTATION_TOLERANCE = 2e-3  # direction cosines
_SPACING_TOLERANCE = 1e-3  # relative
# Modalities whose values are calibrated, so that raw ones are a finding.
_CALIBRATED = {"CT", "PT"}


@dataclass
class _Part:
    headers: list[DicomHeader]
    warnings: list[str]


def build_series(headers: Iterable[DicomHeader], root: Path) -> tuple[list[DicomVolume], list[Rejection]]:
    """
    Group images by SeriesInstanceUID and geometry, and order each group along its slice normal.

    Within a series, images of another size, pixel spacing or orientation, localizers and images without a position are
    a volume of their own when there are three or more of them (or no larger group), and strays otherwise.

    Args:
        headers: of images, in any order.
        root: the folder that names in warnings are relative to.

    Returns:
        The volumes and the refusals. Two patients under one series, or two images at one position, refuse the series.
    """
    by_series: dict[str, list[DicomHeader]] = defaultdict(list)
    for header in sorted(headers, key=lambda header: header.path):
        by_series[header.series].append(header)
    volumes: list[DicomVolume] = []
    rejections: list[Rejection] = []
    for series, members in sorted(by_series.items()):
        if len({header.patient for header in members if header.patient}) > 1:
            rejections.append(_refused(members, "two patients under one SeriesInstanceUID", root))
            continue
        parts, strays = _parts(members, root)
        rejections += strays
        for number, part in enumerate(parts, start=1):
            try:
                volumes.append(_volume(series, number, len(parts), part, root))
            except ValueError as error:
                rejections.append(_refused(part.headers, str(error), root))
    return volumes, rejections


def _parts(headers: list[DicomHeader], root: Path) -> tuple[list[_Part], list[Rejection]]:
    groups: list[list[DicomHeader]] = []
    for header in headers:
        group = next((group for group in groups if _alike(group[0], header)), None)
        if group is None:
            groups.append([header])
        else:
            group.append(header)
    groups.sort(key=len, reverse=True)
    largest = len(groups[0])
    volumes = [group for group in groups if len(group) >= min(largest, _SMALLEST_PART)]
    strays = [header for group in groups for header in group if len(group) < min(largest, _SMALLEST_PART)]
    reference = groups[0][0]
    refused = [
        Rejection(relative_name(header.path, root), f"stray in its series: {_difference(reference, header)}")
        for header in strays
    ]
    return [_without_duplicates(group, root) for group in volumes], refused


def _alike(one: DicomHeader, other: DicomHeader) -> bool:
    return not _difference(one, other)


def _difference(one: DicomHeader, other: DicomHeader) -> str:
    if (one.rows, one.columns) != (other.rows, other.columns):
        return f"{other.columns} x {other.rows} pixels, the others have {one.columns} x {one.rows}"
    if one.localizer != other.localizer:
        return "a localizer" if other.localizer else "no localizer, unlike the others"
    if (one.position is None) != (other.position is None):
        return "no position, unlike the others" if other.position is None else "a position, unlike the others"
    if not _close(one.orientation, other.orientation, absolute=_ORIENTATION_TOLERANCE):
        return "another orientation"
    if not _close(one.spacing, other.spacing, relative=_SPACING_TOLERANCE):
        return f"pixel spacing {other.spacing} mm, the others have {one.spacing}"
    return ""


def _close(one: tuple | None, other: tuple | None, absolute: float = 0.0, relative: float = 0.0) -> bool:
    if one is None or other is None or one == other:
        return one == other
    return bool(np.allclose(one, other, rtol=relative, atol=absolute))


def _without_duplicates(headers: list[DicomHeader], root: Path) -> _Part:
    # A writer that gives all images one SOPInstanceUID is wrong, but its images differ: the position tells.
    first: dict[tuple, DicomHeader] = {}
    doubles = []
    for header in headers:
        key = (header.instance, header.position, header.number if header.position is None else None)
        if not header.instance or key not in first:
            first[key if header.instance else (header.path,)] = header
        else:
            doubles.append(relative_name(header.path, root))
    warnings = [f"duplicate instance, left out: {_listed(doubles)}"] if doubles else []
    return _Part(list(first.values()), warnings)


def _volume(series: str, number: int, parts: int, part: _Part, root: Path) -> DicomVolume:
    reference = part.headers[0]
    stack = stack_by_number if reference.position is None else stack_by_position
    geometry: StackGeometry = stack(part.headers, root)
    ordered = [part.headers[k] for k in geometry.order]
    warnings = [*part.warnings, *geometry.warnings, *_findings(ordered)]
    if parts > 1:
        warnings.append(f"the series holds {parts} stacks of differing geometry; this is one of them")
    patients = {header.patient for header in ordered if header.patient}
    spacing = np.linalg.norm(geometry.affine[:3, :3], axis=0)
    return DicomVolume(
        source=series if number == 1 else f"{series}#{number}",
        series=series,
        patient=patients.pop() if patients else None,
        root=root,
        files=tuple(header.path for header in ordered),
        format="DICOM",
        modality=reference.modality,
        shape=(reference.columns, reference.rows, len(ordered)),
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        warnings=tuple(warnings),
        affine=tuple(tuple(float(value) for value in row) for row in geometry.affine),
        offsets=tuple(float(offset) for offset in geometry.offsets),
    )


def _findings(headers: list[DicomHeader]) -> list[str]:
    count = len(headers)
    findings = []
    raw = sum(not header.rescaled for header in headers)
    if raw and (headers[0].modality in _CALIBRATED or raw < count):
        findings.append(f"no rescale slope and intercept in {raw} of {count} files: stored values, not HU")
    if headers[0].spacing is None:
        findings.append("no PixelSpacing: 1 mm assumed")
    inverted = sum(header.inverted for header in headers)
    if inverted:
        findings.append(f"MONOCHROME1 in {inverted} of {count} files: values kept as the modality means them")
    annotated = sum(header.annotated for header in headers)
    if annotated:
        findings.append(f"BurnedInAnnotation in {annotated} of {count} files: text in the pixels may name the patient")
    if headers[0].localizer:
        findings.append("a localizer series")
    return findings


def _refused(headers: list[DicomHeader], reason: str, root: Path) -> Rejection:
    names = sorted(relative_name(header.path, root) for header in headers)
    return Rejection(names[0], reason if len(names) == 1 else f"{reason} (all {len(names)} files of the series)")


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
