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

"""The scenarios of a sweep beside each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from monai_ssl.visualize.figures import INK, MODEL_COLORS, new_axes, plain

__all__ = ["scenario_figure"]

_ROW_INCHES = 0.22


def scenario_figure(table: pd.DataFrame, group: str | None = None, width: float = 7.0) -> Figure:
    """
    A dot per scenario, its AUC, on the line of its 95 % interval; hollow where folds are missing.

    Args:
        table: `scenario, auc, low, high, status` and, of a cross-validation, `folds`, see
            :py:class:`monai_ssl.sweep.SweepSummary`; rows without AUC are left out.
        group: a column whose values get a colour and a heading each.
        width: inches; the height follows the rows.

    Raises:
        ValueError: when no row has an AUC.

    Example:
        >>> row = {"scenario": "resnet50_all", "auc": 0.8, "low": 0.7, "high": 0.9, "status": "complete"}
        >>> scenario_figure(pd.DataFrame([row])).savefig("scenarios.png")  # doctest: +SKIP
    """
    shown = table[table["auc"].notna()]
    if shown.empty:
        raise ValueError("no scenario has an AUC yet, so there is nothing to show")
    groups = [("", shown)] if group is None else [(str(n), rows) for n, rows in shown.groupby(group, sort=False)]
    headings = group is not None and len(groups) < len(shown)
    places, labels, place = [], [], 0
    figure, axes = new_axes(width, 1.0 + _ROW_INCHES * (len(shown) + len(groups) * headings))
    for number, (name, rows) in enumerate(groups):
        if headings:
            axes.text(-0.01, place, plain(name), transform=axes.get_yaxis_transform(), ha="right", va="center",
                      fontsize=9, fontweight="bold", color=INK)  # fmt: skip
            place += 1
        color = MODEL_COLORS[number % len(MODEL_COLORS) if headings else 0]
        heights = np.arange(place, place + len(rows))
        whole = (rows["status"] == "complete").to_numpy()
        axes.hlines(heights, rows["low"], rows["high"], color=color, linewidth=1.6, alpha=0.6)
        axes.scatter(rows["auc"], heights, s=26, color=np.where(whole, color, "white"), edgecolor=color, zorder=3)
        places += heights.tolist()
        labels += [plain(label.removeprefix(f"{name}_") if headings else label) for label in rows["scenario"]]
        place += len(rows)
    axes.set_yticks(places, labels, fontsize=8)
    axes.set_ylim(place - 0.3, -0.7)
    axes.grid(axis="y", visible=False)
    ends = shown[["auc", "low", "high"]].to_numpy()
    if np.nanmin(ends) <= 0.5 <= np.nanmax(ends):
        axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    partial = "" if (shown["status"] == "complete").all() else "; hollow: folds are missing"
    over = ", mean over folds" if "folds" in shown.columns and (shown["folds"] > 1).any() else ""
    axes.set_xlabel(f"test AUC{over}, with 95 % interval{partial}")
    return figure
