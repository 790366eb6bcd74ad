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

"""The one entrance to every layout of label file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from monai_ssl.data.labels.chestxray14 import read_chestxray14
from monai_ssl.data.labels.csv import read_csv

__all__ = ["LAYOUTS", "label_columns", "read_labels"]

LAYOUTS: dict[str, Callable[[Path], pd.DataFrame]] = {"csv": read_csv, "chestxray14": read_chestxray14}
_KEYS = ("image", "patient", "split")
_RESERVED = {"slice", "file", "row"}


def read_labels(path: str | os.PathLike, layout: str = "csv") -> pd.DataFrame:
    """
    Read a table of labels.

    Args:
        path: the label file.
        layout: `csv` (our own form: `image`, optionally `patient` and `split`, one 0/1 column per label or one text
            column `class`) or `chestxray14` (the official `Data_Entry_2017*.csv`, with the official lists beside it).

    Returns:
        Columns `image`, `patient`, `split` (text, empty where unknown) and one 0/1 column per label.

    Raises:
        FileNotFoundError: when the file is absent.
        ValueError: when the layout is unknown or the file is not of it, naming what was found and what is allowed.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "labels.csv")
        >>> _ = path.write_text("image,patient,nodule\\na.png,007,1\\n")
        >>> read_labels(path).to_dict("records")
        [{'image': 'a.png', 'patient': '007', 'split': '', 'nodule': 1}]
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown label layout {layout!r}; known: {', '.join(LAYOUTS)}")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such label file")
    table = LAYOUTS[layout](path)
    if ours := sorted(_RESERVED & set(table.columns)):
        raise ValueError(f"{path}: the column {ours[0]!r} is ours; rename it")
    names = label_columns(table)
    if not names or table.empty:
        raise ValueError(
            f"{path}: {len(table)} rows and no label column besides {list(table.columns)}; nothing to learn"
        )
    twice = table["image"][table["image"].duplicated()]
    if len(twice):
        raise ValueError(
            f"{path}: {len(twice)} images are listed twice, the first {twice.iloc[0]!r}; keep one row each"
        )
    for name in names:
        wrong = table.loc[~table[name].isin([0, 1]), ["image", name]]
        if len(wrong):
            image, value = wrong.iloc[0]
            raise ValueError(
                f"{path}: label {name!r} must be 0 or 1, got {value!r} for {image!r} ({len(wrong)} rows in all); "
                "a column of class names must be called 'class'; remove columns that are no labels"
            )
    return table[[*_KEYS, *names]].astype(dict.fromkeys(names, "int8"))


def label_columns(table: pd.DataFrame) -> list[str]:
    """The names of the label columns of a table that `read_labels` or `SliceStore` gives."""
    return [str(column) for column in table.columns if column not in {*_KEYS, *_RESERVED}]
