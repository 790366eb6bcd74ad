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
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ssl.data.label_join import SourceLabels, SourceSlices
from monai_ssl.data.name_order import NAME_RANK
from monai_ssl.data.slice_parts import COLUMNS, Part, part_file, read_part
from monai_ssl.data.slice_record import TableRows, write_record
from monai_ssl.data.volume import Volume
from monai_ssl.data.voxels import Rejection
from monai_ssl.files import atomic_path, write_table

__all__ = ["TABLES", "Findings", "label_columns", "write_tables"]

_COUNTED = ("volumes", "pending", "patients", "nameless", "slices", "kept", "labelled", "rejected", "warnings")
TABLES = ("slices.csv", "labels.csv", "rejected.csv", "warnings.csv", "identifiers.csv")
_IDENTIFIERS = ["volume", "patient", "source_series", "source_patient", "file"]


@dataclass(eq=False)
class Findings:
    """
    What is known before any voxel is read.

    Attributes:
        work: the folder with the parts in it.
        input: pseudonym of what was searched.
        volumes: by pseudonym.
        rejections: of files that are part of no volume.
        ranked: whether the lines of `slices.csv` end with a name rank.
        notes: file and warning of each volume's headers.
        store: where volumes that need not be read are sliced already.
        held: those volumes, without their rows; the ones that are not among `volumes` are from elsewhere.
        elsewhere: what was refused there, by input.
    """

    work: Path
    input: str = ""
    volumes: dict[str, Volume] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    ranked: bool = False
    notes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    store: Path | None = None
    held: dict[str, Part] = field(default_factory=dict)
    elsewhere: dict[str, list[Rejection]] = field(default_factory=dict)

    def part(self, name: str) -> Part | None:
        """The part of a volume, None where it is not done; without its rows when it is held."""
        return self.held.get(name) or read_part(part_file(self.work, name))

    def parts(self) -> Iterator[tuple[str, Part]]:
        """The pseudonyms and parts of the volumes that are done, in order of pseudonym."""
        with TableRows.open(self.store and self.store / "slices.csv") as earlier:
            for name in sorted({*self.volumes, *self.held}):
                part = self.part(name)
                if part is not None and name in self.held:
                    rows = (",".join(row) + "\n" for row in earlier.of(name))
                    part = replace(part, rows="".join(rows))
                if part is not None:
                    yield name, part

    def write_record(self, labels: SourceLabels | None) -> None:
        """Write what later runs need to know, beside the parts."""
        write_record(self.work, self._described(labels), {**self.elsewhere, self.input: sorted(self.rejections)})

    def _described(self, labels: SourceLabels | None) -> Iterator[tuple[str, Part]]:
        for name in sorted({*self.volumes, *self.held}):
            part, volume = self.part(name), self.volumes.get(name)
            if part is not None and volume is not None:
                notes, nameless = self.notes.get(name, []), _nameless(volume, labels)
                labelled = labels is not None
                part = replace(part, input=self.input, nameless=nameless, notes=notes, labelled=labelled)
            if part is not None:
                yield name, part


def label_columns(findings: Findings, labels: SourceLabels | None) -> list[str]:
    """
    The labels in `labels.csv`; none where there will be no such table.

    Raises:
        ValueError: when labels are given that do not go with those of volumes from elsewhere.
    """
    given = labels.columns if labels is not None else []
    if findings.store is None or findings.held.keys() <= findings.volumes.keys():
        return given
    with TableRows.open(findings.store / "labels.csv") as earlier:
        stay = earlier.columns[1:]
    if labels is not None and given and stay and given != stay:
        raise ValueError(
            f"{labels.name}: has the labels {', '.join(given)}, and volumes that came from elsewhere have "
            f"{', '.join(stay)} in {findings.store / 'labels.csv'}; give a table with those"
        )
    return given or stay


