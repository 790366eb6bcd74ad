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

__all__ = ["MACRO", "MEAN", "MICRO", "ModelRedraws", "count_cases", "redraw_models"]

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
            defined for all models that have it at all, and "micro", of all decisions on all labels pooled: what needs
            a threshold is defined where every label has one.
        values: (M, K, L), NaN where a metric is not defined.
        samples: (R, M, K, L) the same of each redraw, NaN where it lacks a class, and of a metric that redraws say
            nothing of, see :py:data:`monai_ssl.metrics.names.WITHOUT_INTERVAL`.
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
        stratify: draw patients within strata of their rarest label, see
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
    truths = [data.truth[:, [i]] if i < len(data.labels) else data.truth for i in range(len(labels))]
    counts = [count_cases(truth, data.patients) for truth in truths]
    return ModelRedraws(data_set, list(data.models), names, labels, *redrawn, data, counts, data.unit)


def count_cases(truth: np.ndarray, patients: np.ndarray | None) -> dict[str, int | None]:
    """
    How many cases a row of results rests on.

    Args:
        truth: (N, L) of 0, 1 and NaN, of one label or of several.
        patients: (N,) or None.

    Returns:
        `images` and `patients` of which any label is known, and `positives`: of several labels, positive decisions.
    """
    known = np.isfinite(truth).any(axis=1)
    return {
        "images": int(known.sum()),
        "patients": None if patients is None else len(set(patients[known])),
        "positives": int((truth == 1).sum()),
    }
