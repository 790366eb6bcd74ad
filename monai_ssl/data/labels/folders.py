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

"""A folder per class, as torchvision's ImageFolder has it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from monai_ssl.data.labels.columns import one_column_per_class
from monai_ssl.data.litter import visible_files
from monai_ssl.data.volume import relative_name

__all__ = ["IMAGE_SUFFIXES", "read_folders"]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".dicom"})
_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_folders(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    The class of an image is the folder it lies in, at any depth: `covid/a.png`, or `train/covid/a.png` where all
    folders are called `train`, `val` (`valid`, `validation`) or `test`.

    A `dataset_dir` that is this folder has these images. Hidden files and folders are passed over.
    """
    if path.is_file():
        raise ValueError(f"{path}: the layout folders takes a folder that has one folder per class, not a file")
    names = [relative_name(file, path) for file in visible_files(path) if file.suffix.lower() in IMAGE_SUFFIXES]
    tops = {name.partition("/")[0].lower() for name in names if "/" in name}
    by_split = bool(tops) and tops <= set(_SPLITS)
    depth = 2 if by_split else 1
    loose = [name for name in names if name.count("/") < depth]
    if loose:
        problems.append(f"{path}: {len(loose)} images lie in no folder of a class, such as {loose[0]!r}")
    parts = [name.split("/") for name in names if name.count("/") >= depth]
    if not parts:
        raise ValueError(f"{path}: no folder with images in it; make one folder per class")
    table = pd.DataFrame(
        {
            "image": ["/".join(part) for part in parts],
            "split": [_SPLITS[part[0].lower()] if by_split else "" for part in parts],
        }
    )
    classes = pd.Series([part[depth - 1] for part in parts])
    return table.join(one_column_per_class(path, table["image"], classes, {"image", "patient", "split"}, problems))
