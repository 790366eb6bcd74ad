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

"""What reduction kept, counted: by volume, along the axis, by distance, and at other thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from monai_ssl.reduction import select_exemplars

__all__ = ["ThresholdShares", "axis_table", "distance_table", "size_table", "threshold_shares", "volume_table"]

_BINS = 20
_SLICES_A_PART = 4
_MOST_BARS = 64
_SAMPLE, _MOST_HASHES = 30_000, 2_000_000  # hashes of several groups, and of one alone
_MANY, _CHEAP = 200_000, (0, 4, 8)  # beyond it 17 thresholds take a minute, the greater the longer; these take seconds


class ThresholdShares(NamedTuple):
    """
    What thresholds keep.

    Attributes:
        shares: kept share by threshold; the index is the threshold.
        groups: volumes, patients or stores that were reduced for it.
        of: how many there are.
    """

    shares: pd.Series
    groups: int
    of: int


def volume_table(table: pd.DataFrame) -> pd.DataFrame:
    """
    How much of each volume was kept.

    Args:
        table: of a slice store.

    Returns:
        `volume, patient, slices, kept, share`, the most reduced volume first; among equals the one with more slices.
    """
    groups = table.assign(kept=table["kept"].astype(bool)).groupby("volume", sort=False)
    volumes = groups.agg(patient=("patient", "first"), slices=("kept", "size"), kept=("kept", "sum")).reset_index()
    volumes["share"] = volumes["kept"] / volumes["slices"]
    return volumes.sort_values(["share", "slices", "volume"], ascending=[True, False, True], ignore_index=True)


def size_table(volumes: pd.DataFrame, bins: int = 2 * _BINS) -> pd.DataFrame:
    """
    How many volumes have how many slices, before and after.

    Args:
        volumes: from `volume_table`.
        bins: at most so many, all of one width.

    Returns:
        `low, high, before, after`: volumes with `low` to `high` slices in the source, and with so many kept.
    """
    top = int(volumes["slices"].max())
    width = -(-(top + 1) // bins)
    low = np.arange(0, top + 1, width)
    before, after = (np.bincount(volumes[name] // width, minlength=len(low)) for name in ("slices", "kept"))
    return pd.DataFrame({"low": low, "high": low + width - 1, "before": before, "after": after})


def axis_table(table: pd.DataFrame, bins: int = _BINS) -> pd.DataFrame:
    """
    How much was kept where along the axis, over all volumes: each is cut into parts of equally many slices.

    Args:
        table: of a slice store.
        bins: parts at most; fewer where volumes are short, since a part of two or three slices tells of rounding only.

    Returns:
        `low, high, slices, kept, share`: from 0, the inferior, anterior or right end, to 1.
    """
    volume = pd.factorize(table["volume"])[0]
    order = np.lexsort((table["index"], table["position_mm"].astype(float), volume))
    size = np.bincount(volume)
    rank = np.empty(len(table), np.int64)
    rank[order] = np.arange(len(table)) - (np.cumsum(size) - size)[volume[order]]
    bins = max(1, min(bins, int(size.max()) // _SLICES_A_PART))
    # The middle of each slice, in whole numbers: no rounding moves one across a border.
    part = (2 * rank + 1) * bins // (2 * size[volume])
    slices = np.bincount(part, minlength=bins)
    kept = np.bincount(part[table["kept"].to_numpy(bool)], minlength=bins)
    low, high = np.arange(bins) / bins, np.arange(1, bins + 1) / bins
    return pd.DataFrame({"low": low, "high": high, "slices": slices, "kept": kept, "share": kept / slices})


def distance_table(table: pd.DataFrame, threshold: float | None = None) -> pd.DataFrame:
    """
    How many dropped slices lie at what distance from the kept ones that stand for them.

    Args:
        table: of a slice store.
        threshold: shown at least up to there.

    Returns:
        `low, high, dropped`; empty when no dropped slice has a distance. Where all distances are whole, both ends
        belong to a row; otherwise `high` belongs to the next one, save in the last row.
    """
    distances = table.loc[~table["kept"].astype(bool), "distance"].dropna().to_numpy(float)
    if not len(distances):
        return pd.DataFrame({"low": [], "high": [], "dropped": []})
    top = max(distances.max(), threshold or 0.0)
    if (distances == distances.round()).all() and top == round(top):
        width = -(-(int(top) + 1) // _MOST_BARS)
        low = np.arange(0, int(top) + 1, width)
        dropped = np.bincount(distances.astype(int) // width, minlength=len(low))
        return pd.DataFrame({"low": low, "high": low + width - 1, "dropped": dropped})
    dropped, edges = np.histogram(distances, bins=_BINS, range=(0, top))
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "dropped": dropped})


def threshold_shares(table: pd.DataFrame, scope: str, thresholds: Iterable[int]) -> ThresholdShares | None:
    """
    What other thresholds of `dhash` would keep, from the hashes in the table.

    Of a large store evenly spaced volumes, or patients, of about 30 000 slices are reduced; a data set as a whole, of
    more than 200 000 slices by the thresholds 0, 4 and 8 alone.

    Args:
        table: of a slice store.
        scope: "volume", "patient" or "dataset", within which slices may stand for one another.
        thresholds: bits, 0 to 64.

    Returns:
        None when slices lack a hash, or a data set has more than 2 million of them.
    """
    group = np.zeros(len(table), int) if scope == "dataset" else pd.factorize(table[scope])[0]
    size = np.bincount(group)
    count = min(len(size), max(1, int(_SAMPLE / size.mean())))
    chosen = np.linspace(0, len(size) - 1, count).round().astype(int)
    rows = table.loc[np.isin(group, chosen), "hash"]
    if size[chosen].max() > _MOST_HASHES or not rows.str.fullmatch("[0-9a-f]{16}").all():
        return None
    hashes = np.frombuffer(bytes.fromhex("".join(rows)), ">u8").astype(np.uint64)
    of_rows = group[np.isin(group, chosen)]
    groups = [hashes[of_rows == number] for number in chosen]
    if len(hashes) > _MANY:
        thresholds = [threshold for threshold in thresholds if threshold in _CHEAP]
    shares = {
        threshold: sum(len(np.unique(select_exemplars(each, threshold))) for each in groups) / len(hashes)
        for threshold in thresholds
    }
    return ThresholdShares(pd.Series(shares, dtype=float), count, len(size))
