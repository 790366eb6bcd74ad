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

from monai_ssl.data.labels import read_unsettled, settle
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
    uncertain: str = "ignore",
    problems: list[str] | None = None,
) -> pd.DataFrame:
    """
    All labelled images, reduced ones too, so that stores of the same patients are split alike; "" for no split.

    The split does not depend on `uncertain`: what is unknown is negative for it. Where a public data set names no
    patients, or our own csv none in `train`, images are dealt one by one, with a warning.

    Args:
        dataset_dir: a slice store knows patients better than the label table.
        labels, layout, uncertain: as in :py:func:`monai_ssl.data.read_labels`.
        fractions, seed: as in :py:func:`monai_ssl.data.split_by_patient`.
        folds, fold: as in :py:func:`monai_ssl.data.splits.fold_by_patient`, in place of any split given.
        problems: what is wrong with single rows is appended, and the other rows are returned; None raises it.
    """
    table, found = read_unsettled(labels, layout, uncertain)
    if found and problems is None:
        raise ValueError("; ".join(found))
    if problems is not None:
        problems += found
    if Path(dataset_dir, "store.json").is_file():
        patients = SliceStore.open(dataset_dir).table.set_index("slice")["patient"]
        table = table.assign(patient=table["image"].map(patients).fillna(table["patient"]))
    given = set(table["split"]) - {""}
    if given - set(SPLITS):
        raise ValueError(f"{labels}: split must be one of {', '.join(SPLITS)}, got {sorted(given - set(SPLITS))}")
    known = settle(table, "negative")
    if folds is None and given:
        if "val" not in given:
            table = table.assign(split=_with_validation(labels, known, fractions, seed))
        return settle(table, uncertain)
    if given:
        logger.warning("%s: its column split is not used, since --folds %s deals the patients anew", labels, folds)
    if layout != "csv":  # nobody can add patients to a public data set
        known = _patients_or_images(labels, known)
    if folds is None:
        known = split_by_patient(known, fractions, seed)
    else:
        known = fold_by_patient(known, folds, fold, fractions, seed)
    return settle(table.assign(split=known["split"]), uncertain)


def _patients_or_images(labels: str | os.PathLike, table: pd.DataFrame) -> pd.DataFrame:
    if (table["patient"] != "").any():
        return table
    logger.warning("%s: names no patients, so splits are drawn by image; images of one patient may be on both sides",
                   labels)  # fmt: skip
    return table.assign(patient=table["image"])


def _with_validation(
    labels: str | os.PathLike, table: pd.DataFrame, fractions: Sequence[float], seed: int
) -> pd.Series:
    train = table[table["split"] == "train"]
    if train.empty:
        return table["split"]
    shares = check_fractions(fractions)[:2]
    if not shares.sum():
        raise ValueError(f"fractions must leave a share for train or val, got {fractions}")
    drawn = split_by_patient(_patients_or_images(labels, train), (*shares / shares.sum(), 0.0), seed)
    return drawn["split"].reindex(table.index).fillna(table["split"])
