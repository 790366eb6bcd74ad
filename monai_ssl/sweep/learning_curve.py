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


"""How the AUC grows with the training patients, and what lies between two ways to start at each size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from monai_ssl.metrics.intervals import deviation, paired_p_value, percentile_interval
from monai_ssl.metrics.multiple_testing import benjamini_hochberg
from monai_ssl.metrics.spread import spread
from monai_ssl.sweep.curve_groups import FRACTION, curve_groups, draw_of
from monai_ssl.sweep.plan import SweepPlan

__all__ = ["learning_curve"]


def learning_curve(
    plan: SweepPlan, values: np.ndarray, samples: np.ndarray, usable: np.ndarray
) -> dict[str, Any] | None:
    """
    A point for each training size and each curve, see :py:func:`curve_groups`, and their paired differences.

    A difference at one size takes the subsets that both curves have there: one may be easier than another.

    Args:
        plan: of the sweep, S scenarios.
        values: (S,) AUC.
        samples: (R, S) of redraws that all scenarios share.
        usable: (S,) the scenarios that count.

    Returns:
        `points`: group, fraction, patients (mean over the runs, None where no log tells), auc, low, high,
        sd_over_redraws, sd_over_subsets, subsets, left_out; `differences`: fraction, group_a, group_b, subsets (that
        both have; without any there is no difference), difference, low, high, sd, p_value (two-sided, paired), q_value
        (Benjamini and Hochberg over them all), left_out. NaN where there is no number. None when the sweep does not
        vary `train_fraction`.
    """
    common = plan.record["settings"]
    default = common.get(FRACTION, 1.0)
    fractions = [float(scenario.settings.get(FRACTION, default)) for scenario in plan.scenarios]
    if len(set(fractions)) < 2:
        return None
    groups = curve_groups(plan.scenarios, common, fractions)
    members: dict[tuple[str, float], list[int]] = {}
    for number in np.flatnonzero(usable):
        members.setdefault((groups[number], fractions[number]), []).append(int(number))
    keys = sorted(members, key=lambda key: (groups.index(key[0]), key[1]))
    points = [
        {"group": group, "fraction": fraction, "patients": _patients(plan, members[group, fraction])}
        | _point(values[members[group, fraction]], samples[:, members[group, fraction]])
        for group, fraction in keys
    ]
    draws = [draw_of(*each) for each in zip(plan.scenarios, [common] * len(fractions), fractions, strict=True)]
    return {"points": points, "differences": _differences(members, draws, groups, values, samples)}


def _point(values: np.ndarray, samples: np.ndarray) -> dict[str, Any]:
    found = spread(values, samples)
    return {
        "auc": found.mean,
        "low": found.low,
        "high": found.high,
        "sd_over_redraws": found.sd_over_redraws,
        "sd_over_subsets": found.sd_between,
        "subsets": len(values),
        "left_out": found.left_out,
    }


def _patients(plan: SweepPlan, members: Sequence[int]) -> float | None:
    told = [run.training_patients() for number in members for run in plan.all_runs[plan.scenarios[number].name]]
    known = [number for number in told if number is not None]
    return sum(known) / len(known) if len(known) == len(told) else None


def _differences(
    members: Mapping[tuple[str, float], Sequence[int]],
    draws: Sequence[tuple[Any, ...]],
    groups: Sequence[str],
    values: np.ndarray,
    samples: np.ndarray,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for fraction in sorted({fraction for _, fraction in members}):
        here = [group for group in dict.fromkeys(groups) if (group, fraction) in members]
        for first, second in combinations(here, 2):
            a, b = (_by_draw(members[group, fraction], draws) for group in (first, second))
            shared = [draw for draw in a if draw in b]
            difference = _mean(values, a, shared) - _mean(values, b, shared)
            redrawn = _mean(samples, a, shared) - _mean(samples, b, shared)
            low, high = percentile_interval(redrawn)
            rows.append(
                {
                    **{"fraction": fraction, "group_a": first, "group_b": second, "subsets": len(shared)},
                    **{"difference": float(difference), "low": float(low), "high": float(high)},
                    "sd": float(deviation(redrawn)),
                    "p_value": float(paired_p_value(redrawn, difference)),
                    "left_out": int(np.isnan(redrawn).sum()),
                }
            )
    q_values = benjamini_hochberg([row["p_value"] for row in rows]).tolist()
    return [row | {"q_value": q_value} for row, q_value in zip(rows, q_values, strict=True)]


def _by_draw(members: Sequence[int], draws: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], list[int]]:
    found: dict[tuple[Any, ...], list[int]] = {}
    for number in members:
        found.setdefault(draws[number], []).append(number)
    return found


def _mean(
    values: np.ndarray, members: Mapping[tuple[Any, ...], list[int]], shared: Sequence[tuple[Any, ...]]
) -> np.ndarray:
    """The mean over the shared draws, of values whose last axis is that of the scenarios; NaN without any."""
    if not shared:
        return np.full(values.shape[:-1], np.nan)
    return np.mean([values[..., members[draw]].mean(axis=-1) for draw in shared], axis=0)
