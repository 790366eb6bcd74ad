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

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from monai_ssl.visualize import (
    axis_strip,
    contact_sheet,
    dropped_table,
    exemplar_images,
    exemplar_table,
    reduction_summary,
    typical_volume,
)
from monai_ssl.visualize.contact_sheet import caption


class _Store:
    """Two volumes: "a" keeps 0, 3 and 4 of 6, "b" keeps all 2."""

    def __init__(self) -> None:
        a = pd.DataFrame(
            {"volume": "a", "index": range(6), "exemplar": ["a0", "a0", "a0", "a3", "a4", "a3"]}
            | {"distance": [0, 2, 5, 0, 0, 6], "kept": [True, False, False, True, True, False]}
        )
        b = pd.DataFrame({"volume": "b", "index": [0, 1], "exemplar": ["b0", "b1"], "distance": 0, "kept": True})
        self.table = pd.concat([a, b], ignore_index=True)
        self.table.insert(0, "slice", self.table["volume"] + self.table["index"].astype(str))

    def read(self, name: str) -> np.ndarray:
        assert self.table.set_index("slice").loc[name, "kept"]
        return np.full((20, 30), int(name[1:]), np.int16)


class _StoreOfAll(_Store):
    def __init__(self) -> None:
        super().__init__()
        self.table["kept"], self.table["exemplar"] = True, self.table["slice"]


def test_each_exemplar_knows_the_slices_it_stands_for() -> None:
    table = _Store().table
    exemplars = exemplar_table(table, "a")
    assert exemplars.to_numpy().tolist() == [
        ["a0", 0, 2, 0, 2, 5.0, 0],
        ["a3", 3, 1, 3, 5, 6.0, 0],
        ["a4", 4, 0, 4, 4, 0.0, 0],
    ]
    assert exemplars["replaced"].sum() + len(exemplars) == 6
    assert exemplar_table(table, "a", limit=2)["slice"].tolist() == ["a0", "a4"]
    with pytest.raises(ValueError, match="no volume 'c'; it has 2, such as a, b"):
        exemplar_table(table, "c")


def test_summary_counts_the_whole_store() -> None:
    summary = reduction_summary(_Store().table)
    assert (summary["volumes"], summary["slices"], summary["kept"], summary["kept_share"]) == (2, 8, 5, 5 / 8)
    assert summary["share_of_volumes"] == {"lowest": 0.5, "median": 0.75, "highest": 1.0}
    assert summary["distance_of_dropped"] == {"lowest": 2, "median": 5, "highest": 6}
    assert typical_volume(_Store().table) == "a"


def test_sheet_shows_each_exemplar_and_marks_each_slice() -> None:
    strip, *tiles = contact_sheet(_Store(), "a", columns=2).axes
    assert [axes.get_title().split("\n")[0].split(" stands")[0] for axes in tiles] == ["slice 0", "slice 3", "slice 4"]
    assert strip.get_title(loc="left") == "3 of 6 slices kept, 3 shown"
    kept, dropped = axis_strip(_Store().table, "a").axes[0].collections
    assert [segment[0][0] for segment in kept.get_segments()] == [0, 3, 4]
    assert [tuple(segment[1]) for segment in dropped.get_segments()] == [(1, 2), (2, 5), (5, 6)]


def test_pictures_share_one_window_and_size() -> None:
    images = exemplar_images(_Store(), ["a0", "a3", "a4"], window=(0, 4), size=15)
    assert [image.shape for image in images] == [(10, 15)] * 3
    assert [int(image[0, 0]) for image in images] == [0, 191, 255]


def test_dropped_slices_go_with_their_exemplar() -> None:
    table = _Store().table
    everything = dropped_table(table, "a", ["a0", "a3", "a4"], each=9)
    assert everything.drop(columns="elsewhere").to_numpy().tolist() == [
        ["a1", 1, "a0", 2.0],
        ["a2", 2, "a0", 5.0],
        ["a5", 5, "a3", 6.0],
    ]
    assert not everything["elsewhere"].any()
    assert dropped_table(table, "a", ["a3", "a0"], each=1)["slice"].tolist() == ["a5", "a1"]
    assert dropped_table(table, "a", ["a0"], each=0).empty
    assert dropped_table(table, "b", ["b0", "b1"], each=9).empty


@pytest.mark.parametrize(
    ("replaced", "elsewhere", "distance", "text"),
    [
        (0, 0, 0.0, "slice 3 stands for itself"),
        (1, 0, 2.0, "slice 3 stands for 1 more (3 to 4), distance 2"),
        (1, 0, 0.0, "slice 3 stands for 1 more (3 to 4), distance 0"),
        (1, 1, 2.0, "slice 3 stands for 1 more (3 to 4) and 1 in other volumes, distance up to 2"),
        (4, 0, 0.0, "slice 3 stands for 4 more (3 to 4), all at distance 0"),
        (4, 0, np.nan, "slice 3 stands for 4 more (3 to 4)"),
    ],
)
def test_captions(replaced: int, elsewhere: int, distance: float, text: str) -> None:
    row = {"index": 3, "replaced": replaced, "elsewhere": elsewhere, "first": 3, "last": 4, "distance": distance}
    assert caption(SimpleNamespace(**row)) == text


def test_many_dropped_slices_are_picked_evenly() -> None:
    table = pd.DataFrame({"slice": [f"s{i}" for i in range(14)], "volume": "v", "index": range(14), "exemplar": "s0"})
    table = table.assign(kept=table["index"] == 0, distance=1.0)
    assert dropped_table(table, "v", ["s0"], each=4)["index"].tolist() == [1, 5, 9, 13]


def test_sheet_shows_the_dropped_slices_from_the_other_store() -> None:
    _, *tiles = contact_sheet(_Store(), "a", window=(0, 5), dropped_from=_StoreOfAll()).axes
    # Every pixel of slice i is i, so a picture tells which slice it is.
    shown = [round(float(axes.get_images()[0].get_array().mean()) / 51) for axes in tiles]
    assert shown == [0, 1, 2, 3, 5, 4]
    titles = [axes.get_title().replace("\n", " ") for axes in tiles]
    assert titles[:2] == ["slice 0 stands for 2 more (0 to 2), distance up to 5", "slice 1 dropped, distance 2"]
    assert [int(title.split()[1]) for title in titles] == shown
    rows = [axes.get_subplotspec().rowspan.start for axes in tiles]
    assert rows == [1, 1, 1, 2, 2, 3]
    widths = [axes.spines["left"].get_linewidth() for axes in tiles]
    assert min(widths[0], widths[3], widths[5]) > 2 * max(widths[1], widths[2], widths[4])
    with pytest.raises(AssertionError):
        exemplar_images(_Store(), ["a1"])
