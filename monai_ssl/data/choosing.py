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

"""Which slices of a store are kept, chosen from the hashes, features and pixels in it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from monai_ssl.data.name_order import NAME_RANK
from monai_ssl.data.parallel import Width, make_executor, run_all
from monai_ssl.data.slice_again import slice_again
from monai_ssl.data.slice_store import SliceStore
from monai_ssl.data.stored_slices import StoredSlices
from monai_ssl.files import atomic_path
from monai_ssl.reduction import STRATEGIES, Reduction, Strategy, parse_strategy

__all__ = ["Choice", "choose", "need_voxels"]

_STEPS = 16  # halvings of the range of a threshold


@dataclass(frozen=True, eq=False)
class Choice:
    """
    What is kept of a store, and what stands for the rest.

    Attributes:
        reduction: of all slices, in the order of the table.
        fresh: (N,) bool, where it was chosen now; elsewhere it is as in the table.
        settings: strategy, scope, order, seed and target_fraction.
    """

    reduction: Reduction
    fresh: np.ndarray
    settings: dict[str, Any]

    def settings_of(self, store: SliceStore, complete: bool = True) -> dict[str, Any]:
        """The settings that the store has with it."""
        counts = {**store.settings["counts"], "kept": int(self.reduction.kept.sum())}
        reduction = self.settings if complete else {**self.settings, "complete": False}
        return {**store.settings, "counts": counts, "reduction": reduction}

    @contextmanager
    def written(self, folder: Path, store: SliceStore) -> Iterator[None]:
        """The three columns are in the `slices.csv` of a folder, the table of `store`, once the block is left."""
        names, reduction = store.table["slice"].to_numpy(), self.reduction
        with atomic_path(folder / "slices.csv") as partial:
            with (
                open(folder / "slices.csv", encoding="utf-8", newline="") as source,
                open(partial, "w", encoding="utf-8", newline="") as target,
            ):
                reader = csv.reader(source)
                writer = csv.writer(target, lineterminator="\n")
                header = next(reader)
                writer.writerow(header)
                places = [header.index(column) for column in ("kept", "exemplar", "distance")]
                chosen = zip(
                    reduction.kept.tolist(), names[reduction.exemplar], reduction.distance.tolist(), strict=True
                )
                for row, fresh, values in zip(reader, self.fresh, chosen, strict=True):
                    for place, value in zip(places, values, strict=True) if fresh else ():
                        row[place] = value
                    writer.writerow(row)
            yield


def choose(
    store: SliceStore,
    wanted: dict[str, Any],
    *,
    newer: Path | None = None,
    changed: Collection[str] | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Choice:
    """
    Reduce the table of a store.

    Args:
        store: its table and settings.
        wanted: strategy, scope, order, seed and target_fraction.
        newer: a folder whose files of slices and features count before those of the store.
        changed: pseudonyms of the volumes and patients whose slices are not all in the table as they were when it was
            reduced so; the others stay as they are. None for all.
        workers: processes, for strategies that compare images.
        scheduler: address of a dask scheduler, instead.

    Raises:
        ValueError: when a slice would be kept, or its voxels are needed, that was never stored.
    """
    strategy, scope, fraction = wanted["strategy"], wanted["scope"], wanted["target_fraction"]
    name = strategy.partition(":")[0]
    table = store.table.sort_values(NAME_RANK, kind="stable") if wanted["order"] == "name" else store.table
    if scope == "dataset":
        groups = [table]
    else:
        groups = [
            rows
            for group, rows in table.groupby(scope, sort=False)
            if changed is None or fraction is not None or group in changed
        ]
    folders = tuple(folder.absolute() for folder in (newer, store.path) if folder)  # workers may be in another one
    apart = STRATEGIES[name].compares == "images"  # the rest takes less time than sending it
    with make_executor(workers if apart else 1, scheduler if apart else None, folders=folders) as (executor, width):
        reduce = partial(_reduce, store, folders, groups, scope, name, wanted["seed"], executor, width)
        if fraction is None:
            reduction = reduce(parse_strategy(strategy)[1])
        else:
            number, reduction = _nearest(STRATEGIES[name], fraction, len(table), reduce)
            strategy = f"{name}:{number!r}"
    _check_stored(store, reduction, strategy)
    fresh = np.zeros(len(table), dtype=bool)
    for rows in groups:
        fresh[rows.index] = True
    return Choice(reduction, fresh, {**wanted, "strategy": strategy})


def need_voxels(store: SliceStore, name: str) -> None:
    """
    Refuse a store that has not the voxels of all slices, as they are in the source.

    Raises:
        ValueError: naming the strategy that looks at them, and the command that stores them.
    """
    if store.settings["arguments"].get("resize") is not None:
        raise ValueError(
            f"{store.path}: {name} compares slices in the size of the source, and stored are smaller or larger ones; "
            "compare while slicing: python -m monai_ssl slice INPUT OUTPUT --resize N --reduce ..."
        )
    absent = int(store.table["row"].isna().sum())
    if absent:
        raise ValueError(
            f"{store.path}: {name} looks at the voxels of all slices, and {absent} of {len(store.table)} were never "
            f"stored; {_remedy(store)}"
        )


def _remedy(store: SliceStore) -> str:
    return f"slice the source anew, and reduce that store: {slice_again(store.path, store.settings)}"


def _reduce(
    store: SliceStore,
    folders: tuple[Path, ...],
    groups: list[pd.DataFrame],
    scope: str,
    name: str,
    seed: int,
    executor: Executor,
    width: Width,
    number: float,
) -> Reduction:
    exemplar = pd.Index(store.table["slice"]).get_indexer(store.table["exemplar"])
    result = Reduction(exemplar, store.table["distance"].to_numpy(np.float64, copy=True))
    tasks = ((StoredSlices(folders, store.settings, rows, seed), name, number) for rows in groups)
    with tqdm(total=len(groups), unit=scope, desc=f"{name} {number:g}", disable=None, delay=2) as bar:
        for places, reduction in run_all(executor, width, _reduce_group, tasks):
            result.exemplar[places] = places[reduction.exemplar]
            result.distance[places] = reduction.distance
            bar.update()
    return result


def _reduce_group(task: tuple[StoredSlices, str, float]) -> tuple[np.ndarray, Reduction]:
    slices, name, number = task
    return slices.places, STRATEGIES[name].select(slices, number)


def _nearest(
    strategy: Strategy, fraction: float, count: int, reduce: Callable[[float], Reduction]
) -> tuple[float, Reduction]:
    """The number that keeps the share of slices nearest to `fraction`, and what it gives."""
    name = strategy.form.partition(":")[0]
    if name == "random":
        return fraction, reduce(fraction)
    wanted = fraction * count
    low, high = strategy.low, min(strategy.high, count)
    best = min(((number, reduce(number)) for number in (low, high)), key=lambda each: _off(each[1], wanted))
    # Fewer are kept as the number grows; greedy choice may break that by a few slices, so the nearest of all counts.
    while high - low > (1 if strategy.kind is int else strategy.high / 2**_STEPS):
        middle = (low + high) // 2 if strategy.kind is int else (low + high) / 2
        reduction = reduce(middle)
        best = min(best, (middle, reduction), key=lambda each: _off(each[1], wanted))
        low, high = (middle, high) if reduction.kept.sum() > wanted else (low, middle)
    return best


def _off(reduction: Reduction, wanted: float) -> float:
    return abs(int(reduction.kept.sum()) - wanted)


def _check_stored(store: SliceStore, reduction: Reduction, strategy: str) -> None:
    absent = int((reduction.kept & store.table["row"].isna().to_numpy()).sum())
    if absent:
        raise ValueError(
            f"{store.path}: {strategy} would keep {absent} slices that were never stored; {_remedy(store)}"
        )
