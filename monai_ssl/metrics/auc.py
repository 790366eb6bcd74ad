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

"""The area under the ROC curve: exact with ties, and as a key metric that a one-class label cannot break."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

__all__ = ["check_predictions", "one_class", "roc_auc", "warn_one_class"]


def roc_auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> np.ndarray:
    """
    Area under the ROC curve of each label: the chance that a positive scores above a negative, ties counting half.

    Args:
        labels: (N,) or (N, L), 0, 1 or NaN: unknown, and the image is left out for that label.
        scores: the same shape; any finite values, higher for more likely positive.

    Returns:
        (L,) float64, NaN for a label with one class only; L is 1 for input of shape (N,).

    Raises:
        ValueError: when shapes differ, a label is not 0, 1 or NaN, or a score is not finite.

    Example:
        >>> roc_auc([0, 0, 1, 1, np.nan], [0.1, 0.4, 0.35, 0.8, 0.9])
        array([0.75])

    See Hanley and McNeil 1982, https://doi.org/10.1148/radiology.143.1.7063747.
    """
    truth, values = check_predictions(labels, scores)
    positives, negatives = (truth == 1).sum(axis=0), (truth == 0).sum(axis=0)
    unknown = np.isnan(truth)
    ranked = np.where(unknown, np.nan, values) if unknown.any() else values
    # Mid-ranks are multiples of one half, so these sums carry no rounding error.
    ranks = rankdata(ranked, axis=0, nan_policy="omit")
    wins = np.where(truth == 1, ranks, 0).sum(axis=0) - positives * (positives + 1) / 2
    pairs = positives * negatives
    return np.divide(wins, pairs, out=np.full(truth.shape[1], np.nan), where=pairs > 0)


def check_predictions(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """
    Labels and scores as two (N, L) arrays, or one error that names everything wrong with them.

    Args:
        labels: (N,) or (N, L), 0, 1 or NaN for unknown.
        scores: the same shape, finite.

    Returns:
        labels as (N, L) float64 and scores as (N, L), of their own type.

    Raises:
        ValueError: when shapes differ, there are no rows, a label is not 0, 1 or NaN, or a score is not finite.
    """
    truth, values = np.asarray(labels), np.asarray(scores)
    if truth.shape != values.shape or truth.ndim not in (1, 2) or truth.size == 0:
        raise ValueError(
            f"labels and scores must have one shape, (N,) or (N, L), with N > 0, got {truth.shape} and {values.shape}"
        )
    problems = []
    unknown = pd.isna(truth)
    truth = np.where(unknown, np.nan, truth) if unknown.any() else truth
    wrong_labels = ~(np.isin(truth, (0, 1)) | unknown)
    if wrong_labels.any():
        examples = np.unique(truth[wrong_labels].astype(str))[:3].tolist()
        problems.append(f"{wrong_labels.sum()} labels are neither 0, 1 nor NaN (such as {', '.join(examples)})")
    wrong_scores = ~np.isfinite(values)
    if wrong_scores.any():
        problems.append(f"{wrong_scores.sum()} of {values.size} scores are NaN or infinite; did the training diverge?")
    if problems:
        raise ValueError("; ".join(problems))
    columns = truth.shape[1] if truth.ndim == 2 else 1
    return truth.astype(np.float64).reshape(-1, columns), values.reshape(-1, columns)


def one_class(labels: np.ndarray) -> np.ndarray:
    """(L,) whether a column of `labels` (N, L), as :py:func:`check_predictions` gives them, lacks 0 or 1."""
    return ~((labels == 0).any(axis=0) & (labels == 1).any(axis=0))


def warn_one_class(labels: np.ndarray, names: list[str] | None = None) -> None:
    """Warn, by name where there are names, of each column of `labels` (N, L) whose AUC is undefined."""
    for column in np.flatnonzero(one_class(labels)):
        name = names[column] if names else f"number {column}"
        positives, images = (labels[:, column] == 1).sum(), np.isfinite(labels[:, column]).sum()
        warnings.warn(
            f"label {name}: one class only ({positives} positives in {images} images), its AUC is NaN", stacklevel=3
        )
