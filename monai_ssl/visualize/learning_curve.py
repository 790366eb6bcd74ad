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

"""The score of a classifier against how many patients it was trained on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from monai_ssl.visualize.figures import INK, fit, model_style, name_models, name_panel, new_axes

__all__ = ["learning_curve_figure"]

_MARKERS = "osD^v*"


def learning_curve_figure(table: pd.DataFrame, title: str = "", width: float = 6.0) -> Figure:
    """
    A line per group over the share, or the number, of training patients, with 95 % intervals.

    Groups stand a little beside each other, so that their whiskers do not hide one another.

    Args:
        table: `group, fraction, auc, low, high`, a row for each group and share of the training patients, above 0 and
            at most 1; where it has `patients`, their number is shown too. Rows without AUC are left out.
        title: above the panel.
        width: inches.

    Raises:
        ValueError: when no row has an AUC, a group has a share twice, or a share is not in (0, 1].

    Example:
        >>> rows = [{"group": "swav", "fraction": 0.1, "auc": 0.7, "low": 0.6, "high": 0.8},
        ...         {"group": "swav", "fraction": 1.0, "auc": 0.8, "low": 0.7, "high": 0.9}]
        >>> [tick.get_text() for tick in learning_curve_figure(pd.DataFrame(rows)).axes[0].get_xticklabels()]
        ['10 %', '100 %']
    """
    shown = table[table["auc"].notna()].sort_values("fraction", kind="stable")
    _check(shown)
    figure, axes = new_axes(width, width * 0.55 + 0.9)
    groups = table.loc[table["auc"].notna(), "group"].unique()
    beside = _step(shown["fraction"].unique(), len(groups))
    for position, group in enumerate(groups):
        rows = shown[shown["group"] == group]
        style = model_style(position)
        x = rows["fraction"] * beside ** (position - (len(groups) - 1) / 2)
        axes.vlines(x, rows["low"], rows["high"], color=style["color"], linewidth=1.6, alpha=0.55)
        axes.plot(x, rows["auc"], **style, linewidth=1.5, label=fit(str(group), width - 0.6),
                  marker=_MARKERS[position % len(_MARKERS)], markersize=5)  # fmt: skip
    if shown["low"].min() <= 0.5 <= shown["high"].max():
        axes.axhline(0.5, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xscale("log")
    ticks = {fraction: _tick(fraction, rows) for fraction, rows in shown.groupby("fraction")}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="training patients", ylabel="test AUC, 95 % interval")
    name_panel(axes, title, width - 0.6)
    if len(groups) > 1:
        name_models(figure, axes)
    return figure


def _check(shown: pd.DataFrame) -> None:
    if shown.empty:
        raise ValueError("no row has an AUC yet, so there is no learning curve to show")
    wrong = shown.loc[~shown["fraction"].between(0, 1, inclusive="right"), "fraction"]
    if len(wrong):
        raise ValueError(f"fraction must be above 0 and at most 1, got {wrong.iloc[0]}")
    twice = shown[shown.duplicated(["group", "fraction"])]
    if len(twice):
        group, fraction = twice.iloc[0][["group", "fraction"]]
        raise ValueError(f"group {group!r} has fraction {fraction} twice; give one row for both, such as their mean")


def _step(fractions: np.ndarray, groups: int) -> float:
    """The factor between neighbouring groups, which keeps those of one share apart from those of the next."""
    closest = (fractions[1:] / fractions[:-1]).min(initial=2.0)
    return min(1.05, closest ** (0.6 / groups))


def _tick(fraction: float, rows: pd.DataFrame) -> str:
    share = f"{100 * fraction:.3g} %"
    if "patients" not in rows or not rows["patients"].notna().any():
        return share
    fewest, most = rows["patients"].min(), rows["patients"].max()
    return f"{fewest:.0f}\n{share}" if fewest == most else f"{fewest:.0f}-{most:.0f}\n{share}"
