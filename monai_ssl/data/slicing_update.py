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

"""Bringing a finished store up to date with its input: only what is new or changed is read."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monai_ssl.data.choosing import choose
from monai_ssl.data.label_join import SourceLabels
from monai_ssl.data.pseudonyms import load_key
from monai_ssl.data.slice_parts import await_parts, size_of_files, volume_file
from monai_ssl.data.slice_record import RECORD_FILE, Record, read_record
from monai_ssl.data.slice_store import SliceStore, read_slices
from monai_ssl.data.slice_tables import TABLES, label_columns, write_tables
from monai_ssl.data.slice_volume import SliceOptions, SliceTask
from monai_ssl.data.slicing_run import SlicingRun
from monai_ssl.data.slicing_state import STATE_FILE
from monai_ssl.data.store_swap import UPDATE_FOLDER, put_in_place
from monai_ssl.data.update_checks import check_arguments, check_key
from monai_ssl.data.volume import Volume
from monai_ssl.data.voxels import Rejection
from monai_ssl.files import remove_partials, write_json

__all__ = ["StoreUpdate"]

logger = logging.getLogger(__name__)

_SAME_NAME = (
    "a volume that came from elsewhere goes by this name in the store, and its files had other content; it stays (a "
    "DICOM series is known by its SeriesInstanceUID, any other volume by its path below the input)"
)
_SAME_FILES = (
    "equal files are in the store, from another input and under another name; they stay, since one scan under two "
    "names would count as two patients; to have it under this name, slice into a new folder"
)


class StoreUpdate(SlicingRun):
    """
    A run that adds to a finished store what its input has in addition, renews what has changed there, and drops what
    came from there and is there no more. What came from another input stays.

    Until all that is new lies in the folder `.update` of the store, the store is as it was. Then files are renamed
    only, and `store.json` is absent meanwhile.

    Args:
        output: the folder of the store, which the caller has locked.
        labels: to be joined, or None.
        options: what is done to each volume, as when the store was made.
        identifiers: whether identifiers.csv is written.
        workers: processes.
    """

    def __init__(
        self,
        output: Path,
        labels: SourceLabels | None,
        options: SliceOptions,
        identifiers: bool,
        workers: int | None = None,
    ) -> None:
        super().__init__(output, labels, options, identifiers)
        self.work = output / UPDATE_FOLDER
        self._workers = workers
        self._record = Record({}, {})
        self._before: dict[str, Any] = {}
        self._refused: Counter[str] = Counter()

    @property
    def finished(self) -> bool:
        """Never: an update that finds nothing new is soon done."""
        return False

    def begin(self, source: Path, pseudonym_key: str | bytes | os.PathLike | None) -> None:
        """
        Compare key and arguments with those of the store.

        Args:
            source: the input.
            pseudonym_key: as in `slice_volumes`.

        Raises:
            ValueError: when any differs, one that its tables need is left out, or the store cannot be updated.
            OSError: when the store cannot be written.
        """
        if not (self.output / "store.json").is_file():
            put_in_place(self.work, self.output)  # an update was stopped there
        elif (self.output / STATE_FILE).exists():
            super().tidy()  # a kill left it
        self._before = json.loads((self.output / "store.json").read_text(encoding="utf-8"))
        self._record = read_record(self.output)
        check_key(self.output, self._before, pseudonym_key)
        check_arguments(self.output, self._before, self._record.version, self.options)
        self._name(source, load_key(self.output, pseudonym_key))
        self._check_left_out(())
        remove_partials(self.work)

    def plan(self, volumes: list[Volume], rejections: list[Rejection]) -> list[SliceTask]:
        """
        What is new or has changed.

        Args:
            volumes: all that were found.
            rejections: files that were refused.

        Raises:
            ValueError: when labels are given and name none of the volumes, or other labels than those of volumes that
                came from elsewhere; when they are left out and were not before; when all volumes are refused.
        """
        self._find(volumes, rejections)
        self.findings.store = self.output
        for table in ("store.json", RECORD_FILE, *TABLES):
            (self.work / table).unlink(missing_ok=True)
        tasks = self._without_known(self._tasks())
        if self._refused and not self.findings.volumes:
            raise ValueError(
                f"{self.output}: stays as it was, all volumes of the input are refused: {self._refusals()}"
            )
        self._check_left_out(self.findings.volumes)
        elsewhere = self._record.elsewhere(self.findings.volumes, self._input)
        if self.findings.ranked and elsewhere.parts:
            raise ValueError(
                f"{self.output}: its slices are in order of names, which run over the whole input, and "
                f"{len(elsewhere.parts)} of its volumes came from another one; give an input with all volumes"
            )
        self.findings.held |= elsewhere.parts
        self.findings.elsewhere = elsewhere.rejections
        label_columns(self.findings, self.labels)
        self._drop_unplanned()
        self._tell()
        return self._marked(tasks)

    def finish(self) -> None:
        """
        Write the tables, reduced as the store is, and put all that is new in its place.

        Raises:
            ValueError: when no volume would be left, or a slice would be kept that was never stored. The store stays as
                it was then.
            OSError: when the store cannot be written.
        """
        await_parts(self.work, self.findings.volumes.keys() - self.findings.held.keys())
        counts = write_tables(self.work, self.findings, self.labels, self.identifiers)
        if not counts["volumes"]:
            raise ValueError(
                f"{self.output}: no volume would be left in the store, which stays as it was; see why with: "
                "python -m monai_ssl check INPUT"
            )
        settings = self._reduced(self._settings(counts))
        self.findings.write_record(self.labels)
        write_json(self.work / "store.json", settings)
        (self.output / "store.json").unlink()
        put_in_place(self.work, self.output)

    def tidy(self) -> None:
        """Remove the state of the run."""
        shutil.rmtree(self.work, ignore_errors=True)

    def salvage(self, error: OSError) -> str:
        """
        What to tell the user when the store could not be written. The store is as it was.

        Args:
            error: what ended the run.
        """
        whole = (self.output / "store.json").is_file()
        state = "the store is as it was" if whole else "the store opens again once the update is done"
        reason = f"{self.output}: {error.strerror or error}"
        return f"{reason}; {state}, {self.progress}; once that is mended, the same command goes on"

    def _check_left_out(self, found: Collection[str]) -> None:
        """Refuse to drop what tables hold because an option was forgotten."""
        parts = self._record.parts.items()
        lost = sum(part.labelled and (part.input == self._input or name in found) for name, part in parts)
        missing = []
        if self.labels is None and lost:
            missing.append(f"--labels CSV (labels=...), which was given for {lost} of the volumes")
        if not self.identifiers and (self.output / "identifiers.csv").is_file():
            missing.append("--identifiers (identifiers=True), since it holds identifiers.csv")
        if missing:
            raise ValueError(
                f"{self.output}: an update needs {' and '.join(missing)}; for a store without, slice into a new folder"
            )

    def _settled(self, name: str, signature: str) -> bool:
        part = self._record.parts.get(name)
        if part is None:
            return False
        if part.holds(signature, self.options.max_gib, volume_file(self.output, name)):
            self.findings.held[name] = part
            return True
        return False

    def _without_known(self, tasks: list[SliceTask]) -> list[SliceTask]:
        """Those whose files are in the store neither under their name, where these differ in time only, nor another."""
        bar = tqdm(tasks, unit="volume", desc="comparing files", disable=None, delay=2)
        changed = [task for task in bar if task.name not in self._record.parts or not self._known(task)]
        elsewhere = self._record.elsewhere(self.findings.volumes, self._input).parts.values()
        sizes = {part.source_size for part in elsewhere}
        contents = {part.content for part in elsewhere if part.content}
        new = []
        for task in tqdm(changed, unit="volume", desc="comparing files", disable=None, delay=2):
            known = task.name in self._record.parts
            if not known and size_of_files(task.volume) in sizes and _content(task) in contents:
                self._refuse(task, _SAME_FILES)
            else:
                new.append(task)
        return new

    def _known(self, task: SliceTask) -> bool:
        part = self._record.parts[task.name]
        if part.signature == task.signature or part.rejection is not None:
            return False
        same = part.source_size == size_of_files(task.volume) and part.content == _content(task) != ""
        if same and part.patient == task.patient:
            warnings = [(task.volume.name, warning) for _, warning in part.warnings]
            part = replace(part, signature=task.signature, warnings=warnings)
            if part.holds(task.signature, self.options.max_gib, volume_file(self.output, task.name)):
                self.findings.held[task.name] = part
                return True
        if same or part.input == self._input:
            return False
        self._refuse(task, _SAME_NAME)
        return True

    def _refuse(self, task: SliceTask, reason: str) -> None:
        del self.findings.volumes[task.name], self.findings.notes[task.name]
        self.findings.rejections.append(Rejection(task.volume.name, reason))
        self._refused[reason] += 1

    def _refusals(self) -> str:
        return "; ".join(f"{count}, {reason}" for reason, count in self._refused.items())

    def _tell(self) -> None:
        found, held, before = self.findings.volumes.keys(), self.findings.held.keys(), self._record.parts
        known = {name for name, part in before.items() if part.rejection is None}
        new, same = found - before.keys(), found & held
        words = f"{len(new)} new, {len(found - new - same)} changed, {len(same)} as before"
        if gone := len(known - found - held):
            words += f"; dropped, since they are no longer in the input: {gone}"
        if elsewhere := len(held & known - found):
            words += f"; kept, since they came from another input: {elsewhere}"
        if self._refused:
            words += f"; refused, see rejected.csv: {self._refusals()}"
        logger.warning("%s: volumes: %s", self.output, words)

    def _reduced(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings, with the tables reduced as the store is by now."""
        wanted = dict(self._before["reduction"])
        complete = wanted.pop("complete", True)
        if complete and wanted == settings["reduction"]:
            return settings
        store = SliceStore(self.output, settings, read_slices(self.work, settings["counts"]["slices"]), None)
        try:
            choice = choose(
                store, wanted, newer=self.work, changed=self._changed() if complete else None, workers=self._workers
            )
        except ValueError as error:
            raise ValueError(f"{error}; {self.output} stays as it was, without the new volumes") from error
        with choice.written(self.work, store):
            pass
        return choice.settings_of(store)

    def _changed(self) -> set[str]:
        """Volumes that are new, changed or gone, and their patients."""
        changed = set()
        for name in {*self._record.parts, *self.findings.volumes} - self.findings.held.keys():
            parts = (self._record.parts.get(name), self.findings.part(name))
            changed |= {name, *(part.patient for part in parts if part is not None)}
        return changed


def _content(task: SliceTask) -> str:
    try:
        return task.content()
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException:  # of many kinds, which slicing will tell
        return ""
