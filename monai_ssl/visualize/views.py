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

"""What a network is given: the views of some images, in proportion, as they would look before normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from monai_ssl.visualize.figures import INK, plain

__all__ = ["views_figure"]

_GAP = 4  # pixels between views
_DPI = 100


def views_figure(
    views: Sequence[np.ndarray],
    images: int = 4,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    title: str = "",
) -> Figure:
    """
    The views of the first images of a batch, a row for each image, one pixel of a view as one of the picture.

    Values are shown as before normalisation, from 0 (black) to 1 (white), and further where jitter took more than one
    in a thousand beyond, since they are not clipped; of several channels the average. Below `title` stand range, mean
    and standard deviation of all values of the batch before normalisation.

    Args:
        views: (B, C, h, w) each, the same B images in all.
        images: at most so many rows.
        mean: that normalisation subtracted, one number or one per channel.
        std: that it divided by.
        title: what else to say of them.

    Returns:
        A figure that pyplot does not know: `figure.savefig("views.png", dpi=100)` writes it.

    Raises:
        ValueError: when there are no views, or one is not (B, C, h, w).

    Example:
        >>> figure = views_figure([np.zeros((8, 1, 224, 224))] * 2 + [np.zeros((8, 1, 96, 96))] * 6)
        >>> figure.get_size_inches().round(2).tolist()
        [7.92, 9.73]
    """
    if not views or any(view.ndim != 4 or not view.size for view in views):
        raise ValueError(f"views must be (B, C, h, w), at least one, got {[np.shape(view) for view in views]}")
    shift, scale = (np.reshape(np.asarray(part, np.float32), (-1, 1, 1)) for part in (mean, std))
    values = [np.asarray(view, np.float32) * scale + shift for view in views]
    rows = [_row([view[number].mean(axis=0) for view in values]) for number in range(min(images, len(values[0])))]
    canvas = np.concatenate([np.pad(row, ((0, _GAP), (0, 0)), constant_values=np.nan) for row in rows])[:-_GAP]
    every = np.concatenate([np.ravel(view) for view in values])
    black, white = min(0.0, np.quantile(every, 0.001)), max(1.0, np.quantile(every, 0.999))
    found = (
        f"black {black:.2f}, white {white:.2f}; values {every.min():.2f} to {every.max():.2f}, "
        f"mean {every.mean():.3f}, standard deviation {every.std():.3f}"
    )
    return _figure(canvas, float(black), float(white), f"{title}\n{found}".strip())


def _figure(canvas: np.ndarray, black: float, white: float, text: str) -> Figure:
    margin, head = 0.2, 0.25 + 0.2 * len(text.splitlines())
    height, width = (side / _DPI for side in canvas.shape)
    figure = Figure(figsize=(max(width + 2 * margin, 7.6), height + head + margin), dpi=_DPI)
    wide, high = figure.get_size_inches()
    axes = figure.add_axes((margin / wide, margin / high, width / wide, height / high))
    axes.imshow(canvas, cmap="gray", vmin=black, vmax=white, interpolation="nearest")
    axes.set_axis_off()
    figure.text(margin / wide, 1 - 0.12 / high, plain(text), va="top", fontsize=9, color=INK)
    return figure


def _row(views: list[np.ndarray]) -> np.ndarray:
    """Views side by side; of small ones as many above each other as the tallest is high."""
    tallest = max(view.shape[0] for view in views)
    columns: list[list[np.ndarray]] = []
    for view in views:
        column = columns[-1] if columns else []
        used = sum(above.shape[0] + _GAP for above in column)
        if column and column[0].shape == view.shape and used + view.shape[0] <= tallest:
            column.append(view)
        else:
            columns.append([view])
    return np.concatenate([_column(column, tallest) for column in columns], axis=1)[:, :-_GAP]


def _column(views: list[np.ndarray], height: int) -> np.ndarray:
    column = np.full((height, views[0].shape[1] + _GAP), np.nan, np.float32)
    top = 0
    for view in views:
        column[top : top + view.shape[0], :-_GAP] = view
        top += view.shape[0] + _GAP
    return column
