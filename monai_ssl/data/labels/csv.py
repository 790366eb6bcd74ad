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

from monai_ssl.data.labels.columns import one_column_per_class, read_columns, wrong_header

__all__ = ["read_csv"]


def read_csv(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read `image` (or `slice`), optionally `patient` and `split`, and the labels: 0/1 columns or one text column `class`.

    A column `class` becomes one 0/1 column per class, in alphabetical order: multi-class labels.

    Raises:
        ValueError: when not exactly one column names the images, or a class is called as another column.
    """
    text = ("image", "slice", "patient", "split", "class")
    table = read_columns(path, (), text=text)
    if {"image", "slice"} <= set(table.columns):
        raise ValueError(f"{path}: both columns 'image' and 'slice' name the images; keep one")
    table = table.rename(columns={"slice": "image"})
    if "image" not in table.columns:
        raise wrong_header(path, table, "no column 'image' or 'slice'")
    table["image"] = table["image"].str.strip()
    if "class" in table.columns:
        classes = table.pop("class")
        taken = {"patient", "split", *table.columns}
        table = table.join(one_column_per_class(path, table["image"], classes, taken, problems))
    return table
