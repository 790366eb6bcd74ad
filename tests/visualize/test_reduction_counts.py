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

from functools import partial

import numpy as np
import pandas as pd
import pytest

from monai_ssl.visualize import display_window, dropped_table, exemplar_table, typical_volume
from monai_ssl.visualize.reduction_counts import (
    axis_table,
    distance_table,
    size_table,
    threshold_shares,
    volume_table,
)
from monai_ssl.visualize.reduction_curves import draw_sizes, overview_figure, panel_figure


def _table(sizes: list[int], seed: int = 0) -> pd.DataFrame:
    """Volumes a, b, ...; positions in no order, some of them equal; a third of the slices kept."""
    rng = np.random.default_rng(seed)
    volume = np.repeat(np.arange(len(sizes)), sizes)
    index = np.concatenate([np.arange(size) for size in sizes])
    table = pd.DataFrame(
        {"volume": [f"v{i:03d}" for i in volume], "index": index, "kept": rng.random(len(index)) < 0.3}
    )
    table["patient"] = [f"p{i // 2}" for i in volume]
    table["position_mm"] = rng.integers(-9, 9, len(index)) / 2
    table["distance"] = np.where(table["kept"], 0, rng.integers(0, 7, len(index)))
    table["hash"] = [f"{value:016x}" for value in rng.integers(0, 2**10, len(index))]
    table["slice"] = table["volume"] + "_" + table["index"].astype(str)
    return table.sample(frac=1, random_state=seed, ignore_index=True)


