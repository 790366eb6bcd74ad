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
        ValueError: when there is no column that names the images.
    """
    text = ("image", "slice", "patient", "split", "class")
    table = read_table(path, text=text).rename(columns={"slice": "image"})
    if "image" not in table.columns:
        looks_like = "; this looks like the layout chestxray14" if "Image Index" in table.columns else ""
        raise ValueError(f"{path}: no column 'image' or 'slice', got {list(table.columns)}{looks_like}")
    for column in ("patient", "split"):
        if column not in table.columns:
            table[column] = ""
    if "class" in table.columns:
        table = table.join(pd.get_dummies(table.pop("class"), dtype="int8"))
    return table
