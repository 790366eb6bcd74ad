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

"""Several models on one data set, and all their metrics on the same redraws of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.metrics.array_redraws import redraw_arrays
from monai_ssl.metrics.auc import warn_one_class
from monai_ssl.metrics.intervals import bca_interval, deviation, percentile_interval
from monai_ssl.metrics.names import check_metrics
from monai_ssl.metrics.predictions import AlignedPredictions, align_predictions

__all__ = ["MACRO", "MEAN", "MICRO", "ModelRedraws", "mean_over_data_sets", "redraw_models"]

MACRO, MICRO = "macro", "micro"
MEAN = "mean"


@dataclass(frozen=True, eq=False)
class ModelRedraws:
    """
    K metrics of M models on L labels, and R redraws of the test set, shared by all of them.

    Attributes:
        data_set: its name, "" where there is only one.
        models: M names.
        metrics: K names.
        labels: L names. Behind several labels of the data stand "macro", the mean over those for which the metric is
            defined for all models, and "micro", of all decisions on them pooled.
        values: (M, K, L), NaN where a metric is not defined.
        samples: (R, M, K, L) the same of each redraw, NaN where it lacks a class.
        jackknife: (J, M, K, L) the same with a patient, or a block of them, left out.
        data: the aligned predictions; None of the mean over data sets.
        counts: of each label: `images, patients, positives`.
        unit: what a redraw draws: "patient" or "image".
    """

    data_set: str
    models: list[str]
    metrics: tuple[str, ...]
    labels: list[str]
    values: np.ndarray
    samples: np.ndarray
    jackknife: np.ndarray
    data: AlignedPredictions | None
    counts: list[dict[str, int | None]]
    unit: str

    @cached_property
    def _ends(self) -> list[np.ndarray]:
        return [
            *percentile_interval(self.samples),
            *bca_interval(self.samples, self.values, self.jackknife),
            deviation(self.samples),
        ]

    def intervals(self) -> pd.DataFrame:
        """
        A row per model, metric and label.

        Returns:
            `data_set, model, label, metric, value, sd, low, high, low_bca, high_bca, images, patients, positives, unit,
            redraws, left_out`; `sd` is over the redraws of that very row, `low` and `high` are percentiles, `left_out`
            the redraws without a value.
        """
        return pd.DataFrame(
            {
                "data_set": self.data_set,
                "model": model,
                "label": label,
                "metric": metric,
                "value": self.values[m, k, i],
                **self.ends_of(m, k, i),
                **self.counts_of(i),
                "left_out": int(np.isnan(self.samples[:, m, k, i]).sum()),
            }
            for k, metric in enumerate(self.metrics)
            for m, model in enumerate(self.models)
            for i, label in enumerate(self.labels)
        )

    def ends_of(self, model: int, metric: int, label: int) -> dict[str, float]:
        """`sd, low, high, low_bca, high_bca` of one value."""
        low, high, low_bca, high_bca, sd = (float(each[model, metric, label]) for each in self._ends)
        return {"sd": sd, "low": low, "high": high, "low_bca": low_bca, "high_bca": high_bca}

    def counts_of(self, label: int) -> dict[str, Any]:
        """`images, patients, positives, unit, redraws` of one label."""
        return {**self.counts[label], "unit": self.unit, "redraws": len(self.samples)}


def redraw_models(
    predictions: Mapping[str, pd.DataFrame],
    metrics: Sequence[str] = ("auc",),
    redraws: int = 1000,
    seed: int = 0,
    split: str = "test",
    stratify: bool = False,
    thresholds: Mapping[str, Mapping[str, float]] | None = None,
    data_set: str = "",
) -> ModelRedraws:
    """
    Redraw a test set once for all models and metrics; intervals and pairs both come from it.

    Args:
        predictions: a table per model, see :py:func:`monai_ssl.metrics.compare`; one model is enough.
        metrics: names, see :py:func:`monai_ssl.metrics.compare`.
        redraws: how many.
        seed: of the redraws.
        split: rows to use.
        stratify: draw as many patients of each label as the data have, see
            :py:func:`monai_ssl.metrics.redraws.label_strata`.
        thresholds: by model and label; of a model that is not named, those of its own validation rows.
        data_set: its name.

    Raises:
        ValueError: as :py:func:`monai_ssl.metrics.compare`.
    """
    names = check_metrics(metrics)
    data = align_predictions(predictions, split, thresholds)
    taken = [name for name in (MACRO, MICRO) if name in data.labels]
    if len(data.labels) > 1 and taken:
        raise ValueError(f"a label is named {taken[0]!r}, which stands for a mean over labels; rename its columns")
    warn_one_class(data.truth, data.labels)
    redrawn = redraw_arrays(
        data.truth, data.scores, data.patients, names, redraws, seed, stratify, thresholds=data.thresholds
    )
    labels = [*data.labels, MACRO, MICRO] if len(data.labels) > 1 else list(data.labels)
    return ModelRedraws(data_set, list(data.models), names, labels, *redrawn, data, _counts(data, labels), data.unit)


def mean_over_data_sets(results: Sequence[ModelRedraws]) -> ModelRedraws | None:
    """
    The mean over data sets, of the models and labels that all of them have; None for one data set, or nothing common.

    Each data set weighs alike, and its patients are redrawn by themselves: test sets that share patients, as those of
    other labels on the same images, vary together, and the interval of their mean is then too narrow.

    Args:
        results: one per data set, with the same metrics and number of redraws.
    """
    first = results[0]
    models = [name for name in first.models if all(name in other.models for other in results)]
    labels = [name for name in first.labels if all(name in other.labels for other in results)]
    if len(results) < 2 or not models or not labels:
        return None
    places = [
        np.ix_(
            [each.models.index(m) for m in models], range(len(first.metrics)), [each.labels.index(i) for i in labels]
        )
        for each in results
    ]
    values = np.stack([each.values[place] for each, place in zip(results, places, strict=True)])
    samples = np.mean([_part(each.samples, place) for each, place in zip(results, places, strict=True)], axis=0)
    # Without a patient of one data set, the mean moves by that data set's share.
    moved = [
        values.mean(axis=0) + (_part(each.jackknife, place) - of_set) / len(results)
        for each, place, of_set in zip(results, places, values, strict=True)
    ]
    counts = [
        {name: _total([each.counts[each.labels.index(label)][name] for each in results]) for name in first.counts[0]}
        for label in labels
    ]
    unit = " and ".join(dict.fromkeys(each.unit for each in results))
    return ModelRedraws(
        MEAN, models, first.metrics, labels, values.mean(axis=0), samples, np.concatenate(moved), None, counts, unit
    )


def _part(array: np.ndarray, place: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.stack([each[place] for each in array])


def _total(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _counts(data: AlignedPredictions, labels: Sequence[str]) -> list[dict[str, int | None]]:
    rows = []
    for label in range(len(labels)):
        truth = data.truth[:, [label]] if label < len(data.labels) else data.truth
        known = np.isfinite(truth).any(axis=1)
        rows.append(
            {
                "images": int(known.sum()),
                "patients": None if data.patients is None else len(set(data.patients[known])),
                "positives": int((truth == 1).sum()),
            }
        )
    return rows