@pytest.mark.parametrize("sizes", [[1], [3, 1], [40, 7, 23], [95, 2, 60]])
def test_the_axis_is_cut_as_a_plain_loop_cuts_it(sizes: list[int]) -> None:
    table = _table(sizes)
    bins = max(1, min(20, max(sizes) // 4))
    expected = np.zeros((bins, 2), int)
    for _, rows in table.groupby("volume"):
        inferior_first = sorted(rows.itertuples(), key=lambda row: (row.position_mm, row.index))
        for rank, row in enumerate(inferior_first):
            twice_middle = 2 * rank + 1  # of 2 len(rows): in whole numbers, since 0.35 * 20 is below 7
            part = max(i for i in range(bins) if i * 2 * len(rows) <= twice_middle * bins)
            expected[part] += (1, row.kept)
    along = axis_table(table)
    np.testing.assert_array_equal(along[["slices", "kept"]], expected)
    assert along["slices"].sum() == len(table)
    assert along["high"].iloc[-1] == 1


def test_volumes_are_counted_and_sorted_by_share() -> None:
    table = _table([9, 4, 4, 1, 30])
    volumes = volume_table(table)
    for row in volumes.itertuples():
        rows = table[table["volume"] == row.volume]
        assert (row.slices, row.kept, row.patient) == (len(rows), rows["kept"].sum(), rows["patient"].iloc[0])
    order = list(zip(volumes["share"], -volumes["slices"], volumes["volume"], strict=True))
    assert order == sorted(order)


@pytest.mark.parametrize("bins", [1, 7, 40])
def test_sizes_count_every_volume_once_before_and_after(bins: int) -> None:
    volumes = volume_table(_table([1, 5, 80, 81, 33, 34] * 12))
    sizes = size_table(volumes, bins)
    assert len(sizes) <= bins
    for row in sizes.itertuples():
        assert row.before == sum(row.low <= size <= row.high for size in volumes["slices"])
        assert row.after == sum(row.low <= size <= row.high for size in volumes["kept"])
    assert sizes["before"].sum() == sizes["after"].sum() == len(volumes)
    [axes] = panel_figure(partial(draw_sizes, sizes=sizes)).axes
    heights = [bar.get_height() for bars in axes.containers for bar in bars]
    assert heights == [*sizes["before"], *sizes["after"]]
    overview_figure([partial(draw_sizes, sizes=sizes)] * 3, "three $graphs$").draw_without_rendering()


@pytest.mark.parametrize(
    ("distances", "threshold", "low", "dropped"),
    [
        ([0, 0, 3], 4, [0, 1, 2, 3, 4], [2, 0, 0, 1, 0]),
        ([0, 0], 0, [0], [2]),
        ([1, 129], None, [*range(0, 130, 3)], [1, *[0] * 42, 1]),
        ([0.0, 0.05, 0.1], 0.1, [*np.linspace(0, 0.095, 20)], [1, *[0] * 9, 1, *[0] * 8, 1]),
        ([], 6, [], []),
        ([np.nan], 6, [], []),
    ],
)
def test_distances_fall_into_their_bars(distances: list, threshold: float | None, low: list, dropped: list) -> None:
    table = pd.DataFrame({"kept": [True] + [False] * len(distances), "distance": [0, *distances]})
    found = distance_table(table, threshold)
    np.testing.assert_allclose(found["low"], low, atol=1e-12)
    assert found["dropped"].tolist() == dropped


@pytest.mark.parametrize("scope", ["volume", "patient", "dataset"])
def test_thresholds_keep_what_a_plain_loop_keeps(scope: str) -> None:
    table = _table([20, 11, 5])
    found = threshold_shares(table, scope, (0, 1, 3))
    assert found is not None
    groups = [table] if scope == "dataset" else [rows for _, rows in table.groupby(scope)]
    assert (found.groups, found.of) == (len(groups), len(groups))
    for threshold, share in found.shares.items():
        total = 0
        for rows in groups:
            kept: list[int] = []
            for value in (int(text, 16) for text in rows["hash"]):
                if all((value ^ other).bit_count() > threshold for other in kept):
                    kept.append(value)
            total += len(kept)
        assert share == total / len(table)


def test_a_large_store_is_sampled_and_one_without_hashes_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_ssl.visualize.reduction_counts._SAMPLE", 50)
    table = _table([10] * 12)
    found, whole = threshold_shares(table, "volume", [0]), threshold_shares(table, "dataset", [0])
    assert found is not None
    assert whole is not None
    assert (found.groups, found.of, whole.groups, whole.of) == (5, 12, 1, 1)
    exact = threshold_shares(table, "dataset", range(17))
    monkeypatch.setattr("monai_ssl.visualize.reduction_counts._MANY", 50)
    few = threshold_shares(table, "dataset", range(17))
    assert exact is not None
    assert few is not None
    assert few.shares.to_dict() == {threshold: exact.shares[threshold] for threshold in (0, 4, 8)}
    monkeypatch.setattr("monai_ssl.visualize.reduction_counts._MOST_HASHES", 50)
    assert threshold_shares(table, "dataset", [0]) is None
    assert threshold_shares(table.assign(hash=""), "volume", [0]) is None


def test_exemplars_may_stand_for_slices_of_other_volumes() -> None:
    table = pd.DataFrame(
        {
            "slice": ["a0", "a1", "b0", "b1", "c0"],
            "volume": ["a", "a", "b", "b", "c"],
            "index": [0, 1, 0, 1, 0],
            "kept": [True, False, False, True, False],
            "exemplar": ["a0", "a0", "a0", "b1", "b1"],
            "distance": [0, 2, 5, 0, np.nan],
        }
    )
    assert exemplar_table(table, "a").to_numpy().tolist() == [["a0", 0, 1, 0, 1, 5, 1]]
    [row] = exemplar_table(table, "b").itertuples(index=False)
    assert tuple(row)[:5] == ("b1", 1, 0, 1, 1)
    assert np.isnan(row.distance)
    assert row.elsewhere == 1
    assert dropped_table(table, "a", ["a0"], 9)[["slice", "elsewhere"]].to_numpy().tolist() == [
        ["a1", False],
        ["b0", True],
    ]
    assert typical_volume(table.assign(kept=table["slice"] == "a0")) == "a"
    with pytest.raises(ValueError, match="keeps no slice"):
        typical_volume(table.assign(kept=False))


def test_the_window_goes_by_what_the_slices_hold() -> None:
    air = np.full(4000, -1000.0)
    chest = np.concatenate([air, np.full(1500, -800.0), np.full(3000, 40.0), np.full(200, 600.0)])
    head = np.concatenate([air, np.full(3000, 35.0), np.full(900, 900.0)])
    abdomen = np.concatenate([air, np.full(3000, 50.0), np.full(900, -100.0), np.full(100, 500.0)])
    assert display_window([chest]) == ("lung", -1350, 150)
    assert display_window([head[:5000], head[5000:]]) == ("brain", 0, 80)
    assert display_window([abdomen]) == ("abdomen", -150, 250)
    uptake = np.arange(1001.0)
    assert display_window([uptake]) == ("", *np.percentile(uptake, (0.5, 99.5)))
    assert display_window([np.full((3, 3), 7)]) == ("", 7, 7)
    with pytest.raises(ValueError, match="one image at least"):
        display_window([])
