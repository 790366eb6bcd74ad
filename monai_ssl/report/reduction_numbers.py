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

"""Everything the page of a reduction says, counted once over the table of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.data import SliceStore
from monai_ssl.report.numbers import package_versions, plain_values
from monai_ssl.report.reduction_words import StrategyWords, strategy_words
from monai_ssl.report.runs import without_folders
from monai_ssl.visualize import reduction_summary
from monai_ssl.visualize.reduction_counts import (
    axis_table,
    distance_table,
    size_table,
    threshold_shares,
    volume_table,
)

__all__ = ["ReductionCounts", "count_reduction", "reduction_numbers"]

_PACKAGES = ("monai_ssl", "numpy", "pandas", "matplotlib", "opencv-python-headless")
_THRESHOLDS = 16


@dataclass(frozen=True, eq=False)
class ReductionCounts:
    """
    The tables behind the graphs.

    Attributes:
        strategy: of the reduction.
        volumes: of `volume_table`.
        sizes: of `size_table`.
        along: of `axis_table`.
        distances: of `distance_table`.
        shares: kept share by threshold; empty when not known.
        sample: how many of how many volumes or patients `shares` is estimated from; None when it is exact.
        scope: within which slices could stand for one another.
        axis: along which the volumes were sliced.
    """

    strategy: StrategyWords
    volumes: pd.DataFrame
    sizes: pd.DataFrame
    along: pd.DataFrame
    distances: pd.DataFrame
    shares: pd.Series
    sample: tuple[int, int] | None
    scope: str
    axis: str

    @property
    def kept_share(self) -> float:
        """Of all slices."""
        return float(self.volumes["kept"].sum() / self.volumes["slices"].sum())


def count_reduction(store: SliceStore, thresholds: Mapping[float, float] | None) -> ReductionCounts:
    """
    Count what the page shows.

    Args:
        store: with one slice at least.
        thresholds: kept share by threshold; None to reduce the hashes of the store anew, where they tell.

    Raises:
        ValueError: for a store without slices.
    """
    table = store.table
    if table.empty:
        raise ValueError(f"{store.path}: has no slices, so nothing to report; slice some volumes into it first")
    reduction, arguments = store.settings.get("reduction") or {}, store.settings.get("arguments", {})
    strategy = strategy_words(str(reduction.get("strategy") or arguments.get("reduce", "all")))
    scope = reduction.get("scope") or "volume"
    shares, sample = pd.Series(dtype=float), None
    if thresholds is not None:
        shares = pd.Series(dict(thresholds), dtype=float).sort_index()
    elif strategy.name in ("dhash", "all"):
        top = min(64, max(_THRESHOLDS, int(strategy.threshold or 0) + 4))
        by_name = reduction.get("order") == "name"
        found = threshold_shares(table.sort_values("name_rank") if by_name else table, scope, range(top + 1))
        if found is not None:
            shares = found.shares
            sample = (found.groups, found.of) if found.groups < found.of else None
    volumes = volume_table(table)
    return ReductionCounts(
        strategy=strategy,
        volumes=volumes,
        sizes=size_table(volumes),
        along=axis_table(table),
        distances=distance_table(table, strategy.threshold),
        shares=shares,
        sample=sample,
        scope=scope,
        axis=arguments.get("axis", ""),
    )


def reduction_numbers(store: SliceStore, counts: ReductionCounts) -> dict[str, Any]:
    """What is said in words and in the settings, as plain values."""
    table, volumes, reduction = store.table, counts.volumes, store.settings.get("reduction") or {}
    dropped = ~table["kept"].to_numpy(bool)
    stored = table["row"].notna().to_numpy()
    constant = (table["min"] == table["max"]).to_numpy() if {"min", "max"} <= set(table.columns) else np.zeros(1, bool)
    return plain_values(
        reduction_summary(table)
        | {
            "patients": table["patient"].nunique(),
            "strategy": counts.strategy.text,
            "name": counts.strategy.name,
            "rule": counts.strategy.rule,
            "unit": counts.strategy.unit,
            "threshold": counts.strategy.threshold,
            "scope": counts.scope,
            "order": reduction.get("order") or "position",
            "complete": store.settings.get("complete", True),
            "reduced": reduction.get("complete", True),
            "constant": int(constant.sum()),
            "volumes_without_kept": int((volumes["kept"] == 0).sum()),
            "volumes_with_one_kept": int(((volumes["kept"] == 1) & (volumes["slices"] > 1)).sum()),
            "distances_missing": int((dropped & table["distance"].isna().to_numpy()).sum()),
            "dropped": int(dropped.sum()),
            "dropped_stored": int((dropped & stored).sum()),
            "settings": without_folders(store.settings),
            "versions": package_versions(_PACKAGES),
        }
    )
