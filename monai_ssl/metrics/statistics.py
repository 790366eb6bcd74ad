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

"""What is computed of one model's scores, on the data and on every redraw of them, by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from monai_ssl.metrics.calibration import score_bins
from monai_ssl.metrics.kernels import weighted_auc, weighted_average_precision, weighted_sensitivity, weighted_sums
from monai_ssl.metrics.redraws import leave_out_counts, redraw_counts

__all__ = ["AT_THRESHOLD", "METRICS", "OF_PROBABILITIES", "Decisions", "check_metrics", "redraw_auc", "redraw_metrics"]

AT_SPECIFICITY = "sensitivity_at_specificity"
AT_THRESHOLD = ("sensitivity", "specificity", "f1", "accuracy")
OF_PROBABILITIES = ("brier", "calibration_error")
METRICS = ("auc", "average_precision", f"{AT_SPECIFICITY}:0.9", *AT_THRESHOLD, *OF_PROBABILITIES)

_BINS = 10
_TRUE_NEGATIVE, _FALSE_POSITIVE, _FALSE_NEGATIVE, _TRUE_POSITIVE = range(4)


class Decisions:
    """
    One model's scores of one label, or of several labels pooled, ready to be redrawn.

    Args:
        truth: (N,) or (N, L) of 0, 1 and NaN; what is unknown is left out. Several labels are pooled: each image gives
            a decision per label.
        scores: the same shape, finite.
        thresholds: of each label, () or (L,): a score counts as positive from there on. NaN where there is none: what
            needs one is then NaN.
    """

    def __init__(self, truth: np.ndarray, scores: np.ndarray, thresholds: np.ndarray | float = np.nan) -> None:
        known = np.isfinite(truth)
        self.image = np.nonzero(known)[0].astype(np.int32)
        self.positive, self.scores = truth[known] == 1, scores[known].astype(np.float64)
        at = np.broadcast_to(np.asarray(thresholds, np.float64), truth.shape)[known]
        self.called = self.scores >= at
        self.decided = bool(len(at)) and bool(np.isfinite(at).all())

    def values(self, metrics: Sequence[str], counts: np.ndarray) -> np.ndarray:
        """
        The metrics of each redraw.

        Args:
            metrics: K names, checked by :py:func:`check_metrics`.
            counts: (N, r), see :py:func:`monai_ssl.metrics.redraw_counts`.

        Returns:
            (K, r) float64, NaN where a redraw, or the thresholds, do not allow it.
        """
        tally = self._tally(counts) if any(name in AT_THRESHOLD for name in metrics) else {}
        return np.stack([tally[name] if name in tally else self._value(name, counts) for name in metrics])

    def _value(self, name: str, counts: np.ndarray) -> np.ndarray:
        if name == "auc":
            return weighted_auc(*self._ranked, counts)
        if name == "average_precision":
            return weighted_average_precision(*self._ranked, counts)
        if name == "brier":
            return self._mean(np.zeros(len(self.image), np.int64), (self.scores - self.positive) ** 2, counts)
        if name == "calibration_error":
            return self._mean(score_bins(self.scores, _BINS), self.scores - self.positive, counts)
        return weighted_sensitivity(*self._ranked, counts, float(name.partition(":")[2]))

    @cached_property
    def _ranked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image and truth by rising score, and which is the last of its score."""
        order = self.scores.argsort(kind="stable")
        ranked = self.scores[order]
        return self.image[order], self.positive[order], np.append(ranked[1:] != ranked[:-1], True)

    def _mean(self, code: np.ndarray, weight: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """The absolute sums of a weight over each code, by the number of decisions."""
        if len(code) and (self.scores.min() < 0 or self.scores.max() > 1):
            return np.full(counts.shape[1], np.nan)
        sums = weighted_sums(self.image, code, weight, _BINS, counts)
        with np.errstate(invalid="ignore"):
            return np.abs(sums).sum(axis=0) / counts[self.image].sum(axis=0)

    def _tally(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        cells = weighted_sums(self.image, 2 * self.positive + self.called, np.ones(len(self.image)), 4, counts)
        if not self.decided:
            cells[:] = np.nan
        tn, fp, fn, tp = cells[[_TRUE_NEGATIVE, _FALSE_POSITIVE, _FALSE_NEGATIVE, _TRUE_POSITIVE]]
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "sensitivity": tp / (tp + fn),
                "specificity": tn / (tn + fp),
                "f1": np.where(tp + fn > 0, 2 * tp / (2 * tp + fp + fn), np.nan),
                "accuracy": (tp + tn) / (tp + tn + fp + fn),
            }


def check_metrics(metrics: Iterable[str]) -> tuple[str, ...]:
    """
    The names of metrics, or one error that names those which are none.

    Raises:
        ValueError: also for none at all, or one twice.

    Example:
        >>> check_metrics(["auc", "sensitivity_at_specificity:0.95"])
        ('auc', 'sensitivity_at_specificity:0.95')
    """
    names = tuple(metrics)
    wrong = [name for name in names if name not in METRICS and not _at_specificity(name)]
    wrong += [f"{name} twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if wrong or not names:
        raise ValueError(
            f"unknown metrics: {', '.join(wrong) or 'none given'}; known: {', '.join(METRICS)} (or another specificity "
            "above 0 and up to 1)"
        )
    return names


def redraw_metrics(columns: Sequence[Decisions], metrics: Sequence[str], counts: Iterable[np.ndarray]) -> np.ndarray:
    """
    Metrics of every redraw, the redraws shared by all columns.

    Args:
        columns: C models and labels.
        metrics: K names.
        counts: blocks of redraws, R in all.

    Returns:
        (R, C, K) float64.
    """
    blocks = [np.stack([column.values(metrics, block) for column in columns]) for block in counts]
    return np.ascontiguousarray(np.moveaxis(np.concatenate(blocks, axis=2), 2, 0))


def redraw_auc(
    labels: np.ndarray,
    scores: np.ndarray,
    redraws: int,
    groups: Sequence | np.ndarray | None = None,
    seed: int = 0,
    strata: np.ndarray | None = None,
) -> np.ndarray:
    """
    AUC of every redraw, model and label, the redraws shared by all models.

    Args:
        labels: (N, L) of 0, 1 and NaN; an image whose label is unknown is drawn, and counts for nothing there.
        scores: (M, N, L) of M models, finite.
        redraws: R.
        groups: (N,) or None.
        seed: of the redraws.
        strata: (N,) or None, see :py:func:`monai_ssl.metrics.redraw_counts`.

    Returns:
        (R, M, L) float64, NaN where the redraw lacks a class of the label.
    """
    counts = redraw_counts(len(labels), redraws, groups, seed, strata)
    return _auc(labels, scores, counts)


def leave_out_auc(labels: np.ndarray, scores: np.ndarray, groups: Sequence | np.ndarray | None = None) -> np.ndarray:
    """(J, M, L) AUC with a patient, or a block of them, left out; as :py:func:`redraw_auc`."""
    return _auc(labels, scores, leave_out_counts(len(labels), groups))


def _auc(labels: np.ndarray, scores: np.ndarray, counts: Iterable[np.ndarray]) -> np.ndarray:
    columns = [Decisions(truth, column) for model in scores for truth, column in zip(labels.T, model.T, strict=True)]
    samples = redraw_metrics(columns, ("auc",), counts)
    return samples.reshape(len(samples), len(scores), labels.shape[1])


def _at_specificity(name: str) -> bool:
    kind, _, text = name.partition(":")
    try:
        return kind == AT_SPECIFICITY and 0 < float(text) <= 1
    except ValueError:
        return False
