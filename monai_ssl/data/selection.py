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


"""Which of the volumes that were found are sliced, and whose they are where only a folder tells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from monai_ssl.data.volume import Volume
from monai_ssl.data.voxels import Rejection

__all__ = ["SELECTION", "SLICE_PRESETS", "select_volumes"]

# The arguments that say which volumes, of which patients; the others say what becomes of them.
SELECTION = ("include", "modality", "patient_folders")

SLICE_PRESETS: dict[str, dict[str, Any]] = {
    "reference": {
        "include": ("*.dcm", "CT.nii.gz"),
        "modality": "CT",
        "patient_folders": True,
        "axis": "axial",
        "reduce": "dhash:6",
        "window": None,
        "order": "name",
    }
}
"""
Arguments of `slice_volumes` under a name, `slice_volumes(source, output, **SLICE_PRESETS["reference"])`.

"reference" is the way of Less is More: LIDC-IDRI (DICOM) and AutoPET (NIfTI) as they are downloaded, Hash-6 of each
volume in order of the names of its slices. What differs: the reference takes all scans of a patient of LIDC for one
volume, as `reduce_store(scope="patient")` does; and it compares pixels as they are stored, while here slices are in
display orientation and padding takes the smallest value of the volume. For axial slices whose columns run to the left,
as in AutoPET and nearly all of LIDC, and padding beside a voxel with a stored 0, the same slices are kept.
"""


def select_volumes(
    volumes: Iterable[Volume], *, modality: str | None = None, patient_folders: bool = False
) -> tuple[list[Volume], list[Rejection]]:
    """
    Keep the volumes of one modality, and see whose they are.

    Args:
        volumes: that were found.
        modality: "CT", "MR" ...; None for all. Volumes of files that tell none are kept.
        patient_folders: take the first folder below the input for the patient of volumes that name none.

    Returns:
        The volumes, and a refusal for each that is of another modality.
    """
    kept, refused = [], []
    for volume in volumes:
        if modality is not None and volume.modality not in ("", modality):
            refused.append(Rejection(volume.name, f"of another modality than {modality}"))
            continue
        folder, *below = PurePosixPath(volume.name).parts
        if patient_folders and volume.patient is None and below:
            volume = replace(volume, patient=folder)
        kept.append(volume)
    return kept, refused