def write_tables(folder: Path, findings: Findings, labels: SourceLabels | None, identifiers: bool) -> dict[str, int]:
    """
    Write all tables of a store.

    Args:
        folder: where they go.
        findings: of the run.
        labels: to be joined, or None.
        identifiers: whether identifiers.csv is written.

    Returns:
        What they hold, as the counts in `store.json`.
    """
    counts = dict.fromkeys(_COUNTED, 0)
    rejections = [*findings.rejections, *(each for some in findings.elsewhere.values() for each in some)]
    warnings = [note for notes in findings.notes.values() for note in notes]
    patients = set()
    counts["pending"] = len({*findings.volumes, *findings.held})
    with atomic_path(folder / "slices.csv") as partial, open(partial, "w", encoding="ascii") as stream:
        stream.write(",".join((*COLUMNS, NAME_RANK) if findings.ranked else COLUMNS) + "\n")
        for name, part in findings.parts():
            counts["pending"] -= 1
            volume = findings.volumes.get(name)
            notes = part.notes if volume is None else ()
            warnings += [(file, warning) for file, warning in (*part.warnings, *notes)]
            if part.rejection is not None:
                rejections.append(Rejection(*part.rejection))
                continue
            stream.write(part.rows)
            patients.add(part.patient)
            counts["volumes"] += 1
            counts["nameless"] += part.nameless if volume is None else _nameless(volume, labels)
            counts["slices"] += part.slices
            counts["kept"] += part.kept
    columns = label_columns(findings, labels)
    joined = _joined(findings, labels, columns, counts)
    if columns and counts["volumes"]:
        write_table(folder / "labels.csv", joined)
    elif labels is not None:
        list(joined)  # for its findings
    if labels is not None:
        warnings += [(labels.name, finding) for finding in labels.findings()]
    if identifiers:
        write_table(folder / "identifiers.csv", _identifiers(findings, labels), private=True)
    _write_texts(folder / "rejected.csv", "reason", sorted((each.file, each.reason) for each in rejections))
    _write_texts(folder / "warnings.csv", "warning", sorted(warnings))
    return counts | {"patients": len(patients), "rejected": len(rejections), "warnings": len(warnings)}


def _nameless(volume: Volume, labels: SourceLabels | None) -> bool:
    known = volume.patient or (labels.patient(volume.series) if labels else None)
    return known is None and volume.format != "DICOM"


def _write_texts(path: Path, column: str, rows: list[tuple[str, str]]) -> None:
    write_table(path, pd.DataFrame(rows, columns=["file", column], dtype=object))


def _joined(
    findings: Findings, labels: SourceLabels | None, columns: list[str], counts: dict[str, int]
) -> Iterator[pd.DataFrame]:
    with TableRows.open(findings.store and findings.store / "labels.csv") as earlier:
        for name, part in findings.parts():
            volume = findings.volumes.get(name)
            if part.rejection is not None:
                continue
            if volume is None:
                joined = pd.DataFrame(earlier.of(name), columns=["slice", *columns], dtype=object)
            elif labels is None:
                continue
            else:
                slices, positions = zip(*part.positions(), strict=True)
                patient = volume.patient or labels.patient(volume.series)
                joined = labels.join(SourceSlices(volume.series, patient, list(slices), np.array(positions)))
            if list(joined)[1:] == columns:
                counts["labelled"] += len(joined) if columns else 0
                yield joined


def _identifiers(findings: Findings, labels: SourceLabels | None) -> pd.DataFrame:
    rows: list[list[str] | tuple[str, ...]] = []
    with TableRows.open(findings.store and findings.store / "identifiers.csv") as earlier:
        for name, part in findings.parts():
            volume = findings.volumes.get(name)
            if volume is None:
                rows += earlier.of(name)
            elif part.rejection is None:
                patient = volume.patient or (labels.patient(volume.series) if labels else None)
                rows.append((name, part.patient, volume.series, patient or "", volume.name))
    return pd.DataFrame(rows, columns=_IDENTIFIERS, dtype=object)
