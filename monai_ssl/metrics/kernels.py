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

"""The hot loops of the bootstrap: a pass over one model's ranked images for a block of redraws."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["weighted_auc", "weighted_average_precision", "weighted_sensitivity", "weighted_sums"]


@numba.njit(cache=True, nogil=True)
def weighted_auc(image: np.ndarray, positive: np.ndarray, tie_ends: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """
    AUC of each redraw by whole-number rank sums, so that ties cost no accuracy.

    Args:
        image: (K,) the row of `counts` of each decision, by rising score.
        positive: (K,) bool.
        tie_ends: (K,) whether a decision is the last one of its score.
        counts: (N, r) int32.

    Returns:
        (r,) float64, NaN where a redraw lacks a class.
    """
    redraws = counts.shape[1]
    below = np.zeros(redraws, np.int64)  # negatives below the present score
    tied_negatives = np.zeros(redraws, np.int64)
    tied_positives = np.zeros(redraws, np.int64)
    positives = np.zeros(redraws, np.int64)
    twice_wins = np.zeros(redraws, np.int64)
    alone = True
    for rank in range(image.shape[0]):
        row = image[rank]
        if alone and tie_ends[rank]:
            if positive[rank]:
                for r in range(redraws):
                    positives[r] += counts[row, r]
                    twice_wins[r] += 2 * counts[row, r] * below[r]
            else:
                for r in range(redraws):
                    below[r] += counts[row, r]
            continue
        if positive[rank]:
            for r in range(redraws):
                tied_positives[r] += counts[row, r]
        else:
            for r in range(redraws):
                tied_negatives[r] += counts[row, r]
        alone = tie_ends[rank]
        if alone:
            for r in range(redraws):
                twice_wins[r] += tied_positives[r] * (2 * below[r] + tied_negatives[r])
                below[r] += tied_negatives[r]
                positives[r] += tied_positives[r]
                tied_negatives[r] = 0
                tied_positives[r] = 0
    auc = np.full(redraws, np.nan)
    for r in range(redraws):
        if positives[r] > 0 and below[r] > 0:
            auc[r] = twice_wins[r] / (2.0 * positives[r] * below[r])
    return auc


@numba.njit(cache=True, nogil=True)
def weighted_average_precision(
    image: np.ndarray, positive: np.ndarray, tie_ends: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Average precision of each redraw, without interpolation; arguments and result as :py:func:`weighted_auc`."""
    redraws = counts.shape[1]
    hits = np.zeros(redraws, np.int64)
    calls = np.zeros(redraws, np.int64)
    new_hits = np.zeros(redraws, np.int64)
    total = np.zeros(redraws)
    for rank in range(image.shape[0] - 1, -1, -1):
        row = image[rank]
        if positive[rank]:
            for r in range(redraws):
                new_hits[r] += counts[row, r]
        for r in range(redraws):
            calls[r] += counts[row, r]
        if rank == 0 or tie_ends[rank - 1]:
            for r in range(redraws):
                if new_hits[r] > 0:
                    hits[r] += new_hits[r]
                    total[r] += new_hits[r] * (hits[r] / calls[r])
                    new_hits[r] = 0
    precision = np.full(redraws, np.nan)
    for r in range(redraws):
        if 0 < hits[r] < calls[r]:
            precision[r] = total[r] / hits[r]
    return precision


@numba.njit(cache=True, nogil=True)
def weighted_sensitivity(
    image: np.ndarray, positive: np.ndarray, tie_ends: np.ndarray, counts: np.ndarray, specificity: float
) -> np.ndarray:
    """The highest sensitivity of thresholds of at least this specificity; else as :py:func:`weighted_auc`."""
    redraws = counts.shape[1]
    positives = np.zeros(redraws, np.int64)
    negatives = np.zeros(redraws, np.int64)
    for rank in range(image.shape[0]):
        row = image[rank]
        if positive[rank]:
            for r in range(redraws):
                positives[r] += counts[row, r]
        else:
            for r in range(redraws):
                negatives[r] += counts[row, r]
    # 1e-9: 0.9 of 10 negatives are 9, whatever 0.9 is in binary
    needed = np.ceil(specificity * negatives - 1e-9)
    missed = np.zeros(redraws, np.int64)
    cleared = np.zeros(redraws, np.int64)
    sensitivity = np.full(redraws, np.nan)
    open_redraws = 0
    for r in range(redraws):
        if positives[r] > 0 and negatives[r] > 0:
            if needed[r] <= 0:
                sensitivity[r] = 1.0
            else:
                open_redraws += 1
    for rank in range(image.shape[0]):
        if open_redraws == 0:
            break
        row = image[rank]
        if positive[rank]:
            for r in range(redraws):
                missed[r] += counts[row, r]
        else:
            for r in range(redraws):
                cleared[r] += counts[row, r]
        if tie_ends[rank]:
            for r in range(redraws):
                if positives[r] > 0 and negatives[r] > 0 and np.isnan(sensitivity[r]) and cleared[r] >= needed[r]:
                    sensitivity[r] = (positives[r] - missed[r]) / positives[r]
                    open_redraws -= 1
    return sensitivity


@numba.njit(cache=True, nogil=True)
def weighted_sums(
    image: np.ndarray, code: np.ndarray, weight: np.ndarray, codes: int, counts: np.ndarray
) -> np.ndarray:
    """
    The sum of a weight over the decisions of each code, in each redraw.

    Args:
        image: (K,) the row of `counts` of each decision.
        code: (K,) 0 to `codes` - 1.
        weight: (K,) float64.
        codes: how many.
        counts: (N, r) int32.

    Returns:
        (codes, r) float64.
    """
    redraws = counts.shape[1]
    sums = np.zeros((codes, redraws))
    for k in range(image.shape[0]):
        row, place, by = image[k], code[k], weight[k]
        for r in range(redraws):
            sums[place, r] += by * counts[row, r]
    return sums
