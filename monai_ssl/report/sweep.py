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


"""The page of a sweep: its scenarios, their means by axis and fold, and the learning curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from monai_ssl.report.numbers import package_versions, plain_values
from monai_ssl.report.page import embed_figure, render, setting_rows
from monai_ssl.report.sweep_words import MIXED, short_reason, sweep_caveats, sweep_method, sweep_sentences
from monai_ssl.report.words import decimals, interval_text, p_text
from monai_ssl.visualize import learning_curve_figure, scenario_figure
from monai_ssl.visualize.figures import MODEL_COLORS

__all__ = ["build_sweep_report", "sweep_figures"]

_SHOWN_CURVES = 3
_PACKAGES = ("monai_ssl", "numpy", "scipy", "pandas", "matplotlib")


def build_sweep_report(scenarios: pd.DataFrame, totals: Mapping[str, Any], folders: Sequence[str] = ()) -> str:
    """
    Render the page: one file, nothing fetched, one script of ours that sorts tables.

    Args:
        scenarios: a row each, see :py:class:`monai_ssl.sweep.SweepSummary`.
        totals: the content of `summary.json`; every other number of the page comes from it.
        folders: whose names are cut where a reason for a missing scenario has them.

    Returns:
        HTML.
    """
    axes, curve = list(totals["by"]), totals["learning_curve"]
    numbers: dict[str, Any] = {
        "totals": totals,
        "scenarios": plain_values(scenarios.to_dict("records")),
        "one_split": totals["over_folds"] is None and totals["folds"] == 1,
    }
    for row in numbers["scenarios"]:
        row["reason"] = short_reason(row["reason"], folders)
    figures = {name: embed_figure(figure, name, _alt(name, totals)) for name, figure in
               sweep_figures(scenarios, totals).items()}  # fmt: skip
    return render(
        "sweep.html.j2",
        {"decimals": decimals, "p_text": p_text, "number": _number},
        sortable=True,
        **numbers,
        sentences=sweep_sentences(numbers),
        caveats=sweep_caveats(numbers),
        method=sweep_method(numbers),
        mixed=_mixed_words(totals),
        axes=axes,
        figures=figures,
        lowest=min([0.48, *(row["low"] - 0.02 for row in numbers["scenarios"] if row["low"] is not None)]),
        colors={},
        axis_colors=_axis_colors(scenarios, totals),
        curve=curve,
        ends=list({point["group"]: point for point in curve["points"]}.values())[:_SHOWN_CURVES] if curve else [],
        curve_colors=_curve_colors(curve),
        settings=setting_rows([totals["settings"]]),
        file_rows=setting_rows([totals["config_files"]]),
        versions=setting_rows([totals["versions"]]),
        own_versions=package_versions(_PACKAGES),
    )


def sweep_figures(scenarios: pd.DataFrame, totals: Mapping[str, Any]) -> dict[str, Figure]:
    """
    The figures that the numbers allow: `scenarios`, and `learning_curve`.

    Args:
        scenarios: as :py:func:`build_sweep_report`.
        totals: as there.
    """
    figures, axes, curve = {}, list(totals["by"]), totals["learning_curve"]
    if scenarios["auc"].notna().any():
        figures["scenarios"] = scenario_figure(scenarios, axes[0] if axes else None)
    if curve and curve["points"]:
        figures["learning_curve"] = learning_curve_figure(pd.DataFrame(curve["points"]))
    return figures


def _alt(name: str, totals: Mapping[str, Any]) -> str:
    if name == "scenarios":
        return (
            f"Test AUC of each scenario with its 95 % interval. Mean of {totals['scenarios']} complete scenarios: "
            f"{interval_text(totals['auc'], totals)}. The table of scenarios has the numbers."
        )
    points = totals["learning_curve"]["points"]
    return (
        f"Test AUC against the size of the training set, {len(points)} points with 95 % intervals. The table of the "
        "learning curve has the numbers."
    )


def _axis_colors(scenarios: pd.DataFrame, totals: Mapping[str, Any]) -> dict[str, int]:
    """By the label of the first axis, as the figure of the scenarios colours it."""
    if not totals["by"]:
        return {}
    shown = scenarios.loc[scenarios["auc"].notna(), next(iter(totals["by"]))].dropna().unique()
    single = len(shown) == scenarios["auc"].notna().sum()
    return {str(label): 0 if single else number % len(MODEL_COLORS) for number, label in enumerate(shown)}


def _curve_colors(curve: Mapping[str, Any] | None) -> dict[str, int]:
    groups = dict.fromkeys(point["group"] for point in curve["points"]) if curve else {}
    return {group: number % len(MODEL_COLORS) for number, group in enumerate(groups)}


def _mixed_words(totals: Mapping[str, Any]) -> dict[str, str]:
    words = {}
    for member, numbers in (("scenario", totals), ("fold", totals["over_folds"] or {})):
        if numbers.get(f"mixed_over_{member}s_and_redraws"):
            words[member] = MIXED.format(member=member, members=f"{member}s", unit=totals["unit"])
    return words


def _number(text: Any) -> float | None:
    """What a label of an axis sorts by, where it is a number."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
