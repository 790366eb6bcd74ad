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

"""Training curves from the `metrics.jsonl` of run folders."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from monai_ssl.visualize.figures import INK, model_style, new_axes, plain

__all__ = ["curve_figure", "curve_names", "read_metrics"]

_POSITION = ("epoch", "iteration")
_CHANCE = "chance_loss"
_MARKED = 60  # so many points, and a line alone is clearer than a line with dots


def read_metrics(path: str | os.PathLike) -> pd.DataFrame:
    """
    Read a run's JSON lines. A last line cut short by a crash is left out; any other bad line is an error.

    Args:
        path: `metrics.jsonl`: one object a line, such as `{"epoch": 3, "iteration": 120, "loss": 4.2, "val_auc": 0.8}`.

    Returns:
        A row per line, a column per name, empty where a line lacks it.

    Raises:
        ValueError: naming file and line.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line) if line.strip() else None
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise ValueError(f"{path}, line {number}: not JSON ({error}); remove the line or run again") from error
        if row is not None and not isinstance(row, dict):
            raise ValueError(f"{path}, line {number}: must be an object with names and numbers, got {line[:40]!r}")
        if row:
            rows.append(row)
    return pd.DataFrame(rows)


def curve_names(metrics: Mapping[str, pd.DataFrame]) -> list[str]:
    """The numeric series of the runs in order of appearance; epoch, iteration and the chance line are none."""
    names = [
        str(name)
        for table in metrics.values()
        for name in table.columns
        if name not in (*_POSITION, _CHANCE)
        and pd.api.types.is_numeric_dtype(table[name])
        and not pd.api.types.is_bool_dtype(table[name])
        and table[name].notna().any()
    ]
    return list(dict.fromkeys(names))


def curve_figure(metrics: Mapping[str, pd.DataFrame], name: str, width: float = 4.2) -> Figure:
    """
    One series of all runs: against epochs where it has one value each, else against iterations.

    A validation AUC has its highest point marked, which is the epoch that is kept; a loss gets a dashed line at
    `chance_loss`, where the rows have it.

    Args:
        metrics: tables from :py:func:`read_metrics` by run name, in the order of the colours.
        name: the series.
        width: inches.

    Raises:
        ValueError: when no run has the series.

    Example:
        >>> curve_figure({"swav": pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0]})}, "loss").axes[0].get_xlabel()
        'epoch'
    """
    present = {run: table[table[name].notna()] for run, table in metrics.items() if name in table.columns}
    if not present:
        raise ValueError(f"no run has a series {name!r}; they have {', '.join(curve_names(metrics)) or 'none'}")
    figure, axes = new_axes(width, width * 0.68)
    along = _along(list(present.values()))
    for position, run in enumerate(metrics):
        if run not in present:
            continue
        style = model_style(position)
        table = present[run]
        x = table[along].to_numpy() if along in table.columns else range(1, len(table) + 1)
        marker = "o" if len(table) <= _MARKED else ""
        axes.plot(x, table[name], **style, linewidth=1.5, marker=marker, markersize=2.5, label=plain(run))
        if name.startswith("val_") and "auc" in name:
            best = int(table[name].to_numpy().argmax())
            axes.plot([x[best]], [table[name].iloc[best]], "o", color=style["color"], markersize=7, fillstyle="none")
    if name == "loss":
        chances = [table[_CHANCE].dropna() for table in present.values() if _CHANCE in table.columns]
        for chance in sorted({float(values.iloc[-1]) for values in chances if len(values)}):
            axes.axhline(chance, color=INK, linewidth=1, linestyle=(0, (4, 3)), label=f"chance, {chance:.2f}")
    if name == "learning_rate":
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_xlabel(along)
    axes.set_title(plain(name.replace("_", " ")), fontsize=10, loc="left", color=INK)
    if len(axes.get_legend_handles_labels()[0]) > 1:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _along(tables: list[pd.DataFrame]) -> str:
    once_an_epoch = all("epoch" in table.columns and not table["epoch"].duplicated().any() for table in tables)
    return "epoch" if once_an_epoch or not all("iteration" in table.columns for table in tables) else "iteration"
