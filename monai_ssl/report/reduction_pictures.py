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

"""The few slices that show what the numbers of a reduction mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.data import SliceStore
from monai_ssl.report.page import Picture, embed_image
from monai_ssl.visualize import DisplayWindow, display_window, exemplar_images
from monai_ssl.visualize.contact_sheet import distance_text
from monai_ssl.visualize.reduction_tables import evenly

__all__ = ["ShownSlices", "VolumeRow", "far_pairs", "volume_rows"]

_PAIRS = 9
_ENDS = 6  # volumes at each end of the table
_THUMBNAILS = 6
_FOR_WINDOW = 8


class ShownSlices:
    """
    Every slice that a store holds the pixels of, also those that it dropped after slicing.

    Attributes:
        table: their rows.
    """

    def __init__(self, store: SliceStore) -> None:
        self.table = store.table[store.table["row"].notna()]
        self._path = store.path
        self._places = self.table.set_index("slice")[["file", "row"]]
        self._of_volume = self.table.groupby("volume", sort=False).indices
        self._windows: dict[str, DisplayWindow] = {}

    def read(self, name: str) -> np.ndarray:
        """
        A slice by its name, (H, W).

        Raises:
            KeyError: when it is not stored.
        """
        file, row = self._places.loc[name]
        return np.array(np.load(self._path / file, mmap_mode="r", allow_pickle=False)[int(row)])

    def window(self, volume: str) -> DisplayWindow:
        """In which the slices of a volume are shown, all in the same."""
        if volume not in self._windows:
            rows = evenly(self.table.iloc[self._of_volume[volume]].sort_values("index"), _FOR_WINDOW)
            self._windows[volume] = display_window([self.read(name) for name in rows["slice"]])
        return self._windows[volume]

    @property
    def windows(self) -> list[DisplayWindow]:
        """Those that were asked for."""
        return sorted(set(self._windows.values()))

    def pictures(self, slices: Sequence[str], volume: str, size: int) -> list[str]:
        """Slices as data URIs, in the window of a volume."""
        window = self.window(volume)
        return [embed_image(image) for image in exemplar_images(self, slices, (window.low, window.high), size)]


@dataclass(frozen=True)
class VolumeRow:
    """One volume of the table of the most and the least reduced ones, with some of its kept slices."""

    volume: str
    patient: str
    slices: int
    kept: int
    share: float
    thumbnails: tuple[Picture, ...]


def far_pairs(stored: ShownSlices) -> list[Picture]:
    """
    The dropped slices that are least like what stands for them, each beside it; of different volumes where it can be.

    Of equal distance, those that lie farther apart along the axis come first.

    Args:
        stored: slices with pixels; only these can be shown.
    """
    table = stored.table
    dropped = table[~table["kept"].astype(bool) & table["distance"].notna() & table["exemplar"].isin(table["slice"])]
    if dropped.empty:
        return []
    exemplars = table[table["slice"].isin(dropped["exemplar"])].set_index("slice")
    dropped = dropped.assign(
        kept_index=exemplars["index"].reindex(dropped["exemplar"]).to_numpy(),
        kept_volume=exemplars["volume"].reindex(dropped["exemplar"]).to_numpy(),
    )
    apart = (dropped["index"] - dropped["kept_index"]).abs()
    apart = apart.where(dropped["volume"] == dropped["kept_volume"], np.inf)
    dropped = dropped.iloc[np.lexsort((-apart, -dropped["distance"]))].drop_duplicates("exemplar")
    # One volume with much noise must not fill all the places.
    place = dropped.groupby("volume", sort=False).cumcount()
    chosen = dropped.assign(place=place).sort_values("place", kind="stable").head(_PAIRS)
    chosen = chosen.sort_values("distance", ascending=False, kind="stable")
    several = table["volume"].nunique() > 1
    return [_pair(stored, row, several) for row in chosen.itertuples()]


def volume_rows(stored: ShownSlices, volumes: pd.DataFrame) -> tuple[list[VolumeRow], list[VolumeRow]]:
    """
    The most and the least reduced volumes; all as the former, where they are few.

    Args:
        stored: slices with pixels.
        volumes: of `volume_table`.
    """
    most, least = volumes, volumes.iloc[:0]
    if len(volumes) > 2 * _ENDS:
        most = volumes.head(_ENDS)
        least = volumes.sort_values(["share", "slices", "volume"], ascending=[False, False, True]).head(_ENDS)
    rows_of = stored.table[stored.table["volume"].isin([*most["volume"], *least["volume"]])]
    return [_row(stored, rows_of, row) for row in most.itertuples()], [
        _row(stored, rows_of, row) for row in least.itertuples()
    ]


def _row(stored: ShownSlices, rows_of: pd.DataFrame, row: Any) -> VolumeRow:
    own = rows_of[(rows_of["volume"] == row.volume) & rows_of["kept"].astype(bool)].sort_values("index")
    shown = evenly(own, _THUMBNAILS)
    thumbnails: tuple[Picture, ...] = ()
    if len(shown):
        images = stored.pictures(shown["slice"].tolist(), row.volume, 112)
        thumbnails = tuple(
            Picture(f"slice {index}", image=image, alt=f"Kept slice {index} of volume {row.volume}")
            for index, image in zip(shown["index"], images, strict=True)
        )
    return VolumeRow(row.volume, row.patient, int(row.slices), int(row.kept), float(row.share), thumbnails)


def _pair(stored: ShownSlices, row: Any, several: bool) -> Picture:
    kept, dropped = stored.pictures([row.exemplar, row.slice], row.kept_volume, 224)
    where = "" if row.volume == row.kept_volume else f" of volume {row.volume}"
    text = f"slice {row.kept_index:.0f}" + (f" of volume {row.kept_volume}" if several else "")
    beside = Picture(
        f"slice {row.index}{where} dropped{distance_text(row)}",
        image=dropped,
        alt=f"Dropped slice {row.index}{where}{distance_text(row)} from {text}",
    )
    return Picture(f"{text} stands for", image=kept, alt=f"Kept {text}", beside=(beside,))
