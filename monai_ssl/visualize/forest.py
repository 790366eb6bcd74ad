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

"""Forest plot of the paired differences between models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_ssl.visualize.figures import INK, PAPER, SOFT, fit, name_panel, new_axes, plain

__all__ = ["forest_figure"]

_ROW_INCHES = 0.21
_LEVEL = 0.05
_ENDS = (152, 186, 220)  # of the columns of numbers, in points right of the panel
_MEANS = {"macro": "mean over labels", "micro": "all labels pooled"}
_LOWER_IS_BETTER = ("brier", "calibration_error")
_NAMES = {"auc": "AUC", "f1": "F1", "brier": "Brier score"}


class _Row(NamedTuple):
    height: float
    text: str
    bold: bool
    values: pd.Series | None  # None for a heading


def forest_figure(table: pd.DataFrame, title: str = "", width: float = 7.5) -> Figure:
    """
    A point per difference, on the line of its 95 % interval, with the numbers at the right; one metric, any pairs.

    A filled point is a finding (q < 0.05, or p where there is no q), a hollow one is none; a diamond is a mean, over
    labels or over data sets. The words below the panel say which side favours whom, also where less is better.

    Args:
        table: `label, difference, low, high, p_value`, and where there, `q_value, metric, data_set, model_a, model_b`;
            see :py:func:`monai_ssl.metrics.compare`. Each pair and data set gets a heading, where there are several.
        title: above the panel.
        width: inches, of which names and numbers take 4 to 5; the height follows the rows.

    Raises:
        ValueError: when no row has a difference, or there are several metrics.

    Example:
        >>> row = {"label": "nodule", "difference": 0.02, "low": -0.01, "high": 0.05, "p_value": 0.2}
        >>> forest_figure(pd.DataFrame([row])).savefig("forest.svg")  # doctest: +SKIP
    """
    if not table["difference"].notna().any():
        raise ValueError("no row has a difference, so there is nothing to show: has any label both classes?")
    metrics = table["metric"].unique() if "metric" in table else ["auc"]
    if len(metrics) > 1:
        raise ValueError(f"need rows of one metric, got {', '.join(metrics)}; draw a figure for each")
    rows = _rows(table, width)
    top, bottom = rows[0].height - 0.7, rows[-1].height + 0.7
    figure, axes = new_axes(width, 1.2 + _ROW_INCHES * (bottom - top))
    axes.axvline(0, color=SOFT, linewidth=1)
    for row in rows:
        if row.values is not None:
            _draw(axes, row.height, row.values, "D" if row.bold or row.values.get("data_set") == "mean" else "o")
    for end, text in zip(_ENDS, ("difference (95 % interval)", "p", "q" if "q_value" in table else ""), strict=True):
        _beside(axes, top - 0.3, end, text)
    axes.set_yticks([row.height for row in rows], [row.text for row in rows], fontsize=8)
    for row, tick in zip(rows, axes.get_yticklabels(), strict=True):
        tick.set_fontweight("bold" if row.bold else "normal")
    axes.set_ylim(bottom, top)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(_axis_text(table, str(metrics[0]), width * 0.6), fontsize=9)
    axes.locator_params(axis="x", nbins=max(int(width) - 3, 2))
    name_panel(axes, title, width * 0.5)
    return figure


def _rows(table: pd.DataFrame, width: float) -> list[_Row]:
    """Headings and differences from top to bottom, the means of each part last and apart."""
    named = [name for name in ("data_set", "model_a", "model_b") if name in table and table[name].nunique() > 1]
    rows, height = [], 0.0
    for _, part in table.groupby(named, sort=False) if named else [((), table)]:
        if named:
            text = fit(_heading(part.iloc[0]), width * 0.34)
            further = 0.35 * text.count("\n")
            rows.append(_Row(height + further, text, True, None))
            height += 1 + 2 * further
        several = len(part) > 1
        for mean in (False, True):
            chosen = part[(part["label"].isin(list(_MEANS)) & several) == mean]
            height += 0.35 * (mean and len(chosen) > 0)
            for _, values in chosen.iterrows():
                text = _MEANS[values["label"]] if mean else fit(str(values["label"]), width * 0.34)
                further = 0.35 * text.count("\n")
                rows.append(_Row(height + further, text, mean, values))
                height += 1 + 2 * further
        height += 0.4
    return rows


def _heading(row: pd.Series) -> str:
    pair = f"{row['model_a']} \u2212 {row['model_b']}" if {"model_a", "model_b"} <= set(row.index) else ""
    data_set = row.get("data_set", "")
    return ", ".join(filter(None, ["mean over data sets" if data_set == "mean" else data_set, pair]))


def _draw(axes: Axes, height: float, row: pd.Series, marker: str) -> None:
    if pd.isna(row["difference"]):
        _beside(axes, height, _ENDS[0], "no value")
        return
    found = row.get("q_value", row["p_value"]) < _LEVEL
    axes.hlines(height, row["low"], row["high"], color=INK, linewidth=1.4)
    axes.plot([row["difference"]], [height], marker, color=INK, markersize=5.5, markerfacecolor=INK if found else PAPER)
    value, low, high = (_signed(row[name]) for name in ("difference", "low", "high"))
    for end, text in zip(
        _ENDS, (f"{value} ({low} to {high})", _p(row["p_value"]), _p(row.get("q_value", np.nan))), strict=True
    ):
        _beside(axes, height, end, text)


def _beside(axes: Axes, height: float, end: float, text: str) -> None:
    axes.annotate(
        text, (1, height), (end, 0), axes.get_yaxis_transform(), "offset points",
        ha="right", va="center_baseline", fontsize=8, color=INK,
    )  # fmt: skip


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return "0.000" if text[1:] == "0.000" else text.replace("-", "\u2212")


def _p(value: float) -> str:
    return "" if value != value else "<0.001" if value < 0.001 else f"{value:.3f}"


def _axis_text(table: pd.DataFrame, metric: str, inches: float) -> str:
    """What is drawn, and who is better on which side of zero."""
    one_pair = {"model_a", "model_b"} <= set(table) and len(table[["model_a", "model_b"]].drop_duplicates()) == 1
    names = [str(table[name].iloc[0]) for name in ("model_b", "model_a")] if one_pair else ["second", "first"]
    if metric in _LOWER_IS_BETTER:
        names.reverse()
    left, right = f"\u2190 {names[0]} better", f"{names[1]} better \u2192"
    between = "\u2003\u2003" if len(left + right) < inches * 10 else "\n"
    name = _NAMES.get(metric, metric.replace("_", " ").replace(":", " "))
    filled = f"filled: {'q' if 'q_value' in table else 'p'} < {_LEVEL}"
    return f"{plain(left)}{between}{plain(right)}\ndifference in {name}; {filled}"
