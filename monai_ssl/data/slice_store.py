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


"""The slices of many volumes on disk, one file a volume, with a row for every slice."""

from __future__ import annotations

import json
import logging
import os
import shlex
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.data.slice_parts import COLUMNS
from monai_ssl.files import read_table

__all__ = ["SliceStore", "read_slices"]

logger = logging.getLogger(__name__)

# Open files are few on some systems; a DataLoader worker comes back to the same volumes rarely.
_OPEN_VOLUMES = 32
_REMEDY = "copy the store again, or make it anew with: python -m monai_ssl slice"
_TEXT = ("slice", "volume", "patient", "exemplar", "hash", "file", "dtype")


class SliceStore:
    """
    A slice store, read slice by slice; `slice_volumes` makes it.

    Cheap to send to DataLoader workers: volumes are memory-mapped on first use in each.

    Attributes:
        path: the folder.
        table: all slices, kept and dropped, in store order; the columns of `slices.csv`, names as text.
        kept: the rows of the kept slices; row `i` belongs to `store[i]`.
        labels: one row per labelled slice, the index being the slice; None without labels.
        settings: the content of `store.json`.

    Example:
        >>> store = SliceStore.open("slices")  # doctest: +SKIP
        >>> store[0].shape, store.kept["position_mm"][0]  # doctest: +SKIP
    """

    def __init__(self, path: Path, settings: dict[str, Any], table: pd.DataFrame, labels: pd.DataFrame | None) -> None:
        self.path = path
        self.settings = settings
        self.table = table
        self.labels = labels
        self.kept = table[table["kept"]].reset_index(drop=True)
        self._files = self.kept["file"].tolist()
        self._rows = self.kept["row"].astype(int).tolist()
        self._place = {name: place for place, name in enumerate(table["slice"])}

    @classmethod
    def open(cls, path: str | os.PathLike) -> SliceStore:
        """
        Open a store, checking that it is whole. One that a full disk left unfinished opens with a warning.

        Args:
            path: the output folder of `slice_volumes`.

        Raises:
            ValueError: when it is no store, or a volume is missing, short or another than the table says.
        """
        path = Path(path)
        if not (path / "store.json").is_file():
            begun = (path / ".slicing.json").exists() or (path / ".update").exists()
            raise ValueError(
                f"{path}: not a finished slice store (no store.json); "
                + (
                    "slicing is at work, or was stopped: repeat the command that began it"
                    if begun
                    else f"make one with: python -m monai_ssl slice INPUT {shlex.quote(str(path))}"
                )
            )
        settings = _read_settings(path / "store.json")
        if not settings.get("complete", True):
            done, pending = settings["counts"]["volumes"], settings["counts"]["pending"]
            logger.warning(
                "%s: unfinished, volumes sliced: %d, left: %d; repeat the command that began it", path, done, pending
            )
        reduction = settings.get("reduction", {})
        if not reduction.get("complete", True):
            logger.warning("%s: reduction by %s was stopped; run it again", path, reduction["strategy"])
        table = read_slices(path, settings["counts"]["slices"])
        stored = table[table["row"].notna()]
        for (file, dtype), count in sorted(Counter(zip(stored["file"], stored["dtype"], strict=True)).items()):
            _check_volume(path / file, dtype, count)
        labels = None
        if (path / "labels.csv").is_file():
            labels = read_table(path / "labels.csv", text=["slice", "split", "class"]).set_index("slice")
        return cls(path, settings, table, labels)

    def __len__(self) -> int:
        """The number of kept slices."""
        return len(self._files)

    def __getitem__(self, number: int) -> np.ndarray:
        """
        A kept slice.

        Args:
            number: 0 to `len(store) - 1`, or negative from the end.

        Returns:
            (H, W), int16 or float32, in display orientation; a copy, so that it may be changed.

        Raises:
            IndexError: beyond the end.
        """
        if not -len(self) <= number < len(self):
            raise IndexError(f"slice {number} of a store with {len(self)} kept slices")
        return np.array(_volume(str(self.path / self._files[number]))[self._rows[number]])

    def read(self, name: str) -> np.ndarray:
        """
        A stored slice, kept or not, by the name it has in the tables.

        Args:
            name: such as "5f0c21d67e3b9a84_0012".

        Returns:
            (H, W), as by number.

        Raises:
            KeyError: when the store has no such slice, or dropped it before it was stored.
        """
        if name not in self._place:
            raise KeyError(f"{self.path}: slice {name} is unknown")
        row = self.table.iloc[self._place[name]]
        if pd.isna(row["row"]):
            raise KeyError(f"{self.path}: slice {name} was dropped, not stored; {row['exemplar']} stands for it")
        return np.array(_volume(str(self.path / row["file"]))[int(row["row"])])


def _read_settings(file: Path) -> dict[str, Any]:
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: damaged ({error}); {_REMEDY}") from error
    sections = ("arguments", "counts", "reduction")
    if not isinstance(settings, dict) or not all(isinstance(settings.get(name), dict) for name in sections):
        raise ValueError(f"{file}: must have {', '.join(sections)}, so it is no slice store's; {_REMEDY}")
    return settings


def read_slices(path: Path, count: int) -> pd.DataFrame:
    """The table `slices.csv` of `count` slices in a folder."""
    file = path / "slices.csv"
    if not file.is_file():
        raise ValueError(f"{file}: missing; {_REMEDY}")
    try:
        table = read_table(file, text=_TEXT)
    except ValueError as error:
        raise ValueError(f"{file}: damaged, no table of slices; {_REMEDY}") from error
    absent = [name for name in COLUMNS if name not in table]
    if absent:
        raise ValueError(f"{file}: has no column {', '.join(absent)}; {_REMEDY}")
    if len(table) != count:
        raise ValueError(f"{file}: has {len(table)} slices, but store.json tells of {count}; {_REMEDY}")
    names = pd.Index(table["slice"])
    if not names.is_unique:
        raise ValueError(f"{file}: has slice {names[names.duplicated()][0]} twice; {_REMEDY}")
    if not (known := table["exemplar"].isin(names)).all():
        raise ValueError(f"{file}: has no slice {table.loc[~known, 'exemplar'].iloc[0]}, an exemplar; {_REMEDY}")
    table["kept"] = table["kept"].astype(bool)
    table["row"] = table["row"].astype("Int64")
    return table


def _check_volume(file: Path, dtype: str, count: int) -> None:
    try:
        volume = np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ValueError(f"{file}: missing; {_REMEDY}") from None
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{file}: damaged ({error}); {_REMEDY}") from error
    if volume.ndim != 3 or len(volume) != count or volume.dtype != dtype:
        raise ValueError(
            f"{file}: holds {volume.dtype} {volume.shape}, but slices.csv tells of {count} slices of {dtype}; {_REMEDY}"
        )


@lru_cache(maxsize=_OPEN_VOLUMES)
def _mapped(file: str, changed: int) -> np.ndarray:
    return np.load(file, mmap_mode="r", allow_pickle=False)


def _volume(file: str) -> np.ndarray:
    # A store made anew at the same place in the same process is another one.
    return _mapped(file, os.stat(file).st_mtime_ns)
