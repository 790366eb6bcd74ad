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


"""The tables of a slice store, assembled from the parts of its volumes, one at a time in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ssl.data.label_join import SourceLabels, SourceSlices
from monai_ssl.data.name_order import NAME_RANK
from monai_ssl.data.slice_parts import COLUMNS, Part, part_file, read_part
from monai_ssl.data.volume import Volume
from monai_ssl.data.voxels import Rejection
from monai_ssl.files import atomic_path, write_table

__all__ = ["TABLES", "Findings", "write_tables"]

_COUNTED = ("volumes", "pending", "patients", "nameless", "slices", "kept", "labelled", "rejected", "warnings")
TABLES = ("slices.csv", "labels.csv", "rejected.csv", "warnings.csv", "identifiers.csv")


@dataclass(eq=False)
class Findings:
    """
    What is known before any voxel is read.

    Attributes:
        volumes: by pseudonym.
        rejections: of files that are part of no volume.
        warnings: file and warning.
        ranked: whether the lines of `slices.csv` end with a name rank.
    """

    volumes: dict[str, Volume] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    ranked: bool = False

    def parts(self, output: Path) -> Iterator[tuple[str, Part]]:
        """The pseudonyms and parts of the volumes that are done, in order of pseudonym."""
        for name in sorted(self.volumes):
            part = read_part(part_file(output, name))
            if part is not None:
                yield name, part


def write_tables(output: Path, findings: Findings, labels: SourceLabels | None, identifiers: bool) -> dict[str, int]:
    """
    Write all tables of a store.

    Args:
        output: the folder of the store, with the parts in it.
        findings: of the run.
        labels: to be joined, or None.
        identifiers: whether identifiers.csv is written.

    Returns:
        What they hold, as the counts in `store.json`.
    """
    counts = dict.fromkeys(_COUNTED, 0)
    rejections, warnings = list(findings.rejections), list(findings.warnings)
    patients = set()
    counts["pending"] = len(findings.volumes)
    with atomic_path(output / "slices.csv") as partial, open(partial, "w", encoding="ascii") as stream:
        stream.write(",".join((*COLUMNS, NAME_RANK) if findings.ranked else COLUMNS) + "\n")
        for name, part in findings.parts(output):
            counts["pending"] -= 1
            if part.rejection is not None:
                rejections.append(Rejection(*part.rejection))
                continue
            stream.write(part.rows)
            warnings += [(findings.volumes[name].name, warning) for warning in part.warnings]
            patients.add(part.patient)
            counts["volumes"] += 1
            counts["nameless"] += _nameless(findings.volumes[name], labels)
            counts["slices"] += part.slices
            counts["kept"] += part.kept
    if labels is not None:
        joined = _joined(output, findings, labels, counts)
        if labels.columns and counts["volumes"]:
            write_table(output / "labels.csv", joined)
        else:
            list(joined)  # for its findings
        warnings += [(labels.name, finding) for finding in labels.findings()]
    if identifiers:
        write_table(output / "identifiers.csv", _identifiers(output, findings, labels), private=True)
    _write_texts(output / "rejected.csv", "reason", sorted((each.file, each.reason) for each in rejections))
    _write_texts(output / "warnings.csv", "warning", sorted(warnings))
    return counts | {"patients": len(patients), "rejected": len(rejections), "warnings": len(warnings)}


def _nameless(volume: Volume, labels: SourceLabels | None) -> bool:
    known = volume.patient or (labels.patient(volume.series) if labels else None)
    return known is None and volume.format != "DICOM"


def _write_texts(path: Path, column: str, rows: list[tuple[str, str]]) -> None:
    write_table(path, pd.DataFrame(rows, columns=["file", column], dtype=object))


def _joined(output: Path, findings: Findings, labels: SourceLabels, counts: dict[str, int]) -> Iterator[pd.DataFrame]:
    for name, part in findings.parts(output):
        if part.rejection is None:
            volume = findings.volumes[name]
            slices, positions = zip(*part.positions(), strict=True)
            patient = volume.patient or labels.patient(volume.series)
            joined = labels.join(SourceSlices(volume.series, patient, list(slices), np.array(positions)))
            counts["labelled"] += len(joined) if labels.columns else 0
            yield joined


def _identifiers(output: Path, findings: Findings, labels: SourceLabels | None) -> pd.DataFrame:
    rows = []
    for name, part in findings.parts(output):
        if part.rejection is None:
            volume = findings.volumes[name]
            patient = volume.patient or (labels.patient(volume.series) if labels else None)
            rows.append((name, part.patient, volume.series, patient or "", volume.name))
    return pd.DataFrame(rows, columns=["volume", "patient", "source_series", "source_patient", "file"], dtype=object)
