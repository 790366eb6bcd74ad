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

"""What a bundle trains on: the images of a slice store or of a folder, joined with labels and split by patient."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from monai_ssl.data.labels import label_columns, matching_names, read_labels
from monai_ssl.data.slice_store import SliceStore
from monai_ssl.data.splits import FRACTIONS, SPLITS, check_fractions, split_by_patient
from monai_ssl.data.volume import relative_name

__all__ = ["TASKS", "FinetuningData", "ImageData", "PretrainingData", "list_images"]

logger = logging.getLogger(__name__)

TASKS = ("multilabel", "multiclass")
_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}


def list_images(dataset_dir: str | os.PathLike) -> pd.DataFrame:
    """
    The images of a data set.

    Args:
        dataset_dir: a slice store (its kept slices), or a folder with image files at any depth.

    Returns:
        Columns `image` (slice id, or path relative to the folder), `patient` (empty where unknown), `file` and `row`
        (position in a volume of a store, else -1), in a fixed order.

    Raises:
        FileNotFoundError: when the folder is absent.
        ValueError: when it is neither a finished store nor holds images.
    """
    root = Path(dataset_dir)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; --dataset_dir is a slice store or a folder of images")
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
    names = [relative_name(path, root) for path in paths]
    return pd.DataFrame({"image": names, "patient": "", "file": [str(path) for path in paths], "row": -1})


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


class PretrainingData(ImageData):
    """
    The images that self-supervised pre-training may see.

    Args:
        dataset_dir: see :py:func:`list_images`.
        labels: with a label table given, the patients of its test split are left out: a representation that has seen
            the test images makes the later test look better than it is.
        layout, fractions, split_seed: as in :py:class:`FinetuningData`; equal values give equal splits.
        include_test_patients: train on them nevertheless.

    Attributes:
        test_patients: "left out", "included", or "unknown" without labels.
    """

    def __init__(
        self,
        dataset_dir: str | os.PathLike,
        labels: str | os.PathLike | None = None,
        layout: str = "csv",
        fractions: Sequence[float] = FRACTIONS,
        split_seed: int = 0,
        include_test_patients: bool = False,
    ) -> None:
        self.labels, self._layout, self._fractions, self._split_seed = labels, layout, fractions, split_seed
        self.test_patients = "included" if include_test_patients else "unknown" if labels is None else "left out"
        super().__init__(dataset_dir)

    def _read(self, dataset_dir: str | os.PathLike) -> pd.DataFrame:
        images = list_images(dataset_dir).assign(split="train")
        if self.test_patients == "included":
            logger.warning("patients of the later test split are pre-trained on, as --include_test_patients asks; the "
                           "checkpoint and the report will say so")  # fmt: skip
            return images
        if self.labels is None:
            if Path(dataset_dir, "labels.csv").is_file():
                logger.warning(
                    "%s has labels.csv, but --labels is not given: patients of the later test split are pre-trained on",
                    dataset_dir,
                )
            return images
        labelled = _labelled_and_split(dataset_dir, self.labels, self._layout, self._fractions, self._split_seed)
        patients = set(labelled.loc[labelled["split"] == "test", "patient"]) - {""}
        # Only the label table may know whose an image is, also one that it puts in no split.
        test = labelled[(labelled["split"] == "test") | labelled["patient"].isin(patients)]
        images = images.assign(image=matching_names(images["image"], labelled["image"]))
        known = images["image"].isin(labelled["image"]) | images["patient"].isin(set(labelled["patient"]) - {""})
        if not known.any():
            raise ValueError(
                f"{self.labels}: knows none of the {len(images)} images of {dataset_dir} (first "
                f"{images['image'].iloc[0]!r}), so not which are for testing; leave --labels out or correct it"
            )
        seen = images["patient"].isin(patients) | images["image"].isin(test["image"])
        logger.info("%d of %d images belong to patients of the test split and are left out", seen.sum(), len(images))
        return images[~seen].reset_index(drop=True)


class FinetuningData(ImageData):
    """
    Labelled images, split by patient.

    A `split` column in the labels is kept; where it names no validation rows, validation patients are drawn from the
    training ones; without it all patients are split.

    Args:
        dataset_dir: see :py:func:`list_images`.
        labels: the label file; None takes `labels.csv` of the store.
        layout: of the label file, see :py:func:`monai_ssl.data.read_labels`.
        label_names: the labels to learn, in this order; None takes all.
        task: `multilabel` (each label for itself, one label is binary) or `multiclass` (exactly one per image).
        fractions: shares of patients in (train, val, test).
        needed: the splits that must hold images; a label without both classes is refused in `train` only.
        split_seed: of the split, apart from the seed of training, so that other seeds are tested on equal patients.

    Attributes:
        label_names: the labels learnt.
        problems: see :py:class:`ImageData`; a label without positives or negatives in training is one.
    """

    def __init__(
        self,
        dataset_dir: str | os.PathLike,
        labels: str | os.PathLike | None = None,
        layout: str = "csv",
        label_names: Sequence[str] | str | None = None,
        task: str = "multilabel",
        fractions: Sequence[float] = FRACTIONS,
        split_seed: int = 0,
        needed: Sequence[str] = SPLITS,
    ) -> None:
        self._labels, self._layout, self._fractions, self._split_seed = labels, layout, fractions, split_seed
        self._needed = [needed] if isinstance(needed, str) else needed
        self._wanted = [label_names] if isinstance(label_names, str) else label_names
        self.task = task
        super().__init__(dataset_dir)
        self.label_names = label_columns(self.table)
        if not self.problems:
            self._check()

    def loss(self) -> torch.nn.Module:
        """
        Binary cross-entropy with `pos_weight = negatives / positives` of each label in training, or cross-entropy.

        Balanced weights as in Tayebi Arasteh et al., Eur. Radiol. Exp. 8:10 (2024).
        """
        if self.task == "multiclass":
            return torch.nn.CrossEntropyLoss()
        train = self.table.loc[self.table["split"] == "train", self.label_names].to_numpy(np.float32)
        positives = np.maximum(train.sum(0), 1)
        return torch.nn.BCEWithLogitsLoss(pos_weight=torch.from_numpy((len(train) - positives) / positives))

    def _read(self, dataset_dir: str | os.PathLike) -> pd.DataFrame:
        images = list_images(dataset_dir)
        labels = Path(dataset_dir, "labels.csv") if self._labels is None else Path(self._labels)
        labelled = _labelled_and_split(dataset_dir, labels, self._layout, self._fractions, self._split_seed)
        labelled = labelled[labelled["split"] != ""]
        images = images.assign(image=matching_names(images["image"], labelled["image"]))
        table = labelled.merge(images[["image", "file", "row"]], on="image", how="inner")
        if table.empty:
            raise ValueError(
                f"{labels}: none of its {len(labelled)} images (first {labelled['image'].iloc[0]!r}) is among the "
                f"{len(images)} of {dataset_dir} (first {images['image'].iloc[0]!r})"
            )
        if len(table) < len(labelled):
            logger.warning("%s: %d of %d labelled images are not in %s", labels, len(labelled) - len(table),
                           len(labelled), dataset_dir)  # fmt: skip
        names = label_columns(labelled)
        if self._wanted and len(set(self._wanted)) < len(self._wanted):
            raise ValueError(f"--label_names {self._wanted} names a label twice")
        unknown = [name for name in self._wanted or [] if name not in names]
        if unknown:
            raise ValueError(f"{labels}: no labels {unknown}; it has {names}")
        return table[["image", "patient", "split", "file", "row", *(self._wanted or names)]]

    def _check(self) -> None:
        if self.task not in TASKS:
            self.problems.append(f"unknown task {self.task!r}; known: {', '.join(TASKS)}")
        if self.task == "multiclass" and (self.table[self.label_names].sum(axis=1) != 1).any():
            wrong = self.table.loc[self.table[self.label_names].sum(axis=1) != 1, "image"].iloc[0]
            self.problems.append(
                f"task multiclass needs exactly one label of {self.label_names} per image, not so in {wrong}"
            )
        shared = self.table[self.table["patient"] != ""].groupby("patient")["split"].nunique()
        for patient in shared.index[shared > 1][:5]:
            sides = sorted(self.table.loc[self.table["patient"] == patient, "split"].unique())
            self.problems.append(f"patient {patient} is in the splits {sides}; a patient belongs to one")
        for split in self._needed:
            rows = self.table.loc[self.table["split"] == split, self.label_names]
            if rows.empty:
                self.problems.append(f"no image is in the split {split}; give more patients or other --fractions")
                continue
            for name in rows.columns[rows.nunique() < 2]:
                only = "positives" if rows[name].iloc[0] else "negatives"
                what = f"label {name!r} has only {only} in {split} ({len(rows)} images)"
                if split == "train":
                    self.problems.append(
                        f"{what}: it cannot be learnt; leave it out with --label_names, or split otherwise"
                    )
                else:
                    logger.warning("%s: its AUC is undefined there", what)


def _labelled_and_split(
    dataset_dir: str | os.PathLike, labels: str | os.PathLike, layout: str, fractions: Sequence[float], seed: int
) -> pd.DataFrame:
    """All labelled images, reduced ones too, so that stores of the same patients are split alike; "" for no split."""
    table = read_labels(labels, layout)
    if Path(dataset_dir, "store.json").is_file():
        patients = SliceStore.open(dataset_dir).table.set_index("slice")["patient"]
        table = table.assign(patient=table["image"].map(patients).fillna(table["patient"]))
    given = set(table["split"]) - {""}
    if given - set(SPLITS):
        raise ValueError(f"{labels}: split must be one of {', '.join(SPLITS)}, got {sorted(given - set(SPLITS))}")
    if not given:
        return split_by_patient(table, fractions, seed)
    if "val" not in given:
        train = table["split"] == "train"
        shares = check_fractions(fractions)[:2]
        if not shares.sum():
            raise ValueError(f"fractions must leave a share for train or val, got {fractions}")
        drawn = split_by_patient(table[train], (*shares / shares.sum(), 0.0), seed)
        table = table.assign(split=drawn["split"].reindex(table.index).fillna(table["split"]))
    return table
