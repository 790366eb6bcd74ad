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

"""COVID-CT (Zhao et al. 2020, arXiv 2003.13865)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

__all__ = ["COVID_CT_LIST", "read_covid_ct"]

COVID_CT_LIST = "COVID/trainCT_COVID.txt"


def read_covid_ct(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read the lists `COVID/trainCT_COVID.txt`, `NonCOVID/testCT_NonCOVID.txt` and so on of the folder `Data-split`.

    Args:
        path: `Data-split` or the folder it lies in.
        problems: are appended to.

    Returns:
        One label, `COVID`; images are `CT_COVID/<name>` and `CT_NonCOVID/<name>`, as in `Images-processed`. Patients
        are not in the lists, which are made by patient.
    """
    folder = next((place for place in (path, path / "Data-split") if (place / COVID_CT_LIST).is_file()), None)
    if folder is None:
        raise FileNotFoundError(
            f"{path}: no {COVID_CT_LIST} in this folder or its Data-split; give the folder Data-split"
        )
    rows = []
    for label, kind in enumerate(("NonCOVID", "COVID")):
        for split in ("train", "val", "test"):
            file = folder / kind / f"{split}CT_{kind}.txt"
            if not file.is_file():
                problems.append(f"{file}: no such list")
                continue
            try:
                names = file.read_text(encoding="utf-8-sig").splitlines()
            except UnicodeDecodeError as error:
                raise ValueError(f"{file}: not a list of file names ({error})") from error
            rows += [(f"CT_{kind}/{name.strip()}", split, label) for name in names if name.strip()]
    return pd.DataFrame(rows, columns=["image", "split", "COVID"])
