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


"""The AUC against the size of the training set; and any figure as a file for papers."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from monai_ssl.files import atomic_path
from monai_ssl.visualize.figures import INK, MODEL_COLORS, new_axes, plain

__all__ = ["learning_curve_figure", "save_svg"]

_MARKERS = ("o", "s", "^", "D", "v", "P")
_APART = 0.02  # of the decades shown, so that whiskers of several curves at one size do not hide one another


def learning_curve_figure(table: pd.DataFrame, width: float = 7.0) -> Figure:
    """
    A line per group, its AUC at each training size, with 95 % intervals; sizes on a logarithmic axis.

    Args:
        table: `group, fraction, auc, low, high`, and where known `patients`, which then is the axis; fractions above 0
            to 1.
        width: inches.

    Raises:
        ValueError: for an empty table.

    Example:
        >>> points = pd.DataFrame({"group": "swav", "fraction": [0.1, 1.0], "auc": [0.7, 0.8]})
        >>> learning_curve_figure(points.assign(low=0.6, high=0.9)).savefig("curve.svg")  # doctest: +SKIP
    """
    if table.empty:
        raise ValueError("learning_curve_figure needs one point at least, got none: is any scenario complete?")
    by_patients = "patients" in table.columns and bool(table["patients"].notna().all())
    sizes = table["patients"] if by_patients else 100 * table["fraction"]
    groups = list(table.groupby("group", sort=False))
    decades = max(float(np.log10(sizes.max() / sizes.min())), 0.3)
    figure, axes = new_axes(width, width * 0.55)
    for number, (name, rows) in enumerate(groups):
        color, marker = MODEL_COLORS[number % len(MODEL_COLORS)], _MARKERS[number % len(_MARKERS)]
        shift = 10 ** (_APART * decades * (number - (len(groups) - 1) / 2))
        rows = rows.assign(size=sizes[rows.index] * shift).sort_values("size")
        axes.vlines(rows["size"], rows["low"], rows["high"], color=color, linewidth=1.4, alpha=0.7)
        style = "-" if number < len(MODEL_COLORS) else "--"
        axes.plot(rows["size"], rows["auc"], style, color=color, marker=marker, markersize=5, label=plain(str(name)))
    axes.set_xscale("log")
    ticks = sorted(set(sizes))
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{tick:,.0f}" if by_patients else f"{tick:g}" for tick in ticks])
    ends = table[["auc", "low", "high"]].to_numpy(np.float64)
    if np.nanmin(ends) <= 0.5 <= np.nanmax(ends):
        axes.axhline(0.5, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xlabel("training patients" if by_patients else "share of the training patients, %")
    axes.set_ylabel("test AUC, with 95 % interval")
    if len(groups) > 1:
        figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=9, labelcolor=INK)
    return figure


def save_svg(figure: Figure, path: Path) -> None:
    """
    Write a figure as SVG on white: text stays text, and the same figure gives the same bytes.

    Args:
        figure: any figure.
        path: of the file, replaced whole.
    """
    with (
        matplotlib.rc_context({"svg.hashsalt": "monai_ssl", "svg.fonttype": "none"}),
        atomic_path(Path(path)) as partial,
    ):
        figure.savefig(partial, format="svg", facecolor="white", metadata={"Date": None})
