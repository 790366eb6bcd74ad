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

"""The label table of a data set, with a split for every patient."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from monai_ssl.data.labels import read_labels
from monai_ssl.data.slice_store import SliceStore
from monai_ssl.data.splits import SPLITS, check_fractions, fold_by_patient, split_by_patient

__all__ = ["labelled_and_split"]

logger = logging.getLogger(__name__)


def labelled_and_split(
    dataset_dir: str | os.PathLike,
    labels: str | os.PathLike,
    layout: str,
    fractions: Sequence[float],
    seed: int,
    folds: int | None = None,
    fold: int = 0,
) -> pd.DataFrame:
    """All labelled images, reduced ones too, so that stores of the same patients are split alike; "" for no split."""
    table = read_labels(labels, layout)
    if Path(dataset_dir, "store.json").is_file():
        patients = SliceStore.open(dataset_dir).table.set_index("slice")["patient"]
        table = table.assign(patient=table["image"].map(patients).fillna(table["patient"]))
    given = set(table["split"]) - {""}
    if given - set(SPLITS):
        raise ValueError(f"{labels}: split must be one of {', '.join(SPLITS)}, got {sorted(given - set(SPLITS))}")
    if folds is not None:
        if given:
            logger.warning("%s: its column split is not used, since --folds %s deals the patients anew", labels, folds)
        return fold_by_patient(table, folds, fold, fractions, seed)
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
