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


"""The state of one run of slicing: what is done, what is left, and the tables of both."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from monai_ssl import __version__
from monai_ssl.data.label_join import SourceLabels
from monai_ssl.data.name_order import name_ranks
from monai_ssl.data.pseudonyms import Pseudonyms, load_key
from monai_ssl.data.slice_parts import (
    PART_FOLDER,
    PSEUDONYM,
    VOLUME_FOLDER,
    await_parts,
    part_file,
    read_part,
    sign,
    volume_file,
)
from monai_ssl.data.slice_record import RECORD_FILE
from monai_ssl.data.slice_tables import TABLES, Findings, label_columns, write_tables
from monai_ssl.data.slice_volume import SliceOptions, SliceTask
from monai_ssl.data.slicing_state import STATE_FILE, differences, finished_already, is_finished
from monai_ssl.data.volume import Volume, no_patient
from monai_ssl.data.voxels import Rejection
from monai_ssl.files import remove_partials, write_json

__all__ = ["SlicingRun"]

_FORMAT_VERSION = 1
_OTHER_PATIENT = "the labels table names another patient than the files, which count"
# More than a line of slices.csv or labels.csv takes, a line of the other tables, the other files of a store.
_LINE_BYTES, _TEXT_BYTES, _OTHER_BYTES = 256, 1024, 1 << 16
_MOST_SLICES = 10_000


class SlicingRun:
    """
    A run over a folder of volumes, new or going on where another was stopped.

    While it lasts, the store holds `.slicing.json` (the arguments) and `.parts` (what is done, by volume). A store with
    a `store.json` and without these two is finished.

    Args:
        output: the folder of the store, which the caller has locked.
        labels: to be joined, or None.
        options: what is done to each volume.
        identifiers: whether identifiers.csv is written.

    Attributes:
        work: the folder that volumes, parts and tables are written to.
        findings: what `plan` was told.
    """

    pseudonyms: Pseudonyms

    def __init__(self, output: Path, labels: SourceLabels | None, options: SliceOptions, identifiers: bool) -> None:
        self.output = output
        self.work = output
        self.labels = labels
        self.options = options
        self.identifiers = identifiers
        self.findings = Findings(output)
        self._input = ""
        self._state = output / STATE_FILE
        self._reserve = output / PART_FOLDER / "reserve"

    @property
    def finished(self) -> bool:
        """Whether the store is whole, and a kill left the state of the run only."""
        return is_finished(self.output)

    @property
    def progress(self) -> str:
        """How far it is, for the user."""
        total = len(self.findings.volumes)
        return f"{self.done} of {total} volumes are done" if total else "nothing is lost"

    @property
    def done(self) -> int:
        """How many of the volumes are sliced or refused."""
        held = self.findings.held
        return sum(name in held or part_file(self.work, name).is_file() for name in self.findings.volumes)

    def begin(self, source: Path, pseudonym_key: str | bytes | os.PathLike | None) -> None:
        """
        Load or make the key, and write down the arguments.

        Args:
            source: the input.
            pseudonym_key: as in `slice_volumes`.

        Raises:
            ValueError: for another key than the store has, or when a run with other arguments was stopped here.
            OSError: when the store cannot be written.
        """
        self._name(source, load_key(self.output, pseudonym_key))
        asked: dict[str, Any] = {"version": __version__, "input": self._input, **self.options.settings}
        parts = self.output / PART_FOLDER
        begun = json.loads(self._state.read_text(encoding="utf-8")) if self._state.exists() else None
        if begun is None and self.finished:
            raise ValueError(finished_already(self.output))
        if begun != asked and begun is not None and (self.finished or any(parts.glob("*.json"))):
            raise ValueError(
                f"{self.output}: slicing was stopped here, and began with other arguments: {differences(begun, asked)};"
                " repeat the command that began it, or choose another folder"
            )
        remove_partials(self.output)
        if begun != asked:
            shutil.rmtree(parts, ignore_errors=True)  # of unknown arguments, if any
            write_json(self._state, asked)

    def plan(self, volumes: list[Volume], rejections: list[Rejection]) -> list[SliceTask]:
        """
        What is left to do. Parts that no longer hold, and volumes without one, are removed.

        Args:
            volumes: all that were found.
            rejections: files that were refused.

        Raises:
            ValueError: when labels are given and name none of the volumes.
            OSError: when there is no room left for the tables.
        """
        self._find(volumes, rejections)
        for table in ("store.json", RECORD_FILE, *TABLES):
            (self.output / table).unlink(missing_ok=True)
        tasks = self._tasks()
        self._drop_unplanned()
        self._take_reserve()
        return self._marked(tasks)

    def finish(self) -> None:
        """
        Write the tables and then `store.json`, which makes it a store, and remove the state of the run.

        Raises:
            ValueError: when all volumes were refused.
            OSError: when the store cannot be written.
        """
        self._reserve.unlink(missing_ok=True)
        await_parts(self.work, self.findings.volumes.keys() - self.findings.held.keys())
        counts = write_tables(self.output, self.findings, self.labels, self.identifiers)
        if counts["volumes"]:
            self.findings.write_record(self.labels)
            write_json(self.output / "store.json", self._settings(counts))
            self.tidy()
        else:
            (self.output / "slices.csv").unlink()
            self.tidy()
            found = "all that was found was refused" if counts["rejected"] else "there is no file in it"
            raise ValueError(f"no volume could be sliced, {found}; see {self.output / 'rejected.csv'}")

    def tidy(self) -> None:
        """Remove the state of the run, and what killed workers left."""
        remove_partials(self.output)
        shutil.rmtree(self.output / PART_FOLDER, ignore_errors=True)
        self._state.unlink(missing_ok=True)

    def salvage(self, error: OSError) -> str:
        """
        Make a store of what is done that can be opened, in the room kept for it.

        Args:
            error: what ended the run.

        Returns:
            A line for the user.
        """
        reason = f"{self.output}: {error.strerror or error}"
        if not self.findings.volumes:
            return f"{reason}; once that is mended, the same command goes on"
        opens = "can be opened"
        try:
            self._reserve.unlink(missing_ok=True)
            self._drop_unplanned()
            counts = write_tables(self.output, self.findings, self.labels, self.identifiers)
            write_json(self.output / "store.json", self._settings(counts))
        except OSError:
            opens = "are safe, though not even their tables could be written"
        return f"{reason}; {self.progress} and {opens}; once that is mended, the same command goes on"

    def _name(self, source: Path, key: bytes) -> None:
        self.pseudonyms = Pseudonyms(key)
        self._input = self.pseudonyms("input", str(source.resolve()))

    def _find(self, volumes: list[Volume], rejections: list[Rejection]) -> None:
        if self.labels is not None:
            self.labels.check_any_known((volume.series, volume.patient) for volume in volumes)
        named = {self.pseudonyms("volume", volume.source): volume for volume in volumes}
        notes = {name: [(volume.name, warning) for warning in volume.warnings] for name, volume in named.items()}
        self.findings = Findings(self.work, self._input, named, list(rejections), self.options.order == "name", notes)

    def _tasks(self) -> list[SliceTask]:
        tasks = []
        output = self.work.absolute()  # workers may be in another folder
        mark = output / PART_FOLDER / self.pseudonyms("run", json.dumps(self.options.settings))
        volumes = dict(self.findings.volumes)
        patients = {name: self._patient(name, volume) for name, volume in volumes.items()}
        ranks = name_ranks(volumes, patients) if self.findings.ranked else {}
        for name, volume in volumes.items():
            patient, ranked = patients[name], ranks.get(name)
            signature = sign(self.pseudonyms, volume, patient, () if ranked is None else ranked.tolist())
            settled = self._settled(name, signature)
            part = None if settled else read_part(part_file(self.work, name))
            if part is None or not part.holds(signature, self.options.max_gib, volume_file(self.work, name)):
                part_file(self.work, name).unlink(missing_ok=True)
                if not settled:
                    fixed = (mark, output, self.options, self.pseudonyms)
                    tasks.append(SliceTask(volume, name, patient, signature, *fixed, ranked))
        return tasks

    def _marked(self, tasks: list[SliceTask]) -> list[SliceTask]:
        for task in tasks[:1]:
            task.mark.parent.mkdir(parents=True, exist_ok=True)
            task.mark.touch()
        return tasks

    def _settled(self, name: str, signature: str) -> bool:
        """Whether nothing is to be done for a volume, whatever this run did so far."""
        return False

    def _patient(self, name: str, volume: Volume) -> str:
        notes = self.findings.notes[name]
        told = self.labels.patient(volume.series) if self.labels else None
        if told is None:
            notes += [(volume.name, warning) for warning in no_patient(volume)]
        elif volume.patient not in (None, told):
            notes.append((volume.name, _OTHER_PATIENT))
        patient = volume.patient or told
        return self.pseudonyms("patient", patient) if patient else self.pseudonyms("lone patient", volume.source)

    def _drop_unplanned(self) -> None:
        # Of a volume that is no longer there, or was stopped between its slices and its part.
        for part in (self.work / PART_FOLDER).glob(f"{PSEUDONYM}.json"):
            if part.stem not in self.findings.volumes:
                part.unlink()
        for pattern in (f"{VOLUME_FOLDER}/{PSEUDONYM}.npy", f"features/*/{PSEUDONYM}.npy"):
            for file in self.work.glob(pattern):
                if not part_file(self.work, file.stem).exists():
                    file.unlink()

    def _take_reserve(self) -> None:
        findings = self.findings
        notes = sum(map(len, findings.notes.values()))
        lines = 2 * (len(findings.rejections) + notes) + 3 * len(findings.volumes)
        room = _OTHER_BYTES + _TEXT_BYTES * lines
        for volume in findings.volumes.values():
            spacing = self.options.spacing or volume.spacing
            slices = max(n * old for n, old in zip(volume.shape, volume.spacing, strict=True)) / min(spacing)
            room += int(min(slices + 1, _MOST_SLICES)) * _LINE_BYTES * (1 if self.labels is None else 2)
        self._reserve.parent.mkdir(exist_ok=True)
        with open(self._reserve, "wb") as stream:
            if hasattr(os, "posix_fallocate"):  # a sparse file would reserve nothing
                os.posix_fallocate(stream.fileno(), 0, room)
            else:
                stream.write(bytes(room))

    def _settings(self, counts: dict[str, int]) -> dict[str, Any]:
        labels = label_columns(self.findings, self.labels) or None
        settings = {
            "format": "monai_ssl slice store",
            "format_version": _FORMAT_VERSION,
            "complete": not counts["pending"],
            "arguments": {**self.options.settings, "labels": labels},
            "pseudonym_key_fingerprint": self.pseudonyms.fingerprint,
            "counts": counts,
            "reduction": {
                "strategy": self.options.reduce,
                "scope": "volume",
                "order": self.options.order,
                "seed": self.options.seed,
                "target_fraction": None,
            },
        }
        if self.options.features is not None:
            settings["features"] = self.options.features
        return settings
