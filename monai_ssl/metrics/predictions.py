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

"""Prediction tables of several models, brought onto the same images or refused with everything that differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monai_ssl.metrics.auc import check_predictions

__all__ = ["AlignedPredictions", "align_predictions", "label_names", "truth_and_scores"]

_TRUE, _SCORE = "_true", "_score"


@dataclass(frozen=True, eq=False)
class AlignedPredictions:
    """
    M models on the same N images and L labels, in the images' order.

    Attributes:
        models: M names.
        labels: L names.
        images: (N,) text ids, sorted.
        patients: (N,) text ids, or None where the tables name none.
        truth: (N, L) float64, 0, 1 or NaN where unknown.
        scores: (M, N, L).
    """

    models: list[str]
    labels: list[str]
    images: np.ndarray
    patients: np.ndarray | None
    truth: np.ndarray
    scores: np.ndarray

    @property
    def unit(self) -> str:
        """What a redraw draws: "patient" or "image"."""
        return "image" if self.patients is None else "patient"


def align_predictions(predictions: Mapping[str, pd.DataFrame], split: str = "test") -> AlignedPredictions:
    """
    Check prediction tables one by one, then against the first, and bring them into one order.

    Args:
        predictions: tables `image, patient, split, <label>_true, <label>_score ...` by model name; a `_true` cell may
            be empty, for unknown. The ids are text: read them with
            `monai_ssl.files.read_table(path, text=("image", "patient", "split"))`.
        split: rows to keep.

    Raises:
        ValueError: naming everything wrong in all tables: columns, empty splits, repeated images, images with and
            without patient, values; then images, patients and labels that differ between models.
    """
    if not predictions:
        raise ValueError("no predictions given; name one run folder or predictions.csv at least")
    kept: dict[str, pd.DataFrame] = {}
    problems: list[str] = []
    for model, table in predictions.items():
        found = _table_problems(table, split)
        problems += [f"{model}: {problem}" for problem in found]
        if not found:
            rows = table[table["split"].astype(str) == split]
            kept[model] = rows.assign(image=rows["image"].astype(str)).set_index("image").sort_index()
    first_name, first = next(iter(kept.items()), ("", pd.DataFrame()))
    for model, rows in kept.items():
        problems += _differences(first_name, first, model, rows)
    if problems:
        raise ValueError("the predictions cannot be used:\n  " + "\n  ".join(problems))
    labels = label_names(first)
    patients = _patients(first)
    return AlignedPredictions(
        models=list(kept),
        labels=labels,
        images=first.index.to_numpy(),
        patients=None if patients is None else patients.to_numpy(),
        truth=truth_and_scores(first, labels)[0],
        scores=np.stack([truth_and_scores(rows, labels)[1] for rows in kept.values()]),
    )


def label_names(table: pd.DataFrame) -> list[str]:
    """The labels of a predictions table: those with a column `<label>_true`."""
    return [str(name)[: -len(_TRUE)] for name in table.columns if str(name).endswith(_TRUE)]


def truth_and_scores(table: pd.DataFrame, labels: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The truth, NaN where its cell is empty, and the scores of a predictions table, (N, L) float64 each."""
    truth, scores = ([name + end for name in labels] for end in (_TRUE, _SCORE))
    return table[truth].to_numpy(np.float64, na_value=np.nan), table[scores].to_numpy(np.float64, na_value=np.nan)


def _table_problems(table: pd.DataFrame, split: str) -> list[str]:
    labels = label_names(table)
    missing = [name for name in ("image", "split") if name not in table.columns]
    missing += [name + _SCORE for name in labels if name + _SCORE not in table.columns]
    if missing or not labels:
        wanted = ", ".join(missing) or "a pair <label>_true, <label>_score"
        return [f"column missing: {wanted}; has {', '.join(map(str, table.columns))}"]
    rows = table[table["split"].astype(str) == split]
    if rows.empty:
        return [f"no rows of split {split!r}, only of {', '.join(sorted(set(table['split'].astype(str)))) or 'none'}"]
    problems = []
    repeated = rows["image"].astype(str)
    repeated = repeated[repeated.duplicated()]
    if len(repeated):
        problems.append(f"{repeated.nunique()} images occur more than once, such as {_first(repeated)}")
    named = _named(rows)
    if named.any() and not named.all():
        problems.append(
            f"{(~named).sum()} of {len(rows)} images have no patient, such as {_first(rows['image'][~named])}"
        )
    for name in labels:
        try:
            check_predictions(rows[name + _TRUE].to_numpy(), rows[name + _SCORE].to_numpy(np.float64))
        except ValueError as error:
            problems.append(f"label {name}: {error}")
    return problems


def _differences(name_a: str, first: pd.DataFrame, name_b: str, second: pd.DataFrame) -> list[str]:
    problems = []
    labels = [set(label_names(first)), set(label_names(second))]
    images = [set(first.index), set(second.index)]
    for what, (in_a, in_b) in (("labels", labels), ("images", images)):
        for name, other, alone in ((name_a, name_b, in_a - in_b), (name_b, name_a, in_b - in_a)):
            if alone:
                problems.append(f"{len(alone)} {what} of {name} are not in {other}, such as {_first(sorted(alone))}")
    common = first.index.intersection(second.index)
    one, two = first.loc[common], second.loc[common]
    for label in sorted(labels[0] & labels[1]):
        truths = [truth_and_scores(rows, [label])[0][:, 0] for rows in (one, two)]
        differs = ~np.equal(*truths) & ~np.isnan(truths).all(axis=0)
        if differs.any():
            problems.append(
                f"label {label} of {differs.sum()} images differs between {name_a} and {name_b}, such as "
                f"{_first(common[differs])}"
            )
    patients = [_patients(rows) for rows in (one, two)]
    if (patients[0] is None) != (patients[1] is None):
        problems.append(f"only one of {name_a} and {name_b} names patients")
    elif patients[0] is not None and patients[1] is not None and (patients[0] != patients[1]).any():
        moved = common[patients[0] != patients[1]]
        problems.append(
            f"{len(moved)} images have other patients in {name_a} than in {name_b}, such as {_first(moved)}"
        )
    return problems


def _named(table: pd.DataFrame) -> pd.Series:
    if "patient" not in table.columns:
        return pd.Series(False, index=table.index)
    return table["patient"].notna() & (table["patient"].astype(str).str.strip() != "")


def _patients(table: pd.DataFrame) -> pd.Series | None:
    return table["patient"].astype(str) if len(table) and _named(table).all() else None


def _first(names: Iterable) -> str:
    return ", ".join(str(name) for name in list(dict.fromkeys(names))[:3])
