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

"""The one entrance to every layout of label file."""

from __future__ import annotations

import os
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ssl.data.labels.chestxray14 import read_chestxray14
from monai_ssl.data.labels.chexpert import read_chexpert
from monai_ssl.data.labels.columns import checked_values
from monai_ssl.data.labels.covid_ct import read_covid_ct
from monai_ssl.data.labels.csv import read_csv
from monai_ssl.data.labels.folders import read_folders
from monai_ssl.data.labels.medmnist import read_medmnist
from monai_ssl.data.labels.mimic_cxr import read_mimic_cxr
from monai_ssl.data.labels.mrnet import read_mrnet
from monai_ssl.data.labels.padchest import read_padchest
from monai_ssl.data.labels.radimagenet import read_radimagenet
from monai_ssl.data.labels.recognise import looks_like
from monai_ssl.data.labels.rsna_hemorrhage import read_rsna_hemorrhage
from monai_ssl.data.labels.rsna_pneumonia import read_rsna_pneumonia
from monai_ssl.data.labels.vindr_cxr import read_vindr_cxr

__all__ = ["LAYOUTS", "UNCERTAIN", "label_columns", "read_labels", "read_unsettled", "settle"]

# Each takes the file or folder and a list of problems to append to, and gives `image`, perhaps `patient` and `split`,
# and labels 0, 1 or NaN for unknown. What leaves no table is raised.
LAYOUTS: dict[str, Callable[[Path, list[str]], pd.DataFrame]] = {
    "csv": read_csv,
    "folders": read_folders,
    "chestxray14": read_chestxray14,
    "chexpert": read_chexpert,
    "mimic_cxr": read_mimic_cxr,
    "vindr_cxr": read_vindr_cxr,
    "padchest": read_padchest,
    "rsna_pneumonia": read_rsna_pneumonia,
    "rsna_hemorrhage": read_rsna_hemorrhage,
    "mrnet": read_mrnet,
    "covid_ct": read_covid_ct,
    "medmnist": read_medmnist,
    "radimagenet": read_radimagenet,
}
UNCERTAIN = ("negative", "positive", "ignore")
_STATE_UNCERTAINTY = {"chexpert", "mimic_cxr", "vindr_cxr"}
_KEYS = ("image", "patient", "split")
_RESERVED = {"slice", "file", "row"}


def read_labels(path: str | os.PathLike, layout: str = "csv", uncertain: str = "negative") -> pd.DataFrame:
    """
    Read the labels of a data set as published, or from our own csv.

    Args:
        path: the label file, or the folder where several belong together: with the folder comes the official split,
            one of its files alone has none.
        layout: one of `LAYOUTS`: `csv` (our own: `image`, optionally `patient` and `split`, one 0/1 column per label
            or one text column `class`), `folders` (a folder per class), or an official one; `monai_ssl.data.labels` has
            a module for each, which says what its files are and how they are taken.
        uncertain: what a label counts as that its source calls uncertain: `negative`, `positive`, or `ignore`, which
            leaves it unknown. With `ignore` an empty cell of our own csv is unknown too, and a mistake otherwise.

    Returns:
        Columns `image` (as the data set names it, with `/`), `patient`, `split` (`train`, `val`, `test`; text without
        spaces around it, empty where unknown) and one column per label: int8, 0 or 1, or float with NaN for unknown
        where there are any.

    Raises:
        FileNotFoundError: when the file is absent.
        ValueError: when the layout is unknown, or with everything that is wrong with the file, one line each.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "labels.csv")
        >>> _ = path.write_text("image,patient,nodule\\na.png,007,1\\n")
        >>> read_labels(path).to_dict("records")
        [{'image': 'a.png', 'patient': '007', 'split': '', 'nodule': 1}]
    """
    table, problems = read_unsettled(path, layout, uncertain)
    if len(problems) == 1:
        raise ValueError(problems[0])
    if problems:
        raise ValueError(f"{path}: the labels have {len(problems)} problems:\n  " + "\n  ".join(problems))
    return settle(table, uncertain)


def read_unsettled(path: str | os.PathLike, layout: str, uncertain: str) -> tuple[pd.DataFrame, list[str]]:
    """
    The table of `read_labels` with NaN wherever a label is unknown, and all that is wrong with it.

    Raises:
        FileNotFoundError, ValueError: when there is no table.
    """
    if layout not in LAYOUTS:
        near = get_close_matches(layout, LAYOUTS, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"unknown label layout {layout!r}{hint} (known: {', '.join(LAYOUTS)})")
    if uncertain not in UNCERTAIN:
        raise ValueError(f"uncertain must be one of {', '.join(UNCERTAIN)}, got {uncertain!r}")
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such label file")
    problems: list[str] = []
    try:
        if path.is_dir() and layout in ("csv", "medmnist"):
            raise ValueError(f"{path}: the layout {layout} takes a file, not a folder")
        table = LAYOUTS[layout](path, problems)
    except (FileNotFoundError, ValueError) as error:
        if (other := looks_like(path)) in (None, layout):
            raise
        raise ValueError(f"{error}; this looks like the layout {other}") from error
    return _checked(path, table, layout in _STATE_UNCERTAINTY or uncertain == "ignore", problems), problems


def settle(table: pd.DataFrame, uncertain: str) -> pd.DataFrame:
    """Count unknown labels as `uncertain` says; int8 unless some stay unknown."""
    names = label_columns(table)
    if uncertain != "ignore":
        table = table.fillna(dict.fromkeys(names, int(uncertain == "positive")))
    return table if table[names].isna().any(axis=None) else table.astype(dict.fromkeys(names, "int8"))


def label_columns(table: pd.DataFrame) -> list[str]:
    """The names of the label columns of a table that `read_labels` or `SliceStore` gives."""
    return [str(column) for column in table.columns if column not in {*_KEYS, *_RESERVED}]


def _checked(path: Path, table: pd.DataFrame, may_be_unknown: bool, problems: list[str]) -> pd.DataFrame:
    for column in ("patient", "split"):
        if column not in table.columns:
            table[column] = ""
        table[column] = table[column].str.strip()
    if ours := sorted(_RESERVED & set(table.columns)):
        raise ValueError(f"{path}: the column {ours[0]!r} is ours; rename it")
    names = label_columns(table)
    if not names or table.empty:
        raise ValueError(
            f"{path}: {len(table)} rows and no label column besides {list(table.columns)}; nothing to learn"
            if not names
            else f"{path}: the table has a header and no rows; nothing to learn"
        )
    table["image"] = table["image"].str.replace("\\", "/")
    if nameless := int((table["image"] == "").sum()):
        problems.append(f"{path}: {nameless} of {len(table)} rows name no image")
        table = table[table["image"] != ""].reset_index(drop=True)
        if table.empty:
            raise ValueError(problems[-1])
    repeated = table["image"].duplicated(keep=False)
    if repeated.any():
        rows = table[repeated]
        splits = rows.groupby("image")["split"].nunique()
        apart = f", {int((splits > 1).sum())} of them in two splits" if (splits > 1).any() else ""
        problems.append(
            f"{path}: {rows['image'].nunique()} images are listed twice{apart}, the first {rows['image'].iloc[0]!r}; "
            "keep one row each"
        )
        table = table.drop_duplicates("image", ignore_index=True)
    allowed = (0, 1, np.nan) if may_be_unknown else (0, 1)
    before = len(problems)
    values = checked_values(path, table, names, allowed, problems)
    if len(problems) > before:
        problems[-1] += "; a column of class names must be called 'class'; remove columns that are no labels"
    return pd.concat([table[list(_KEYS)], values], axis=1)
