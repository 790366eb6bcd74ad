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

"""The report's figures as elements to stand inside the page: SVG curves, JPEG slices, each with its alt text."""

from __future__ import annotations

from typing import Any

from monai_ssl.data import SliceStore
from monai_ssl.report.numbers import slice_numbers
from monai_ssl.report.page import Picture, embed_figure, embed_image
from monai_ssl.visualize import (
    axis_strip,
    dropped_table,
    exemplar_images,
    exemplar_table,
    typical_volume,
)
from monai_ssl.visualize.contact_sheet import caption, distance_text, dropped_caption

__all__ = ["show_slices"]

_EXEMPLARS = 24
_WITH_DROPPED = 40  # pictures of slices, kept and dropped: keeps the page of a real CT below 1 MB
_EACH = 4  # one row


def show_slices(
    store: SliceStore,
    dropped_from: Any,
    missing_because: str | None,
    window: tuple[float, float] | None = None,
) -> tuple[dict[str, Any], list[Picture], list[Picture]]:
    """
    The most typical volume of a store: numbers, the strip along its axis, and its exemplars with what they replaced.

    Args:
        store: that was reduced.
        dropped_from: what holds slices that `store` dropped, with `table` and `read` as a store has them; or None.
        missing_because: why there is none.
        window: lowest and highest value shown; by default as `display_window` says.
    """
    limit = _EXEMPLARS if dropped_from is None else _WITH_DROPPED // 3
    numbers = slice_numbers(store, limit)
    each = 0 if dropped_from is None else min(_EACH, _WITH_DROPPED // len(numbers["exemplars"]) - 1)
    volume = typical_volume(store.table)
    tiles = _tiles(store, volume, limit, dropped_from, each, window)
    shown = {"shown": sum(len(tile.beside) for tile in tiles), "each": each, "missing_because": missing_because}
    return numbers | {"dropped_pictures": shown}, [_strip(store, volume)], tiles


def _strip(store: SliceStore, volume: str) -> Picture:
    rows = store.table[store.table["volume"].astype(str) == volume]
    alt = f"{int(rows['kept'].sum())} of {len(rows)} slices of one volume kept, along its axis"
    return Picture("along the axis", embed_figure(axis_strip(store.table, volume), "strip", alt))


def _tiles(
    store: SliceStore, volume: str, limit: int, dropped_from: Any, each: int, window: tuple[float, float] | None
) -> list[Picture]:
    exemplars = exemplar_table(store.table, volume, limit)
    table = store.table
    if dropped_from is not None:
        table = table[table["kept"].astype(bool) | table["slice"].isin(dropped_from.table["slice"])]
    dropped = dropped_table(table, volume, exemplars["slice"], each)
    names = [*exemplars["slice"], *dropped["slice"]]
    images = map(embed_image, exemplar_images(store, names, window, size=224, dropped_from=dropped_from))
    image_of = dict(zip(names, images, strict=True))
    tiles = []
    for exemplar in exemplars.itertuples():
        text = caption(exemplar)
        beside = tuple(
            Picture(
                dropped_caption(row),
                image=image_of[row.slice],
                alt=f"Dropped slice {row.index}{distance_text(row)} from slice {exemplar.index}",
            )
            for row in dropped[dropped["exemplar"] == exemplar.slice].itertuples(index=False)
        )
        tiles.append(Picture(text, image=image_of[exemplar.slice], alt=f"Kept {text}", beside=beside))
    return tiles
