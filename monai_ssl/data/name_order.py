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


"""The order of slices by the names that the reference gives to them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from monai_ssl.data.dicom.volume import DicomVolume
from monai_ssl.data.volume import Volume
from monai_ssl.orientation import array_axis
from monai_ssl.reduction import check_order

__all__ = ["NAME_RANK", "name_ranks", "order_problems"]

NAME_RANK = "name_rank"
"""The column of `slices.csv` with the ranks, in stores sliced in order of names."""


def order_problems(order: str, axis: str, spacing: tuple[float, float, float] | None) -> list[str]:
    """Why slices along `axis`, resampled to `spacing` if not None, cannot be compared in this order."""
    try:
        check_order(order)
    except ValueError as error:
        return [str(error)]
    if order == "name" and (axis != "axial" or spacing is not None):
        return ["order 'name' is that of axial slices of the source: leave axis and spacing out, or order by position"]
    return []


def name_ranks(volumes: Mapping[str, Volume], patients: Mapping[str, str]) -> dict[str, np.ndarray]:
    """
    The places of axial slices in order of their names, among the slices of their patient.

    The reference names the image of a DICOM file by a number that runs over all files of the data set, by path, and a
    slice of a NIfTI file by its index. Names are sorted as text, 10 before 9. What is told of the number ends with the
    patient, since the place in the data set would tell the place of a patient among the others.

    Args:
        volumes: by pseudonym; all that are sliced, since the numbers run over them.
        patients: pseudonym of the patient, by that of the volume.

    Returns:
        By volume, (n,) int64, different in all volumes of a patient; n may exceed the number of its slices.

    Source: `PreTrain-Data_Preprocessing` in https://github.com/Wolfda95/Less_is_More.
    """
    numbers = _running_numbers(volumes)
    by_patient: dict[str, list[str]] = defaultdict(list)
    for name in volumes:
        by_patient[patients[name]].append(name)
    ranks = {}
    for names in by_patient.values():
        slices = []
        for name in names:
            if name in numbers:
                slices += [("", str(number), name, k) for k, number in enumerate(numbers[name])]
            else:
                volume = volumes[name]
                slices += [(volume.name, str(k), name, k) for k in range(max(volume.shape))]
            ranks[name] = np.empty(len(numbers.get(name, ())) or max(volumes[name].shape), np.int64)
        for rank, (_, _, name, k) in enumerate(sorted(slices)):
            ranks[name][k] = rank
    return ranks


def _running_numbers(volumes: Mapping[str, Volume]) -> dict[str, np.ndarray]:
    """For each volume that has an image of a DICOM file as axial slice, their numbers."""
    images = []
    for name, volume in volumes.items():
        if isinstance(volume, DicomVolume) and array_axis(np.array(volume.affine), "axial") == 2:
            for k, (file, frame) in enumerate(zip(volume.files, volume.frames, strict=True)):
                # Folder by folder: in a text as it stands "a-b/1" would come before "a/1".
                images.append((os.fspath(file).replace(os.sep, "\0"), frame or 0, name, k))
    numbers: dict[str, np.ndarray] = {}
    for number, (_, _, name, k) in enumerate(sorted(images)):
        numbers.setdefault(name, np.empty(volumes[name].shape[2], np.int64))[k] = number
    return numbers
