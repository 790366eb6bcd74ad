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

"""ROC and precision-recall curves of several models with their bootstrap bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_ssl.metrics.curves import Band
from monai_ssl.visualize.figures import SOFT, fit, model_style, name_models, name_panel, new_axes

__all__ = ["precision_recall_figure", "roc_figure"]

_CELLS = 500  # of an axis: a third of the line's width each


def roc_figure(curves: Mapping[str, Band], title: str = "", width: float = 4.0) -> Figure:
    """
    One panel: a line per model, its pointwise 95 % band, and the diagonal of chance.

    Args:
        curves: by the name to show in the legend, in the order of the colours; from
            :py:func:`monai_ssl.metrics.roc_bands`.
        title: above the panel.
        width: inches; the panel is about square.

    Raises:
        ValueError: for no curves.

    Example:
        >>> from monai_ssl.metrics import roc_bands
        >>> [band] = roc_bands([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], redraws=20)
        >>> roc_figure({"swav": band}).savefig("roc.svg")  # doctest: +SKIP
    """
    figure, axes = _panel(curves, title, width)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)), label="chance", zorder=1.5)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity")
    name_models(figure, axes)
    return figure


def precision_recall_figure(
    curves: Mapping[str, Band], prevalence: float, title: str = "", width: float = 4.0
) -> Figure:
    """
    One panel: a line in steps per model, its pointwise 95 % band, and the prevalence, which chance attains.

    Args:
        curves: as :py:func:`roc_figure`, from :py:func:`monai_ssl.metrics.precision_recall_bands`.
        prevalence: share of positives, 0 to 1; for the mean over labels the mean of theirs.
        title: above the panel.
        width: inches; the panel is about square.

    Raises:
        ValueError: for no curves.

    Example:
        >>> from monai_ssl.metrics import precision_recall_bands
        >>> [band] = precision_recall_bands([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], redraws=20)
        >>> precision_recall_figure({"swav": band}, 0.5).savefig("precision_recall.svg")  # doctest: +SKIP
    """
    figure, axes = _panel(curves, title, width, "pre")
    chance = f"chance: prevalence {100 * prevalence:.3g} %"
    axes.axhline(prevalence, color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)), label=chance, zorder=1.5)
    axes.set(xlabel="recall (sensitivity)", ylabel="precision (PPV)")
    name_models(figure, axes)
    return figure


def _panel(
    curves: Mapping[str, Band], title: str, width: float, step: Literal["pre"] | None = None
) -> tuple[Figure, Axes]:
    if not curves:
        raise ValueError("need one curve at least, got none: has any label both classes?")
    figure, axes = new_axes(width, width * 1.02)
    shade = min(0.16, 0.5 / len(curves))  # many bands over one another must not hide the lines
    for position, (name, band) in enumerate(curves.items()):
        style = model_style(position)
        axes.fill_between(band.grid, band.low, band.high, color=style["color"], alpha=shade, linewidth=0, step=step)
        axes.plot(*_visible(band), **style, linewidth=1.8, label=fit(name, width - 0.6), solid_joinstyle="round",
                  drawstyle="steps-pre" if step else "default")  # fmt: skip
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    name_panel(axes, title, width - 0.6)
    return figure, axes


def _visible(band: Band) -> np.ndarray:
    """(2, K) corners without those that move the line less than can be seen: thousands make a page heavy."""
    corners = np.stack([band.x, band.y])
    moved = (np.diff(np.round(corners * _CELLS)) != 0).any(axis=0)
    moved[-1] = True
    return corners[:, np.append(True, moved)]
