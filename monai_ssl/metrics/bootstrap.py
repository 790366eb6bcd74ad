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

"""Intervals and paired tests by the bootstrap over patients or images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monai_ssl.metrics.auc import check_predictions, roc_auc, warn_one_class
from monai_ssl.metrics.intervals import bca_interval, deviation, paired_p_value, percentile_interval
from monai_ssl.metrics.redraws import label_strata
from monai_ssl.metrics.statistics import leave_out_auc, redraw_auc

__all__ = ["BootstrapResult", "Comparison", "bootstrap_auc", "compare_auc"]

_INTERVALS = ("percentile", "bca")


@dataclass(frozen=True, eq=False)
class BootstrapResult:
    """
    AUC of L labels with 95 % intervals from R redraws.

    Attributes:
        auc: (L,) of the data themselves, NaN for a label with one class only.
        low: (L,) lower end of the interval, 2.5th percentile of the valid redraws unless BCa was asked for.
        high: (L,) upper end.
        sd: (L,) standard deviation over the valid redraws, which estimates the standard error.
        samples: (R, L) AUC of each redraw, NaN where the redraw lacks a class of the label.
        invalid: (L,) how many redraws that were, and so were left out of the label's percentiles.
        unit: what was redrawn: "patient" when groups were given, else "image".
    """

    auc: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sd: np.ndarray
    samples: np.ndarray
    invalid: np.ndarray
    unit: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """
    Difference in AUC, first model minus second, over the same redraws.

    Attributes:
        difference: (L,) AUC of `scores_a` minus AUC of `scores_b`; positive when the first model ranks better.
        low: (L,) lower end of the interval, 2.5th percentile of the redrawn differences unless BCa was asked for.
        high: (L,) upper end.
        p_value: (L,) two-sided, see :py:func:`paired_p_value`.
        samples: (R, L) redrawn differences.
        invalid: (L,) redraws left out for lack of a class.
        unit: "patient" or "image".
    """

    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray
    samples: np.ndarray
    invalid: np.ndarray
    unit: str


def bootstrap_auc(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    redraws: int = 1000,
    groups: Sequence | np.ndarray | None = None,
    seed: int = 0,
    interval: str = "percentile",
    stratify: bool = False,
) -> BootstrapResult:
    """
    AUC with its 95 % bootstrap interval, label by label.

    Args:
        labels: (N,) or (N, L), 0, 1 or NaN: unknown, and the image is left out for that label.
        scores: the same shape, finite.
        redraws: how many, >= 1; 1000 or more for an interval to publish.
        groups: (N,) patient of each image. Patients are then redrawn with all their images; images of one patient are
            alike, and redrawing them one by one makes intervals too narrow.
        seed: equal seeds, images and groups give equal redraws, whatever the scores.
        interval: "percentile", or "bca": corrected for bias and skewness, see
            :py:func:`monai_ssl.metrics.bca_interval`.
        stratify: draw patients (or images) within strata of their rarest label, see
            :py:func:`monai_ssl.metrics.redraws.label_strata`.

    Returns:
        The result; a label with one class only is NaN, with a warning.

    Raises:
        ValueError: for shapes, labels, scores, groups, redraws or an interval that cannot be used.

    Example:
        >>> result = bootstrap_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], redraws=200)
        >>> bool(result.low[0] <= result.auc[0] <= result.high[0])
        True

    See Efron and Tibshirani 1993, chapter 13; for clusters Field and Welsh 2007,
    https://doi.org/10.1111/j.1467-9868.2007.00593.x.
    """
    truth, values = check_predictions(labels, scores)
    warn_one_class(truth)
    samples = _redraw(truth, values[None], redraws, groups, seed, stratify)[:, 0]
    auc = roc_auc(truth, values)
    low, high = _interval(interval, samples, auc, lambda: leave_out_auc(truth, values[None], groups)[:, 0])
    return BootstrapResult(auc, low, high, deviation(samples), samples, np.isnan(samples).sum(axis=0), _unit(groups))


def compare_auc(
    labels: npt.ArrayLike,
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    redraws: int = 1000,
    groups: Sequence | np.ndarray | None = None,
    seed: int = 0,
    interval: str = "percentile",
    stratify: bool = False,
) -> Comparison:
    """
    Paired comparison of two models on the same images: the same redraws serve both.

    Args:
        labels: (N,) or (N, L), 0, 1 or NaN: unknown, and the image is left out for that label.
        scores_a: the first model's scores, the same shape.
        scores_b: the second model's.
        redraws: how many, >= 1; the smallest p-value possible is 1 / (redraws + 1).
        groups: (N,) patient of each image, see :py:func:`bootstrap_auc`.
        seed: of the redraws.
        interval: "percentile" or "bca".
        stratify: see :py:func:`bootstrap_auc`.

    Returns:
        The difference a - b with interval and p-value, label by label.

    Raises:
        ValueError: as :py:func:`bootstrap_auc`.

    Example:
        >>> compare_auc([0, 0, 1, 1], [1, 2, 3, 4], [1, 2, 3, 4]).p_value
        array([1.])
    """
    truth, first = check_predictions(labels, scores_a)
    _, second = check_predictions(labels, scores_b)
    warn_one_class(truth)
    difference = roc_auc(truth, first) - roc_auc(truth, second)
    pair = np.stack([first, second])
    both = _redraw(truth, pair, redraws, groups, seed, stratify)
    samples = both[:, 0] - both[:, 1]
    low, high = _interval(
        interval, samples, difference, lambda: np.subtract(*leave_out_auc(truth, pair, groups).swapaxes(0, 1))
    )
    p_value = paired_p_value(samples, difference)
    return Comparison(difference, low, high, p_value, samples, np.isnan(samples).sum(axis=0), _unit(groups))


def check_interval(kind: str) -> None:
    """
    Check the name of a kind of interval.

    Raises:
        ValueError: for an unknown one, naming those that are known.
    """
    if kind not in _INTERVALS:
        raise ValueError(f"unknown interval {kind!r}; known: {', '.join(_INTERVALS)}")


def _redraw(
    truth: np.ndarray,
    scores: np.ndarray,
    redraws: int,
    groups: Sequence | np.ndarray | None,
    seed: int,
    stratify: bool,
) -> np.ndarray:
    return redraw_auc(truth, scores, redraws, groups, seed, label_strata(truth, groups) if stratify else None)


def _interval(
    kind: str, samples: np.ndarray, value: np.ndarray, jackknife: Callable[[], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    check_interval(kind)
    return percentile_interval(samples) if kind == "percentile" else bca_interval(samples, value, jackknife())


def _unit(groups: Sequence | np.ndarray | None) -> str:
    return "image" if groups is None else "patient"
