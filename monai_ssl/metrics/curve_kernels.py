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

"""The hot loops of the bands: one pass over the ranked images gives a block of redrawn curves on a grid."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["STEPS", "precision_on_grid", "roc_on_grid"]

STEPS = 100  # of the grid: whole numbers are compared, since 7 of 100 must be 0.07 whatever that is in binary


@numba.njit(cache=True, nogil=True)
def roc_on_grid(image: np.ndarray, positive: np.ndarray, tie_ends: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """
    True positive rate at the false positive rates 0, 1 / STEPS ... 1, on straight lines between thresholds.

    Where the curve rises vertically, it is the upper end.

    Args:
        image: (K,) the row of `counts` of each decision, by falling score.
        positive: (K,) bool.
        tie_ends: (K,) whether a decision is the last one of its score.
        counts: (N, r) int32.

    Returns:
        (r, STEPS + 1) float64, NaN where a redraw lacks a class.
    """
    redraws = counts.shape[1]
    positives, negatives = _totals(image, positive, counts)
    curves = np.full((redraws, STEPS + 1), np.nan)
    point = np.zeros(redraws, np.int64)  # of the grid, the next to be reached
    hits = np.zeros(redraws, np.int64)
    alarms = np.zeros(redraws, np.int64)
    hits_before = np.zeros(redraws, np.int64)
    alarms_before = np.zeros(redraws, np.int64)
    for rank in range(image.shape[0]):
        row = image[rank]
        for r in range(redraws):
            if positive[rank]:
                hits[r] += counts[row, r]
            else:
                alarms[r] += counts[row, r]
        if not tie_ends[rank]:
            continue
        for r in range(redraws):
            while STEPS * alarms[r] > point[r] * negatives[r]:
                beyond = point[r] * negatives[r] / STEPS - alarms_before[r]
                slope = (hits[r] - hits_before[r]) / (alarms[r] - alarms_before[r])
                curves[r, point[r]] = hits_before[r] + beyond * slope
                point[r] += 1
            hits_before[r] = hits[r]
            alarms_before[r] = alarms[r]
    for r in range(redraws):
        if positives[r] > 0 and negatives[r] > 0:
            curves[r, :STEPS] /= positives[r]
            curves[r, STEPS] = 1.0
        else:
            curves[r] = np.nan
    return curves


@numba.njit(cache=True, nogil=True)
def precision_on_grid(image: np.ndarray, positive: np.ndarray, tie_ends: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """
    Precision at the recalls 0, 1 / STEPS ... 1: that at the highest threshold which reaches the recall.

    At recall 0 it is that of the first threshold with a positive. Arguments and result as :py:func:`roc_on_grid`.
    """
    redraws = counts.shape[1]
    positives, negatives = _totals(image, positive, counts)
    curves = np.full((redraws, STEPS + 1), np.nan)
    point = np.zeros(redraws, np.int64)
    hits = np.zeros(redraws, np.int64)
    calls = np.zeros(redraws, np.int64)
    for rank in range(image.shape[0]):
        row = image[rank]
        for r in range(redraws):
            calls[r] += counts[row, r]
            if positive[rank]:
                hits[r] += counts[row, r]
        if not tie_ends[rank]:
            continue
        for r in range(redraws):
            while hits[r] > 0 and point[r] <= STEPS and STEPS * hits[r] >= point[r] * positives[r]:
                curves[r, point[r]] = hits[r] / calls[r]
                point[r] += 1
    for r in range(redraws):
        if negatives[r] == 0:
            curves[r] = np.nan
    return curves


@numba.njit(cache=True, nogil=True)
def _totals(image: np.ndarray, positive: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    redraws = counts.shape[1]
    positives = np.zeros(redraws, np.int64)
    negatives = np.zeros(redraws, np.int64)
    for rank in range(image.shape[0]):
        for r in range(redraws):
            if positive[rank]:
                positives[r] += counts[image[rank], r]
            else:
                negatives[r] += counts[image[rank], r]
    return positives, negatives
