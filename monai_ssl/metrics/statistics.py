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
from monai_ssl.metrics.names import AT_THRESHOLD, OF_PROBABILITIES
from monai_ssl.metrics.redraws import leave_out_counts, redraw_counts

__all__ = ["Decisions", "leave_out_auc", "redraw_auc", "redraw_metrics"]

_BINS = 10


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
        counted = any(name in (*AT_THRESHOLD, *OF_PROBABILITIES) for name in metrics)
        cells = self._cells(counts) if counted else np.empty((4, 0))
        return np.stack([self._value(name, counts, cells) for name in metrics])

    def _value(self, name: str, counts: np.ndarray, cells: np.ndarray) -> np.ndarray:
        if name in AT_THRESHOLD:
            return _of_cells(name, cells) if self.decided else np.full(counts.shape[1], np.nan)
        if name in OF_PROBABILITIES:
            weighted = weighted_sums(self.image, *self._errors[name], _BINS, counts)
            with np.errstate(invalid="ignore"):
                return np.abs(weighted).sum(axis=0) / cells.sum(axis=0)
        if name == "auc":
            return weighted_auc(*self._ranked, counts)
        if name == "average_precision":
            return weighted_average_precision(*self._ranked, counts)
        return weighted_sensitivity(*self._ranked, counts, float(name.partition(":")[2]))

    @cached_property
    def _ranked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Image and truth by rising score, and which is the last of its score."""
        order = self.scores.argsort(kind="stable")
        ranked = self.scores[order]
        return self.image[order], self.positive[order], np.append(ranked[1:] != ranked[:-1], True)

    @cached_property
    def _errors(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Bins, and what is summed up in each, of the metrics whose sums are then added without sign."""
        error = self.scores - self.positive
        if ((self.scores < 0) | (self.scores > 1)).any():
            error[:] = np.nan
        return {
            "brier": (np.zeros(len(error), np.int64), error**2),
            "calibration_error": (score_bins(self.scores, _BINS), error),
        }

    @cached_property
    def _cell(self) -> np.ndarray:
        return 2 * self.positive + self.called

    def _cells(self, counts: np.ndarray) -> np.ndarray:
        """(4, r) how many true negatives, false positives, false negatives and true positives."""
        return weighted_sums(self.image, self._cell, np.ones(len(self.image)), 4, counts)


def _of_cells(name: str, cells: np.ndarray) -> np.ndarray:
    tn, fp, fn, tp = cells
    with np.errstate(invalid="ignore", divide="ignore"):
        if name == "sensitivity":
            return tp / (tp + fn)
        if name == "specificity":
            return tn / (tn + fp)
        if name == "f1":
            return np.where(tp + fn > 0, 2 * tp / (2 * tp + fp + fn), np.nan)
        return (tp + tn) / (tp + tn + fp + fn)


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
    blocks = [
        np.stack([column.values(metrics, block) for column in columns])
        if metrics
        else np.empty((len(columns), 0, block.shape[1]))
        for block in counts
    ]
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
