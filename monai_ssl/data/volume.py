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


"""The record of one volume that was found."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from monai_ssl.data.voxels import Voxels

__all__ = ["Volume", "no_patient", "part_name", "relative_name"]

_NO_PATIENT = (
    "no patient known, so it counts as a patient of its own and no patient-level split is possible; "
    "a labels table with the columns series and patient tells whose it is"
)


@dataclass(frozen=True)
class Volume(ABC):
    """
    One volume: where it lies, how large it is and what is odd about it. Each format has its own subclass. Identifiers
    are left out of its `repr`, which may end in a log.

    Attributes:
        source: its identity: the SeriesInstanceUID (with `#2` ... for further parts of a split series), or for NIfTI
            the path relative to `root`, with slashes. Never written into a store.
        series: the key of a labels table: `source` without the part.
        patient: the PatientID, or None when the files do not tell.
        root: the folder that was searched; names in tables are relative to it.
        files: what is read; for DICOM the file of each slice, in slice order.
        format: "DICOM", "NIfTI", "NRRD" or "MetaImage".
        modality: "CT", "MR" ...; empty when the files do not tell.
        shape: voxels (X, Y, Z), MONAI's axes: columns, rows, slices.
        spacing: millimetres between voxel centres along each.
        warnings: what the headers tell; `read` may add more.
    """

    source: str = field(repr=False)
    series: str = field(repr=False)
    patient: str | None = field(repr=False)
    root: Path
    files: tuple[Path, ...]
    format: str
    modality: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        """The path, relative to `root`, that stands for the volume in tables: the first of its files by name."""
        return min(relative_name(file, self.root) for file in self.files)

    @abstractmethod
    def read(self) -> Voxels:
        """
        The voxels.

        Raises:
            RejectedVolumeError: when they are damaged or not to be trusted, naming the file.
        """


def no_patient(volume: Volume) -> tuple[str, ...]:
    """The warning where a file should tell whose it is, and does not. Formats other than DICOM have no place for it."""
    return (_NO_PATIENT,) if volume.patient is None and volume.format == "DICOM" else ()


def part_name(source: str, number: int) -> str:
    """What the parts of one source are called, counted from 1: `source`, `source#2`, `source#3` ..."""
    return source if number == 1 else f"{source}#{number}"


def relative_name(file: Path, root: Path) -> str:
    """The path of `file` below `root`, with slashes; bytes that are no UTF-8 as `\\xff`, so that tables can hold it."""
    return os.fsencode(file.relative_to(root).as_posix()).decode(errors="backslashreplace")
