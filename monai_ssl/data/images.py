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
from monai_ssl.data.dicom.single import is_dicom_file, list_dicom_images
from monai_ssl.data.labels import label_columns
from monai_ssl.data.litter import visible_files
from monai_ssl.data.slice_store import SliceStore
from monai_ssl.data.slicing_state import STATE_FILE
from monai_ssl.data.volume import relative_name

__all__ = ["ImageData", "image_files", "list_images"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".npy"}
_COMPRESSED = {".gz", ".zip", ".bz2", ".xz", ".zst", ".7z", ".tar", ".tgz", ".rar"}


def list_images(dataset_dir: str | os.PathLike) -> pd.DataFrame:
    """
    The images of a data set.

    Args:
        dataset_dir: a slice store (its kept slices), a folder with image files at any depth (PNG, JPEG, TIFF, BMP, or
            `.npy` volumes (N, H, W) as MRNet has them, by their suffix; or DICOM of any name), or a `.npz` of MedMNIST.
            Hidden files and folders are passed over.

    Returns:
        Columns `image` (slice id, path relative to the folder, that with `#row` for a slice of a volume or a frame of a
        multi-frame file, or `train/row` and so on in a `.npz`), `patient` (empty where unknown: DICOM's PatientID is
        not told), `file` and `row` (position in a volume, multi-frame file or `.npz`, else -1), in a fixed order.

    Raises:
        FileNotFoundError: when the folder is absent.
        ValueError: when it is neither a finished store nor holds images; when it holds DICOM beside other images, or
            DICOM files that are damaged.
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
    pictures, dicom = image_files(root)
    if images := list_dicom_images(dicom, root):
        table = pd.DataFrame(images, columns=["image", "file", "row"]).assign(patient="")
        return table.assign(file=table["file"].astype(str))[["image", "patient", "file", "row"]]
    if not pictures:
        packed = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in _COMPRESSED and path.is_file()]
        if packed and not packed[0].name.lower().endswith(".nii.gz"):
            raise ValueError(
                f"{root}: holds no images but {len(packed)} compressed files (the first "
                f"{relative_name(packed[0], root)}); unpack them first"
            )
        raise ValueError(
            f"{root}: neither a slice store (no store.json) nor a folder of images (DICOM, "
            f"{', '.join(sorted(_SUFFIXES))}); make a store with: python -m monai_ssl slice INPUT OUTPUT"
        )
    names = [(relative_name(path, root), str(path), -1) for path in pictures]
    return with_slices(pd.DataFrame(names, columns=["image", "file", "row"]).assign(patient=""))


def image_files(root: Path) -> tuple[list[Path], list[Path]]:
    """
    The image files below a folder, none of them looked into further than to tell what it is.

    Returns:
        PNG, JPEG, TIFF and BMP, by their suffix; and DICOM, by content. One of the two is empty.

    Raises:
        ValueError: when there are both, since HU and the brightness of pictures are not alike.
    """
    found = visible_files(root)
    pictures = [path for path in found if path.suffix.lower() in _SUFFIXES]
    others = (path for path in found if path.suffix.lower() not in _SUFFIXES)
    dicom = [path for path in others if path.is_file() and is_dicom_file(path)]
    if dicom and pictures:
        raise ValueError(
            f"{root}: holds {len(dicom)} DICOM files (the first {relative_name(dicom[0], root)}) beside "
            f"{len(pictures)} other images (the first {relative_name(pictures[0], root)}), whose values mean something "
            "else; keep one kind there"
        )
    return pictures, dicom


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
