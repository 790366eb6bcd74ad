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

"""MedMNIST (Yang et al., Sci. Data 10:41 (2023), doi 10.1038/s41597-022-01721-8)."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["read_medmnist"]


def read_medmnist(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read the labels in a `.npz` of MedMNIST, such as `organsmnist.npz` or `chestmnist_64.npz`.

    Images are called `train/0`, `val/0`, `test/0` and so on. Classes are numbered as the file numbers them: one column
    `class_0`, `class_1` ... for each, or `class_1` alone where there are two; several labels at once are `label_0`,
    `label_1` ... The package medmnist names them, in `medmnist.INFO`. Patients are not published.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not a .npz of MedMNIST, nor a whole zip file; give the file as downloaded")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            sides = {
                split: arrays[f"{split}_labels"] for split in ("train", "val", "test") if f"{split}_labels" in arrays
            }
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a .npz of MedMNIST ({error}); give the file as downloaded") from error
    if not sides:
        raise ValueError(f"{path}: not a .npz of MedMNIST, it has no train_labels, val_labels or test_labels")
    if len({labels.shape[1:] for labels in sides.values()}) > 1 or any(labels.ndim != 2 for labels in sides.values()):
        shapes = {f"{split}_labels": labels.shape for split, labels in sides.items()}
        raise ValueError(f"{path}: labels must be (images, labels), one number of labels in all splits, got {shapes}")
    values = np.concatenate(list(sides.values()))
    if values.dtype.kind not in "iub" or (values < 0).any():
        raise ValueError(f"{path}: labels must be whole numbers from 0, got {values.dtype} {values.ravel()[:3]}")
    keys = [(f"{split}/{row}", split) for split, labels in sides.items() for row in range(len(labels))]
    return pd.DataFrame(keys, columns=["image", "split"]).join(_columns(values.astype(int)))


def _columns(values: np.ndarray) -> pd.DataFrame:
    if values.shape[1] > 1:
        return pd.DataFrame(values, columns=[f"label_{label}" for label in range(values.shape[1])])
    classes = max(int(values.max(initial=0)) + 1, 2)
    table = pd.DataFrame(np.eye(classes, dtype=np.int8)[values[:, 0]], columns=[f"class_{k}" for k in range(classes)])
    return table[["class_1"]] if classes == 2 else table
