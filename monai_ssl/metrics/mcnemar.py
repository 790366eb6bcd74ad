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

"""McNemar's exact test of two models' decisions on the same images, and its form for patients of several images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from monai_ssl.metrics.redraws import group_index

__all__ = ["mcnemar_test"]


def mcnemar_test(right_a: npt.ArrayLike, right_b: npt.ArrayLike, groups: Sequence | np.ndarray | None = None) -> float:
    """
    Exact two-sided p-value of the difference in accuracy of two models on the same images.

    Were the models equal, each patient could as well have had their decisions exchanged. The p-value is the share of
    all 2^patients exchanges in which the models differ by as many right decisions as they do, or more. With one image
    per patient that is McNemar's exact binomial test of the images on which one model alone is right.

    Args:
        right_a: (N,) 1 where the first model decides right, 0 where not, NaN where that is unknown: left out.
        right_b: (N,) the same of the second.
        groups: (N,) patient of each image; each image is its own without.

    Returns:
        In (0, 1]; 1 where no patient's images are decided better by one model.

    Raises:
        ValueError: for shapes, values or groups that cannot be used.

    Example:
        >>> round(mcnemar_test([1, 1, 1, 1, 1, 0, 1, 1], [0, 0, 0, 0, 0, 1, 1, 1]), 4)
        0.2188

    See McNemar 1947, https://doi.org/10.1007/BF02295996. The sum and its null are those of the modified Obuchowski test
    of Yang, Sun and Hardin 2010, https://doi.org/10.1002/bimj.201000035, which takes the chi-squared approximation.
    """
    first, second = np.asarray(right_a, np.float64), np.asarray(right_b, np.float64)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"right_a and right_b must have one shape, (N,), N > 0, got {first.shape} and {second.shape}")
    for name, right in (("right_a", first), ("right_b", second)):
        if (wrong := ~(np.isin(right, (0, 1)) | np.isnan(right))).any():
            raise ValueError(f"{name} must be 0, 1 or NaN, got {wrong.sum()} others, such as {right[wrong][0]:g}")
    patient, _ = group_index(len(first), groups)
    more_right = np.abs(np.bincount(patient, np.nan_to_num(first - second)).astype(np.int64))
    observed = abs(int(np.nansum(first - second)))
    chances = _chances_of_sums(more_right)
    # Every second sum is possible, from minus the largest on, and the chances are symmetric.
    tail = chances[(len(chances) - 1 + observed) // 2 :].sum()
    p_value = min(1.0, 2 * float(tail)) if observed else 1.0
    return max(p_value, float(np.finfo(np.float64).tiny))


def _chances_of_sums(sizes: np.ndarray) -> np.ndarray:
    """Of the sum of whole numbers with random signs: the chance of each of its values -T, -T + 2, ... T."""
    chances = np.ones(1)
    for size, count in zip(*np.unique(sizes[sizes > 0], return_counts=True), strict=True):
        of_size = np.zeros(size * count + 1)
        of_size[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, of_size)
    return chances
