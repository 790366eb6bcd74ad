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

"""One model's predictions of one split, or everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from monai_ssl.metrics.thresholds import youden_thresholds

__all__ = [
    "PredictionTable",
    "by_message",
    "first_of",
    "label_names",
    "own_thresholds",
    "parse_predictions",
    "truth_and_scores",
]

_TRUE, _SCORE = "_true", "_score"


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """
    N images and L labels, sound and in the images' order.

    Attributes:
        labels: L names.
        images: (N,) text ids, sorted, each once.
        patients: (N,) text ids, or None where the table names none.
        truth: (N, L) float64, 0, 1 or NaN where unknown.
        scores: (N, L) float64, finite.
    """

    labels: list[str]
    images: np.ndarray
    patients: np.ndarray | None
    truth: np.ndarray
    scores: np.ndarray


def parse_predictions(
    table: pd.DataFrame, split: str, allow_constant: bool = False
) -> tuple[PredictionTable | None, list[str]]:
    """
    Take the rows of one split, and look at those of `val` too, since thresholds may come from them.

    Args:
        table: `image, patient, split, <label>_true, <label>_score ...`.
        split: rows to keep.
        allow_constant: take scores that are equal for all images, whose AUC is 0.5.

    Returns:
        The predictions and all problems. With any, values may be unsound, NaN for text, and the table serves to be held
        against others alone; None where not even its images are known.
    """
    labels = label_names(table)
    missing = [name for name in ("image", "split") if name not in table.columns]
    missing += [name + _SCORE for name in labels if name + _SCORE not in table.columns]
    if missing or not labels:
        wanted = ", ".join(missing) or "a pair <label>_true, <label>_score"
        return None, [f"column missing: {wanted}; has {', '.join(map(str, table.columns))}"]
    splits = table["split"].astype(str)
    rows = table[splits == split]
    if rows.empty:
        held = f"no rows of split {split!r}, only of {first_of(sorted(set(splits)))}; evaluate the model on {split!r}"
        return None, [held if len(table) else "the table has no rows; has the run finished?"]
    ids, problems = _id_problems(rows, split), _value_problems(rows, labels, split, allow_constant)
    if split != "val":
        problems += _value_problems(table[splits == "val"], labels, "val", allow_constant=True)
    if ids:
        return None, [*ids, *problems]
    if problems:
        values = [name + end for name in labels for end in (_TRUE, _SCORE)]
        rows = rows.assign(**{name: pd.to_numeric(rows[name], errors="coerce") for name in values})
    images = rows["image"].astype(str).to_numpy(dtype=object)
    order = np.argsort(images)
    patients = rows["patient"].astype(str).to_numpy(dtype=object)[order] if _patients_named(rows).all() else None
    truth, scores = (values[order] for values in truth_and_scores(rows, labels))
    return PredictionTable(labels, images[order], patients, truth, scores), problems


def own_thresholds(table: pd.DataFrame, labels: list[str]) -> dict[str, float] | None:
    """
    The thresholds that the `val` rows of a sound table give, see :py:func:`monai_ssl.metrics.youden_thresholds`.

    Args:
        table: as :py:func:`parse_predictions` takes it.
        labels: that the table has.

    Returns:
        By label, NaN for one with one class there; None without such rows.
    """
    rows = table[table["split"].astype(str) == "val"]
    if rows.empty:
        return None
    return dict(zip(labels, youden_thresholds(*truth_and_scores(rows, labels)).tolist(), strict=True))


def label_names(table: pd.DataFrame) -> list[str]:
    """The labels of a predictions table: those with a column `<label>_true`."""
    return [str(name)[: -len(_TRUE)] for name in table.columns if str(name).endswith(_TRUE)]


def truth_and_scores(table: pd.DataFrame, labels: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The truth, NaN where its cell is empty, and the scores of a predictions table, (N, L) float64 each."""
    truth, scores = ([name + end for name in labels] for end in (_TRUE, _SCORE))
    return table[truth].to_numpy(np.float64, na_value=np.nan), table[scores].to_numpy(np.float64, na_value=np.nan)


