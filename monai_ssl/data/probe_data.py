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

"""Labelled images that tell, while pre-training runs, what its representation is good for."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from monai_ssl.data.finetuning_data import FinetuningData
from monai_ssl.data.pretraining_data import PretrainingData
from monai_ssl.data.splits import FRACTIONS

__all__ = ["ProbeData"]

logger = logging.getLogger(__name__)

_MOST = 5000  # images of a split: enough to see a course, and a minute to embed


class ProbeData(FinetuningData):
    """
    The training and validation images of a label table, at most 5000 of each, those of the test split never.

    Unknown labels stay unknown: probes leave the image out for that label.

    Args:
        pretraining: images that it leaves out, as those of test patients, are left out here too.
        labels: the label table; None takes that of `pretraining`, and gives no images where that has none, or where
            its table leaves none to train and validate on.
        layout, fractions, split_seed: as in :py:class:`monai_ssl.data.FinetuningData`; equal values give equal splits.
    """

    def __init__(
        self,
        pretraining: PretrainingData,
        labels: str | os.PathLike | None = None,
        layout: str = "csv",
        fractions: Sequence[float] = FRACTIONS,
        split_seed: int = 0,
    ) -> None:
        wanted = labels is not None
        labels = labels if wanted else pretraining.labels
        if labels is None or pretraining.problems:
            self.label_names, self.problems, self.table = [], [], pretraining.table.iloc[:0]
            return
        super().__init__(
            pretraining.dataset_dir,
            labels,
            layout,
            fractions=fractions,
            split_seed=split_seed,
            needed=(),
            uncertain="ignore",
        )
        # of an array of images, all rows have one file
        place, seen = (pd.MultiIndex.from_frame(table[["file", "row"]]) for table in (self.table, pretraining.table))
        kept = self.table[(self.table["split"] != "test") & place.isin(seen)]
        patients = self.table["patient"].nunique()
        order = np.random.default_rng(split_seed).permutation(len(kept))
        self.table = kept.iloc[order].groupby("split", sort=False).head(_MOST).sort_index()
        empty = [split for split in ("train", "val") if not self.count(split)]
        if empty and not self.problems:
            self.problems.append(
                f"{labels}: none of {patients} labelled patients is in {' or '.join(empty)}, which probes need: too "
                f"few for --fractions {list(fractions)}; label more patients or give other --fractions"
            )
        if self.problems and not wanted:
            logger.warning("no kNN and linear probes: %s", "; ".join(self.problems))
            self.problems, self.table = [], self.table.iloc[:0]
