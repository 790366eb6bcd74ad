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

"""RSNA Intracranial Hemorrhage Detection 2019 (Flanders et al., Radiol. Artif. Intell. 2:e190211 (2020))."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from monai_ssl.data.labels.columns import first_of, official_files

__all__ = ["read_rsna_hemorrhage"]

_LABELS = ("any", "epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")


def read_rsna_hemorrhage(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read `stage_2_train.csv` (or `stage_1_train.csv`), rows `ID_<uid>_<label>,Label`, or its folder.

    The official file holds rows twice; where they agree, that is no matter. Images are `ID_<uid>.dcm` or PNG made of
    them. Patients and a split are not published in it, so it is split by image, with a warning; for a split by patient
    make our own csv with the PatientID of the DICOM, or slice the DICOM into a store, which knows patients.
    """
    file = official_files(path, {"stage_2_train.csv": "", "stage_1_train.csv": ""})[0][0]
    parts = _parts(file)
    fits = (parts["prefix"] == "ID") & parts["cell"].notna()
    known = parts["cell"].cat.categories.to_series().str.extract(rf"^({'|'.join(_LABELS)}),([01])(?:\.0)?$")
    fits &= parts["cell"].isin(known.index[known[0].notna()])
    if not fits.all():
        wrong = parts[~fits].head(3).astype(str).agg("_".join, axis=1).str.rstrip("_")
        problems.append(
            f"{file}: {int((~fits).sum())} of {len(fits)} rows are not ID_<uid>_<label>,<0 or 1> with a label of "
            f"{', '.join(_LABELS)}, such as {first_of(wrong)}"
        )
        parts = parts[fits]
    labels, values = known.loc[parts["cell"].cat.categories].T.to_numpy()
    label = pd.Index(_LABELS).get_indexer(pd.Index(labels))[parts["cell"].cat.codes]
    value = np.array([-1 if value != value else int(value) for value in values], np.int8)[parts["cell"].cat.codes]
    uids = "ID_" + parts["uid"].cat.categories.to_numpy(str).astype(object)
    table = np.full((len(uids), len(_LABELS)), -1, np.int8)
    row = parts["uid"].cat.codes.to_numpy()
    table[row, label] = value
    if (differ := table[row, label] != value).any():
        images = np.unique(row[differ])
        problems.append(
            f"{file}: the rows of {len(images)} images contradict each other, such as {first_of(uids[images])}"
        )
    held = (table != -1).any(axis=1)
    if len(short := uids[held & (table == -1).any(axis=1)]):
        problems.append(
            f"{file}: {len(short)} images have no row for some of the six labels, such as {first_of(short)}"
        )
    labels = pd.DataFrame(np.maximum(table[held], 0), columns=list(_LABELS))
    return pd.DataFrame({"image": uids[held]}).join(labels)


def _parts(path: Path) -> pd.DataFrame:
    # Split at "_" while reading: of the millions of rows only the uids differ, and the third part has a dozen values.
    names = ["prefix", "uid", "cell"]
    try:
        header = list(pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns)
        if header != ["ID", "Label"]:
            raise ValueError(f"the header is {header}, not ID,Label")
        return pd.read_csv(path, sep="_", names=names, skiprows=1, dtype="category", keep_default_na=False)
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: rows must be ID_<uid>_<label>,<0 or 1>, but {error}") from error
