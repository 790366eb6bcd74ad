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

"""What reduction kept and dropped, as tables: of one volume, and over a store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "dropped_table",
    "evenly",
    "exemplar_table",
    "of_volume",
    "reduction_summary",
    "replaced_slices",
    "typical_volume",
]


def exemplar_table(table: pd.DataFrame, volume: str, limit: int | None = None) -> pd.DataFrame:
    """
    The kept slices of a volume in order, each with the slices that it stands for.

    Args:
        table: of a slice store.
        volume: its id.
        limit: at most so many rows, evenly spaced.

    Returns:
        `slice, index, replaced, first, last, distance, elsewhere`: how many slices of its volume it replaced, the
        lowest and highest index among them and itself, the largest distance of any it replaced (0 when it replaced
        none, NaN when the table tells none), and how many slices of other volumes it replaced.

    Raises:
        ValueError: when the volume is not in the table or kept no slice.
    """
    rows = of_volume(table, volume)
    kept = rows[rows["kept"]]
    if kept.empty:
        raise ValueError(f"volume {volume} has no kept slice to show")
    own = rows.groupby("exemplar").agg(members=("index", "size"), first=("index", "min"), last=("index", "max"))
    own = own.reindex(kept["slice"])
    replaced = replaced_slices(table, volume)
    distances = pd.Series(0.0, kept["slice"])
    distances.update(replaced.groupby("exemplar")["distance"].max().fillna(np.inf))
    elsewhere = replaced.loc[replaced["elsewhere"], "exemplar"].value_counts()
    exemplars = pd.DataFrame(
        {
            "slice": kept["slice"].to_numpy(),
            "index": kept["index"].to_numpy(),
            "replaced": own["members"].to_numpy() - 1,
            "first": own["first"].to_numpy(),
            "last": own["last"].to_numpy(),
            "distance": distances.replace(np.inf, np.nan).to_numpy(),
            "elsewhere": elsewhere.reindex(kept["slice"]).fillna(0).astype(int).to_numpy(),
        }
    )
    return (exemplars if limit is None else evenly(exemplars, limit)).reset_index(drop=True)


def dropped_table(table: pd.DataFrame, volume: str, exemplars: Iterable[str], each: int) -> pd.DataFrame:
    """
    Slices that were dropped, to be shown with the exemplars that stand for them.

    Args:
        table: of a slice store.
        volume: of the exemplars.
        exemplars: ids of kept slices.
        each: at most so many for an exemplar; of more, evenly spaced ones, the first and last always.

    Returns:
        `slice, index, exemplar, distance, elsewhere`, exemplar by exemplar, each in the order of the volume, and then
        those of other volumes, where `elsewhere` is true.
    """
    dropped = replaced_slices(table, volume)[["slice", "index", "exemplar", "distance", "elsewhere"]]
    groups = [evenly(dropped[dropped["exemplar"] == exemplar], each) for exemplar in exemplars]
    return pd.concat([dropped.iloc[:0], *groups], ignore_index=True)


def replaced_slices(table: pd.DataFrame, volume: str) -> pd.DataFrame:
    """
    The dropped slices that kept ones of a volume stand for, its own first, each volume's in order.

    Returns:
        Rows of the table with the column `elsewhere`: whether a row is of another volume.
    """
    here = table["volume"].astype(str) == str(volume)
    kept = table["kept"].astype(bool)
    rows = table[~kept & table["exemplar"].isin(table.loc[here & kept, "slice"])]
    rows = rows.assign(distance=rows["distance"].astype(float), elsewhere=~here[rows.index])
    return rows.sort_values(["elsewhere", "volume", "index"])


def reduction_summary(table: pd.DataFrame) -> dict[str, Any]:
    """
    How much was kept, over the store and by volume, and how far dropped slices lie from their exemplars.

    Returns:
        `volumes, slices, kept, kept_share`; `share_of_volumes` and `distance_of_dropped`, each `{lowest, median,
        highest}`, the latter None when nothing was dropped.
    """
    kept = table["kept"].astype(bool)
    shares = kept.groupby(table["volume"]).mean()
    distances = table.loc[~kept, "distance"].dropna().astype(float)
    return {
        "volumes": len(shares),
        "slices": len(table),
        "kept": int(kept.sum()),
        "kept_share": float(kept.mean()),
        "share_of_volumes": _spread(shares),
        "distance_of_dropped": _spread(distances) if len(distances) else None,
    }


def typical_volume(table: pd.DataFrame) -> str:
    """The volume with kept slices whose kept share is nearest to the store's; among equals the first."""
    if table.empty:
        raise ValueError("the store has no slices: nothing to show; slice some volumes into it first")
    kept = table["kept"].astype(bool)
    shares = kept.groupby(table["volume"], sort=False).mean()
    shares = shares[shares > 0]
    if shares.empty:
        raise ValueError("the store keeps no slice: nothing to show; reduce it anew")
    return str((shares - kept.mean()).abs().idxmin())


def of_volume(table: pd.DataFrame, volume: str) -> pd.DataFrame:
    """The rows of a volume in order, `kept` as booleans, `distance` without gaps; ValueError when there are none."""
    rows = table[table["volume"].astype(str) == str(volume)].sort_values("index")
    if rows.empty:
        known = ", ".join(table["volume"].astype(str).unique()[:3])
        raise ValueError(f"the store has no volume {volume!r}; it has {table['volume'].nunique()}, such as {known}")
    return rows.assign(kept=rows["kept"].astype(bool), distance=rows["distance"].astype(float).fillna(0.0))


def evenly(rows: pd.DataFrame, limit: int) -> pd.DataFrame:
    """At most so many rows, evenly spaced, the first and last always."""
    return rows if len(rows) <= limit else rows.iloc[np.linspace(0, len(rows) - 1, limit).round().astype(int)]


def _spread(values: pd.Series) -> dict[str, float]:
    return {"lowest": float(values.min()), "median": float(values.median()), "highest": float(values.max())}
