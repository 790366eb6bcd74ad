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

"""Splits in which no patient is on two sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from monai_ssl.data.labels import label_columns

__all__ = ["FRACTIONS", "SPLITS", "check_fractions", "fold_by_patient", "split_by_patient", "training_subset"]

# Shares of patients for training, validation and test; the bundles say the same.
FRACTIONS = (0.6, 0.15, 0.25)
SPLITS = ("train", "val", "test")


def split_by_patient(table: pd.DataFrame, fractions: Sequence[float], seed: int) -> pd.DataFrame:
    """
    Give every row of `table` a `split`, all rows of one patient the same.

    Patients are stratified by which labels they show anywhere, so that a rare label reaches every side where it can.
    The result depends on the patients, their labels, `fractions` and `seed` alone, not on the order of the rows, so two
    stores of the same patients (one reduced, one not) are split alike.

    Args:
        table: columns `patient` and one 0/1 column per label, where NaN counts as 0. A `split` column is replaced.
        fractions: shares of the patients in (train, val, test), each >= 0, summing to 1.
        seed: of the shuffling.

    Returns:
        A copy of `table` with the column `split` (`train`, `val` or `test`).

    Raises:
        ValueError: for fractions out of range, and for rows without a patient.

    Example:
        >>> table = pd.DataFrame({"image": list("abcd"), "patient": list("1122"), "nodule": [0, 1, 0, 0]})
        >>> split_by_patient(table, (0.5, 0.0, 0.5), seed=0).groupby("patient")["split"].nunique().tolist()
        [1, 1]
    """
    shares = check_fractions(fractions)
    order = _stratified(table, seed)
    return table.assign(split=table["patient"].map(dict(zip(order, _dealt(len(order), shares), strict=True))))


def fold_by_patient(
    table: pd.DataFrame, folds: int, fold: int, fractions: Sequence[float] = FRACTIONS, seed: int = 0
) -> pd.DataFrame:
    """
    The split of one round of cross-validation: each patient is tested in exactly one of the folds.

    Args:
        table: as in :py:func:`split_by_patient`; a `split` column that is there is replaced.
        folds: number of folds, at least 2.
        fold: the one to test on, 0 to `folds` - 1; the other patients are split into `train` and `val`.
        fractions: of which the first two are the shares of `train` and `val` among the others.
        seed: of the shuffling, equal for all folds.

    Returns:
        A copy of `table` with the column `split`.

    Raises:
        ValueError: for folds out of range, more folds than patients, or rows without a patient.

    Example:
        >>> table = pd.DataFrame({"image": list("abcdef"), "patient": list("123456"), "nodule": [0, 1, 0, 0, 1, 0]})
        >>> rounds = [fold_by_patient(table, 3, fold) for fold in range(3)]
        >>> sorted(patient for each in rounds for patient in each.loc[each["split"] == "test", "patient"])
        ['1', '2', '3', '4', '5', '6']
    """
    train, val, _ = check_fractions(fractions)
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in (folds, fold))
    if not whole or folds < 2 or not 0 <= fold < folds:
        raise ValueError(
            f"folds must be at least 2 and fold one of 0 to folds - 1, whole numbers, got folds {folds}, fold {fold}"
        )
    if not train + val:
        raise ValueError(f"fractions must leave a share for train or val, got {list(fractions)}")
    order = _stratified(table, seed)
    if folds > len(order):
        raise ValueError(f"{folds} folds need as many patients, got {len(order)}; give fewer --folds")
    rest = [patient for seat, patient in enumerate(order) if seat % folds != fold]
    sides = dict(zip(rest, _dealt(len(rest), np.array([train, val, 0.0]) / (train + val)), strict=True))
    return table.assign(split=table["patient"].map(sides).fillna("test"))


def training_subset(table: pd.DataFrame, fraction: float, seed: int = 0) -> pd.DataFrame:
    """
    Keep a part of the training patients, as if no more had been labelled; validation and test stay whole.

    With one seed a smaller part lies in each larger one, so that a learning curve adds patients and exchanges none.
    Patients are taken evenly along an order in which those who show the rarest label stand together, then those of the
    next rare, so that labels keep their shares as far as whole patients allow.

    Args:
        table: columns `patient`, `split` and one 0/1 column per label.
        fraction: of the patients in `train`, above 0 to 1; at least one is kept.
        seed: of the choice.

    Returns:
        The rows of `table` that stay.

    Raises:
        ValueError: for a fraction out of range.

    Example:
        >>> table = pd.DataFrame({"image": list("abcd"), "patient": list("1234"), "nodule": [0, 1, 0, 1]})
        >>> table["split"] = "train"
        >>> training_subset(table, 0.5)["nodule"].tolist()
        [0, 1]
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"--train_fraction must be above 0 to 1, got {fraction}")
    train = table["split"] == "train"
    if fraction == 1 or not train.any():
        return table
    # a row whose patient is not known is a patient of its own
    units = table.loc[train, "patient"].where(table.loc[train, "patient"] != "", "row " + table.loc[train, "image"])
    patterns = table.loc[train, label_columns(table)].groupby(units).max().fillna(0).sort_index()
    rarest_first = patterns.sum().sort_values(kind="stable").index
    generator = np.random.default_rng(seed)
    shuffled = patterns.iloc[generator.permutation(len(patterns))]
    names = shuffled.sort_values(list(rarest_first), kind="stable").index if len(rarest_first) else shuffled.index
    places = (np.arange(len(names)) + generator.integers(len(names))) % len(names)
    bits = max(1, int(len(names) - 1).bit_length())
    evenly = np.argsort([int(f"{place:0{bits}b}"[::-1], 2) for place in places])
    kept = set(names[evenly[: max(1, round(fraction * len(names)))]])
    return table[~train | units.reindex(table.index).isin(kept)]


