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

"""RSNA Pneumonia Detection Challenge 2018 (Shih et al., Radiol. Artif. Intell. 1:e180041 (2019))."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from monai_ssl.data.labels.columns import (
    checked_values,
    first_of,
    official_files,
    one_column_per_class,
    read_columns,
    wrong_header,
)

__all__ = ["read_rsna_pneumonia"]


def read_rsna_pneumonia(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read `stage_2_train_labels.csv` (one label, `pneumonia`), or its folder; `stage_2_detailed_class_info.csv`, given
    by name, has the three classes instead.

    A patient has a row per box and one image, `<patientId>.dcm` or PNG made of it. The challenge publishes no split.
    """
    file = official_files(path, {"stage_2_train_labels.csv": ""})[0][0]
    table = read_columns(file, ("patientId",), text=("patientId", "class")).rename(columns={"patientId": "image"})
    if "class" in table.columns:
        rows = table[["image", "class"]].drop_duplicates(ignore_index=True)
        labels = one_column_per_class(file, rows["image"], rows["class"], {"image", "patient", "split"}, problems)
    else:
        if "Target" not in table.columns:
            raise wrong_header(file, table, "no column 'Target' or 'class'")
        labels = checked_values(file, table, ["Target"], (0, 1), problems).rename(columns={"Target": "pneumonia"})
        rows = table[["image"]].join(labels).drop_duplicates(ignore_index=True)
        labels = rows[["pneumonia"]]
    if len(twice := rows["image"][rows["image"].duplicated()]):
        problems.append(
            f"{file}: the rows of {twice.nunique()} patients contradict each other, such as {first_of(twice)}"
        )
    keys = pd.DataFrame({"image": rows["image"], "patient": rows["image"]})
    return keys.join(labels)[~rows["image"].duplicated()].reset_index(drop=True)
