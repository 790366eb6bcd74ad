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

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.files import atomic_path, write_json, write_table
from monai_ssl.metrics.intervals import deviation, percentile_interval
from monai_ssl.sweep.learning_curve import learning_curve
from monai_ssl.sweep.plan import SweepPlan
from monai_ssl.sweep.redrawn import Redrawn, redraw_sweep
from monai_ssl.sweep.scatter import fold_statistics, member_statistics

__all__ = ["SweepSummary", "summarise_sweep"]


@dataclass(frozen=True, eq=False)
class SweepSummary:
    """
    The numbers of a sweep.

    Attributes:
        scenarios: a row per scenario: `scenario`, its axes and settings, `status` (complete, partial, not run),
            `reason`, `folds_done`, `folds`, `auc`, `sd` (over redraws), `sd_over_folds`, `low`, `high`, `left_out`.
        totals: over the complete scenarios: `auc`, its interval `low` and `high`, `sd_over_redraws`,
            `sd_over_scenarios`, `mixed_over_scenarios_and_redraws` (see :py:class:`monai_ssl.metrics.spread.Spread`);
            the same `by` each axis and `over_folds`; `learning_curve`; what was `tested`, what is `missing`, and the
            `settings` and `versions`. Plain values, None where there is no number.
        folders: whose names the page does not tell.
    """

    scenarios: pd.DataFrame
    totals: dict[str, Any]
    folders: tuple[str, ...] = ()

    def write(self, folder: Path) -> list[Path]:
        """
        Write `scenarios.csv`, `summary.json` and `sweep.html`, replacing earlier ones.

        Where there is any AUC, also `scenarios.png` and `scenarios.svg`; where the size of the training set varies,
        `learning_curve.svg`.
        """
        from monai_ssl.report.sweep import build_sweep_report, sweep_figures
        from monai_ssl.visualize import save_svg

        files = [folder / "scenarios.csv", folder / "summary.json", folder / "sweep.html"]
        write_table(files[0], self.scenarios)
        write_json(files[1], self.totals)
        with atomic_path(files[2]) as partial:
            partial.write_text(build_sweep_report(self.scenarios, self.totals, self.folders), encoding="utf-8")
        for name, figure in sweep_figures(self.scenarios, self.totals).items():
            if name == "scenarios":
                files.append(folder / "scenarios.png")
                figure.savefig(files[-1], dpi=150, facecolor="white")
            files.append(folder / f"{name}.svg")
            save_svg(figure, files[-1])
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
    table = _table(plan, known, redrawn)
    usable = ((table["status"] == "complete") & table["auc"].notna()).to_numpy()
    totals = member_statistics(values, samples, usable) | {
        "of_scenarios": len(table),
        "folds": redrawn.done.shape[1],
        "redraws": redraws,
        "seed": seed,
        "unit": redrawn.unit,
        "tested": redrawn.tested,
        "by": {
            axis: {
                label: member_statistics(values, samples, usable & (table[axis] == label).to_numpy())
                for label in table[axis].dropna().unique()
            }
            for axis in dict.fromkeys(axis for scenario in plan.scenarios for axis in scenario.axes)
        },
        "over_folds": fold_statistics(redrawn, usable, plan),
        "learning_curve": learning_curve(plan, values, samples, usable),
        "missing": dict(table.loc[table["status"] != "complete", ["scenario", "reason"]].to_numpy().tolist()),
        **_origin(plan),
    }
    return SweepSummary(table, _plain(totals), _folders(plan))


def _table(plan: SweepPlan, known: Mapping[str, str], redrawn: Redrawn) -> pd.DataFrame:
    values, samples = redrawn.scenario_auc(), redrawn.scenario_samples()
    low, high = percentile_interval(samples)
    sd, sd_over_folds = deviation(samples), deviation(redrawn.auc.T)
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
                "sd": sd[number],
                "sd_over_folds": sd_over_folds[number],
                "low": low[number],
                "high": high[number],
                "left_out": int(np.isnan(samples[:, number]).sum()) if done else None,
            }
        )
    return pd.DataFrame(rows).astype({"left_out": "Int64"})


def _origin(plan: SweepPlan) -> dict[str, Any]:
    """Settings of every run, files that define them, and the packages that trained; folders cut."""
    from monai_ssl.report.runs import without_folders

    found: dict[str, set[str]] = {}
    for run in plan.runs:
        for package, version in run.versions().items():
            found.setdefault(package, set()).add(version)
    return {
        "settings": without_folders(plan.record["settings"]),
        "config_files": plan.record["config_files"],
        "versions": {package: ", ".join(sorted(versions)) for package, versions in found.items()},
    }


def _folders(plan: SweepPlan) -> tuple[str, ...]:
    paths = (plan.record["weights"], *(plan.record["settings"].get(name) for name in ("dataset_dir", "labels")))
    return tuple(str(path) for path in (plan.output, *paths) if path is not None)


def _plain(value: Any) -> Any:
    from monai_ssl.report.numbers import plain_values

    return plain_values(value)
