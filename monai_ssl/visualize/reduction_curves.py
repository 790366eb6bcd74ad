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

"""The graphs of a reduction, from what `reduction_counts` counted: each drawn into axes, alone or in one figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from monai_ssl.visualize.figures import GRID, INK, MODEL_COLORS, SOFT, new_axes, plain, style_axes

__all__ = [
    "Draw",
    "draw_along",
    "draw_distances",
    "draw_reason",
    "draw_sizes",
    "draw_thresholds",
    "draw_volumes",
    "overview_figure",
    "panel_figure",
]

Draw = Callable[[Axes], None]
_KEPT, _MARK = MODEL_COLORS[:2]
_DASHES = (0, (4, 3))
_WIDTH, _HEIGHT = 4.8, 3.0
_ENDS = {"axial": ("inferior", "superior"), "coronal": ("anterior", "posterior"), "sagittal": ("right", "left")}


def panel_figure(draw: Draw) -> Figure:
    """One graph alone."""
    figure, axes = new_axes(_WIDTH, _HEIGHT)
    draw(axes)
    return figure


def overview_figure(draws: Sequence[Draw], title: str) -> Figure:
    """
    Graphs in two columns, on white.

    Args:
        draws: one for each graph, such as `functools.partial(draw_along, along=..., share=0.2, axis="axial")`.
        title: above all.

    Returns:
        A figure that pyplot does not know: `figure.savefig("reduction.png")` writes it.
    """
    lines = -(-len(draws) // 2)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=(2 * _WIDTH, lines * _HEIGHT + 0.5), layout=layout, facecolor="white")
    figure.suptitle(plain(title), x=0.012, ha="left", fontsize=12, color=INK)
    for position, draw in enumerate(draws):
        axes = figure.add_subplot(lines, 2, position + 1)
        style_axes(axes)
        draw(axes)
    return figure


def draw_volumes(axes: Axes, volumes: pd.DataFrame) -> None:
    """
    A bar for each volume, in the order of the table.

    Args:
        axes: to draw into.
        volumes: of `volume_table`.
    """
    places = range(1, len(volumes) + 1)
    axes.bar(places, volumes["slices"], color=GRID, edgecolor=SOFT, linewidth=0.6, width=0.8, label="dropped")
    axes.bar(places, volumes["kept"], color=_KEPT, width=0.8, label="kept")
    # A bar as wide as the panel would say nothing of a bar.
    room = max(0.0, 3 - len(volumes) / 2)
    axes.set(xlim=(0.4 - room, len(volumes) + 0.6 + room), xlabel="volumes, the most reduced first", ylabel="slices")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if len(volumes) == 1:
        axes.set(xticks=[], xlabel="the volume")
    axes.grid(axis="x", visible=False)
    _finish(axes, "Slices of each volume")


def draw_sizes(axes: Axes, sizes: pd.DataFrame) -> None:
    """
    How many volumes have how many slices, before and after.

    Args:
        axes: to draw into.
        sizes: of `size_table`.
    """
    width = sizes["high"] + 1 - sizes["low"]
    whole = {"width": width, "align": "edge", "linewidth": 0.6}
    axes.bar(sizes["low"], sizes["before"], color=GRID, edgecolor=SOFT, label="in the source", **whole)
    axes.bar(sizes["low"], sizes["after"], color=_KEPT, alpha=0.75, label="kept", **whole)
    axes.set(xlim=(0, sizes["high"].iloc[-1] + 1), xlabel="slices of a volume", ylabel="volumes")
    _count_axis(axes.yaxis)
    _finish(axes, "Slices of a volume")


def draw_along(axes: Axes, along: pd.DataFrame, share: float, axis: str) -> None:
    """
    The kept share along the axis of all volumes.

    Args:
        axes: to draw into.
        along: of `axis_table`.
        share: kept of all slices.
        axis: along which the volumes were sliced.
    """
    start, end = _ENDS.get(axis, ("first", "last"))
    axes.bar(along["low"], along["share"], width=along["high"] - along["low"], align="edge", color=_KEPT)
    axes.axhline(share, color=_MARK, linewidth=1.5, linestyle=_DASHES, label=f"all slices, {share:.0%}")
    axes.set(xlim=(0, 1), ylim=(0, _top(along["share"].max())), xlabel="place along the axis", ylabel="share kept")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], [start, "", "middle", "", end])
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="x", visible=False)
    first, *_, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    _finish(axes, "Share kept along the axis")


def draw_distances(axes: Axes, distances: pd.DataFrame, threshold: float | None, unit: str) -> None:
    """
    How far dropped slices lie from those that stand for them.

    Args:
        axes: to draw into.
        distances: of `distance_table`, not empty.
        threshold: of the reduction, to be marked; None where its strategy has none.
        unit: of the distances.
    """
    whole = pd.api.types.is_integer_dtype(distances["low"])
    # Whole numbers stand in the middle of their bars.
    left = distances["low"] - 0.5 if whole else distances["low"]
    right = distances["high"] + 0.5 if whole else distances["high"]
    gap = 0.08 if whole else 0.0
    axes.bar(left + gap, distances["dropped"], width=right - left - 2 * gap, align="edge", color=_KEPT)
    if threshold is not None:
        place = threshold + 0.5 if whole else threshold
        axes.axvline(place, color=_MARK, linewidth=1.5, linestyle=_DASHES, label=f"threshold, {threshold:g}")
        axes.set_xlim(right=max(right.iloc[-1], place) + 0.06 * (place - left.iloc[0]))
    axes.set(xlabel=", ".join(filter(None, ("distance to the kept slice", unit))), ylabel="dropped slices")
    axes.xaxis.set_major_locator(MaxNLocator(integer=whole, nbins=8))
    _count_axis(axes.yaxis)
    axes.grid(axis="x", visible=False)
    _finish(axes, "Distance of dropped slices")


def draw_thresholds(axes: Axes, shares: pd.Series, threshold: float | None, kept: float) -> None:
    """
    What other thresholds would keep.

    Args:
        axes: to draw into.
        shares: kept share by threshold, not empty.
        threshold: of the reduction, to be marked; None where it was another strategy's.
        kept: share of all slices.
    """
    marker = "o" if len(shares) <= 70 else ""
    axes.plot(shares.index, shares, color=_KEPT, linewidth=1.5, marker=marker, markersize=3)
    if threshold is not None:
        label = f"this store: {threshold:g} keeps {kept:.0%}"
        axes.plot([threshold], [kept], "o", color=_MARK, markersize=9, fillstyle="none", markeredgewidth=2, label=label)
    axes.set(ylim=(0, _top(max(shares.max(), kept))), xlabel="threshold", ylabel="share kept")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=all(float(each).is_integer() for each in shares.index), nbins=9))
    _finish(axes, "What other thresholds would keep", inside=True)


def draw_reason(axes: Axes, title: str, reason: str) -> None:
    """A graph that has nothing to show, and why."""
    axes.text(0.5, 0.5, plain(reason), ha="center", va="center", color=INK, fontsize=10, wrap=True)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    _finish(axes, title)


def _top(share: float) -> float:
    return min(1.0, share * 1.12) * 1.02 or 1.0


def _count_axis(axis: Axis) -> None:
    axis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _finish(axes: Axes, title: str, inside: bool = False) -> None:
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    if axes.get_legend_handles_labels()[0]:
        above = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 2, "borderpad": 0}
        axes.legend(frameon=False, fontsize=9, labelcolor=INK, **({"loc": "upper right"} if inside else above))
