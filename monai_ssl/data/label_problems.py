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

"""Everything that keeps labelled images from being trained on, found before training and all at once."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from monai_ssl.data.labels import ambiguous_names, item_names, matching_names

__all__ = ["TASKS", "label_problems", "task_problems", "with_images"]

logger = logging.getLogger(__name__)

TASKS = ("multilabel", "multiclass")
_MEANS = ("macro", "micro")  # as `monai_ssl.metrics` calls the rows of means over labels


def with_images(
    labelled: pd.DataFrame, images: pd.DataFrame, labels: str | os.PathLike, dataset_dir: str | os.PathLike
) -> pd.DataFrame:
    """
    Labelled images and where they lie; those that are not in the data set are left out, with a warning.

    Args:
        labelled: `image`, `patient`, `split` and labels, a label of a volume for all its slices.
        images: as :py:func:`monai_ssl.data.list_images` gives them.
        labels: the label file, for messages.
        dataset_dir: the data set, for messages.

    Returns:
        A row per image, indexed as its row of `labelled`, with `file` and `row`.

    Raises:
        ValueError: when none of the images is there.
    """
    names = matching_names(images["image"], labelled["image"], dataset_dir)
    absent = labelled.loc[~labelled["image"].isin(names), "image"]
    several = ambiguous_names(images["image"], absent) if len(absent) else {}
    hint = "".join(
        f"; {len(several)} names fit several images, such as {name!r} {' and '.join(map(repr, fitting[:2]))}: name "
        "folders too, or remove copies"
        for name, fitting in list(several.items())[:1]
    )
    if len(absent) == len(labelled):
        raise ValueError(
            f"{labels}: none of its {len(labelled)} images (first {labelled['image'].iloc[0]!r}) is among the "
            f"{len(images)} of {dataset_dir} (first {images['image'].iloc[0]!r}){hint}"
        )
    if len(absent):
        logger.warning("%s: %d of %d labelled images are not in %s, such as %s%s", labels, len(absent), len(labelled),
                       dataset_dir, ", ".join(absent.head(3)), hint)  # fmt: skip
    rows = pd.Index(labelled["image"]).get_indexer(names)
    found = images[["file", "row"]].assign(image=item_names(images["image"], names))
    found = found.iloc[np.argsort(rows, kind="stable")[(rows < 0).sum() :]]
    table = labelled.iloc[np.sort(rows[rows >= 0])]
    return table.assign(**{name: found[name].to_numpy() for name in found})


def label_problems(table: pd.DataFrame, names: Sequence[str], task: str, needed: Sequence[str]) -> list[str]:
    """
    What is wrong with labelled images, one line each; what only weakens the result is logged as a warning.

    Args:
        table: `image`, `patient`, `split` and labels 0, 1 or NaN for unknown.
        names: of the label columns.
        task: `multilabel` or `multiclass`.
        needed: the splits that must hold images.
    """
    problems = task_problems(task)
    if table.empty:
        return problems
    if task == "multiclass":
        problems += _not_of_one_class(table, names)
    problems += [
        f"a label is called {mean!r}, as a mean over the labels in tables of results; rename it, or leave it out with "
        "--label_names"
        for mean in _MEANS
        if needed and len(names) > 1 and mean in names
    ]
    problems += _in_several_splits(table)
    for split in needed:
        problems += _split_problems(table.loc[table["split"] == split, list(names)], split)
    return problems


def task_problems(task: str) -> list[str]:
    """Whether there is such a task."""
    return [] if task in TASKS else [f"unknown task {task!r}; known: {', '.join(TASKS)}"]


def _not_of_one_class(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    labels = table[list(names)]
    wrong = table.loc[labels.sum(axis=1).ne(1) | labels.isna().any(axis=1), "image"]
    if wrong.empty:
        return []
    some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return [
        f"task multiclass needs exactly one label of {some} per image, not so in {len(wrong)} of {len(table)}, such as "
        f"{', '.join(wrong.head(3))}; --task multilabel is for findings that occur together"
    ]


def _in_several_splits(table: pd.DataFrame) -> list[str]:
    sides = table[table["patient"] != ""].groupby("patient")["split"].unique()
    shared = sides[sides.map(len) > 1]
    if shared.empty:
        return []
    some = ", ".join(f"{patient} in {' and '.join(sorted(splits))}" for patient, splits in shared.head(3).items())
    return [f"{len(shared)} of {len(sides)} patients are in several splits, such as {some}; a patient belongs to one"]


def _split_problems(rows: pd.DataFrame, split: str) -> list[str]:
    if not len(rows):
        return [f"no image is in the split {split}; give more patients, other --fractions, or images and rows of it"]
    positives, negatives = (rows == 1).any(), (rows == 0).any()
    groups = {
        "positives": rows.columns[~positives & negatives],
        "negatives": rows.columns[positives & ~negatives],
        "a known value": rows.columns[~positives & ~negatives],
    }
    problems = []
    for what, names in groups.items():
        found = f"labels without {what} in {split} ({len(rows)} images): {', '.join(map(repr, names))}"
        if split == "train" and len(names):
            problems.append(f"{found}; they cannot be learnt, leave them out with --label_names, or split otherwise")
        elif len(names):
            logger.warning("%s; their AUC is undefined there", found)
    return problems
