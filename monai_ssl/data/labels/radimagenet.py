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

"""RadImageNet (Mei et al., Radiol. Artif. Intell. 4:e210315 (2022), doi 10.1148/ryai.210315)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from monai_ssl.data.labels.columns import official_files, one_column_per_class, read_columns

__all__ = ["read_radimagenet"]

_FILES = {f"RadiologyAI_{split}.csv": split for split in ("train", "val", "test")}


def read_radimagenet(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read `RadiologyAI_train.csv`, `RadiologyAI_val.csv` and `RadiologyAI_test.csv` of a folder, or one of them.

    Their columns `filename` and `label` give one of 165 classes; each becomes a column. Patients are not published.
    """
    parts = []
    for file, split in official_files(path, _FILES):
        table = read_columns(file, ("filename", "label"), text=("filename", "label"))
        parts.append(table[["filename", "label"]].assign(split=split))
    table = pd.concat(parts, ignore_index=True).rename(columns={"filename": "image"})
    classes = table.pop("label")
    return table.join(one_column_per_class(path, table["image"], classes, {"image", "patient", "split"}, problems))
