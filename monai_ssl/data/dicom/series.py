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
from pathlib import Path

import numpy as np

from monai_ssl.data.dicom.copies import without_copies
from monai_ssl.data.dicom.geometry import StackGeometry, stack_by_number, stack_by_position
from monai_ssl.data.dicom.image import DicomHeader, ImageHeader, RefusedHeader
from monai_ssl.data.dicom.moments import split_sets
from monai_ssl.data.dicom.stacks import split_stacks
from monai_ssl.data.dicom.volume import DicomVolume
from monai_ssl.data.limits import check_size
from monai_ssl.data.volume import part_name, relative_name
from monai_ssl.data.voxels import Rejection

__all__ = ["build_series"]

# Modalities whose values are calibrated, so that raw ones are a finding: in what.
_CALIBRATED = {"CT": "HU", "PT": "units of activity"}


def build_series(
    headers: Iterable[DicomHeader], root: Path, max_gib: float
) -> tuple[list[DicomVolume], list[Rejection]]:
    """
    Group images by SeriesInstanceUID and geometry, and order each group along its slice normal.

    See `split_stacks` for images of one series that differ in geometry, and `split_sets` for several at each place.

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
        images = [header for header in members if isinstance(header, ImageHeader)]
        damaged = [header for header in members if isinstance(header, RefusedHeader)]
        rejections += [Rejection(relative_name(header.path, root), header.reason) for header in damaged]
        several, common = _people(images)
        if several:
            rejections.append(_refused(images, "two patients under one SeriesInstanceUID", root))
            continue
        if damaged:
            names = [relative_name(header.path, root) for header in damaged]
            common.append(f"images of its series were refused, so that slices may be missing: {_listed(names)}")
        stacks, strays = split_stacks(images, root)
        rejections += strays
        differing = sum(not stack[0].projection for stack in stacks)
        stacked: list[tuple[list[ImageHeader], list[str]]] = []
        for stack in stacks:
            try:
                sets, strays = _sets(stack, differing, root, max_gib)
                stacked += sets
                rejections += strays
            except ValueError as error:
                rejections.append(_refused(stack, str(error), root))
        for number, (stack, warnings) in enumerate(stacked, start=1):
            try:
                volumes.append(_volume(part_name(series, number), stack, [*common, *warnings], root, max_gib))
            except ValueError as error:
                rejections.append(_refused(stack, str(error), root))
    return volumes, rejections


def _people(headers: list[ImageHeader]) -> tuple[bool, list[str]]:
    """Whether they are of several patients, and what makes one wonder."""
    ids, *others = ({getattr(header, key) for header in headers} for key in ("patient", "name", "birth"))
    differing = [
        tag for tag, values in zip(("PatientName", "PatientBirthDate"), others, strict=True) if len(values - {""}) > 1
    ]
    # Name or date alone may be a slip of the pen where an id is told; where none is, they are all there is.
    several = len(ids - {""}) > 1 or len(differing) > 1 or (bool(differing) and "" in ids)
    return several, [f"{tag} differs under one PatientID: perhaps two patients" for tag in differing]


def _sets(
    stack: list[ImageHeader], stacks: int, root: Path, max_gib: float
) -> tuple[list[tuple[list[ImageHeader], list[str]]], list[Rejection]]:
    stack, copies = without_copies(stack, root, max_gib, renamed=False)
    sets, strays = split_sets(stack)
    if any(one.crowded for one in sets):
        stack, more = without_copies(stack, root, max_gib, renamed=True)
        copies += more
        sets, strays = split_sets(stack)
    common = []
    if copies:
        names = [relative_name(header.path, root) for header in copies]
        common.append(f"the same image twice, left out: {_listed(names)}")
    if stacks > 1 and not stack[0].projection:
        common.append(f"the series holds {stacks} stacks of differing geometry; this is one of them")
    if len(sets) > 1:
        tags = " and ".join(dict.fromkeys(tag for one in sets for tag in one.tags))
        common.append(f"{len(sets)} sets of images whose ranges overlap, told apart by {tags}; this is one")
    found = []
    for one in sets:
        lacking = [f"no image at {one.missing} of the places of the other sets"] if one.missing else []
        found.append((one.headers, [*common, *lacking]))
    return found, [
        Rejection(relative_name(header.path, root), f"stray in its series: another {tag}") for tag, header in strays
    ]


def _volume(source: str, stack: list[ImageHeader], warnings: list[str], root: Path, max_gib: float) -> DicomVolume:
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


def _findings(headers: list[ImageHeader]) -> list[str]:
    count = len(headers)
    raw, inverted, annotated, lossy = (
        sum(flags) for flags in zip(*((not h.rescaled, h.inverted, h.annotated, h.lossy) for h in headers), strict=True)
    )
    findings = []
    if raw and (headers[0].modality in _CALIBRATED or raw < count):
        unit = _CALIBRATED.get(headers[0].modality, "one scale")
        findings.append(f"no rescale slope and intercept to {unit} in {raw} of {count} images: not {unit}")
    if headers[0].spacing is None:
        findings.append("no PixelSpacing: 1 mm assumed")
    elif headers[0].spacing_tag != "PixelSpacing":
        findings.append(f"no PixelSpacing: {headers[0].spacing_tag} taken, the distance at the detector")
    if inverted:
        findings.append(f"MONOCHROME1 in {inverted} of {count} images: values as the modality means them, not inverted")
    if annotated:
        findings.append(f"BurnedInAnnotation in {annotated} of {count} images: text in the pixels may name the patient")
    if lossy:
        findings.append(f"lossy compression in {lossy} of {count} images")
    return findings


def _refused(headers: list[ImageHeader], reason: str, root: Path) -> Rejection:
    names = sorted(relative_name(header.path, root) for header in headers)
    return Rejection(names[0], reason if len(names) == 1 else f"{reason} (all {len(names)} images of the stack)")


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
