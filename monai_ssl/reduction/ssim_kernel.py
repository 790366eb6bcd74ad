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

"""The loop of structural similarity, compiled: apart from its caller, since numba takes a second to import."""

from __future__ import annotations

import numba
import numpy as np
from numba import types

__all__ = ["TAPS", "mean_similarity"]

TAPS = 11
_WEIGHTS = np.exp(-0.5 * (np.arange(TAPS) - TAPS // 2) ** 2 / 1.5**2)
_WEIGHTS /= _WEIGHTS.sum()
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
# Read-only, so that one compilation serves all images.
_IMAGE = types.Array(types.uint8, 2, "C", readonly=True)


@numba.njit(types.float64(_IMAGE, _IMAGE), cache=True, nogil=True)
def mean_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """
    SSIM, averaged over the places of an 11x11 Gaussian window within two images.

    By the moments of s = a + b and d = a - b, under the window: 2 E(a) E(b) = (E(s)**2 - E(d)**2) / 2 and
    2 cov(a, b) = (var(s) - var(d)) / 2, and with a plus the sums of squares and of variances. Four filters are needed
    instead of five, equal images have exactly 1, and a and b can change places. In float64: in float32 the differences
    of moments would put SSIM wrong by 1e-4 in bright, flat images.

    Args:
        a: (H, W) uint8, H and W at least 11.
        b: (H, W) uint8.

    Returns:
        -1 to 1.
    """
    height, width = a.shape
    places = width - TAPS + 1
    values = np.empty((4, width))
    # The last 11 rows, filtered along, each kept twice, so that there is always a run of them from old to new. Nothing
    # larger than a row is written, and all stays in the processor's cache.
    rows = np.empty((2 * TAPS, 4, places))
    moments = np.empty((4, places))
    totals = np.zeros(places)  # by column: independent sums can be added several at a time
    for row in range(height):
        for column in range(width):
            plus = np.float64(a[row, column]) + np.float64(b[row, column])
            minus = np.float64(a[row, column]) - np.float64(b[row, column])
            values[0, column] = plus
            values[1, column] = minus
            values[2, column] = plus * plus
            values[3, column] = minus * minus
        slot = row % TAPS
        for moment in range(4):
            for column in range(places):
                total = 0.0
                for tap in range(TAPS):
                    total += _WEIGHTS[tap] * values[moment, column + tap]
                rows[slot, moment, column] = total
                rows[slot + TAPS, moment, column] = total
        if row < TAPS - 1:
            continue
        for moment in range(4):
            for column in range(places):
                total = 0.0
                for tap in range(TAPS):
                    total += _WEIGHTS[tap] * rows[slot + 1 + tap, moment, column]
                moments[moment, column] = total
        for column in range(places):
            square_plus = moments[0, column] * moments[0, column]
            square_minus = moments[1, column] * moments[1, column]
            variance_plus = moments[2, column] - square_plus
            variance_minus = moments[3, column] - square_minus
            totals[column] += ((square_plus - square_minus + 2 * _C1) * (variance_plus - variance_minus + 2 * _C2)) / (
                (square_plus + square_minus + 2 * _C1) * (variance_plus + variance_minus + 2 * _C2)
            )
    return totals.sum() / (places * (height - TAPS + 1))
