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

"""Example images beside the same images with what a network looked at, and the lesion's outline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from monai_ssl.visualize.figures import INK, plain

__all__ = ["saliency_figure"]

# Orange on grey with blue outlines: told apart by colour-blind readers (after Okabe and Ito), and by lightness.
_MAP, _LESION, _DARK = "#ff9d1e", "#6cc7ff", "#0b1a24"
_OVERLAY = LinearSegmentedColormap.from_list("saliency", [(1.0, 0.616, 0.118, 0.0), (1.0, 0.616, 0.118, 0.65)])
_KINDS = ("true positive", "miss", "false alarm")
_HALF = 0.5


def saliency_figure(examples: Mapping[str, np.ndarray]) -> Figure:
    """
    A row per label, and in it a true positive, a miss and a false alarm, each without and with its map.

    Args:
        examples: the arrays of `saliency.npz` of a run folder: `image` (n, H, W) uint8, `saliency` (n, H, W) 0 to 1,
            `mask` (n, H, W) bool, False everywhere where no lesion is known, and `label`, `kind`, `score`, `threshold`
            (n,); `kind` is "true positive", "miss" or "false alarm".

    Returns:
        A figure that pyplot does not know: `figure.savefig("saliency.png")` writes it.

    Raises:
        ValueError: for no examples.

    Example:
        >>> pictures = {"image": np.eye(8)[None], "saliency": np.zeros((1, 8, 8)), "mask": np.eye(8)[None]}
        >>> words = {"label": np.array(["mass"]), "kind": np.array(["miss"])}
        >>> len(saliency_figure(pictures | words | {"score": np.ones(1), "threshold": np.ones(1)}).subfigs)
        1
    """
    labels = list(dict.fromkeys(examples["label"].tolist()))
    if not labels:
        raise ValueError("no examples to show")
    kinds = [kind for kind in _KINDS if kind in set(examples["kind"].tolist())]
    size = (max(4.5 * len(kinds), 6.6), 2.55 * len(labels) + 0.6)
    figure = Figure(figsize=size, facecolor="white", layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.07, wspace=0))
    rows = figure.subfigures(len(labels), len(kinds), squeeze=False, wspace=0.03)
    for place, (label, kind) in enumerate(zip(examples["label"], examples["kind"], strict=True)):
        one = {name: values[place] for name, values in examples.items() if values.ndim}
        bare, marked = rows[labels.index(str(label)), kinds.index(str(kind))].subplots(1, 2)
        _draw(bare, one, overlay=False)
        _draw(marked, one, overlay=True)
        bare.set_title(plain(f"{label}: {kind}"), fontsize=10, color=INK, loc="left", fontweight="bold")
        marked.set_title(_told(one), fontsize=9, color=INK, loc="right")
    known = bool(np.any(examples["mask"]))
    look: dict[str, Any] = {"frameon": False, "fontsize": 9, "labelcolor": INK}
    figure.legend(handles=_legend(known), loc="outside lower center", ncols=3, **look)
    return figure


def _draw(axes: Axes, one: Mapping[str, np.ndarray], overlay: bool) -> None:
    axes.imshow(one["image"], cmap="gray", vmin=0, vmax=255)
    saliency = np.asarray(one["saliency"], np.float32)
    if overlay:
        axes.imshow(saliency, cmap=_OVERLAY, vmin=0, vmax=1)
        if saliency.max() == 0:
            told = axes.text(0.5, 0.04, "map is 0: it says nothing", ha="center", transform=axes.transAxes)
            told.set(color=INK, fontsize=8, bbox={"facecolor": "white", "edgecolor": "none", "pad": 2})
        else:
            _outline(axes, saliency, _HALF, _MAP, 1.1)
    if one["mask"].any():
        _outline(axes, np.pad(one["mask"].astype(np.float32), 1), _HALF, _LESION, 1.5, shift=1)
    axes.set_axis_off()


def _outline(axes: Axes, values: np.ndarray, level: float, colour: str, width: float, shift: int = 0) -> None:
    rows, columns = (np.arange(side) - shift for side in values.shape)
    height, breadth = (side - 2 * shift for side in values.shape)
    # a dark edge, so that an outline is seen on bone and on air alike
    for edge, line in ((_DARK, width + 1.4), (colour, width)):
        axes.contour(columns, rows, values, levels=[level], colors=[edge], linewidths=[line])
    axes.set(xlim=(-0.5, breadth - 0.5), ylim=(height - 0.5, -0.5))


def _told(one: Mapping[str, np.ndarray]) -> str:
    decision = "" if np.isnan(one["threshold"]) else f", threshold {one['threshold']:.2f}"
    return f"score {one['score']:.2f}{decision}"


def _legend(known: bool) -> list[Line2D]:
    solid = {"color": _MAP, "linewidth": 7, "alpha": 0.65}
    handles = [
        Line2D([], [], label="what speaks for the label", **solid),  # type: ignore[arg-type]
        Line2D([], [], color=_MAP, linewidth=1.5, label="half of the highest value"),
        Line2D([], [], color=_LESION, linewidth=2.5, label="lesion, as marked by a reader"),
    ]
    return handles if known else handles[:-1]
