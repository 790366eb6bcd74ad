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

"""ROC curves of several models with their bootstrap bands."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from monai_ssl.metrics.roc import RocBand
from monai_ssl.visualize.figures import INK, MODEL_COLORS, SOFT, new_axes, plain

__all__ = ["roc_figure"]


def roc_figure(curves: Mapping[str, RocBand], title: str = "", width: float = 4.0) -> Figure:
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
    if not curves:
        raise ValueError("roc_figure needs one curve at least, got none: has any label both classes?")
    figure, axes = new_axes(width, width * 1.02)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)))
    for position, (name, band) in enumerate(curves.items()):
        color = MODEL_COLORS[position % len(MODEL_COLORS)]
        axes.fill_between(band.grid, band.low, band.high, color=color, alpha=0.16, linewidth=0)
        axes.plot(band.fpr, band.tpr, color=color, linewidth=1.8, label=plain(name), solid_joinstyle="round")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="1 - specificity", ylabel="sensitivity", aspect="equal")
    axes.set_title(plain(title), fontsize=10, loc="left", color=INK)
    axes.legend(loc="lower right", frameon=False, fontsize=9, labelcolor=INK)
    return figure
