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

"""Prediction tables of several models, brought onto the same images or refused with everything that differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monai_ssl.metrics.prediction_differences import prediction_differences
from monai_ssl.metrics.prediction_table import (
    PredictionTable,
    label_names,
    own_thresholds,
    parse_predictions,
    truth_and_scores,
)

__all__ = ["AlignedPredictions", "align_predictions", "label_names", "prediction_problems", "truth_and_scores"]


@dataclass(frozen=True, eq=False)
class AlignedPredictions:
    """
    M models on the same N images and L labels, in the images' order.

    Attributes:
        models: M names.
        labels: L names.
        images: (N,) text ids, sorted.
        patients: (N,) text ids, or None where the tables name none.
        truth: (N, L) float64, 0, 1 or NaN where unknown.
        scores: (M, N, L).
        thresholds: (M, L) float64, from validation; NaN where unknown.
    """

    models: list[str]
    labels: list[str]
    images: np.ndarray
    patients: np.ndarray | None
    truth: np.ndarray
    scores: np.ndarray
    thresholds: np.ndarray

    @property
    def unit(self) -> str:
        """What a redraw draws: "patient" or "image"."""
        return "image" if self.patients is None else "patient"

    @property
    def probabilities(self) -> np.ndarray:
        """(M,) whether all scores of a model lie within 0 to 1; logits do not, and have no Brier score."""
        return np.all((self.scores >= 0) & (self.scores <= 1), axis=(1, 2))


def align_predictions(
    predictions: Mapping[str, pd.DataFrame],
    split: str = "test",
    thresholds: Mapping[str, Mapping[str, float] | None] | None = None,
    allow_constant: bool = False,
) -> AlignedPredictions:
    """
    Check prediction tables one by one, then against each other, and bring them into one order.

    Args:
        predictions: tables `image, patient, split, <label>_true, <label>_score ...` by model name; a `_true` cell may
            be empty, for unknown. The ids are text: read them with
            `monai_ssl.files.read_table(path, text=("image", "patient", "split"))`.
        split: rows to keep.
        thresholds: by model and label, as the runs recorded them. For a model without, those with the highest Youden
            index in its rows of split `val`, if it has any.
        allow_constant: take scores that are equal for all images. They are refused otherwise, since the AUC of 0.5 of a
            network that learnt nothing passes for a result.

    Raises:
        ValueError: naming everything wrong in all tables: columns, empty splits, repeated images, images with and
            without patient, values, scores that are all equal; then images, labels, truth and patients that differ
            between models.
    """
    if not predictions:
        raise ValueError("no predictions given; name one run folder or predictions.csv at least")
    tables, problems = prediction_problems(predictions, split, allow_constant)
    if problems:
        raise ValueError("the predictions cannot be used:\n  " + "\n  ".join(problems))
    first = next(iter(tables.values()))
    labels = first.labels
    return AlignedPredictions(
        models=list(tables),
        labels=labels,
        images=first.images,
        patients=first.patients,
        truth=first.truth,
        scores=np.stack([table.scores[:, [table.labels.index(name) for name in labels]] for table in tables.values()]),
        thresholds=np.array(
            [_thresholds(table, labels, (thresholds or {}).get(model)) for model, table in predictions.items()]
        ),
    )


def prediction_problems(
    predictions: Mapping[str, pd.DataFrame], split: str = "test", allow_constant: bool = False
) -> tuple[dict[str, PredictionTable], list[str]]:
    """
    The sound tables among those of several models, and everything that keeps them from being compared.

    Args:
        predictions: as :py:func:`align_predictions`.
        split: rows to keep.
        allow_constant: as there.

    Returns:
        Tables by model, fit to be compared where there are no lines; lines, of which each starts with its model.
    """
    tables: dict[str, PredictionTable] = {}
    problems: list[str] = []
    for model, table in predictions.items():
        parsed, found = parse_predictions(table, split, allow_constant)
        problems += [f"{model}: {problem}" for problem in found]
        if parsed is not None:
            tables[model] = parsed
    return tables, problems + prediction_differences(tables)


def _thresholds(table: pd.DataFrame, labels: list[str], recorded: Mapping[str, float] | None) -> list[float]:
    known = own_thresholds(table, labels) if recorded is None else recorded
    return [(known or {}).get(label, np.nan) for label in labels]
