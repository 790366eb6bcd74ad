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

"""Choosing the exemplars of a slice store anew, from what is in it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from monai_ssl.data.choosing import choose, need_voxels
from monai_ssl.data.name_order import NAME_RANK
from monai_ssl.data.parallel import check_workers
from monai_ssl.data.slice_store import SliceStore
from monai_ssl.data.stored_slices import StoredSlices, feature_file, make_embedder, write_features
from monai_ssl.files import lock_folder, write_json
from monai_ssl.reduction import SCOPES, STRATEGIES, check_order, check_seed, embed_slices, find_strategy, parse_strategy

if TYPE_CHECKING:
    from monai_ssl.networks import Embedder

__all__ = ["reduce_store"]


def reduce_store(
    path: str | os.PathLike,
    strategy: str,
    *,
    scope: str = "volume",
    order: str | None = None,
    target_fraction: float | None = None,
    seed: int = 0,
    backbone: str | None = None,
    checkpoint: str | os.PathLike | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> SliceStore:
    """
    Reduce a slice store anew: `kept`, `exemplar` and `distance` of its slices change, and nothing else.

    Hashes and features that are in the store are taken from there; no voxel is read for them. The 8-bit images that are
    compared are those of the store's `window`. The page of the reduction before is removed;
    `build_reduction_report` makes the new one.

    Args:
        path: a finished store.
        strategy: as in `monai_ssl.reduction.reduce_slices`; only its name where `target_fraction` is given.
        scope: "volume", "patient" or "dataset", within which slices may stand for one another. Beyond the volume only
            `dhash` and `embedding` can compare, which have an index. Volumes follow one another by their pseudonyms, so
            that with "dataset" another key keeps other slices.
        order: in which slices are compared: "position", as in the store, or "name", within volumes and patients of a
            store that was sliced so; see `slice_volumes`. None for the order it was sliced in.
        target_fraction: find the number that keeps the share of slices nearest to this one, above 0 and at most 1.
        seed: of `random`, 0 or more; each volume draws by it and by its pseudonym.
        backbone: architecture for `embedding`, where the store has no features yet.
        checkpoint: its weights.
        workers: processes for `ssim` and `mi`; None for one per CPU.
        scheduler: address of a dask scheduler to run those on instead; its workers must see the store under the same
            absolute path.

    Returns:
        The store as it is now.

    Raises:
        ValueError: for bad arguments, before any work; when a slice would be kept, or its voxels are needed, that was
            never stored; when another process is at work in the store.
        OSError: when the store cannot be written; it stays as it was then.

    Example:
        >>> store = reduce_store("slices", "dhash:6", scope="dataset")  # doctest: +SKIP
        >>> len(store), len(store.table)  # doctest: +SKIP
    """
    path = Path(path)
    name = _check(strategy, scope, order, target_fraction, seed, workers)
    embedder, made_by = make_embedder(STRATEGIES[name].compares == "features", backbone, checkpoint)
    SliceStore.open(path)  # a folder that is no store gets no lock
    with lock_folder(path):
        store = SliceStore.open(path)
        if not store.settings.get("complete", True):
            raise ValueError(f"{path}: slicing it is not finished; repeat the command that began it, and reduce then")
        order = _order(store, scope, order)
        _prepare(store, name, embedder, made_by)
        wanted = {"strategy": strategy, "scope": scope, "order": order, "seed": seed}
        wanted["target_fraction"] = target_fraction
        choice = choose(store, wanted, workers=workers, scheduler=scheduler)
        with choice.written(path, store):
            # A kill between the two files leaves settings that say so.
            write_json(path / "store.json", choice.settings_of(store, complete=False))
        write_json(path / "store.json", choice.settings_of(store))
        for picture in ("reduction.html", "reduction.png"):  # of the reduction before
            (path / picture).unlink(missing_ok=True)
    return SliceStore.open(path)


def _check(strategy: str, scope: str, order: str | None, fraction: float | None, seed: int, workers: int | None) -> str:
    problems = []
    allowed = find_strategy(strategy)
    name = allowed.form.partition(":")[0]
    if fraction is None:
        parse_strategy(strategy)
    elif strategy != name:
        problems.append(f"with a target_fraction give the strategy alone, {name!r}, got {strategy!r}")
    if scope not in SCOPES:
        problems.append(f"scope must be one of {', '.join(SCOPES)}, got {scope!r}")
    elif scope not in allowed.scopes:
        problems.append(
            f"{name} has no scope beyond the volume, got {scope!r}: it has no index to compare slices across volumes; "
            "dhash and embedding have"
        )
    checks = [partial(check_seed, seed), partial(check_workers, workers)]
    if order is not None:
        checks.append(partial(check_order, order))
    for check in checks:
        try:
            check()
        except ValueError as error:
            problems.append(str(error))
    if fraction is not None and not 0 < fraction <= 1:
        problems.append(f"target_fraction must be above 0 and at most 1, got {fraction!r}")
    if fraction is not None and name == "all":
        problems.append("all keeps every slice, whatever the target_fraction")
    if problems:
        raise ValueError("\n".join(problems))
    return name


def _order(store: SliceStore, scope: str, order: str | None) -> str:
    order = order or store.settings["arguments"].get("order", "position")
    if order == "name" and scope == "dataset":
        raise ValueError(
            "order 'name' ends with the patient: the store does not tell how patients are called; --order position"
        )
    if order == "name" and NAME_RANK not in store.table:
        raise ValueError(
            f"{store.path}: does not know the order of names; slice the source anew with --order name, or reduce with "
            "--order position"
        )
    return order


def _prepare(store: SliceStore, name: str, embedder: Embedder | None, made_by: dict[str, Any] | None) -> None:
    """See to it that what is compared is there."""
    compares = STRATEGIES[name].compares
    if compares == "images":
        need_voxels(store, name)
    if compares != "features":
        return
    if embedder is None and "features" not in store.settings:
        raise ValueError(
            f"{store.path}: has no features yet; give a network that makes them: --backbone NAME --checkpoint FILE"
        )
    if embedder is None or made_by is None or made_by == store.settings.get("features"):
        return
    need_voxels(store, name)
    volumes = store.table.groupby("volume", sort=False)
    for volume, rows in tqdm(volumes, unit="volume", desc="features", disable=None):
        file = feature_file(store.path, made_by, str(volume))
        if not file.exists():
            slices = StoredSlices((store.path,), store.settings, rows)
            write_features(file, embed_slices(slices.eight_bit(), embedder))
    store.settings["features"] = made_by
    write_json(store.path / "store.json", store.settings)
