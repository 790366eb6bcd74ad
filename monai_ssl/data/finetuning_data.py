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

"""What a classifier is trained and tested on: images joined with labels and split by patient."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ssl.data.images import ImageData, list_images
from monai_ssl.data.labelled import labelled_and_split
from monai_ssl.data.labels import label_columns, matching_names
from monai_ssl.data.splits import FRACTIONS, SPLITS, training_subset

__all__ = ["TASKS", "FinetuningData"]

logger = logging.getLogger(__name__)

TASKS = ("multilabel", "multiclass")


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
        split_seed: of the split, apart from the seed of training, so that other seeds are tested on equal patients.
        needed: the splits that must hold images; a label without both classes is refused in `train` only.
        folds, fold: cross-validation, see :py:func:`monai_ssl.data.splits.fold_by_patient`; a `split` column is then
            not used, which a warning says.
        train_fraction, subset_seed: see :py:func:`monai_ssl.data.splits.training_subset`.

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
        folds: int | None = None,
        fold: int = 0,
        train_fraction: float = 1.0,
        subset_seed: int = 0,
    ) -> None:
        self._labels, self._layout, self._fractions, self._split_seed = labels, layout, fractions, split_seed
        self._folds, self._fold, self._subset = folds, fold, (train_fraction, subset_seed)
        self._needed = [needed] if isinstance(needed, str) else needed
        self._wanted = [label_names] if isinstance(label_names, str) else label_names
        self.task = task
        super().__init__(dataset_dir)
        self.label_names = label_columns(self.table)
        if not self.problems:
            self._check()

    @property
    def training_labels(self) -> np.ndarray:
        """(N, L) of the training images, 0 or 1."""
        return self.table.loc[self.table["split"] == "train", self.label_names].to_numpy(np.float32)

    def _read(self, dataset_dir: str | os.PathLike) -> pd.DataFrame:
        images = list_images(dataset_dir)
        labels = Path(dataset_dir, "labels.csv") if self._labels is None else Path(self._labels)
        labelled = labelled_and_split(
            dataset_dir, labels, self._layout, self._fractions, self._split_seed, self._folds, self._fold
        )
        labelled = labelled[labelled["split"] != ""]
        names = label_columns(labelled)
        if self._wanted and len(set(self._wanted)) < len(self._wanted):
            raise ValueError(f"--label_names {self._wanted} names a label twice")
        unknown = [name for name in self._wanted or [] if name not in names]
        if unknown:
            raise ValueError(f"{labels}: no labels {unknown}; it has {names}")
        labelled = training_subset(labelled[["image", "patient", "split", *(self._wanted or names)]], *self._subset)
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
        return table

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
