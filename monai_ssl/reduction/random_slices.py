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

"""Slices kept at random: the control of equal size that a reduction has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["keep_at_random"]


def keep_at_random(count: int, fraction: float, seed: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """
    Keep a share of the slices of a volume, drawn without replacement.

    Args:
        count: slices of the volume, at least 0.
        fraction: the share to keep, above 0 up to 1; at least one slice of a volume is kept.
        seed: of `numpy.random.default_rng`. With one seed, volumes of equal length keep the same places: give
            (seed, number of the volume) where they should not.

    Returns:
        exemplar: (N,) int64, the nearest kept slice, the earlier of two; its own where it is kept.
        distance: (N,) float64, slices apart.

    Raises:
        ValueError: for a count below 0 or a fraction outside its range.

    Example:
        >>> keep_at_random(6, 0.3, seed=0)
        (array([3, 3, 3, 3, 4, 4]), array([3., 2., 1., 0., 0., 1.]))
    """
    if count < 0:
        raise ValueError(f"count must be at least 0, got {count}")
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be above 0 and at most 1, got {fraction!r}")
    size = min(count, max(1, round(fraction * count)))
    kept = np.sort(np.random.default_rng(seed).choice(count, size, replace=False))
    index = np.arange(count)
    # Up to the middle between two kept slices the earlier is the nearest.
    exemplar = kept[np.searchsorted((kept[1:] + kept[:-1]) // 2, index)]
    return exemplar.astype(np.int64), np.abs(index - exemplar).astype(np.float64)
