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

"""Which official layout a file looks like, for the error that says so."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pandas as pd

from monai_ssl.data.labels.covid_ct import COVID_CT_LIST
from monai_ssl.data.labels.mrnet import MRNET_FILE

__all__ = ["looks_like"]

# The first whose columns are all there; the most telling ones stand first.
_COLUMNS = (
    ("chestxray14", {"Image Index", "Finding Labels"}),
    ("padchest", {"ImageID", "Labels"}),
    ("mimic_cxr", {"subject_id", "study_id", "Edema"}),
    ("chexpert", {"Path", "Edema"}),
    ("vindr_cxr", {"image_id", "No finding"}),
    ("rsna_pneumonia", {"patientId", "Target"}),
    ("rsna_pneumonia", {"patientId", "class"}),
    ("rsna_hemorrhage", {"ID", "Label"}),
    ("radimagenet", {"filename", "label"}),
    ("csv", {"image"}),
    ("csv", {"slice"}),
)


def looks_like(path: Path) -> str | None:
    """
    The layout of a file or folder by its name and header, None where nothing tells.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "any.csv")
        >>> _ = path.write_text("patientId,x,y,width,height,Target\\n")
        >>> looks_like(path)
        'rsna_pneumonia'
    """
    if path.is_dir():
        return _of_folder(path)
    if path.suffix == ".npz" and zipfile.is_zipfile(path):
        return "medmnist"
    if MRNET_FILE.fullmatch(path.name):
        return "mrnet"
    try:
        header = set(pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns)
    except (OSError, ValueError, EOFError):
        return None
    return next((layout for layout, columns in _COLUMNS if columns <= header), None)


def _of_folder(path: Path) -> str | None:
    if any((place / COVID_CT_LIST).is_file() for place in (path, path / "Data-split")):
        return "covid_ct"
    visible = [file for file in path.iterdir() if not file.name.startswith(".")]
    files = sorted(file for file in visible if file.name.endswith((".csv", ".csv.gz")))
    found = next((found for file in files if (found := looks_like(file)) not in (None, "csv")), None)
    if found is None and not files and any(file.is_dir() for file in visible):
        return "folders"
    return found
