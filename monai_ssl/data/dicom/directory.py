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


"""A DICOMDIR: what is odd about it. Nothing is opened through it, since what lies in the folder is found without it."""

from __future__ import annotations

import os
from pathlib import Path

from pydicom.dataset import Dataset

from monai_ssl.data.dicom.tags import UnreadableTagError, text_of, value_of

__all__ = ["describe_directory"]

_DICOMDIR = "1.2.840.10008.1.3.10"


def describe_directory(dataset: Dataset, folder: Path) -> str:
    """
    That a file is a DICOMDIR, and which of the files that it lists are absent or outside; empty when it is none.

    Args:
        dataset: of the file.
        folder: where it lies.
    """
    if text_of(dataset.file_meta, "MediaStorageSOPClassUID") != _DICOMDIR:
        return ""
    told = "a DICOMDIR, not an image; images are found without it"
    try:
        records = value_of(dataset, "DirectoryRecordSequence") or ()
        listed = [value for record in records if (value := value_of(record, "ReferencedFileID"))]
    except UnreadableTagError:
        return f"{told}; what it lists is damaged"
    names = [[value] if isinstance(value, str | int | bytes) else list(value) for value in listed]
    parts = [[str(part) for part in name] for name in names]
    outside = sum(any(part in ("", ".", "..") or "/" in part or "\\" in part for part in name) for name in parts)
    if outside:
        return f"{told}; {outside} of the {len(parts)} files that it lists are no names below its folder"
    absent = sum(not os.path.exists(folder.joinpath(*name)) for name in parts)  # unlike Path.exists never an error
    return f"{told}; {absent} of the {len(parts)} files that it lists are absent" if absent else told
