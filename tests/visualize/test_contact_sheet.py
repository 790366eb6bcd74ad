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

import numpy as np
import pandas as pd
import pytest

from monai_ssl.visualize import (
    axis_strip,
    contact_sheet,
    exemplar_images,
    exemplar_table,
    reduction_summary,
    typical_volume,
)


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


def test_each_exemplar_knows_the_slices_it_stands_for() -> None:
    table = _Store().table
    exemplars = exemplar_table(table, "a")
    assert exemplars.to_numpy().tolist() == [
        ["a0", 0, 2, 0, 2, 5.0],
        ["a3", 3, 1, 3, 5, 6.0],
        ["a4", 4, 0, 4, 4, 0.0],
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
