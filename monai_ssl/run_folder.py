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

"""The folder of one training run: what it was asked, whether it may go on, and who holds it."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ignite.distributed as idist

from monai_ssl.files import lock_folder, write_json
from monai_ssl.metrics.thresholds import read_thresholds
from monai_ssl.processes import agree, leave
from monai_ssl.stop_on_signal import StopOnSignal

__all__ = ["MAY_DIFFER", "RunFolder", "recorded_settings", "recorded_thresholds", "run_versions"]

logger = logging.getLogger(__name__)

# These change how long and where a run computes, not what it computes.
MAY_DIFFER = ("max_epochs", "num_workers", "checkpoint_minutes", "device")
# Paths name people and machines, and a checkpoint may be handed on.
_PRIVATE = ("dataset_dir", "labels", "probe_labels", "checkpoint")
_OPENED = -1
# What a run that was killed at its very start may leave without settings.json.
_REMAINS = (".lock", ".settings.json.partial")
_PACKAGES = ("monai_ssl", "monai", "torch", "pytorch-ignite", "timm", "numpy")


class RunFolder:
    """
    One run's folder: `settings.json`, `metrics.jsonl`, `events.*`, `checkpoint.pt`, `model.pt`; of fine-tuning also
    `predictions.csv`, `evaluation.csv`, `thresholds.json`.

    The same command on the same folder goes on where the run stood. Another command on it is refused, since a folder
    that mixes two runs tells nothing. Bundles call :py:meth:`open` before training and :py:meth:`finish` after it. From
    :py:meth:`open` to :py:meth:`close` SIGTERM ends the run with code 75 and a file `REQUEUE`.

    Args:
        path: the folder, made when absent.
        settings: plain JSON values that define the run, among them `max_epochs`. `max_epochs`, `num_workers`,
            `checkpoint_minutes` and `device` may differ when a run goes on.

    Attributes:
        stop: listens for SIGTERM; :py:class:`monai_ssl.handlers.ResumableCheckpoint` takes it, to save first.

    Example:
        >>> import tempfile
        >>> folder = RunFolder(tempfile.mkdtemp(), {"max_epochs": 2, "seed": 0})
        >>> folder.open()
        >>> folder.finish()
        >>> folder.close()
    """

    def __init__(self, path: str | os.PathLike, settings: dict[str, Any]) -> None:
        self.path = Path(path)
        self.settings = {name: _plain(value) for name, value in settings.items()}
        self.stop = StopOnSignal(self.path)
        self._held = ExitStack()

    @property
    def provenance(self) -> dict[str, Any]:
        """What a checkpoint should tell of its origin: `settings`, without paths, and `versions`."""
        left_out = {*_PRIVATE, *MAY_DIFFER} - {"max_epochs"}
        settings = {name: value for name, value in self.settings.items() if name not in left_out}
        return {"settings": settings, "versions": run_versions()}

    def open(self) -> None:
        """
        Take the folder for this process (rank 0 of a distributed run) and write `settings.json`.

        Raises:
            SystemExit: code 2 when another process holds it, when it belongs to a run with other settings or to no run
                of ours; code 0 when its run is finished.
        """
        code = self._try_to_open() if idist.get_rank() == 0 else _OPENED
        # All ranks leave alike: one that trained on alone would wait for the others forever.
        code = agree(code)
        if code != _OPENED:
            leave(code)
        self.stop.install()

    def finish(self, trained_epochs: int | None = None) -> None:
        """
        Record that the run ended.

        Args:
            trained_epochs: where they may be fewer than `max_epochs`; the run counts as finished all the same.
        """
        if idist.get_rank() == 0:
            trained = {} if trained_epochs is None else {"trained_epochs": trained_epochs}
            self._write(finished_epochs=self.settings["max_epochs"], **trained)

    def close(self) -> None:
        """Let other processes have the folder, and SIGTERM its usual meaning."""
        self.stop.remove()
        self._held.close()

    def _try_to_open(self) -> int:
        try:
            self._held.enter_context(lock_folder(self.path))
            goes_on = self._goes_on()
            self.stop.forget()
            if goes_on:
                self._write()
                return _OPENED
        except (OSError, ValueError) as error:
            logger.error("%s", error)
            self.close()
            return 2
        self.close()
        return 0

    def _goes_on(self) -> bool:
        record = _read_record(self.path / "settings.json")
        if record is None:
            foreign = sorted(entry.name for entry in self.path.iterdir() if entry.name not in _REMAINS)
            if foreign:
                raise ValueError(
                    f"{self.path}: holds {', '.join(foreign[:3])} but no settings.json, so it is no run folder; "
                    "give --output_dir a new or empty folder"
                )
            return True
        earlier = record["settings"]
        different = [
            f"{name} was {earlier.get(name)!r}, now {self.settings.get(name)!r}"
            for name in sorted(earlier.keys() | self.settings.keys())
            if name not in MAY_DIFFER and earlier.get(name) != self.settings.get(name)
        ]
        if different:
            raise ValueError(
                f"{self.path}: belongs to a run with other settings: {'; '.join(different)}; only "
                f"{', '.join(MAY_DIFFER)} may differ: restore the settings or give --output_dir a new folder"
            )
        finished = record.get("finished_epochs")
        if finished is not None and finished >= self.settings["max_epochs"]:
            logger.info(
                "%s: this run is finished (%d epochs); raise --max_epochs to train longer, or give --output_dir a new "
                "folder",
                self.path,
                finished,
            )
            return False
        return True

    def _write(self, **progress: int) -> None:
        write_json(self.path / "settings.json", {"settings": self.settings, "versions": run_versions(), **progress})


def recorded_settings(model: str | os.PathLike, defaults: dict[str, Any]) -> dict[str, Any]:
    """
    The settings that a trained model needs to be rebuilt, read from `settings.json` beside it.

    Args:
        model: a `model.pt` in its run folder or in a packaged bundle's `models/`.
        defaults: the names wanted, with the values to take where nothing is recorded.

    Returns:
        `defaults`, with the recorded value wherever there is one.

    Raises:
        SystemExit: code 2 when `settings.json` is there and unreadable.

    Example:
        >>> recorded_settings("absent/model.pt", {"backbone": "resnet50"})
        {'backbone': 'resnet50'}
    """
    try:
        record = _read_record(Path(model).with_name("settings.json"))
    except ValueError as error:
        logger.error("%s", error)
        raise SystemExit(2) from error
    if record is None and Path(model).is_file():
        logger.warning("%s: no settings.json beside it; give the settings that it was trained with, window, mean and "
                       "std above all, where they differ from %s", model, defaults)  # fmt: skip
    recorded = {} if record is None else record["settings"]
    return {name: recorded.get(name, value) for name, value in defaults.items()}


def recorded_thresholds(model: str | os.PathLike) -> dict[str, float]:
    """
    The thresholds that a trained model's run chose on its validation images, from `thresholds.json` beside it.

    Args:
        model: a `model.pt` in its run folder or in a packaged bundle's `models/`.

    Returns:
        The threshold of each label, NaN where validation lacked a class; empty, with a warning, where none is recorded.

    Raises:
        SystemExit: code 2 when `thresholds.json` is there and unreadable.

    Example:
        >>> recorded_thresholds("absent/model.pt")
        {}
    """
    path = Path(model).with_name("thresholds.json")
    if not path.is_file():
        if Path(model).is_file():
            logger.warning("%s: no thresholds.json beside it, so what needs a threshold stays empty", model)
        return {}
    try:
        return read_thresholds(path)
    except ValueError as error:
        logger.error("%s", error)
        raise SystemExit(2) from error


def _read_record(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["settings"].items()
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the settings of a run ({error}); restore it or take a new folder") from error
    return record


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def run_versions() -> dict[str, str]:
    """Of Python and of the packages that a trained model comes from."""
    return {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return getattr(sys.modules.get(package), "__version__", "not installed")
