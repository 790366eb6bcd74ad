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

"""ROC and precision-recall curves with a pointwise 95 % band from the same redraws as the intervals of the numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monai_ssl.metrics.auc import check_predictions, one_class
from monai_ssl.metrics.curve_kernels import STEPS, precision_on_grid, roc_on_grid
from monai_ssl.metrics.intervals import percentile_interval
from monai_ssl.metrics.redraws import label_strata, redraw_counts

__all__ = ["Band", "precision_recall_bands", "roc_bands"]

_GRID = np.arange(STEPS + 1) / STEPS


@dataclass(frozen=True, eq=False)
class Band:
    """
    One curve and its band.

    Attributes:
        x: (K,) of the curve's corners, rising from 0 to 1: false positive rate, or recall.
        y: (K,) true positive rate, or precision there.
        grid: (101,) values of x at which the band is given: 0, 0.01 ... 1.
        low: (101,) 2.5th percentile of the redrawn curves.
        high: (101,) 97.5th percentile.
    """

    x: np.ndarray
    y: np.ndarray
    grid: np.ndarray
    low: np.ndarray
    high: np.ndarray


def roc_bands(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    redraws: int = 1000,
    groups: Sequence | np.ndarray | None = None,
    seed: int = 0,
    stratify: bool = False,
) -> list[Band | None]:
    """
    The ROC curve of each label and, where there are several, the mean of their curves as a last one.

    The mean is vertical: over the labels' true positive rates at equal false positive rate, so its area is nearly
    the macro AUC; not exactly, since the mean is taken at the 101 points of the grid alone. Redraws that lack a class
    of a label are left out of its band, and of the mean's.

    Args:
        labels: (N,) or (N, L), 0, 1 or NaN: unknown, and the image is left out for that label.
        scores: the same shape, finite.
        redraws: how many.
        groups: (N,) patient of each image, or None to redraw images.
        seed: of the redraws; equal to the AUC's, so are the redraws.
        stratify: see :py:func:`monai_ssl.metrics.bootstrap_auc`.

    Returns:
        L entries, None for a label with one class only; then, when L > 1, the mean over the others (None if none).

    Raises:
        ValueError: as :py:func:`monai_ssl.metrics.bootstrap_auc`.

    Example:
        >>> [band] = roc_bands([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], redraws=100)
        >>> band.y
        array([0. , 0.5, 0.5, 1. , 1. ])

    See Fawcett 2006, section 9 (vertical averaging), https://doi.org/10.1016/j.patrec.2005.10.010.
    """
    return _bands(_roc_corners, roc_on_grid, labels, scores, redraws, groups, seed, stratify)


def precision_recall_bands(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    redraws: int = 1000,
    groups: Sequence | np.ndarray | None = None,
    seed: int = 0,
    stratify: bool = False,
) -> list[Band | None]:
    """
    The precision-recall curve of each label and, where there are several, the mean of their curves as a last one.

    It goes in steps, as average precision counts: precision at a recall is that at the highest threshold that reaches
    it, so the area is the average precision, and a straight line between two corners would promise what no threshold
    gives. It starts, at recall 0, with the precision of the first threshold that finds a positive.

    Args:
        labels: (N,) or (N, L), 0, 1 or NaN, as :py:func:`roc_bands`, as are the others.
        scores: the same shape, finite.
        redraws: how many.
        groups: (N,) patient of each image, or None to redraw images.
        seed: of the redraws.
        stratify: see :py:func:`monai_ssl.metrics.bootstrap_auc`.

    Returns:
        As :py:func:`roc_bands`; between two values of x, y is that of the right one.

    Raises:
        ValueError: as :py:func:`monai_ssl.metrics.bootstrap_auc`.

    Example:
        >>> [band] = precision_recall_bands([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], redraws=100)
        >>> band.x, band.y.round(2)
        (array([0. , 0.5, 1. ]), array([1.  , 1.  , 0.67]))

    See Davis and Goadrich 2006, https://doi.org/10.1145/1143844.1143874.
    """
    return _bands(_precision_recall_corners, precision_on_grid, labels, scores, redraws, groups, seed, stratify)


_Ranking = tuple[np.ndarray, np.ndarray, np.ndarray]


def _bands(
    corners: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    on_grid: Callable[..., np.ndarray],
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    redraws: int,
    groups: Sequence | np.ndarray | None,
    seed: int,
    stratify: bool,
) -> list[Band | None]:
    truth, values = check_predictions(labels, scores)
    usable = np.flatnonzero(~one_class(truth)).tolist()
    rankings = [_ranking(truth[:, column], values[:, column]) for column in usable]
    samples = np.empty((redraws, len(usable), STEPS + 1))
    start = 0
    strata = label_strata(truth, groups) if stratify else None
    for counts in redraw_counts(len(truth), redraws, groups, seed, strata):
        for position, ranking in enumerate(rankings):
            samples[start : start + counts.shape[1], position] = on_grid(*ranking, counts)
        start += counts.shape[1]
    bands: list[Band | None] = [None] * truth.shape[1]
    for position, column in enumerate(usable):
        bands[column] = _band(*corners(*_hits_and_alarms(rankings[position])), samples[:, position])
    if truth.shape[1] > 1:
        once = np.ones((len(truth), 1), np.int32)
        mean = np.mean([on_grid(*ranking, once)[0] for ranking in rankings], axis=0) if rankings else None
        bands.append(None if mean is None else _band(_GRID, mean, samples.mean(axis=1)))
    return bands


def _ranking(labels: np.ndarray, scores: np.ndarray) -> _Ranking:
    """Rows of the known labels by falling score, which of them are positive, and which are the last of their score."""
    known = np.flatnonzero(np.isfinite(labels))
    order = known[np.argsort(-scores[known].astype(np.float64), kind="stable")]
    ranked = scores[order]
    return order.astype(np.int32), labels[order] == 1, np.append(ranked[1:] != ranked[:-1], True)


def _hits_and_alarms(ranking: _Ranking) -> tuple[np.ndarray, np.ndarray]:
    """True and false positives at each threshold, from the highest to the lowest."""
    _, positive, tie_ends = ranking
    return np.cumsum(positive)[tie_ends], np.cumsum(~positive)[tie_ends]


def _roc_corners(hits: np.ndarray, alarms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.insert(alarms / alarms[-1], 0, 0.0), np.insert(hits / hits[-1], 0, 0.0)


def _precision_recall_corners(hits: np.ndarray, alarms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    reached = np.diff(hits, prepend=0) > 0
    recall, precision = hits[reached] / hits[-1], hits[reached] / (hits + alarms)[reached]
    return np.insert(recall, 0, 0.0), np.insert(precision, 0, precision[0])


def _band(x: np.ndarray, y: np.ndarray, samples: np.ndarray) -> Band:
    low, high = percentile_interval(samples)
    return Band(x, y, _GRID, low, high)
