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

"""Whether the scores of several models are probabilities, with the intervals that the images allow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from monai_ssl.visualize.figures import PAPER, SOFT, fit, model_style, name_models, name_panel, new_axes, style_axes

__all__ = ["reliability_figure"]


def reliability_figure(curves: Mapping[str, pd.DataFrame], title: str = "", width: float = 4.0) -> Figure:
    """
    The share of positives against the mean score of each bin, and below how many images the bins hold.

    A whisker is the 95 % interval; a hollow point has none, since its images are all positive or all negative.

    Args:
        curves: by the name to show in the legend, in the order of the colours; from
            :py:func:`monai_ssl.metrics.reliability_bands`.
        title: above the panel.
        width: inches; the upper panel is about square.

    Raises:
        ValueError: for no curves.

    Example:
        >>> from monai_ssl.metrics import reliability_bands
        >>> [table] = reliability_bands([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], redraws=20)
        >>> reliability_figure({"swav": table}).savefig("reliability.svg")  # doctest: +SKIP
    """
    if not curves:
        raise ValueError("need one curve at least, got none: are the scores probabilities?")
    figure, axes = new_axes(width, width * 1.22)
    axes.remove()
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for panel in (upper, lower):
        style_axes(panel)
    upper.plot([0, 1], [0, 1], color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.5)
    for position, (name, table) in enumerate(curves.items()):
        style = model_style(position)
        edges = np.append(table["low"], table["high"].iloc[-1])
        lower.stairs(table["images"], edges, **style, linewidth=1.4)
        used = table[table["images"] > 0]
        alike = used["share_low"] == used["share_high"]
        mixed = used[~alike]
        label = fit(name, width - 0.6)
        upper.vlines(used["mean_score"], used["share_low"], used["share_high"], color=style["color"], alpha=0.5)
        upper.plot(mixed["mean_score"], mixed["positive_share"], **style, linewidth=1.5, label=label)
        upper.scatter(
            used["mean_score"], used["positive_share"], s=20, edgecolor=style["color"], zorder=3,
            color=np.where(alike, PAPER, style["color"]),
        )  # fmt: skip
    upper.plot([], [], color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)), label="calibrated")
    upper.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.02), ylabel="share of positives")
    lower.set(xlabel="score", ylabel="images", yscale="log", ylim=(0.7, None))
    lower.yaxis.set_major_formatter("{x:g}")
    lower.yaxis.set_minor_locator(NullLocator())
    name_panel(upper, title, width - 0.6)
    name_models(figure, upper)
    return figure
