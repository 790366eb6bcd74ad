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
from monai_ssl.data.label_problems import TASKS, label_problems, with_images
from monai_ssl.data.labelled import labelled_and_split
from monai_ssl.data.labels import label_columns
from monai_ssl.data.labels.columns import first_of
from monai_ssl.data.splits import FRACTIONS, SPLITS, training_subset

__all__ = ["TASKS", "FinetuningData"]

logger = logging.getLogger(__name__)


class FinetuningData(ImageData):
    """
    Labelled images, split by patient, or by image where a public data set names no patients.

    A `split` column in the labels is kept, rows without one are left out; where it names no validation rows, validation
    patients are drawn from the training ones; without it all patients are split.

    Args:
        dataset_dir: see :py:func:`list_images`.
        labels: the label file; None takes `labels.csv` of the store, and `dataset_dir` itself for another layout than
            `csv`.
        layout: of the label file, see :py:func:`monai_ssl.data.read_labels`.
        label_names: the labels to learn, in this order; None takes all.
        task: `multilabel` (each label for itself, one label is binary) or `multiclass` (exactly one per image).
        fractions: shares of patients in (train, val, test).
        split_seed: of the split, apart from the seed of training, so that other seeds are tested on equal patients.
        needed: the splits that must hold images; a label without both classes is refused in `train` only.
        folds, fold: cross-validation, see :py:func:`monai_ssl.data.splits.fold_by_patient`; a `split` column is then
            not used, which a warning says.
        train_fraction, subset_seed: see :py:func:`monai_ssl.data.splits.training_subset`.
        uncertain: what a label counts as that its source calls uncertain, see `read_labels`; the split is the same.

    Attributes:
        label_names: the labels learnt.
        problems: see :py:class:`ImageData`; all that can be found at once. A label without positives or negatives in
            training is one.
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
        uncertain: str = "negative",
    ) -> None:
        self._uncertain = uncertain
        self._labels, self._layout, self._fractions, self._split_seed = labels, layout, fractions, split_seed
        self._folds, self._fold, self._subset = folds, fold, (train_fraction, subset_seed)
        self._needed = [needed] if isinstance(needed, str) else needed
        self._wanted = [label_names] if isinstance(label_names, str) else label_names
        self.task = task
        super().__init__(dataset_dir)
        self.label_names = label_columns(self.table)
        self.problems += label_problems(self.table, self.label_names, task, self._needed)

    @property
    def training_labels(self) -> np.ndarray:
        """(N, L) of the training images, 0, 1 or NaN where unknown."""
        return self.table.loc[self.table["split"] == "train", self.label_names].to_numpy(np.float32)

    def _read(self, dataset_dir: str | os.PathLike) -> pd.DataFrame:
        labels = Path(dataset_dir) if self._labels is None else Path(self._labels)
        if self._labels is None and self._layout == "csv":
            labels = labels / "labels.csv"
        images = self._images(dataset_dir)
        split = (self._fractions, self._split_seed, self._folds, self._fold)
        labelled = labelled_and_split(dataset_dir, labels, self._layout, *split, self._uncertain, self.problems)
        labelled = self._with_split(labels, labelled)
        names = label_columns(labelled)
        if self._wanted and len(set(self._wanted)) < len(self._wanted):
            self.problems.append(f"--label_names {self._wanted} names a label twice")
        unknown = [name for name in self._wanted or [] if name not in names]
        if unknown:
            self.problems.append(f"{labels}: no labels {unknown}; it has {names}")
        names = [name for name in dict.fromkeys(self._wanted or names) if name in names]
        table = labelled[["image", "patient", "split", *names]]
        if images is None:
            return training_subset(table, *self._subset).assign(file="", row=-1)
        found = with_images(table, images, labels, dataset_dir)
        # Of all rows of a patient, so that a reduced store gives the same patients as a whole one.
        known = table[table.index.isin(found.index) | table["patient"].isin(set(found["patient"]) - {""})]
        return found[found.index.isin(training_subset(known, *self._subset).index)].reset_index(drop=True)

    def _with_split(self, labels: Path, labelled: pd.DataFrame) -> pd.DataFrame:
        blank = labelled["split"] == ""
        kept = labelled[~blank]
        if blank.any():
            absent = [split for split in self._needed if split not in set(kept["split"])]
            said = (
                f"{labels}: {int(blank.sum())} of {len(labelled)} rows have no split, where others have one, and are "
                f"left out, such as {first_of(labelled['image'][blank])}"
            )
            if absent:
                advice = "give them one, or none to any row to split all by --fractions"
                self.problems.append(f"{said}; no row is in {' or '.join(absent)}: {advice}")
            else:
                logger.warning("%s", said)
        return kept

    def _images(self, dataset_dir: str | os.PathLike) -> pd.DataFrame | None:
        try:
            return list_images(dataset_dir)
        except (OSError, ValueError) as error:
            self.problems.append(str(error))
            return None
