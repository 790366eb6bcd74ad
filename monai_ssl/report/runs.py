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

"""What lies in run folders: predictions, training record, settings. Read whole, or refused with every problem named."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

import pandas as pd

from monai_ssl.files import read_table
from monai_ssl.metrics.prediction_table import label_names, own_thresholds
from monai_ssl.metrics.thresholds import read_thresholds
from monai_ssl.report.arguments import run_arguments
from monai_ssl.report.comparable import run_problems, tell_of_runs
from monai_ssl.report.localisation import Looked, read_looked
from monai_ssl.report.other_files import other_file, other_folder, other_table
from monai_ssl.visualize import read_metrics

__all__ = ["Run", "read_run", "read_runs", "without_folders"]


@dataclass(frozen=True, eq=False)
class Run:
    """
    One run, under the name that the report gives it.

    Attributes:
        name: of the model in the report; unique in its data set.
        predictions: the table `predictions.csv`; None for a pre-training run.
        metrics: a row per line of `metrics.jsonl`; empty without one.
        settings: as recorded, paths shortened; empty without `settings.json`.
        versions: of the packages that ran it.
        finished: None when not recorded.
        dataset_dir: as recorded, for finding the data; it may name people, so it stays out of the report.
        data_set: that the predictions are of; "" where only one is compared.
        thresholds: by label, of `thresholds.json`; where there is none :py:func:`read_runs` takes those that the `val`
            rows give; None without both.
        checksums: SHA-256 of the run's files, by name.
        recorded: whether the thresholds are those of `thresholds.json`.
        looked: the examples and scores of `python -m monai_ssl saliency`; None where it was not run.
    """

    name: str
    predictions: pd.DataFrame | None
    metrics: pd.DataFrame
    settings: dict[str, Any]
    versions: dict[str, str]
    finished: bool | None
    dataset_dir: str | None = None
    data_set: str = ""
    thresholds: dict[str, float] | None = None
    checksums: dict[str, str] = field(default_factory=dict)
    looked: Looked | None = None
    recorded: bool = False

    @property
    def thresholds_from(self) -> str | None:
        """Where the thresholds come from: "thresholds.json", "validation rows", or None."""
        return None if self.thresholds is None else "thresholds.json" if self.recorded else "validation rows"

    @property
    def column(self) -> str:
        """What tells the run from all others of the report."""
        return f"{self.name} on {self.data_set}" if self.data_set else self.name


def read_runs(arguments: Sequence[str | os.PathLike], split: str = "test") -> list[Run]:
    """
    Read run folders, or `predictions.csv` files, and check that those of one data set can be compared.

    Args:
        arguments: `PATH`, `MODEL=PATH` or `MODEL@DATASET=PATH`, see
            :py:func:`monai_ssl.report.arguments.run_arguments`.
        split: of the rows to compare.

    Raises:
        ValueError: naming every path that cannot be used and everything that keeps the runs from being compared.
    """
    if not arguments:
        raise ValueError("no runs to compare")
    named, problems = run_arguments(arguments)
    runs = []
    for path, name, data_set in named:
        try:
            runs.append(replace(read_run(path, name), data_set=data_set))
        except (OSError, ValueError) as error:
            problems.append(str(error))
    problems += run_problems(runs, split)
    if problems:
        raise ValueError("the runs cannot be compared:\n  " + "\n  ".join(problems))
    tell_of_runs(runs, split)
    return [
        replace(run, recorded=True) if run.thresholds is not None else replace(run, thresholds=_chosen(run.predictions))
        for run in runs
    ]


def read_run(path: str | os.PathLike, name: str, predictions: bool = True) -> Run:
    """
    Read one run folder or `predictions.csv`.

    Args:
        path: of the folder or file.
        name: for the report.
        predictions: False for a pre-training run, which has none.

    Raises:
        FileNotFoundError: when the path or its predictions are absent.
        ValueError: when a file in it is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: does not exist; give a run folder or a predictions.csv")
    folder = path if path.is_dir() else path.parent
    table = _read_predictions(path) if predictions else None
    metrics = folder / "metrics.jsonl"
    record = _read_settings(folder / "settings.json")
    settings, finished = record.get("settings", {}), record.get("finished_epochs")
    return Run(
        name=name,
        predictions=table,
        metrics=read_metrics(metrics) if metrics.is_file() else pd.DataFrame(),
        settings=without_folders(settings),
        versions={str(package): str(version) for package, version in record.get("versions", {}).items()},
        finished=None if not settings else finished is not None and finished >= settings.get("max_epochs", finished),
        dataset_dir=value if isinstance(value := settings.get("dataset_dir"), str) and value else None,
        thresholds=_recorded_thresholds(path if path.is_file() else folder / "predictions.csv"),
        checksums=_checksums(path if path.is_file() else folder / "predictions.csv"),
        looked=read_looked(folder) if path.is_dir() or path.name == "predictions.csv" else None,
    )


def without_folders(value: Any) -> Any:
    """
    Settings fit to be shared: an absolute path keeps its last two parts, since the rest names people and machines.

    Example:
        >>> without_folders({"dataset_dir": "/people/jane/studies/slices", "seed": 0})
        {'dataset_dir': '.../studies/slices', 'seed': 0}
    """
    if isinstance(value, dict):
        return {str(name): without_folders(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(entry) for entry in value]
    if isinstance(value, str):
        for kind in (PurePath, PureWindowsPath):
            if kind(value).is_absolute() and len(kind(value).parts) > 3:
                return "/".join(("...", *kind(value).parts[-2:]))
    return value


def _read_predictions(path: Path) -> pd.DataFrame:
    file = path / "predictions.csv" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(other_folder(path))
    if problem := other_file(file):
        raise ValueError(problem)
    table = read_table(file, text=("image", "patient", "split"))
    if problem := other_table(file, list(map(str, table.columns))):
        raise ValueError(problem)
    return table


def _recorded_thresholds(predictions: Path) -> dict[str, float] | None:
    # Of other files in a run folder it is not known whether they are of its model.
    file = predictions.with_name("thresholds.json")
    return read_thresholds(file) if predictions.name == "predictions.csv" and file.is_file() else None


def _chosen(table: pd.DataFrame | None) -> dict[str, float] | None:
    return None if table is None else own_thresholds(table, label_names(table))


def _checksums(predictions: Path) -> dict[str, str]:
    """Of the predictions, and of what lies beside a file of that very name; without names, which may be people's."""
    files = {"predictions.csv": predictions}
    if predictions.name == "predictions.csv":
        files |= {name: predictions.with_name(name) for name in ("thresholds.json", "model.pt")}
    found = {}
    for name, path in files.items():
        if path.is_file():
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _read_settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}); restore it, or remove it to report without settings") from error
    if not isinstance(record, dict) or not all(isinstance(record.get(k, {}), dict) for k in ("settings", "versions")):
        raise ValueError(f"{path}: must hold the objects `settings` and `versions`")
    return record