def check_fractions(fractions: Sequence[float]) -> np.ndarray:
    """The shares of (train, val, test) as an array, or a ValueError."""
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"fractions must be three shares >= 0 of (train, val, test) that sum to 1, got {fractions}")
    return shares


def _stratified(table: pd.DataFrame, seed: int) -> list[str]:
    """All patients, shuffled within those who show the same labels."""
    unknown = table["patient"].isna() | (table["patient"] == "")
    if unknown.any():
        raise ValueError(
            f"{int(unknown.sum())} of {len(table)} rows have no patient, so no patient-level split is possible; "
            "fill the column patient, with the name of the image where each is of another patient; or give a column "
            "split, which needs none but is not used with --folds"
        )
    labels = label_columns(table)
    patterns = table.groupby("patient")[labels].max() if labels else pd.DataFrame(index=table["patient"].unique())
    # Unknown labels count as negative: the split is the same however they are trained on.
    patterns = patterns.sort_index().fillna(0).astype("int8")
    digits = np.ascontiguousarray(patterns.to_numpy(np.uint8) + np.uint8(ord("0")))
    rows = digits.view(f"S{len(labels)}").ravel().astype(str) if labels else ""
    strata = pd.Series(rows, index=patterns.index)
    # Rare patterns first: each stratum continues where the last one left the quotas, so small strata spread too.
    members = strata.groupby(strata).indices
    generator = np.random.default_rng(seed)
    order: list[str] = []
    for stratum in strata.value_counts().sort_index().sort_values(kind="stable").index:
        order.extend(generator.permutation(strata.index[members[stratum]].to_numpy()))
    return order


def _dealt(count: int, shares: np.ndarray) -> list[str]:
    """Deal `count` seats so that after every seat each side is as near to its share as it can be."""
    seats = np.zeros(3)
    dealt = []
    for seat in range(1, count + 1):
        side = int(np.argmax(np.where(shares > 0, shares * seat - seats, -np.inf)))
        seats[side] += 1
        dealt.append(SPLITS[side])
    return dealt
