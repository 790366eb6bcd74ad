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

"""MRNet (Bien et al., PLoS Med. 15:e1002699 (2018))."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ssl.data.labels.columns import checked_values, first_of

__all__ = ["MRNET_FILE", "read_mrnet"]

MRNET_FILE = re.compile(r"(train|valid)-(abnormal|acl|meniscus)\.csv")
_PLANES = ("axial", "coronal", "sagittal")


def read_mrnet(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read `train-acl.csv`, `valid-abnormal.csv` and so on (rows `exam,label`, no header) of a folder, or one of them.

    A label is of an exam: it counts for the volumes `train/axial/0000.npy`, `train/coronal/...`, `train/sagittal/...`
    and for each slice in them. For one plane only, the `dataset_dir` is its folder, `train/axial`, and the label file
    `train-acl.csv` alone, so that its exams are split; or it holds `train/axial` and `valid/axial` and nothing else.
    Patients are not published; the exam stands for the patient, so that its slices stay together. `valid` is `test`, as
    results are usually given on it; validation is drawn from the exams of `train`.
    """
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if MRNET_FILE.fullmatch(file.name))
    if not files:
        raise FileNotFoundError(
            f"{path}: none of train-acl.csv, train-abnormal.csv, train-meniscus.csv is in this folder"
        )
    sides: dict[str, dict[str, pd.Series]] = {"train": {}, "valid": {}}
    for file in files:
        if not (name := MRNET_FILE.fullmatch(file.name)):
            raise ValueError(f"{file}: MRNet's files are called train-acl.csv, valid-abnormal.csv and so on")
        sides[name[1]][name[2]] = _labels_of_exams(file, problems)
    parts = []
    for side, labels in sides.items():
        if not labels:
            continue
        table = pd.DataFrame(labels)
        if (gaps := table.isna().any(axis=1)).any():
            some = first_of(table.index[gaps])
            problems.append(f"{path}: {int(gaps.sum())} exams of {side} are in some files only, such as {some}")
        table = table.fillna(0).rename_axis("patient").reset_index()
        split = "" if path.is_file() else {"train": "train", "valid": "test"}[side]
        parts += [table.assign(image=f"{side}/{plane}/" + table["patient"] + ".npy", split=split) for plane in _PLANES]
    return pd.concat(parts, ignore_index=True)


def _labels_of_exams(file: Path, problems: list[str]) -> pd.Series:
    try:
        table = pd.read_csv(file, header=None, dtype=str, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: rows must be exam,label, but {error}") from error
    if table.shape[1] != 2:
        raise ValueError(
            f"{file}: rows must be exam,label, got {table.shape[1]} columns, first {list(table.iloc[0].fillna(''))}"
        )
    table.columns = pd.Index(["image", "label"])
    if len(twice := table["image"][table["image"].duplicated()]):
        problems.append(f"{file}: {len(twice)} exams are listed twice, such as {first_of(twice)}")
        table = table.drop_duplicates("image", ignore_index=True)
    return checked_values(file, table, ["label"], (0, 1), problems).set_index(table["image"])["label"].astype(np.int8)
