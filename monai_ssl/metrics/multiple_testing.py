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

"""Correction of p-values for the number of tests in a family."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control

__all__ = ["benjamini_hochberg", "holm"]


def benjamini_hochberg(p_values: npt.ArrayLike) -> np.ndarray:
    """
    The smallest false-discovery rate at which each test of a family is a discovery.

    It holds for independent tests and those of positive dependence, as tests on the same images mostly are.

    Args:
        p_values: of any shape, 0..1; NaN is no test and not of the family.

    Returns:
        The same shape, 0..1, never smaller than the p-values; NaN where they are.

    Raises:
        ValueError: for a p-value outside 0..1.

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03, np.nan])
        array([0.03, 0.04, 0.04,  nan])

    See Benjamini and Hochberg 1995, https://doi.org/10.1111/j.2517-6161.1995.tb02031.x.
    """
    return _adjust(p_values, lambda family: false_discovery_control(family, method="bh"))


def holm(p_values: npt.ArrayLike) -> np.ndarray:
    """
    The smallest family-wise error rate at which each test is rejected, whatever the dependence of the tests.

    Args:
        p_values: of any shape, 0..1; NaN is no test and not of the family.

    Returns:
        The same shape, 0..1, never smaller than the p-values; NaN where they are.

    Raises:
        ValueError: for a p-value outside 0..1.

    Example:
        >>> holm([0.01, 0.04, 0.03, np.nan])
        array([0.03, 0.06, 0.06,  nan])

    See Holm 1979, https://www.jstor.org/stable/4615733.
    """
    return _adjust(p_values, _holm)


def _adjust(p_values: npt.ArrayLike, method: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    adjusted = np.array(p_values, np.float64)
    tested = ~np.isnan(adjusted)
    family = adjusted[tested]
    if (outside := (family < 0) | (family > 1)).any():
        raise ValueError(f"p-values must lie in 0..1, got {outside.sum()} others, such as {family[outside][0]:g}")
    if len(family):
        adjusted[tested] = method(family)
    return adjusted


def _holm(family: np.ndarray) -> np.ndarray:
    order = family.argsort(kind="stable")
    adjusted = np.empty_like(family)
    adjusted[order] = np.maximum.accumulate(np.minimum(1, family[order] * np.arange(len(family), 0, -1)))
    return adjusted
