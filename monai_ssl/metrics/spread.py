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


"""Mean over several scenarios, folds or data sets: how far they lie apart, and how far redraws move them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monai_ssl.metrics.intervals import deviation, percentile_interval

__all__ = ["Spread", "spread"]


@dataclass(frozen=True)
class Spread:
    """
    A mean over S members (scenarios, folds, data sets), and the scatter around it, kept apart by where it comes from.

    The mixed view pools all S x R values: it is the spread of one member picked at random on one redrawn test set. It
    mixes the choice of member with the choice of patients, so it is no interval of the mean, and more redraws, more
    members or more patients do not make it shrink to nothing.

    Attributes:
        mean: over the members.
        sd_between: over the members (n - 1), of their values on the data themselves; NaN for one member.
        low: 2.5th percentile of the redrawn mean.
        high: 97.5th percentile of the redrawn mean.
        sd_over_redraws: of the redrawn mean (n - 1); the choice of patients alone.
        left_out: redraws in which any member has no value; no number here uses them.
        sd_mixed: over all values of all members and redraws (n - 1).
        low_mixed: 2.5th percentile of the same.
        high_mixed: 97.5th percentile.
    """

    mean: float
    sd_between: float
    low: float
    high: float
    sd_over_redraws: float
    left_out: int
    sd_mixed: float
    low_mixed: float
    high_mixed: float


def spread(values: npt.ArrayLike, samples: npt.ArrayLike) -> Spread:
    """
    Mean, SD between members, interval of the mean, and the mixed view.

    Args:
        values: (S,) finite, of each member on the data themselves; S >= 1.
        samples: (R, S) of each redraw, which all members share; NaN where a redraw gives a member no value.

    Raises:
        ValueError: for no members, a value that is not finite, or samples of another number of members.

    Example:
        >>> found = spread([0.7, 0.9], [[0.6, 0.9], [0.7, 0.8], [0.8, 1.0]])
        >>> round(found.mean, 3), round(found.sd_between, 3), round(found.sd_over_redraws, 3)
        (0.8, 0.141, 0.087)
    """
    own, redrawn = np.asarray(values, np.float64), np.asarray(samples, np.float64)
    if own.ndim != 1 or not len(own) or not np.isfinite(own).all():
        raise ValueError(f"values must be a list of finite numbers, one at least, got {own}; leave out what has none")
    if redrawn.ndim != 2 or redrawn.shape[1] != len(own):
        raise ValueError(f"samples must be (redraws, {len(own)}), a column for each value, got {redrawn.shape}")
    whole = np.isfinite(redrawn).all(axis=1, keepdims=True)
    pooled = np.where(whole, redrawn, np.nan)
    means = pooled.mean(axis=1)
    (low, high), (low_mixed, high_mixed) = percentile_interval(means), percentile_interval(pooled.ravel())
    return Spread(
        mean=float(own.mean()),
        sd_between=float(deviation(own)),
        low=float(low),
        high=float(high),
        sd_over_redraws=float(deviation(means)),
        left_out=int((~whole).sum()),
        sd_mixed=float(deviation(pooled.ravel())),
        low_mixed=float(low_mixed),
        high_mixed=float(high_mixed),
    )
