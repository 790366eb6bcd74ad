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


"""How far scenarios and folds lie apart, beside how far redraws of the patients move their mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from monai_ssl.metrics.spread import spread
from monai_ssl.sweep.plan import SweepPlan
from monai_ssl.sweep.redrawn import Redrawn

__all__ = ["fold_statistics", "member_statistics"]


def member_statistics(
    values: np.ndarray, samples: np.ndarray, members: np.ndarray, over: str = "scenarios"
) -> dict[str, Any]:
    """
    Over the scenarios (or folds) chosen: mean and SD, the interval of the mean, and both sources of spread mixed.

    Args:
        values: (S,) AUC.
        samples: (R, S) of redraws that they share.
        members: (S,) which to take; their values are finite.
        over: what they are, for the names.

    Returns:
        `auc, sd_over_<over>, low, high, sd_over_redraws, left_out, mixed_over_<over>_and_redraws`, the last with `sd,
        low, high`, and how many they are; None where there is no number.
    """
    names = ("auc", f"sd_over_{over}", "low", "high", "sd_over_redraws", "left_out", f"mixed_over_{over}_and_redraws")
    if not members.any():
        return dict.fromkeys(names) | {over: 0}
    found = spread(values[members], samples[:, members])
    several = int(members.sum()) > 1
    mixed = {"sd": found.sd_mixed, "low": found.low_mixed, "high": found.high_mixed} if several else None
    numbers = (found.mean, found.sd_between, found.low, found.high, found.sd_over_redraws, found.left_out, mixed)
    return dict(zip(names, numbers, strict=True)) | {over: int(members.sum())}


def fold_statistics(redrawn: Redrawn, usable: np.ndarray, plan: SweepPlan) -> dict[str, Any] | None:
    """
    The mean over the complete scenarios: over the folds, and, as `each`, in every one of them.

    Args:
        redrawn: of the sweep.
        usable: (S,) the complete scenarios.
        plan: of the sweep.

    Returns:
        As :py:func:`member_statistics`; None for one split, or without a complete scenario.
    """
    if plan.folds is None or not usable.any():
        return None
    auc, samples = redrawn.auc[usable], redrawn.samples[:, usable]
    # A label that lacks a class in a fold lacks it for all scenarios.
    defined = np.isfinite(auc).all(axis=0)
    every = np.full(len(auc), True)
    each = [
        {"fold": fold, **member_statistics(auc[:, number], samples[:, :, number], every & defined[number])}
        for number, fold in enumerate(test["fold"] for test in redrawn.tested)
    ]
    return member_statistics(auc.mean(axis=0), samples.mean(axis=1), defined, "folds") | {"each": each}
