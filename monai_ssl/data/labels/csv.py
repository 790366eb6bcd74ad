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

"""Our own label table, and `labels.csv` of a slice store."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from monai_ssl.files import read_table

__all__ = ["read_csv"]


def read_csv(path: Path) -> pd.DataFrame:
    """
    Read `image` (or `slice`), optionally `patient` and `split`, and the labels: 0/1 columns or one text column `class`.

    A column `class` becomes one 0/1 column per class, in alphabetical order: multi-class labels.

    Raises:
        ValueError: when not exactly one column names the images, or a class is empty or called as another column.
    """
    text = ("image", "slice", "patient", "split", "class")
    table = read_table(path, text=text)
    if {"image", "slice"} <= set(table.columns):
        raise ValueError(f"{path}: both columns 'image' and 'slice' name the images; keep one")
    table = table.rename(columns={"slice": "image"})
    if "image" not in table.columns:
        looks_like = "; this looks like the layout chestxray14" if "Image Index" in table.columns else ""
        raise ValueError(f"{path}: no column 'image' or 'slice', got {list(table.columns)}{looks_like}")
    for column in ("patient", "split"):
        if column not in table.columns:
            table[column] = ""
    if "class" in table.columns:
        table = table.join(_one_column_per_class(path, table.pop("class"), set(table.columns)))
    return table


def _one_column_per_class(path: Path, classes: pd.Series, taken: set[str]) -> pd.DataFrame:
    empty = int((classes == "").sum())
    if empty:
        raise ValueError(
            f"{path}: {empty} of {len(classes)} rows have no class; fill the column 'class' or remove them"
        )
    columns = pd.get_dummies(classes, dtype="int8")
    clash = sorted(taken & set(columns.columns))
    if clash:
        raise ValueError(f"{path}: classes {clash} are called as columns of the table; rename them")
    return columns
