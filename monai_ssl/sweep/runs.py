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

"""One run of a sweep: its folder, whether it is finished, and its process."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_ssl.files import write_json

__all__ = ["SweepRun"]

# What a run is started with, before its arguments.
PROGRAM = (sys.executable, "-m", "monai.bundle", "run")
# Of the line that a run of ours writes before it trains; no file in its folder has these numbers.
_TRAINED_ON = re.compile(r" train: \d+ images of (\d+) patients;")


@dataclass(frozen=True)
class SweepRun:
    """
    A scenario on one fold.

    Beside its folder lie `<fold>.json`, the arguments of `python -m monai.bundle run --args_file`; `<fold>.log`, what
    the run says; `<fold>.lock`, held by the process of the run as long as it lives, also when the sweep does not.

    Attributes:
        scenario: its name.
        folder: of the run.
        settings: the arguments, apart from the folder and the device.
    """

    scenario: str
    folder: Path
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        return self.scenario if self.folder.name == "run" else f"{self.scenario} {self.folder.name.replace('_', ' ')}"

    @property
    def log(self) -> Path:
        """What the run says, all attempts one after the other."""
        return self.folder.with_name(f"{self.folder.name}.log")

    def finished(self) -> bool:
        """Whether it is trained for all epochs, and its predictions are there."""
        epochs, wanted = finished_epochs(self.folder), self.settings.get("max_epochs")
        return epochs is not None and (not isinstance(wanted, int) or epochs >= wanted)

    def training_patients(self) -> int | None:
        """The patients that it was trained on, as its log tells; None where it does not."""
        try:
            told = _TRAINED_ON.findall(self.log.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return None
        return int(told[-1]) if told else None

    def versions(self) -> dict[str, str]:
        """Of the packages that trained it; empty where they are not recorded."""
        try:
            return dict(json.loads((self.folder / "settings.json").read_text(encoding="utf-8")).get("versions", {}))
        except (OSError, ValueError):
            return {}

    def held_by(self) -> dict[str, Any] | None:
        """The process that has the run, `process` and `slot`, where an earlier sweep left one; else None."""
        lock = self._lock_file
        if not lock.is_file():
            return None
        with open(lock, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read()
                return dict(json.loads(text)) if text.endswith("}") else {"process": None, "slot": ""}
        return None

    def start(self, slot: str, device: str | None, environment: Mapping[str, str]) -> subprocess.Popen:
        """
        Start the process.

        Args:
            slot: where it runs, for a later sweep to know.
            device: its `--device`, None for the bundle's choice.
            environment: on top of this process's.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        arguments = dict(self.settings) | {"output_dir": str(self.folder)}
        arguments |= {} if device is None else {"device": device}
        file = self.folder.with_name(f"{self.folder.name}.json")
        write_json(file, arguments)
        with open(self._lock_file, "w", encoding="utf-8") as lock, open(self.log, "ab") as log:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # In a group of its own, since Ctrl-C in a terminal goes to the whole group and would cut it off unsaved.
            # The lock belongs to the open file that it inherits: the system lets it go when the last holder has ended.
            process = subprocess.Popen(
                [*PROGRAM, "--args_file", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                process_group=0,
                pass_fds=(lock.fileno(),),
            )
            lock.write(json.dumps({"process": process.pid, "slot": slot}))
        return process

    @property
    def _lock_file(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.lock")


def finished_epochs(folder: Path) -> int | None:
    """The epochs of a finished run with predictions; None for any other folder."""
    try:
        record = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record.get("finished_epochs") if (folder / "predictions.csv").is_file() else None
