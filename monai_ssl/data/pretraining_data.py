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

"""What self-supervised pre-training sees: all images but those of patients that a test will be made on."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from monai_ssl.data.images import ImageData, list_images
from monai_ssl.data.labelled import labelled_and_split
from monai_ssl.data.labels import item_names, matching_names
from monai_ssl.data.splits import FRACTIONS

__all__ = ["PretrainingData"]

logger = logging.getLogger(__name__)


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
        labelled = labelled_and_split(dataset_dir, self.labels, self._layout, self._fractions, self._split_seed)
        patients = set(labelled.loc[labelled["split"] == "test", "patient"]) - {""}
        # Only the label table may know whose an image is, also one that it puts in no split.
        test = labelled[(labelled["split"] == "test") | labelled["patient"].isin(patients)]
        names = matching_names(images["image"], labelled["image"], dataset_dir)
        images = images.assign(image=item_names(images["image"], names))
        known = names.isin(labelled["image"]) | images["patient"].isin(set(labelled["patient"]) - {""})
        if not known.any():
            raise ValueError(
                f"{self.labels}: knows none of the {len(images)} images of {dataset_dir} (first "
                f"{images['image'].iloc[0]!r}), so not which are for testing; leave --labels out or correct it"
            )
        seen = images["patient"].isin(patients) | names.isin(test["image"])
        logger.info("%d of %d images belong to patients of the test split and are left out", seen.sum(), len(images))
        return images[~seen].reset_index(drop=True)
