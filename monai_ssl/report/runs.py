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

import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

import pandas as pd

from monai_ssl.data import SliceStore
from monai_ssl.files import read_table
from monai_ssl.visualize import read_metrics, typical_volume
from monai_ssl.visualize.reduction_tables import replaced_slices

__all__ = ["Run", "find_dropped", "read_run", "read_runs", "run_names", "without_folders"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Run:
    """
    One run, under the name that the report gives it.

    Attributes:
        name: unique in the report.
        predictions: the table `predictions.csv`; None for a pre-training run.
        metrics: a row per line of `metrics.jsonl`; empty without one.
        settings: as recorded, paths shortened; empty without `settings.json`.
        versions: of the packages that ran it.
        finished: None when not recorded.
        dataset_dir: as recorded, for finding the data; it may name people, so it stays out of the report.
    """

    name: str
    predictions: pd.DataFrame | None
    metrics: pd.DataFrame
    settings: dict[str, Any]
    versions: dict[str, str]
    finished: bool | None
    dataset_dir: str | None = None


def read_runs(paths: Sequence[str | os.PathLike]) -> list[Run]:
    """
    Read run folders, or `predictions.csv` files, with the names that tell them apart.

    Raises:
        ValueError: naming every path that cannot be used, and why.
    """
    problems, runs = [], []
    for name, path in zip(run_names(paths), paths, strict=True):
        try:
            runs.append(read_run(path, name))
        except (OSError, ValueError) as error:
            problems.append(str(error))
    if problems or not runs:
        raise ValueError("no runs to compare" if not problems else "cannot read the runs:\n  " + "\n  ".join(problems))
    return runs


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
    table = None
    if predictions:
        file = path / "predictions.csv" if path.is_dir() else path
        if not file.is_file():
            raise FileNotFoundError(f"{file}: missing; has the run finished? its last step writes the predictions")
        table = read_table(file, text=("image", "patient", "split"))
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
    )


def run_names(paths: Iterable[str | os.PathLike]) -> list[str]:
    """
    A short name per path: the folder's; with its parent's where two are alike; numbered where that is alike too.

    Example:
        >>> run_names(["runs/swav", "runs/scratch/predictions.csv", "other.csv"])
        ['swav', 'scratch', 'other']
        >>> run_names(["a/run", "b/run", "b/run"])
        ['a/run', 'b/run', 'b/run (2)']
    """
    parts = []
    for path in map(Path, paths):
        path = Path(os.path.abspath(path))
        path = (
            path.parent if path.name == "predictions.csv" else path.with_suffix("") if path.suffix == ".csv" else path
        )
        parts.append(path.parts)
    names = [own[-1] for own in parts]
    alike = {name for name in names if names.count(name) > 1}
    names = ["/".join(own[-2:]) if own[-1] in alike else own[-1] for own in parts]
    return [name if (n := names[:i].count(name)) == 0 else f"{name} ({n + 1})" for i, name in enumerate(names)]


def find_dropped(store: SliceStore, runs: Sequence[Run]) -> tuple[SliceStore | None, str | None]:
    """
    A store that holds what the most typical volume of another stands for, among those that the runs were trained on.

    Slices count as the same when pseudonym key, name and hash agree: another axis gives the same names.

    Args:
        store: with dropped slices.
        runs: with the `dataset_dir` of each; a relative one is taken from the working directory.

    Returns:
        The store and None; or None and the reason, which names no path. Both None when nothing was dropped.
    """
    dropped = replaced_slices(store.table, typical_volume(store.table))
    if dropped.empty:
        return None, None
    reasons = []
    for folder in dict.fromkeys(run.dataset_dir for run in runs if run.dataset_dir):
        if not (Path(folder) / "store.json").is_file():
            reasons.append("no slice store is found at the dataset_dir of the runs")
            continue
        try:
            other = SliceStore.open(folder)
        except (OSError, ValueError) as error:
            _logger.warning("dropped slices are not shown from a store that cannot be opened: %s", error)
            reasons.append("the store that the runs were trained on cannot be opened")
            continue
        reason = _unlike(store, other, dropped)
        if reason is None:
            return other, None
        reasons.append(reason)
    return None, "; ".join(dict.fromkeys(reasons)) or "the runs record no dataset_dir to look in"


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


def _unlike(store: SliceStore, other: SliceStore, dropped: pd.DataFrame) -> str | None:
    keys = [each.settings.get("pseudonym_key_fingerprint") for each in (store, other)]
    if keys[0] is None or keys[0] != keys[1]:
        return "the store that the runs were trained on was made with another pseudonym key"
    held = set(zip(other.kept["slice"], other.kept["hash"], strict=True))
    if not held.issuperset(zip(dropped["slice"], dropped["hash"], strict=True)):
        return "the store that the runs were trained on does not hold them either"
    return None


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
