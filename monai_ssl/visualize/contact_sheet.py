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

"""What reduction kept and dropped: exemplars in order, each with the slices it stands for, and the axis as a strip."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monai_ssl.visualize.display_window import display_window
from monai_ssl.visualize.figures import GRID, INK, SOFT, new_axes, style_axes
from monai_ssl.visualize.reduction_tables import dropped_table, exemplar_table, of_volume, typical_volume

__all__ = ["axis_strip", "contact_sheet", "exemplar_images"]


class _Store(Protocol):
    @property
    def table(self) -> pd.DataFrame: ...

    def read(self, name: str, /) -> np.ndarray: ...


class _Tile(NamedTuple):
    slice: str
    text: str
    kept: bool


def contact_sheet(
    store: _Store,
    volume: str | None = None,
    limit: int = 24,
    columns: int = 6,
    window: tuple[float, float] | None = None,
    dropped_from: _Store | None = None,
) -> Figure:
    """
    The kept slices of one volume as pictures, and along its axis which slices were kept or dropped at what distance.

    Args:
        store: a :py:class:`monai_ssl.data.SliceStore`; dropped slices are not in it, so only exemplars have pictures.
        volume: its id in the store; by default the most typical one, see :py:func:`monai_ssl.visualize.typical_volume`.
        limit: at most so many exemplars; of more, evenly spaced ones are shown, the first and last always.
        columns: pictures a row.
        window: lowest and highest value shown, in the store's units; by default by `display_window`.
        dropped_from: a store of the same volumes and key that holds the dropped slices, as `--reduce all` makes it.
            Each exemplar then begins a row, followed by dropped slices that it stands for, with a thin dashed border.

    Returns:
        A figure that pyplot does not know: `figure.savefig("contact_sheet.png")` writes it.

    Raises:
        ValueError: when the store has no such volume, or no kept slice.
        KeyError: when `dropped_from` does not hold a dropped slice.

    Example:
        >>> from monai_ssl.data import SliceStore  # doctest: +SKIP
        >>> contact_sheet(SliceStore.open("store")).savefig("contact_sheet.png")  # doctest: +SKIP
    """
    volume = typical_volume(store.table) if volume is None else volume
    rows = of_volume(store.table, volume)
    exemplars = exemplar_table(store.table, volume, limit)
    if dropped_from is None:
        tiles = [_Tile(row.slice, caption(row), True) for row in exemplars.itertuples()]
        lines = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    else:
        lines = _lines_with_dropped(exemplars, dropped_table(store.table, volume, exemplars["slice"], columns - 1))
    wide = max(map(len, lines))
    figure = Figure(figsize=(1.6 * max(wide, 3), 1.3 + 2.05 * len(lines)), layout="constrained")
    grid = figure.add_gridspec(len(lines) + 1, wide, height_ratios=[1.1] + [2.0] * len(lines))
    strip = figure.add_subplot(grid[0, :])
    style_axes(strip)
    _draw_strip(strip, rows)
    kept = int(rows["kept"].sum())
    strip.set_title(f"{kept} of {len(rows)} slices kept, {len(exemplars)} shown", fontsize=10, loc="left", color=INK)
    places = [(tile, line, column) for line, tiles in enumerate(lines) for column, tile in enumerate(tiles)]
    images = exemplar_images(store, [tile.slice for tile, _, _ in places], window, dropped_from=dropped_from)
    for image, (tile, line, column) in zip(images, places, strict=True):
        _draw_tile(figure.add_subplot(grid[1 + line, column]), image, tile)
    return figure


def exemplar_images(
    store: _Store,
    slices: Sequence[str],
    window: tuple[float, float] | None = None,
    size: int | None = 256,
    dropped_from: _Store | None = None,
) -> list[np.ndarray]:
    """
    Stored slices as 8-bit pictures in one common window.

    Args:
        store: a slice store.
        slices: ids of kept slices, and of dropped ones with `dropped_from`.
        window: lowest and highest value shown; by default that of `display_window` for these slices.
        size: the longer side at most, in pixels; None keeps all.
        dropped_from: another store of the same volumes and key, from which slices that `store` dropped are read.

    Returns:
        (h, w) uint8 each, in display orientation.

    Raises:
        KeyError: when no store holds a slice.
    """
    sources = [store] * len(slices)
    if dropped_from is not None:
        kept = set(store.table.loc[store.table["kept"].astype(bool), "slice"])
        sources = [store if name in kept else dropped_from for name in slices]
    images = [
        _shrunk(np.asarray(source.read(name), np.float32), size) for source, name in zip(sources, slices, strict=True)
    ]
    low, high = window or display_window(images)[1:]
    scale = 255 / max(high - low, 1e-6)
    return [np.clip((image - low) * scale, 0, 255).round().astype(np.uint8) for image in images]


def axis_strip(table: pd.DataFrame, volume: str, width: float = 11.0) -> Figure:
    """
    One mark per slice along the axis: kept ones as full lines, dropped ones as high as their distance.

    Args:
        table: of a slice store.
        volume: its id.
        width: inches.
    """
    figure, axes = new_axes(width, 1.7)
    _draw_strip(axes, of_volume(table, volume))
    return figure


def caption(exemplar: Any) -> str:
    """What to write under a kept slice, a row of `exemplar_table`."""
    if not exemplar.replaced and not exemplar.elsewhere:
        return f"slice {exemplar.index:.0f} stands for itself"
    others = []
    if exemplar.replaced:
        others.append(f"{exemplar.replaced:.0f} more ({exemplar.first:.0f} to {exemplar.last:.0f})")
    if exemplar.elsewhere:
        others.append(f"{exemplar.elsewhere:.0f} in other volumes")
    return f"slice {exemplar.index:.0f} stands for {' and '.join(others)}{_farthest(exemplar)}"


def dropped_caption(dropped: Any) -> str:
    """What to write under a dropped slice, a row of `dropped_table`."""
    where = " of another volume" if dropped.elsewhere else ""
    return f"slice {dropped.index:.0f}{where} dropped{distance_text(dropped)}"


def distance_text(row: Any) -> str:
    """The distance of a row of either table, after what comes before it; nothing where none is known."""
    return "" if row.distance != row.distance else f", distance {row.distance:.3g}"


def _farthest(exemplar: Any) -> str:
    if exemplar.replaced + exemplar.elsewhere == 1:
        return distance_text(exemplar)
    if exemplar.distance == 0:
        return ", all at distance 0"
    return distance_text(exemplar).replace("distance", "distance up to")


def _lines_with_dropped(exemplars: pd.DataFrame, dropped: pd.DataFrame) -> list[list[_Tile]]:
    lines = []
    for exemplar in exemplars.itertuples():
        beside = dropped[dropped["exemplar"] == exemplar.slice].itertuples()
        tiles = [_Tile(row.slice, dropped_caption(row), False) for row in beside]
        lines.append([_Tile(exemplar.slice, caption(exemplar), True), *tiles])
    return lines


def _draw_tile(axes: Axes, image: np.ndarray, tile: _Tile) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    # A margin between picture and border: on black air a border could not be told apart.
    height, width = image.shape
    margin = 0.03 * max(height, width) + 0.5
    axes.set(xticks=[], yticks=[], xlim=(-margin, width - 1 + margin), ylim=(height - 1 + margin, -margin))
    color, thickness, style = (INK, 2.5, "-") if tile.kept else (SOFT, 0.8, (0, (4, 3)))
    for spine in axes.spines.values():
        spine.set(color=color, linewidth=thickness, linestyle=style)
    axes.set_title("\n".join(textwrap.wrap(tile.text, 24)), fontsize=7, color=INK)


def _draw_strip(axes: Axes, rows: pd.DataFrame) -> None:
    dropped, kept = rows[~rows["kept"]], rows[rows["kept"]]
    top = max(1e-9, dropped["distance"].max()) * 1.15 if len(dropped) else 1.0
    width = min(3.0, max(0.6, 320 / len(rows)))
    axes.vlines(kept["index"], 0, top, color=INK, linewidth=width, label="kept")
    if len(dropped):
        # A distance of zero still needs a mark: the slice is there, and was dropped.
        height = dropped["distance"].clip(lower=0.04 * top)
        axes.vlines(dropped["index"], 0, height, color=SOFT, linewidth=width, label="dropped, by distance")
    axes.set(ylim=(0, top), xlabel="slice along the axis", ylabel="distance")
    axes.grid(axis="x", visible=False)
    axes.margins(x=0.01)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=9, labelcolor=INK, borderpad=0
    )
    axes.spines["bottom"].set_color(GRID)


def _shrunk(image: np.ndarray, size: int | None) -> np.ndarray:
    longer = max(image.shape)
    if size is None or longer <= size:
        return image
    height, width = (max(1, round(side * size / longer)) for side in image.shape)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
