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

"""MIMIC-CXR-JPG (Johnson et al. 2019, doi 10.13026/jsn5-t979)."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from monai_ssl.data.labels.chexpert import CHEXPERT_LABELS, stated_labels
from monai_ssl.data.labels.columns import first_of, official_files, read_columns

__all__ = ["read_mimic_cxr"]

logger = logging.getLogger(__name__)

_LABELLED = "mimic-cxr-2.0.0-chexpert.csv"
_SPLIT = "mimic-cxr-2.0.0-split.csv"
_IDS = ("subject_id", "study_id")


def read_mimic_cxr(path: Path, problems: list[str]) -> pd.DataFrame:
    """
    Read `mimic-cxr-2.0.0-chexpert.csv` (or the `negbio` one, if it is given) and `mimic-cxr-2.0.0-split.csv` beside it.

    Labels are of studies; the split file says which images a study has. Both may be `.gz`. Images are named as
    published, `files/p10/p10000032/s50414267/<dicom_id>.jpg`; `validate` is `val`, -1 is unknown, blank is negative.
    """
    studies_file = official_files(path, {_LABELLED: ""})[0][0]
    split_file = official_files(studies_file.parent, {_SPLIT: ""})[0][0]
    studies = read_columns(studies_file, (*_IDS, *CHEXPERT_LABELS), text=_IDS)
    images = read_columns(split_file, ("dicom_id", *_IDS, "split"), text=("dicom_id", *_IDS, "split"))
    if len(twice := studies["study_id"][studies["study_id"].duplicated()]):
        problems.append(f"{studies_file}: {len(twice)} studies are listed twice, such as {first_of(twice)}")
        studies = studies.drop_duplicates("study_id")
    studies = studies.set_index("study_id")
    values = stated_labels(studies_file, studies.assign(image=studies.index), problems)
    labelled = images["study_id"].isin(studies.index)
    if not labelled.all():
        logger.warning("%s: %d images of %d studies are left out, which %s does not label, such as %s", split_file,
                       (~labelled).sum(), images.loc[~labelled, "study_id"].nunique(), studies_file.name,
                       first_of(images["study_id"][~labelled]))  # fmt: skip
    images = images[labelled].reset_index(drop=True)
    other = images["subject_id"] != images["study_id"].map(studies["subject_id"])
    if other.any():
        problems.append(
            f"{split_file}: {int(other.sum())} images have another subject_id than their study in {studies_file.name}, "
            f"such as {first_of(images['dicom_id'][other])}"
        )
    subject, study = images["subject_id"], images["study_id"]
    keys = pd.DataFrame(
        {
            "image": "files/p" + subject.str[:2] + "/p" + subject + "/s" + study + "/" + images["dicom_id"] + ".jpg",
            "patient": subject,
            "split": images["split"].replace("validate", "val"),
        }
    )
    return keys.join(values.loc[study].reset_index(drop=True))
