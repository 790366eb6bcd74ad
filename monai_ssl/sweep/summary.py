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

"""What a sweep found: the AUC of each scenario with its interval, and their mean with its SD and its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.files import write_json, write_table
from monai_ssl.metrics.intervals import percentile_interval
from monai_ssl.sweep.plan import SweepPlan
from monai_ssl.sweep.redrawn import redraw_sweep

__all__ = ["SweepSummary", "summarise_sweep"]


@dataclass(frozen=True, eq=False)
class SweepSummary:
    """
    The numbers of a sweep.

    Attributes:
        scenarios: a row per scenario: `scenario`, its axes and settings, `status` (complete, partial, not run),
            `reason`, `folds_done`, `folds`, `auc`, `sd_over_folds`, `low`, `high`, `left_out`.
        totals: `auc`, `sd_over_scenarios`, `low`, `high`, `left_out` over the complete scenarios, how many those are,
            the same by each axis, and what is missing. Plain values, None where there is no number.
    """

    scenarios: pd.DataFrame
    totals: dict[str, Any]

    def write(self, folder: Path) -> list[Path]:
        """Write `scenarios.csv`, `summary.json` and, where there is any AUC, `scenarios.png` into a folder."""
        from monai_ssl.visualize import scenario_figure

        files = [folder / "scenarios.csv", folder / "summary.json"]
        write_table(files[0], self.scenarios)
        write_json(files[1], self.totals)
        if self.scenarios["auc"].notna().any():
            files.append(folder / "scenarios.png")
            axes = list(self.totals["by"])
            scenario_figure(self.scenarios, axes[0] if axes else None).savefig(files[-1], dpi=150, facecolor="white")
        return files


def summarise_sweep(
    plan: SweepPlan, reasons: Mapping[str, str] | None = None, redraws: int = 1000, seed: int = 0
) -> SweepSummary:
    """
    Sum up the finished runs of a sweep by their test predictions.

    The AUC of a run is the mean over the labels that have both classes in its fold, that of a scenario the mean over
    its folds: scores of two models never meet in one AUC. A redraw draws patients within each fold, once for all
    scenarios; its AUC is computed in the same way. It is left out, and counted, where the redraw of a fold lacks a
    class of a label. SD are those of a sample (n - 1). Scenarios that lack folds have a row and no part in the totals.

    Args:
        plan: of the sweep.
        reasons: why a scenario is not complete, by its name, as far as the caller knows.
        redraws: of the patients.
        seed: of the redraws.

    Raises:
        ValueError: when scenarios were tested on different images, or the predictions of a fold cannot be used.
    """
    known = dict(plan.not_run) | dict(reasons or {})
    redrawn = redraw_sweep(plan, known, redraws, seed)
    values, samples = redrawn.scenario_auc(), redrawn.scenario_samples()
    low, high = percentile_interval(samples)
    rows = []
    for number, scenario in enumerate(plan.scenarios):
        done, folds = int(redrawn.done[number].sum()), redrawn.done.shape[1]
        status = "complete" if done == folds else "partial" if done else "not run"
        rows.append(
            {
                "scenario": scenario.name,
                **scenario.axes,
                **{name: value for name, value in scenario.settings.items() if name not in scenario.axes},
                "status": status,
                "reason": "" if status == "complete" else known.get(scenario.name, "not finished"),
                "folds_done": done,
                "folds": folds,
                "auc": values[number],
                "sd_over_folds": _sd(redrawn.auc[number]),
                "low": low[number],
                "high": high[number],
                "left_out": int(np.isnan(samples[:, number]).sum()) if done else None,
            }
        )
    table = pd.DataFrame(rows).astype({"left_out": "Int64"})
    axes = dict.fromkeys(axis for scenario in plan.scenarios for axis in scenario.axes)
    usable = ((table["status"] == "complete") & table["auc"].notna()).to_numpy()
    totals = _statistics(values, samples, usable) | {
        "of_scenarios": len(table),
        "folds": redrawn.done.shape[1],
        "redraws": redraws,
        "seed": seed,
        "unit": redrawn.unit,
        "by": {
            axis: {
                label: _statistics(values, samples, usable & (table[axis] == label).to_numpy())
                for label in table[axis].dropna().unique()
            }
            for axis in axes
        },
        "missing": {row["scenario"]: row["reason"] for row in rows if row["status"] != "complete"},
    }
    return SweepSummary(table, totals)


def _statistics(values: np.ndarray, samples: np.ndarray, members: np.ndarray) -> dict[str, Any]:
    """Over the scenarios chosen: mean and SD, and the interval of the mean from the redraws that they share."""
    if not members.any():
        return dict.fromkeys(("auc", "sd_over_scenarios", "low", "high", "left_out")) | {"scenarios": 0}
    mean = samples[:, members].mean(axis=1)
    low, high = percentile_interval(mean)
    return {
        "auc": _plain(values[members].mean()),
        "sd_over_scenarios": _plain(_sd(values[members])),
        "low": _plain(low),
        "high": _plain(high),
        "left_out": int(np.isnan(mean).sum()),
        "scenarios": int(members.sum()),
    }


def _sd(values: Sequence[float] | np.ndarray) -> float:
    finite = np.asarray(values)[np.isfinite(values)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else float("nan")


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
