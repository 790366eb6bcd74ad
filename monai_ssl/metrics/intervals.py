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

"""From redraws to 95 % intervals and a p-value."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.special import ndtr, ndtri

__all__ = ["bca_interval", "deviation", "paired_p_value", "percentile_interval"]

_ENDS = np.array([0.025, 0.975])
# |d* - d| >= |d| must also hold where both are the same fraction, rounded differently.
_ROUNDING = 1e-12


def percentile_interval(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 2.5th and 97.5th percentile over the first axis, NaN entries left out; NaN where nothing is left."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All-NaN")
        low, high = np.nanquantile(samples, _ENDS, axis=0)
    return low, high


def deviation(samples: np.ndarray) -> np.ndarray:
    """The standard deviation (n - 1) over the first axis, NaN entries left out; NaN where less than two are left."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Degrees of freedom")
        return np.nanstd(samples, axis=0, ddof=1)


def bca_interval(samples: np.ndarray, value: np.ndarray, jackknife: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    The bias-corrected and accelerated interval: percentiles moved to where bias and skewness of the value want them.

    Redraws equal to the value count half as below it. Where redraws do not vary, both ends are the value.

    Args:
        samples: (R, ...) redraws, NaN entries left out.
        value: (...) of the data themselves.
        jackknife: (J, ...) of the data without one patient each, see
            :py:func:`monai_ssl.metrics.redraws.leave_out_counts`; NaN entries left out.

    Returns:
        low and high, (...) each, NaN where the value is, or where all redraws lie on one side of it.

    See Efron 1987, https://doi.org/10.1080/01621459.1987.10478410.
    """
    shape = np.shape(value)
    columns = (
        np.reshape(samples, (len(samples), -1)).T,
        np.ravel(value),
        np.reshape(jackknife, (len(jackknife), -1)).T,
    )
    ends = [_bca(*column) for column in zip(*columns, strict=True)]
    low, high = np.reshape(ends, (*shape, 2)).transpose(-1, *range(len(shape)))
    return low, high


def paired_p_value(samples: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """
    Two-sided bootstrap p-value of a difference: p = (b + 1) / (B + 1), b the redraws with |d* - d| >= |d|.

    The redraws scatter around the observed difference as the observed one would around zero, were the models equal. It
    is never 0, and ties count against a finding.

    Args:
        samples: (B, ...) redrawn differences, NaN entries left out of b and B.
        difference: (...) observed differences.

    Returns:
        (...) in (0, 1], NaN where the difference is.

    See Davison and Hinkley 1997, section 4.2; Phipson and Smyth 2010, https://doi.org/10.2202/1544-6115.1585.
    """
    valid = np.isfinite(samples)
    extreme = valid & (np.abs(samples - difference) >= np.abs(difference) - _ROUNDING)
    p_value = (extreme.sum(axis=0) + 1) / (valid.sum(axis=0) + 1)
    return np.where(np.isfinite(difference) & valid.any(axis=0), p_value, np.nan)


def _bca(samples: np.ndarray, value: float, jackknife: np.ndarray) -> tuple[float, float]:
    samples, jackknife = samples[np.isfinite(samples)], jackknife[np.isfinite(jackknife)]
    if not len(samples) or not np.isfinite(value):
        return np.nan, np.nan
    below = (np.sum(samples < value - _ROUNDING) + np.sum(samples <= value + _ROUNDING)) / (2 * len(samples))
    if np.ptp(samples) <= _ROUNDING and below == 0.5:
        return float(value), float(value)
    bias = ndtri(below)
    if not np.isfinite(bias):
        return np.nan, np.nan
    influence = jackknife.mean() - jackknife if len(jackknife) else np.zeros(1)
    spread = np.sum(influence**2)
    skewness = np.sum(influence**3) / (6 * spread**1.5) if spread > _ROUNDING**2 else 0.0
    moved = bias + ndtri(_ENDS)
    low, high = np.quantile(samples, ndtr(bias + moved / (1 - skewness * moved)))
    return float(low), float(high)
