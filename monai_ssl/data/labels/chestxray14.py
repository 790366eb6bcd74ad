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

"""NIH ChestX-ray14 (Wang et al., CVPR 2017, doi 10.1109/CVPR.2017.369)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from monai_ssl.data.labels.columns import first_of, read_columns

__all__ = ["FINDINGS", "read_chestxray14"]

_LISTS = {"train_val_list.txt": "train", "test_list.txt": "test"}
FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia"),
    *("Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax"),
)


def read_chestxray14(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read the official `Data_Entry_2017*.csv`, or its folder; `train_val_list.txt` and `test_list.txt` beside it give the
    split.

    The official release lists training and validation together: those rows are `train`, and validation patients are
    taken from them later. Without the lists the split stays empty. An image on neither list has an empty split too.
    """
    if path.is_dir():
        files = sorted(path.glob("Data_Entry_2017*.csv*"))
        if not files:
            raise FileNotFoundError(f"{path}: no Data_Entry_2017*.csv is in this folder")
        path = files[-1]  # the corrected edition of 2020 sorts behind the first one
    columns = ("Image Index", "Patient ID", "Finding Labels")
    table = read_columns(path, columns, text=columns)
    findings = table["Finding Labels"].str.get_dummies("|").drop(columns="No Finding", errors="ignore")
    unknown = sorted(set(findings.columns) - set(FINDINGS))
    if unknown:
        problems.append(f"{path}: findings {unknown} are not among ChestX-ray14's {list(FINDINGS)}")
    if (silent := table["Finding Labels"] == "").any():
        problems.append(
            f"{path}: {int(silent.sum())} rows have no finding, not even 'No Finding', such as "
            f"{first_of(table['Image Index'][silent])}; fill or remove them"
        )
    keys = pd.DataFrame({"image": table["Image Index"], "patient": table["Patient ID"]})
    keys["split"] = keys["image"].map(_official_split(path.parent)).fillna("")
    return keys.join(findings.reindex(columns=FINDINGS, fill_value=0))


def _official_split(folder: Path) -> dict[str, str]:
    split = {}
    for name, side in _LISTS.items():
        if (folder / name).is_file():
            split.update(dict.fromkeys((folder / name).read_text(encoding="utf-8-sig").split(), side))
    return split
