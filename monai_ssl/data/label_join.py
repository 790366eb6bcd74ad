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


"""A labels table keyed by the names of the source, joined to slices while those names are still known."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ssl.files import read_table

__all__ = ["SourceLabels", "SourceSlices"]

_KEYS = ("patient", "series", "position_mm")
_NEAREST_MM = 0.1


@dataclass(frozen=True, eq=False)
class SourceSlices:
    """What joins the slices of one volume to labels: source names, which stay in memory."""

    series: str
    patient: str | None
    slices: list[str]
    positions: np.ndarray


class SourceLabels:
    """
    A csv keyed by `patient`, by `series`, or by `series` and `position_mm`; all other columns are labels.

    Beside `series` a column `patient` tells whose volume it is, which NIfTI files do not.

    Args:
        path: the csv. `series` is the SeriesInstanceUID, or the path of a NIfTI file relative to the input. Both are
            text, so leading zeros count. `position_mm` as in `slices.csv`.

    Raises:
        ValueError: without a key column, with rows that contradict one another, or when it is not a table.
        FileNotFoundError: when it is absent.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.name = Path(path).name
        self._rows = _with_whole_numbers(read_table(path, text=["patient", "series", "split", "class"]))
        columns = list(self._rows.columns)
        self._keys = [key for key in ("series", "position_mm") if key in columns] or ["patient"]
        if "series" not in self._keys and ("patient" not in columns or "position_mm" in columns):
            raise ValueError(
                f"{path}: needs the columns 'series', or 'series' and 'position_mm', or 'patient', got {columns}"
            )
        if ours := sorted({"slice", "image"} & set(columns)):
            raise ValueError(f"{path}: the column {ours[0]!r} is ours; rename it")
        self.columns = [column for column in columns if column not in _KEYS]
        self._check(path)
        self._patients = self._patients_by_series()
        self._groups = self._rows.groupby(self._keys[0], sort=False).indices
        self._matched: set[int] = set()
        self._contested: set[int] = set()

    def patient(self, series: str) -> str | None:
        """Whose volume `series` is, when the table tells."""
        return self._patients.get(series)

    def check_any_known(self, volumes: Iterable[tuple[str, str | None]]) -> None:
        """
        Refuse a table that names none of the volumes, since labels cannot be joined once the source's names are gone.

        Args:
            volumes: series and patient of each.

        Raises:
            ValueError: when no row is about any of them.
        """
        known = {patient if self._keys == ["patient"] else series for series, patient in volumes}
        if known and known.isdisjoint(self._groups):
            raise ValueError(
                f"{self.name}: none of its {len(self._groups)} values of {self._keys[0]!r} is one of the "
                f"{len(known)} of the input; give SeriesInstanceUIDs, NIfTI paths below the input folder, or PatientIDs"
            )

    def join(self, volume: SourceSlices) -> pd.DataFrame:
        """
        The labels of a volume's slices.

        Returns:
            Columns `slice` and the labels; only slices that match a row.
        """
        name = volume.patient if self._keys == ["patient"] else volume.series
        rows = self._groups.get(name, np.empty(0, dtype=np.intp))
        if "position_mm" in self._keys:
            pairs = self._nearest(rows, volume.positions)
        else:
            pairs = {k: int(rows[0]) for k in range(len(volume.slices)) if len(rows)}
        self._matched.update(pairs.values())
        joined = self._rows.iloc[list(pairs.values())][self.columns].reset_index(drop=True)
        joined.insert(0, "slice", [volume.slices[k] for k in pairs])
        return joined

    def findings(self) -> list[str]:
        """What to say once all volumes are joined: rows that met no slice, by line of the file, never by name."""
        unmatched = [k for k in range(len(self._rows)) if k not in self._matched | self._contested]
        findings = []
        if unmatched:
            findings.append(
                f"{len(unmatched)} of {len(self._rows)} rows match no slice (by {' and '.join(self._keys)}): "
                f"{_lines(unmatched)}"
            )
        if self._contested:
            findings.append(
                f"{len(self._contested)} rows are nearest to a slice that another row is nearer to, "
                f"and are not used: {_lines(sorted(self._contested))}"
            )
        return findings

    def _nearest(self, rows: np.ndarray, positions: np.ndarray) -> dict[int, int]:
        wanted = self._rows["position_mm"].to_numpy(np.float64)[rows]
        distance = np.abs(wanted[:, None] - positions[None, :])
        pairs: dict[int, int] = {}
        for i in np.argsort(distance.min(axis=1, initial=np.inf), kind="stable"):
            k = int(distance[i].argmin())
            if distance[i, k] > _NEAREST_MM:
                continue
            if k in pairs:
                self._contested.add(int(rows[i]))
            else:
                pairs[k] = int(rows[i])
        return dict(sorted(pairs.items()))

    def _check(self, path: str | os.PathLike) -> None:
        if "position_mm" in self._keys:
            positions = pd.to_numeric(self._rows["position_mm"], errors="coerce")
            bad = np.flatnonzero(~np.isfinite(positions))
            if bad.size:
                raise ValueError(f"{path}: position_mm must be a number in every row, see {_lines(bad)}")
        repeated = np.flatnonzero(self._rows.duplicated(self._keys, keep=False))
        if repeated.size:
            raise ValueError(
                f"{path}: several rows with one {' and '.join(self._keys)}, see {_lines(repeated)}; keep one of each"
            )

    def _patients_by_series(self) -> dict[str, str]:
        if "series" not in self._keys or "patient" not in self._rows:
            return {}
        known = self._rows[self._rows["patient"] != ""].drop_duplicates(["series", "patient"])
        several = np.flatnonzero(self._rows["series"].isin(known["series"][known["series"].duplicated()]))
        if several.size:
            raise ValueError(f"{self.name}: one series with two patients, see {_lines(several)}")
        return dict(zip(known["series"], known["patient"], strict=True))


def _with_whole_numbers(table: pd.DataFrame) -> pd.DataFrame:
    # An empty cell makes pandas read 1 as 1.0; labels are carried as they were written.
    floats = table.select_dtypes("float").columns.difference(_KEYS)
    whole = [name for name in floats if np.array_equal(table[name].dropna(), np.rint(table[name].dropna()))]
    return table.astype(dict.fromkeys(whole, "Int64"))


def _lines(rows: np.ndarray | list[int], most: int = 10) -> str:
    # The header is line 1.
    shown = ", ".join(str(int(row) + 2) for row in rows[:most])
    return f"lines {shown}" + (f" and {len(rows) - most} more" if len(rows) > most else "")
