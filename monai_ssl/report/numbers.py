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
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.metrics import MACRO, AlignedPredictions, ModelRedraws, spread
from monai_ssl.report.caveats import caveats
from monai_ssl.report.localisation import localisation_numbers
from monai_ssl.report.methods import methods
from monai_ssl.report.runs import Run, without_folders
from monai_ssl.report.words import summary
from monai_ssl.visualize import curve_names, exemplar_table, reduction_summary, typical_volume

__all__ = ["package_versions", "plain_values", "report_numbers", "slice_numbers", "with_interval"]

_PACKAGES = ("monai_ssl", "numpy", "scipy", "pandas", "matplotlib")


def report_numbers(
    results: Sequence[ModelRedraws],
    comparisons: pd.DataFrame,
    runs: Sequence[Run],
    *,
    seed: int,
    split: str = "test",
    stratified: bool = False,
    interval: str = "percentile",
    pretraining: Run | None = None,
    reduction: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """
    The numbers, sentences and settings of a report.

    Args:
        results: a redrawn data set each, and their mean last where there are several.
        comparisons: of them, from :py:func:`monai_ssl.metrics.pair_table`.
        runs: whose models they are.
        seed: of the redraws.
        split: that was used.
        stratified: whether the redraws were.
        interval: "percentile" or "bca": which one the rows give as `low` and `high`.
        pretraining: the run that the others started from, or None.
        reduction: from :py:func:`slice_numbers`, or None.

    Returns:
        Plain values only; what is not defined is None.
    """
    models = pd.concat([result.intervals() for result in results], ignore_index=True)
    numbers: dict[str, Any] = {
        "split": split,
        "redraws": len(results[0].samples),
        "seed": seed,
        "stratified": stratified,
        "interval": interval,
        "metrics": list(results[0].metrics),
        "data_sets": [_data_set(result, runs, split) for result in results if result.data is not None],
        "shared_patients": _shared_between(results),
        "headline": {
            "data_set": results[-1].data_set,
            "label": MACRO if MACRO in results[-1].labels else results[-1].labels[0],
            "metric": results[0].metrics[0],
        },
        "models": with_interval(models, interval).to_dict("records"),
        "comparisons": with_interval(comparisons, interval).to_dict("records"),
        "spread": _spread(results),
        "runs": [_run(run) for run in runs],
        "differing_settings": _differing(runs),
        "pretraining": None if pretraining is None else _run(pretraining),
        "reduction": reduction,
        "localisation": localisation_numbers({run.column: run.looked for run in runs}),
        "versions": package_versions(_PACKAGES),
    }
    numbers = plain_values(numbers)
    return {"summary": summary(numbers), "caveats": caveats(numbers), "methods": methods(numbers)} | numbers


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


def with_interval(table: pd.DataFrame, interval: str) -> pd.DataFrame:
    """Rows with the interval that was asked for as `low` and `high`, and no other."""
    if interval == "bca":
        table = table.assign(low=table["low_bca"], high=table["high_bca"])
    return table.drop(columns=[name for name in table.columns if name.startswith(("low_", "high_"))])


def _data_set(result: ModelRedraws, runs: Sequence[Run], split: str) -> dict[str, Any]:
    data = result.data
    assert data is not None
    first = next(run for run in runs if (run.data_set, run.name) == (result.data_set, result.models[0]))
    return {
        "name": result.data_set,
        "models": list(result.models),
        "unit": result.unit,
        "images": len(data.images),
        "patients": None if data.patients is None else len(set(data.patients)),
        "patients_in_other_splits": _shared_patients(first, split),
        "labels": [_label(data, column) for column in range(len(data.labels))],
        "no_threshold": [model for model, at in zip(data.models, data.thresholds, strict=True) if np.isnan(at).all()],
        "no_probabilities": [model for model, fit in zip(data.models, data.probabilities, strict=True) if not fit],
    }


def _label(data: AlignedPredictions, column: int) -> dict[str, Any]:
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


def _shared_between(results: Sequence[ModelRedraws]) -> int:
    """Patients, or images where none are named, that occur in several data sets."""
    names = [
        set(data.images if data.patients is None else data.patients)
        for result in results
        if (data := result.data) is not None
    ]
    return len(set().union(*(one & other for one, other in combinations(names, 2))))


def _spread(results: Sequence[ModelRedraws]) -> list[dict[str, Any]]:
    """Of the first metric's headline: how far the data sets lie apart, and how far redraws move their mean."""
    mean = results[-1]
    if mean.data is not None:
        return []
    label = MACRO if MACRO in mean.labels else mean.labels[0]
    rows = []
    for model in mean.models:
        each = [(r, r.models.index(model), r.labels.index(label)) for r in results[:-1]]
        values = np.array([r.values[m, 0, i] for r, m, i in each])
        if np.isfinite(values).all():
            samples = np.stack([r.samples[:, m, 0, i] for r, m, i in each], axis=1)
            rows.append({"model": model, "label": label} | asdict(spread(values, samples)))
    return rows


def _run(run: Run) -> dict[str, Any]:
    training = {}
    for name in curve_names({run.name: run.metrics}):
        values = run.metrics[name].dropna()
        training[name] = {"last": values.iloc[-1], "lowest": values.min(), "highest": values.max()}
    return {
        "name": run.name,
        "data_set": run.data_set,
        "column": run.column,
        "checksums": run.checksums,
        "thresholds_from": run.thresholds_from,
        "finished": run.finished,
        "epochs": int(run.metrics["epoch"].max()) if "epoch" in run.metrics.columns else None,
        "training": training,
        "settings": run.settings,
        "versions": run.versions,
    }


def _differing(runs: Sequence[Run]) -> list[str]:
    """The settings in which runs on one data set differ."""
    found: dict[str, None] = {}
    for data_set in dict.fromkeys(run.data_set for run in runs):
        known = [run.settings for run in runs if run.settings and run.data_set == data_set]
        # Every run has a folder of its own: that is no difference in what it did.
        names = [name for name in dict.fromkeys(name for each in known for name in each) if name != "output_dir"]
        found |= dict.fromkeys(n for n in names if any(each.get(n) != known[0].get(n) for each in known))
    return list(found)


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
