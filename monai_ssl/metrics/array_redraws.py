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

"""From arrays to redraws of all metrics: what the tables of `compare` and the metric of an engine both rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from monai_ssl.metrics.names import WITHOUT_INTERVAL
from monai_ssl.metrics.redraws import label_strata, leave_out_counts, redraw_counts
from monai_ssl.metrics.statistics import Decisions, redraw_metrics

__all__ = ["ArrayRedraws", "redraw_arrays"]


class ArrayRedraws(NamedTuple):
    """
    K metrics of M models on L labels; behind several labels their mean and all of them pooled, so that C is L + 2.

    Attributes:
        values: (M, K, C), NaN where a metric is not defined.
        samples: (R, M, K, C) the same of each redraw; NaN of a metric that redraws say nothing of.
        jackknife: (J, M, K, C) the same with a patient, or a block of them, left out.
    """

    values: np.ndarray
    samples: np.ndarray
    jackknife: np.ndarray


def redraw_arrays(
    truth: np.ndarray,
    scores: np.ndarray,
    patients: Sequence | np.ndarray | None = None,
    metrics: Sequence[str] = ("auc",),
    redraws: int = 1000,
    seed: int = 0,
    stratify: bool = False,
    thresholds: np.ndarray | float = np.nan,
) -> ArrayRedraws:
    """
    Redraw a test set once for all models and metrics.

    Args:
        truth: (N, L) of 0, 1 and NaN for unknown.
        scores: (M, N, L) of M models, finite.
        patients: (N,) patient of each image, or None: each image is its own.
        metrics: K names, checked by :py:func:`monai_ssl.metrics.names.check_metrics`.
        redraws: R >= 1.
        seed: of the redraws.
        stratify: draw patients within strata of their rarest label, see
            :py:func:`monai_ssl.metrics.redraws.label_strata`.
        thresholds: (M, L), or what broadcasts to it; NaN where there is none.

    Returns:
        The mean over labels is that over those for which the metric is defined for all models that have it at all.

    Raises:
        ValueError: as :py:func:`monai_ssl.metrics.redraw_counts`.

    Example:
        >>> redrawn = redraw_arrays(np.array([[0.0], [0], [1], [1]]), np.array([[[0.1], [0.4], [0.35], [0.8]]]))
        >>> redrawn.values, redrawn.samples.shape
        (array([[[0.75]]]), (1000, 1, 1, 1))
    """
    labels = truth.shape[1]
    columns = _columns(truth, scores, np.broadcast_to(thresholds, (len(scores), labels)))
    strata = label_strata(truth, patients) if stratify else None
    shape = (-1, len(scores), len(columns) // len(scores), len(metrics))
    redrawn = [name for name in metrics if name not in WITHOUT_INTERVAL]
    places = [metrics.index(name) for name in redrawn]
    ones = [np.ones((len(truth), 1), np.int32)]
    values = redraw_metrics(columns, metrics, ones).reshape(shape).swapaxes(2, 3)
    samples, jackknife = (
        _spaced(redraw_metrics(columns, redrawn, counts), places, len(metrics)).reshape(shape).swapaxes(2, 3)
        for counts in (
            redraw_counts(len(truth), redraws, patients, seed, strata),
            leave_out_counts(len(truth), patients),
        )
    )
    if labels > 1:
        finite = np.isfinite(values[0])[..., :labels]
        without = ~finite.any(axis=-1, keepdims=True)
        usable = (finite | without).all(axis=0) & finite.any(axis=0)
        values, samples, jackknife = (_with_macro(array, usable) for array in (values, samples, jackknife))
    return ArrayRedraws(values[0], samples, jackknife)


def _columns(truth: np.ndarray, scores: np.ndarray, thresholds: np.ndarray) -> list[Decisions]:
    """Of each model, each label; with several labels also all of them pooled."""
    columns = []
    for of_model, at in zip(scores, thresholds, strict=True):
        columns += [Decisions(*label) for label in zip(truth.T, of_model.T, at, strict=True)]
        if truth.shape[1] > 1:
            columns.append(Decisions(truth, of_model, at))
    return columns


def _spaced(array: np.ndarray, places: Sequence[int], metrics: int) -> np.ndarray:
    """(R, C, K) with NaN for the metrics that are not among the places of the last axis."""
    spaced = np.full((*array.shape[:2], metrics), np.nan)
    spaced[..., places] = array
    return spaced


def _with_macro(array: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """(R, M, K, L + 1), pooled last, with the mean over the usable labels, (K, L), before it."""
    single, pooled = array[..., :-1], array[..., -1:]
    total = np.where(usable, single, 0.0).sum(axis=-1, keepdims=True)
    number = usable.sum(axis=-1, keepdims=True)
    mean = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
    return np.concatenate([single, mean, pooled], axis=-1)
