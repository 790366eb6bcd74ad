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

"""VinDr-CXR (Nguyen et al., Sci. Data 9:429 (2022), doi 10.13026/3akn-b287)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from monai_ssl.data.labels.columns import checked_values, first_of, official_files, read_columns

__all__ = ["read_vindr_cxr"]

_FILES = {"image_labels_train.csv": "train", "image_labels_test.csv": "test"}
_READER = "rad_id"


def read_vindr_cxr(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read `image_labels_train.csv` and `image_labels_test.csv` of a folder (or of its `annotations`), or one of them.

    Several radiologists read each training image: a label is what more than half of them say, unknown where as many
    say yes as no. The test labels are a consensus, one row an image. Patients are not published. Images have no
    suffix: `<image_id>.dicom` as published and PNG made of it are both known.
    """
    parts = []
    for file, split in official_files(path, _FILES, folders=(".", "annotations")):
        table = read_columns(file, ("image_id", "No finding"), text=("image_id", _READER))
        table = table.rename(columns={"image_id": "image", "Other disease": "Other diseases"})
        if _READER in table.columns and len(twice := table["image"][table.duplicated(["image", _READER])]):
            problems.append(f"{file}: a reader has {len(twice)} images twice, such as {first_of(twice)}")
        names = [name for name in table.columns if name not in ("image", _READER)]
        votes = checked_values(file, table, names, (0, 1), problems).groupby(table["image"], sort=False).mean()
        labels = (votes > 0.5).astype(float).mask(votes == 0.5, np.nan)
        parts.append(labels.rename_axis("image").reset_index().assign(split=split))
    differ = set(parts[0].columns) ^ set(parts[-1].columns)
    if differ:
        raise ValueError(f"{path}: the files of train and test differ in the labels {sorted(differ)}")
    return pd.concat(parts, ignore_index=True)
