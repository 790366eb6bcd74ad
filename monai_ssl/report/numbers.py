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

"""Everything the report says, as plain values: the content of `report.json`, from which the page is rendered."""

from __future__ import annotations

import importlib.metadata
import math
import platform
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.metrics import ModelRedraws
from monai_ssl.report.runs import Run, without_folders
from monai_ssl.report.words import caveats, summary
from monai_ssl.visualize import curve_names, exemplar_table, reduction_summary, typical_volume

__all__ = ["package_versions", "plain_values", "report_numbers", "slice_numbers"]

_PACKAGES = ("monai_ssl", "numpy", "scipy", "pandas", "matplotlib")


def report_numbers(
    result: ModelRedraws,
    runs: Sequence[Run],
    seed: int,
    split: str = "test",
    pretraining: Run | None = None,
    reduction: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """
    The numbers, sentences and settings of a report.

    Args:
        result: redraws of the runs' models, in the runs' order.
        runs: with predictions.
        seed: of the redraws.
        split: that was used.
        pretraining: the run that the others started from, or None.
        reduction: from :py:func:`slice_numbers`, or None.

    Returns:
        Plain values only; what is not defined is None.
    """
    data = result.data
    numbers: dict[str, Any] = {
        "split": split,
        "redraws": len(result.samples),
        "seed": seed,
        "unit": data.unit,
        "images": len(data.images),
        "patients": None if data.patients is None else len(set(data.patients)),
        "patients_in_other_splits": _shared_patients(runs[0], split),
        "labels": [_label(result, column) for column in range(len(data.labels))],
        "headline": result.labels[-1],
        "models": result.intervals().to_dict("records"),
        "comparisons": result.pairs().to_dict("records"),
        "runs": [_run(run) for run in runs],
        "differing_settings": _differing([run.settings for run in runs]),
        "pretraining": None if pretraining is None else _run(pretraining),
        "reduction": reduction,
        "versions": package_versions(_PACKAGES),
    }
    numbers = plain_values(numbers)
    return {"summary": summary(numbers), "caveats": caveats(numbers)} | numbers


def slice_numbers(store: Any, limit: int) -> dict[str, Any]:
    """
    What reduction did, over the store and in its most typical volume.

    Args:
        store: a :py:class:`monai_ssl.data.SliceStore`.
        limit: exemplars to name at most.
    """
    volume = typical_volume(store.table)
    rows = store.table[store.table["volume"].astype(str) == volume]
    shown = exemplar_table(store.table, volume, limit)
    return plain_values(
        reduction_summary(store.table)
        | {"shown_volume": {"slices": len(rows), "kept": int(rows["kept"].sum())}}
        | {"exemplars": shown.drop(columns="slice").to_dict("records"), "settings": without_folders(store.settings)}
    )


def plain_values(value: Any) -> Any:
    """NumPy and pandas values as plain ones; NaN, infinity and missing values as None."""
    if isinstance(value, dict):
        return {str(name): plain_values(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of Python and of packages, "not installed" for one that is not."""
    return {"python": platform.python_version()} | {name: _version(name) for name in packages}


def _label(result: ModelRedraws, column: int) -> dict[str, Any]:
    data = result.data
    positive, negative = data.truth[:, column] == 1, data.truth[:, column] == 0
    return {
        "label": data.labels[column],
        "positives": int(positive.sum()),
        "negatives": int(negative.sum()),
        "unknown": int((~positive & ~negative).sum()),
        "patients_with": None if data.patients is None else len(set(data.patients[positive])),
        "patients_without": None
        if data.patients is None
        else len(set(data.patients[negative]) - set(data.patients[positive])),
    }


def _run(run: Run) -> dict[str, Any]:
    training = {}
    for name in curve_names({run.name: run.metrics}):
        values = run.metrics[name].dropna()
        training[name] = {"last": values.iloc[-1], "lowest": values.min(), "highest": values.max()}
    return {
        "name": run.name,
        "finished": run.finished,
        "epochs": int(run.metrics["epoch"].max()) if "epoch" in run.metrics.columns else None,
        "training": training,
        "settings": run.settings,
        "versions": run.versions,
    }


def _differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    known = [each for each in settings if each]
    # Every run has a folder of its own: that is no difference in what it did.
    names = [name for name in dict.fromkeys(name for each in known for name in each) if name != "output_dir"]
    return [name for name in names if any(each.get(name) != known[0].get(name) for each in known)]


def _shared_patients(run: Run, split: str) -> int:
    table = run.predictions
    if table is None or "patient" not in table.columns:
        return 0
    here = table["split"].astype(str) == split
    return len((set(table.loc[here, "patient"]) & set(table.loc[~here, "patient"])) - {""})


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
