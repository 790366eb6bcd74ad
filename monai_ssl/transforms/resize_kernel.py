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

"""Antialiased resizing of a box of an image, compiled: the filter of Pillow and torch, in float, faster than either."""

from __future__ import annotations

import math

import numba
import numpy as np
from numba import types

__all__ = ["resize_box"]

_LANES = 16  # rows of the result at a time, as many float32 as a vector register holds
_IMAGE = types.Array(types.float32, 2, "C", readonly=True)
_OUTPUT = types.Array(types.float32, 2, "C")
_TAPS = types.Tuple((types.int64[::1], types.int64[::1], types.float32[:, ::1]))


@numba.njit(_TAPS(types.int64, types.int64), cache=True, nogil=True)
def _taps(length: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first pixel of `length`, the number of pixels, and their weights, of each of `size` pixels of the result."""
    step = length / size
    reach = max(step, 1.0)
    first, count = np.empty(size, np.int64), np.empty(size, np.int64)
    weights = np.zeros((size, 2 * math.ceil(reach) + 1), np.float32)
    for i in range(size):
        center = (i + 0.5) * step
        first[i] = max(int(center - reach + 0.5), 0)
        count[i] = min(int(center + reach + 0.5), length) - first[i]
        total = 0.0
        for k in range(count[i]):
            weight = max(0.0, 1 - abs(first[i] + k + 0.5 - center) / reach)
            weights[i, k] = weight
            total += weight
        for k in range(count[i]):
            weights[i, k] /= total
    return first, count, weights


@numba.njit(
    types.void(_IMAGE, types.int64, types.int64, types.int64, types.int64, _OUTPUT),
    cache=True,
    nogil=True,
    fastmath={"contract"},
)
def resize_box(image: np.ndarray, top: int, left: int, height: int, width: int, output: np.ndarray) -> None:
    """
    Resize a box of an image by a triangle as wide as two steps of the result, so that nothing aliases.

    A side that grows is interpolated linearly. Equal to `torch.nn.functional.interpolate(mode="bilinear",
    antialias=True)` on the box, up to rounding.

    Args:
        image: (H, W).
        top: first row of the box.
        left: first column.
        height: rows, at least 1; the box must lie within the image.
        width: columns, at least 1.
        output: (h, w), written.
    """
    rows, columns = output.shape
    first_row, row_taps, row_weights = _taps(height, rows)
    first_column, column_taps, column_weights = _taps(width, columns)
    band = np.zeros((_LANES, width), np.float32)
    across = np.empty((width, _LANES), np.float32)
    sums = np.empty(_LANES, np.float32)
    for start in range(0, rows, _LANES):
        lanes = min(_LANES, rows - start)
        for lane in range(lanes):
            line = band[lane]
            line[:] = 0
            for k in range(row_taps[start + lane]):
                weight = row_weights[start + lane, k]
                source = image[top + first_row[start + lane] + k, left : left + width]
                for j in range(width):
                    line[j] += weight * source[j]
        # Turned, so that along the row too many results are summed at once.
        for j in range(width):
            for lane in range(_LANES):
                across[j, lane] = band[lane, j]
        for i in range(columns):
            sums[:] = 0
            for k in range(column_taps[i]):
                weight, source = column_weights[i, k], across[first_column[i] + k]
                for lane in range(_LANES):
                    sums[lane] += weight * source[lane]
            for lane in range(lanes):
                output[start + lane, i] = sums[lane]
