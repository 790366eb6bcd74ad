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

"""What the readers of all layouts do alike: open a table, take one value of each cell, turn classes into columns."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.files import read_table

__all__ = ["checked_values", "first_of", "official_files", "one_column_per_class", "read_columns", "wrong_header"]


def read_columns(path: Path, needed: Sequence[str], text: Sequence[str] = ()) -> pd.DataFrame:
    """
    A csv (or csv.gz) that must have some columns.

    Args:
        path: the file.
        needed: columns that must be there.
        text: columns kept as text.

    Raises:
        ValueError: when it is no such table, with what its header says and, for another separator, which.
    """
    try:
        table = read_table(path, text=text)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: the compressed file is cut short or damaged ({error}); fetch it again") from error
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise wrong_header(path, table, f"columns {missing} are missing")
    return table


def wrong_header(path: Path, table: pd.DataFrame, what: str) -> ValueError:
    """An error that says what the header is, and, for another separator than the comma, which."""
    header = ", ".join(map(str, table.columns[:20]))
    sign = next((sign for sign in (";", "\t", "|") if len(table.columns) == 1 and sign in header), "")
    hint = f"; it is separated by {sign!r}, save it with commas" if sign else ""
    return ValueError(f"{path}: {what}, its header is {header!r}{hint}")


def official_files(path: Path, names: dict[str, str], folders: Sequence[str] = (".",)) -> list[tuple[Path, str]]:
    """
    The official files that belong together and the split of each; a file given by itself has none.

    Args:
        path: a folder, or one file.
        names: split by file name; `.gz` may follow the name.
        folders: where they may lie, below `path`.

    Raises:
        FileNotFoundError: when the folder has none of them.
    """
    if path.is_file():
        return [(path, "")]
    found = []
    for name, split in names.items():
        places = [path / folder / f"{name}{suffix}" for folder in folders for suffix in ("", ".gz")]
        found += [(place, split) for place in places if place.is_file()][:1]
    if not found:
        raise FileNotFoundError(f"{path}: none of {', '.join(names)} is in this folder")
    return found


def checked_values(
    path: Path, table: pd.DataFrame, names: Sequence[str], allowed: Collection[float], problems: list[str]
) -> pd.DataFrame:
    """
    The label columns as numbers; what is not allowed is named in `problems` and becomes 0.

    Args:
        path: named in the problems.
        table: with a column `image`, which names the rows.
        names: of the label columns.
        allowed: values; NaN among them allows empty cells.
        problems: are appended to.
    """
    numbers = table[list(names)].apply(pd.to_numeric, errors="coerce")
    fits = numbers.isin([value for value in allowed if value == value])
    if any(value != value for value in allowed):
        fits |= table[list(names)].isna()
    for name in names:
        if not fits[name].all():
            wrong = table.loc[~fits[name], ["image", name]]
            image, value = wrong.iloc[0]
            said = " or ".join("empty" if one != one else f"{one:g}" for one in allowed)
            problems.append(
                f"{path}: label {name!r} must be {said}, got {_said(value)} for {image!r} ({len(wrong)} rows in all)"
            )
    return numbers.where(fits, 0)


def one_column_per_class(
    path: Path, images: pd.Series, classes: pd.Series, taken: set[str], problems: list[str]
) -> pd.DataFrame:
    """
    One 0/1 column per class, in alphabetical order.

    Args:
        path: named in the problems.
        images: name the rows.
        classes: text, taken without spaces around it; an empty one is a problem.
        taken: names a class must not have.
        problems: are appended to.
    """
    classes = classes.str.strip()
    empty = classes.isna() | (classes == "")
    if empty.any():
        problems.append(
            f"{path}: {int(empty.sum())} of {len(classes)} rows have no class, such as {first_of(images[empty])}; fill "
            "the class or remove them"
        )
    columns = pd.get_dummies(classes.mask(empty), dtype="int8")
    clash = sorted(taken & set(columns.columns))
    if clash:
        raise ValueError(f"{path}: classes {clash} are called as columns of the table; rename them")
    return columns


def _said(value: Any) -> str:
    if pd.isna(value):
        return "an empty cell"
    return f"{value:.15g}" if isinstance(value, Real) else repr(str(value))


def first_of(names: pd.Series | pd.Index | Sequence[str] | np.ndarray) -> str:
    """The first three of some names, for a message."""
    different = list(dict.fromkeys(names))
    return ", ".join(repr(name) for name in different[:3]) + (", ..." if len(different) > 3 else "")
