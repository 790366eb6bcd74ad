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

"""The images of a slice store or of a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.data.array_images import npz_images, with_slices
from monai_ssl.data.labels import label_columns
from monai_ssl.data.slice_store import SliceStore
from monai_ssl.data.slicing_state import STATE_FILE
from monai_ssl.data.volume import relative_name

__all__ = ["ImageData", "list_images"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".npy"}


def list_images(dataset_dir: str | os.PathLike) -> pd.DataFrame:
    """
    The images of a data set.

    Args:
        dataset_dir: a slice store (its kept slices), a folder with image files at any depth, also `.npy` volumes (N, H,
            W) as MRNet has them, or a `.npz` of MedMNIST.

    Returns:
        Columns `image` (slice id, path relative to the folder, that with `#row` for a slice of a volume, or
        `train/row` and so on in a `.npz`), `patient` (empty where unknown), `file` and `row` (position in a volume or
        `.npz`, else -1), in a fixed order.

    Raises:
        FileNotFoundError: when the folder is absent.
        ValueError: when it is neither a finished store nor holds images.
    """
    root = Path(dataset_dir)
    if root.suffix == ".npz" and root.is_file():
        return npz_images(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; --dataset_dir is a slice store or a folder of images")
    if (root / STATE_FILE).is_file():
        raise ValueError(f"{root}: slicing into this store is not finished; go on with the same command")
    if (root / "store.json").is_file():
        kept = SliceStore.open(root).kept
        files = [str(root / file) for file in kept["file"]]
        return pd.DataFrame(
            {"image": kept["slice"], "patient": kept["patient"], "file": files, "row": kept["row"].astype(int)}
        ).reset_index(drop=True)
    found = (path for path in root.rglob("*") if path.suffix.lower() in _SUFFIXES)
    paths = sorted(found, key=lambda path: path.as_posix())
    if not paths:
        raise ValueError(
            f"{root}: neither a slice store (no store.json) nor a folder of images ({', '.join(sorted(_SUFFIXES))}); "
            "make a store with: python -m monai_ssl slice INPUT OUTPUT"
        )
    names = [(relative_name(path, root), str(path), -1) for path in paths]
    return with_slices(pd.DataFrame(names, columns=["image", "file", "row"]).assign(patient=""))


class ImageData:
    """
    All images of a data set, for inference.

    Args:
        dataset_dir: see :py:func:`list_images`.

    Attributes:
        problems: what keeps the data from being used, one line each; empty when all is well.
    """

    def __init__(self, dataset_dir: str | os.PathLike) -> None:
        self.dataset_dir = dataset_dir
        self.problems: list[str] = []
        self.table = pd.DataFrame({"image": [], "patient": [], "file": [], "row": [], "split": []})
        try:
            self.table = self._read(dataset_dir)
        except (OSError, ValueError) as error:
            self.problems.append(str(error))

    def count(self, *splits: str) -> int:
        """How many items :py:meth:`items` gives."""
        return int(self.table["split"].isin(splits).sum()) if splits else len(self.table)

    def items(self, *splits: str) -> list[dict[str, Any]]:
        """
        The items of some splits, as `LoadSliced` and MONAI's dictionary transforms take them.

        Args:
            splits: of `train`, `val`, `test`; none means all images.
        """
        table = self.table[self.table["split"].isin(splits)] if splits else self.table
        labels = table[label_columns(table)].to_numpy(np.float32, copy=True)
        columns = [table[name].tolist() for name in ("image", "patient", "split", "file", "row")]
        return [
            {"id": image, "patient": patient, "split": split, "image": file, "row": row, "label": label}
            for image, patient, split, file, row, label in zip(*columns, labels, strict=True)
        ]

    def _read(self, dataset_dir: str | os.PathLike) -> pd.DataFrame:
        return list_images(dataset_dir).assign(split="")
