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

"""CheXpert (Irvin et al., AAAI 2019, arXiv 1901.07031), and the labels that it shares with MIMIC-CXR-JPG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from monai_ssl.data.labels.columns import checked_values, first_of, official_files, read_columns

__all__ = ["CHEXPERT_LABELS", "read_chexpert", "stated_labels"]

CHEXPERT_LABELS = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
    *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture"),
    "Support Devices",
)


def read_chexpert(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read `train.csv` and `valid.csv` of a folder, or one of them without a split; -1 is unknown, blank is negative.

    The radiologists' `valid.csv` is `test`, as results are usually given on it; validation is drawn from the patients
    of `train.csv`. Only where the later published `test.csv` lies beside, `valid.csv` is `val`. Frontal and lateral
    images are both kept. Names lose the folder `CheXpert-v1.0` or `CheXpert-v1.0-small`, so either may be used.
    """
    later = path.is_dir() and any((path / name).is_file() for name in ("test.csv", "test.csv.gz"))
    names = {"train.csv": "train", "valid.csv": "val" if later else "test", "test.csv": "test"}
    parts = []
    for file, split in official_files(path, names):
        table = read_columns(file, ("Path", *CHEXPERT_LABELS), text=("Path",))
        keys = pd.DataFrame({"image": table["Path"].str.replace("\\", "/"), "split": split})
        keys["image"] = keys["image"].str.replace(r"^CheXpert-v1\.0[^/]*/", "", regex=True)
        keys["patient"] = keys["image"].str.extract(r"(patient\d+)/", expand=False).fillna("")
        if (unnamed := keys["patient"] == "").any():
            problems.append(
                f"{file}: {int(unnamed.sum())} paths name no patient, such as {first_of(table['Path'][unnamed])}"
            )
        parts.append(keys.join(stated_labels(file, keys.join(table[list(CHEXPERT_LABELS)]), problems)))
    return pd.concat(parts, ignore_index=True)


def stated_labels(path: Path, table: pd.DataFrame, problems: list[str]) -> pd.DataFrame:
    """The labels of CheXpert's labeller: 1 positive, 0 negative, NaN where uncertain (-1), 0 where not mentioned."""
    values = checked_values(path, table, CHEXPERT_LABELS, (1, 0, -1, np.nan), problems)
    return values.fillna(0).replace(-1, np.nan)
