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

"""Several models on the same images: intervals of each, paired differences, and correction over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from monai_ssl.metrics.auc import roc_auc, warn_one_class
from monai_ssl.metrics.intervals import paired_p_value, percentile_interval
from monai_ssl.metrics.predictions import AlignedPredictions, align_predictions
from monai_ssl.metrics.statistics import redraw_auc

__all__ = ["MACRO", "ModelRedraws", "compare", "redraw_models"]

MACRO = "macro"
_COLUMNS = (
    *("model_a", "model_b", "label", "metric", "value_a", "low_a", "high_a", "value_b", "low_b", "high_b"),
    *("difference", "low", "high", "p_value", "q_value"),
    *("images", "patients", "positives", "unit", "redraws", "left_out"),
)


def compare(
    predictions: Mapping[str, pd.DataFrame],
    metrics: Sequence[str] = ("auc",),
    redraws: int = 1000,
    seed: int = 0,
    split: str = "test",
) -> pd.DataFrame:
    """
    Compare models pairwise on the same images, with paired bootstrap tests and correction for their number.

    Patients are redrawn where the table names them, else images; the column `unit` says which. Redraws that lack a
    class of a label are left out of its interval and p-value and counted in `left_out`. With several labels a row
    "macro" holds the mean over those that have both classes; it needs redraws that are valid for all of them. An image
    whose `_true` cell is empty is left out for that label, and its counts tell of the others.

    Args:
        predictions: a predictions table per model, in the order wanted: `image, patient, split` and a pair of columns
            `<label>_true` (0, 1 or empty), `<label>_score` per label. Two models at least.
        metrics: "auc" is the only one so far.
        redraws: how many.
        seed: of the redraws, which all models share.
        split: rows to use.

    Returns:
        A row per pair of models, label and metric: `model_a, model_b, label, metric, value_a, low_a, high_a, value_b,
        low_b, high_b, difference, low, high, p_value, q_value, images, patients, positives, unit, redraws, left_out`.
        `difference` is a - b; `q_value` is Benjamini and Hochberg's over all rows; `patients` is empty when unknown.

    Raises:
        ValueError: when tables cannot be compared; every problem is named, with counts and first examples.

    Example:
        >>> table = pd.DataFrame({"image": ["1", "2"], "patient": ["a", "b"], "split": "test",
        ...                       "nodule_true": [0, 1], "nodule_score": [0.2, 0.7]})
        >>> compare({"swav": table, "scratch": table}, redraws=100)["p_value"].tolist()
        [1.0]

    See Benjamini and Hochberg 1995, https://doi.org/10.1111/j.2517-6161.1995.tb02031.x.
    """
    if len(predictions) < 2:
        raise ValueError(
            f"compare needs two models at least, got {len(predictions)}: {', '.join(predictions) or 'none'}"
        )
    unknown = [metric for metric in metrics if metric != "auc"]
    if unknown or not metrics:
        raise ValueError(f"metrics must be ('auc',), got {tuple(metrics)}")
    return redraw_models(predictions, redraws, seed, split).pairs()


def redraw_models(
    predictions: Mapping[str, pd.DataFrame], redraws: int = 1000, seed: int = 0, split: str = "test"
) -> ModelRedraws:
    """
    Redraw once for all models; intervals and pairs both come from it.

    Args:
        predictions: as :py:func:`compare`, but one model is enough.
        redraws: how many.
        seed: of the redraws.
        split: rows to use.

    Raises:
        ValueError: as :py:func:`compare`.
    """
    data = align_predictions(predictions, split)
    if len(data.labels) > 1 and MACRO in data.labels:
        raise ValueError(f"a label is named {MACRO!r}, which stands for the mean over labels; rename its columns")
    values = np.stack([roc_auc(data.truth, scores) for scores in data.scores])
    if not np.isfinite(values).any():
        raise ValueError(
            f"no label has positives and negatives among the {len(data.images)} images of split {split!r}, so no AUC "
            f"is defined; labels: {', '.join(data.labels)}"
        )
    warn_one_class(data.truth, data.labels)
    samples = redraw_auc(data.truth, data.scores, redraws, data.patients, seed)
    labels = list(data.labels)
    if len(labels) > 1:
        both_classes = np.isfinite(values[0])
        labels.append(MACRO)
        values = np.concatenate([values, values[:, both_classes].mean(axis=1, keepdims=True)], axis=1)
        samples = np.concatenate([samples, samples[..., both_classes].mean(axis=2, keepdims=True)], axis=2)
    return ModelRedraws(data, labels, values, samples)


@dataclass(frozen=True, eq=False)
class ModelRedraws:
    """
    What M models scored on L labels (the mean over labels, "macro", last when there are several), and R redraws of it.

    Attributes:
        data: the aligned predictions.
        labels: L names.
        values: (M, L) AUC, NaN for a label with one class only.
        samples: (R, M, L) the same of each redraw, NaN where it lacks a class.
    """

    data: AlignedPredictions
    labels: list[str]
    values: np.ndarray
    samples: np.ndarray

    def intervals(self) -> pd.DataFrame:
        """A row per model and label: `model, label, metric, value, low, high` and the counts of :py:func:`compare`."""
        low, high = percentile_interval(self.samples)
        return pd.DataFrame(
            {
                "model": model,
                "label": label,
                "metric": "auc",
                "value": self.values[m, i],
                "low": low[m, i],
                "high": high[m, i],
                **self._counts(i),
            }
            for m, model in enumerate(self.data.models)
            for i, label in enumerate(self.labels)
        )

    def pairs(self) -> pd.DataFrame:
        """The table that :py:func:`compare` returns; without rows for one model."""
        each = self.intervals().set_index(["model", "label"])[["value", "low", "high"]]
        rows = []
        for (a, model_a), (b, model_b) in combinations(enumerate(self.data.models), 2):
            difference = self.values[a] - self.values[b]
            samples = self.samples[:, a] - self.samples[:, b]
            low, high = percentile_interval(samples)
            p_value = paired_p_value(samples, difference)
            for i, label in enumerate(self.labels):
                row = {"model_a": model_a, "model_b": model_b, "label": label, "metric": "auc"}
                row |= each.loc[(model_a, label)].add_suffix("_a").to_dict()
                row |= each.loc[(model_b, label)].add_suffix("_b").to_dict()
                row |= {"difference": difference[i], "low": low[i], "high": high[i], "p_value": p_value[i]}
                rows.append(row | {"q_value": np.nan} | self._counts(i))
        table = pd.DataFrame(rows, columns=list(_COLUMNS))
        tested = table["p_value"].notna()
        if tested.any():
            table.loc[tested, "q_value"] = false_discovery_control(table.loc[tested, "p_value"], method="bh")
        return table

    def _counts(self, label: int) -> dict[str, object]:
        data = self.data
        truth = data.truth if label == len(data.labels) else data.truth[:, [label]]
        known = np.isfinite(truth).any(axis=1)
        return {
            "images": int(known.sum()),
            "patients": None if data.patients is None else len(set(data.patients[known])),
            "positives": int((truth == 1).sum()),
            "unit": data.unit,
            "redraws": len(self.samples),
            "left_out": int(np.isnan(self.samples[:, 0, label]).sum()),
        }