def first_of(names: Iterable) -> str:
    """The first three names, each once, and how many more there are."""
    different = list(dict.fromkeys(map(str, names)))
    return ", ".join(different[:3]) + (f" and {len(different) - 3} more" if len(different) > 3 else "")


def by_message(found: Iterable[tuple[str, str]]) -> list[str]:
    """
    One line for all labels of which the same is said: of a model that diverged it is said of every label.

    Example:
        >>> by_message([("a", "all NaN"), ("b", "one class"), ("c", "all NaN")])
        ['labels a, c: all NaN', 'label b: one class']
    """
    labels: dict[str, list[str]] = {}
    for label, message in found:
        labels.setdefault(message, []).append(label)
    return [f"label{'s' if len(named) > 1 else ''} {first_of(named)}: {message}" for message, named in labels.items()]


def _id_problems(rows: pd.DataFrame, split: str) -> list[str]:
    problems = []
    named = _named(rows["image"])
    if not named.all():
        problems.append(f"{(~named).sum()} of {len(rows)} rows have no image; give each its id")
    images = rows["image"][named].astype(str)
    repeated = images[images.duplicated()]
    if len(repeated):
        problems.append(
            f"{repeated.nunique()} images occur more than once, such as {first_of(repeated)}; keep one row for each in "
            f"split {split!r}"
        )
    named = _patients_named(rows)
    if named.any() and not named.all():
        problems.append(
            f"{(~named).sum()} of {len(rows)} images have no patient, such as {first_of(rows['image'][~named])}; give "
            "every image its patient, or none, which redraws images"
        )
    return problems


def _value_problems(rows: pd.DataFrame, labels: list[str], split: str, allow_constant: bool) -> list[str]:
    images = rows["image"].to_numpy()
    where = f" in split {split!r}"
    return by_message(
        (label, message)
        for label in labels
        for message in (
            *_truth_problems(rows[label + _TRUE], where),
            *_score_problems(rows[label + _SCORE], rows[label + _TRUE], images, where, allow_constant),
        )
    )


def _truth_problems(truth: pd.Series, where: str) -> Iterable[str]:
    wrong = truth[~(truth.isin((0, 1)) | truth.isna())]
    if len(wrong):
        yield (
            f"{len(wrong)} of {len(truth)} labels{where} are neither 0, 1 nor empty (such as {first_of(wrong)}); write "
            "1 for present, 0 for absent, nothing for unknown"
        )


def _score_problems(
    column: pd.Series, truth: pd.Series, images: np.ndarray, where: str, allow_constant: bool
) -> Iterable[str]:
    scores = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    wrong = ~np.isfinite(scores)
    text = wrong & np.isnan(scores) & column.notna().to_numpy()
    if text.any():
        yield (
            f"{text.sum()} of {len(scores)} scores{where} are no numbers (such as {first_of(column[text])}); write "
            "numbers with a decimal point"
        )
    if (diverged := wrong & ~text).any():
        yield (
            f"{diverged.sum()} of {len(scores)} scores are NaN or infinite{where}, such as of image "
            f"{first_of(images[diverged])}; did the training diverge? train again, with a lower learning rate perhaps, "
            "or leave the run out"
        )
    if wrong.any() or allow_constant:
        return
    known = scores[truth.notna().to_numpy()]
    if len(known) > 1 and (known == known[0]).all():
        yield (
            f"all {len(known)} scores{where} are {known[0]:g}: the model tells no image from another, and its AUC "
            "of 0.5 would be no result; train again or leave the run out"
        )


def _named(column: pd.Series) -> pd.Series:
    return column.notna() & (column.astype(str).str.strip() != "")


def _patients_named(rows: pd.DataFrame) -> pd.Series:
    return _named(rows["patient"]) if "patient" in rows.columns else pd.Series(False, index=rows.index)
