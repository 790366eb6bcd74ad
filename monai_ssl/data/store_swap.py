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

"""The newer state of a store in place of the older, by renaming alone: no kill and no full disk can spoil it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from monai_ssl.data.slice_parts import PSEUDONYM, VOLUME_FOLDER, part_file
from monai_ssl.data.slice_record import RECORD_FILE, read_record
from monai_ssl.data.slice_tables import TABLES
from monai_ssl.data.stored_slices import feature_file

__all__ = ["UPDATE_FOLDER", "put_in_place"]

UPDATE_FOLDER = ".update"


def put_in_place(newer: Path, store: Path) -> None:
    """
    Move all that is newer into a store whose `store.json` was removed, which says that this has begun.

    Stopped at any moment, the same call completes it.

    Args:
        newer: the tables, record and settings of the newer state, and the files of volumes that are new or changed; is
            removed.
        store: the older state.
    """
    if (newer / RECORD_FILE).exists():
        _drop_stale(newer, store)
        _move_slices(newer, store)
        _move_tables(newer, store)
        os.replace(newer / RECORD_FILE, store / RECORD_FILE)
    os.replace(newer / "store.json", store / "store.json")
    shutil.rmtree(newer, ignore_errors=True)


def _drop_stale(newer: Path, store: Path) -> None:
    before, now = read_record(store).parts, read_record(newer).parts
    sliced = {name for name, part in now.items() if part.rejection is None}
    same = {name for name in sliced if name in before and before[name].as_read(now[name])}
    # Features made at slicing are renewed as slices are; what `reduce` made of a volume that has changed is stale.
    made_by = json.loads((newer / "store.json").read_text(encoding="utf-8"))["arguments"]["features"]
    renewed = {store / VOLUME_FOLDER} | ({feature_file(store, made_by, "").parent} if made_by else set())
    for folder in (store / VOLUME_FOLDER, *store.glob("features/*")):
        for file in folder.glob(f"{PSEUDONYM}.npy"):
            if file.stem not in (sliced if folder in renewed else same):
                file.unlink()


def _move_slices(newer: Path, store: Path) -> None:
    for pattern in (f"features/*/{PSEUDONYM}.npy", f"{VOLUME_FOLDER}/{PSEUDONYM}.npy"):
        for file in newer.glob(pattern):
            if part_file(newer, file.stem).exists():
                target = store / file.relative_to(newer)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, target)


def _move_tables(newer: Path, store: Path) -> None:
    first, *_ = TABLES
    absent = [table for table in TABLES if not (newer / table).exists()]
    if first not in absent:  # it goes first, so none has gone yet
        for table in absent:
            (store / table).unlink(missing_ok=True)
    for table in TABLES:
        if table not in absent:
            os.replace(newer / table, store / table)
