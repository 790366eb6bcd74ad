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

"""One look for all figures, without any global state."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

__all__ = [
    "GRID",
    "INK",
    "MODEL_COLORS",
    "PAPER",
    "SOFT",
    "fit",
    "image_grid",
    "model_style",
    "name_models",
    "name_panel",
    "new_axes",
    "plain",
    "style_axes",
]

# Dark enough for text-size marks on white, distinct for colour-blind readers (after Okabe and Ito). A page may replace
# each of these exact values by a variable of its own: the report does, for dark mode.
MODEL_COLORS = ("#0b6fa4", "#c2530a", "#1a7f5a", "#a0458a", "#8a6d00", "#5b5bd0")
INK, SOFT, GRID, PAPER = "#1d2731", "#8493a0", "#d5dce3", "#ffffff"
_DASHES = ("solid", (0, (5, 1.6)), (0, (1.4, 1.4)), (0, (6, 1.6, 1.4, 1.6)))
_LETTERS = 13.5  # an inch, of 9 points


def image_grid(
    images: Sequence[np.ndarray], columns: int = 4, titles: Sequence[str] | None = None, width: float = 9.0
) -> Figure:
    """
    Grey images side by side, each scaled from its own minimum to its maximum.

    Args:
        images: (H, W) or (1, H, W) arrays; sizes may differ.
        columns: images a row, >= 1.
        titles: one per image, or none.
        width: of the figure, in inches.

    Returns:
        A figure that pyplot does not know: `figure.savefig("views.png")` writes it.

    Raises:
        ValueError: for no images, another number of titles, or an image that is not two-dimensional.

    Example:
        >>> len(image_grid([np.eye(8)] * 6, columns=3).axes)
        6
    """
    if not images or columns < 1 or (titles is not None and len(titles) != len(images)):
        given = "no" if titles is None else len(titles)
        raise ValueError(
            f"need images, columns >= 1 and a title each or none, got {len(images)} images, {columns=}, {given} titles"
        )
    arrays = [np.asarray(image) for image in images]
    planes = [array[0] if array.ndim == 3 and len(array) == 1 else array for array in arrays]
    flat = [plane.shape for plane in planes if plane.ndim != 2]
    if flat:
        raise ValueError(f"images must be (H, W) or (1, H, W), got {flat[0]}; pass colour or volumes plane by plane")
    columns = min(columns, len(planes))
    rows = -(-len(planes) // columns)
    tile = width / columns
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    figure = Figure(figsize=(width, rows * (tile + (0.0 if titles is None else 0.3))), layout=layout)
    for position, plane in enumerate(planes):
        axes = figure.add_subplot(rows, columns, position + 1)
        axes.imshow(plane, cmap="gray", interpolation="nearest")
        axes.set_axis_off()
        if titles is not None:
            axes.set_title(plain(titles[position]), fontsize=8, color=INK)
    return figure


def new_axes(width: float = 4.2, height: float = 3.2) -> tuple[Figure, Axes]:
    """A figure of `width` x `height` inches with one pair of axes in the house look."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    style_axes(axes)
    return figure, axes


def style_axes(axes: Axes) -> None:
    """Give axes the look of all our figures: transparent, with a light grid behind the data."""
    axes.patch.set_alpha(0)
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)
    for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
        text.set_color(INK)
        text.set_fontsize(10)


def model_style(position: int) -> dict[str, Any]:
    """Colour and dashes of the model at a position: where colours come round again, the dashes differ."""
    lap, place = divmod(position, len(MODEL_COLORS))
    return {"color": MODEL_COLORS[place], "linestyle": _DASHES[lap % len(_DASHES)]}


def name_models(figure: Figure, axes: Axes) -> None:
    """A legend below the axes, where it hides no curve; the figure grows by it."""
    handles, names = axes.get_legend_handles_labels()
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.05 + sum(0.18 + 0.15 * name.count("\n") for name in names))
    figure.legend(
        handles, names, loc="outside lower left", frameon=False, fontsize=9, labelcolor=INK, handlelength=2.4,
        labelspacing=0.25, borderaxespad=0.2,
    )  # fmt: skip


def name_panel(axes: Axes, title: str, inches: float) -> None:
    """The title of a panel, in as many lines as it needs."""
    axes.set_title(fit(title, inches), fontsize=10, loc="left", color=INK)


def fit(text: str, inches: float) -> str:
    """Text of the usual size in lines of a width, shown as it is."""
    return plain(textwrap.fill(text, max(int(inches * _LETTERS), 8)))


def plain(text: str) -> str:
    """Text that matplotlib shows as it is: no dollar starts a formula, no leading underscore hides a legend entry."""
    return ("\u200b" if text.startswith("_") else "") + text.replace("$", r"\$")
