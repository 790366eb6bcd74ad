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

"""ROC curves with a pointwise 95 % band from the same redraws as the AUC's interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monai_ssl.metrics.auc import check_predictions, one_class
from monai_ssl.metrics.intervals import percentile_interval
from monai_ssl.metrics.redraws import redraw_counts

__all__ = ["RocBand", "roc_bands"]

_GRID = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class RocBand:
    """
    One ROC curve and its band.

    Attributes:
        fpr: (K,) false positive rates of the curve's corners, from 0 to 1.
        tpr: (K,) true positive rates there.
        grid: (101,) false positive rates at which the band is given.
        low: (101,) 2.5th percentile of the redraws' true positive rate.
        high: (101,) 97.5th percentile.
    """

    fpr: np.ndarray
    tpr: np.ndarray
    grid: np.ndarray
    low: np.ndarray
    high: np.ndarray


def roc_bands(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    redraws: int = 1000,
    groups: Sequence | np.ndarray | None = None,
    seed: int = 0,
) -> list[RocBand | None]:
    """
    The ROC curve of each label and, where there are several, the mean of their curves as a last one.

    The mean is vertical: over the labels' true positive rates at equal false positive rate, so its area is the macro
    AUC. Redraws that lack a class of a label are left out of its band, and of the mean's.

    Args:
        labels: (N,) or (N, L), 0, 1 or NaN: unknown, and the image is left out for that label.
        scores: the same shape, finite.
        redraws: how many.
        groups: (N,) patient of each image, or None to redraw images.
        seed: of the redraws; equal to the AUC's, so are the redraws.

    Returns:
        L entries, None for a label with one class only; then, when L > 1, the mean over the others (None if none).

    Raises:
        ValueError: as :py:func:`monai_ssl.metrics.bootstrap_auc`.

    Example:
        >>> [band] = roc_bands([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], redraws=100)
        >>> band.tpr
        array([0. , 0.5, 0.5, 1. , 1. ])

    See Fawcett 2006, section 9 (vertical averaging), https://doi.org/10.1016/j.patrec.2005.10.010.
    """
    truth, values = check_predictions(labels, scores)
    usable = np.flatnonzero(~one_class(truth)).tolist()
    curves = {c: _Curve(truth[:, c], values[:, c]) for c in usable}
    samples = np.empty((redraws, len(usable), len(_GRID)))
    start = 0
    for counts in redraw_counts(len(truth), redraws, groups, seed):
        block = samples[start : start + counts.shape[1]]
        for position, curve in enumerate(curves.values()):
            block[:, position] = curve.on_grid(counts)
        start += counts.shape[1]
    bands: list[RocBand | None] = [None] * truth.shape[1]
    for position, column in enumerate(usable):
        bands[column] = _band(*curves[column].corners(), samples[:, position])
    if truth.shape[1] > 1:
        ones = np.ones((len(truth), 1), np.int32)
        mean = np.mean([curve.on_grid(ones)[0] for curve in curves.values()], axis=0) if curves else None
        bands.append(None if mean is None else _band(_GRID, mean, samples.mean(axis=1)))
    return bands


class _Curve:
    def __init__(self, labels: np.ndarray, scores: np.ndarray) -> None:
        known = np.flatnonzero(np.isfinite(labels))
        self.order = known[np.argsort(-scores[known], kind="stable")]
        self.positive = (labels[self.order] == 1)[:, None]
        ranked = scores[self.order]
        self.ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))

    def rates(self, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hits = np.cumsum(drawn * self.positive, axis=0)[self.ends]
        alarms = np.cumsum(drawn, axis=0)[self.ends] - hits
        with np.errstate(invalid="ignore"):
            return alarms / alarms[-1], hits / hits[-1]

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        fpr, tpr = self.rates(np.ones((len(self.order), 1), np.int32))
        return np.insert(fpr[:, 0], 0, 0.0), np.insert(tpr[:, 0], 0, 0.0)

    def on_grid(self, counts: np.ndarray) -> np.ndarray:
        fpr, tpr = self.rates(counts[self.order])
        start = np.zeros(1)
        on_grid = np.full((counts.shape[1], len(_GRID)), np.nan)
        for redraw in range(counts.shape[1]):
            if np.isfinite(fpr[0, redraw]) and np.isfinite(tpr[0, redraw]):
                # Where the curve rises vertically, np.interp takes the upper end: its last point at that rate.
                on_grid[redraw] = np.interp(_GRID, np.r_[start, fpr[:, redraw]], np.r_[start, tpr[:, redraw]])
        return on_grid


def _band(fpr: np.ndarray, tpr: np.ndarray, samples: np.ndarray) -> RocBand:
    low, high = percentile_interval(samples)
    return RocBand(fpr, tpr, _GRID, low, high)
