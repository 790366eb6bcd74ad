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

__all__ = ["FRACTIONS", "SPLITS", "check_fractions", "split_by_patient"]

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
        table: columns `patient` and one 0/1 column per label. A `split` column that is there is replaced.
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
    unknown = table["patient"].isna() | (table["patient"] == "")
    if unknown.any():
        raise ValueError(
            f"{int(unknown.sum())} of {len(table)} rows have no patient, so no patient-level split is possible; "
            "fill the column patient, or give a column split"
        )
    labels = label_columns(table)
    patterns = table.groupby("patient")[labels].max() if labels else pd.DataFrame(index=table["patient"].unique())
    patterns = patterns.sort_index()
    strata = patterns.astype(str).agg("".join, axis=1) if labels else pd.Series("", index=patterns.index)
    # Rare patterns first: each stratum continues where the last one left the quotas, so small strata spread too.
    generator = np.random.default_rng(seed)
    order: list[str] = []
    for stratum in strata.value_counts().sort_index().sort_values(kind="stable").index:
        order.extend(generator.permutation(strata.index[strata == stratum].to_numpy()))
    return table.assign(split=table["patient"].map(dict(zip(order, _dealt(len(order), shares), strict=True))))


def check_fractions(fractions: Sequence[float]) -> np.ndarray:
    """The shares of (train, val, test) as an array, or a ValueError."""
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"fractions must be three shares >= 0 of (train, val, test) that sum to 1, got {fractions}")
    return shares


def _dealt(count: int, shares: np.ndarray) -> list[str]:
    """Deal `count` seats so that after every seat each side is as near to its share as it can be."""
    seats = np.zeros(3)
    dealt = []
    for seat in range(1, count + 1):
        side = int(np.argmax(np.where(shares > 0, shares * seat - seats, -np.inf)))
        seats[side] += 1
        dealt.append(SPLITS[side])
    return dealt
