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


"""What one DICOM file tells about its image, without the pixels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileDataset

__all__ = ["DicomHeader", "is_dicom", "read_dataset", "read_header"]

_TAGS = [
    "BitsAllocated",
    "BurnedInAnnotation",
    "Columns",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "InstanceNumber",
    "Modality",
    "NumberOfFrames",
    "PatientID",
    "PhotometricInterpretation",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "ModalityLUTSequence",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "SeriesInstanceUID",
    "SliceThickness",
    "SpacingBetweenSlices",
]
_DICOMDIR = "1.2.840.10008.1.3.10"
# Direction cosines are written with few digits; further off than this they are no directions.
_UNIT_TOLERANCE = 0.01


@dataclass(frozen=True)
class DicomHeader:
    """The tags of one image that decide on its place in a volume. Missing ones are None or empty."""

    path: Path
    series: str
    instance: str
    patient: str
    modality: str
    rows: int
    columns: int
    spacing: tuple[float, float] | None
    position: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None
    thickness: float | None
    number: int | None
    localizer: bool
    inverted: bool
    annotated: bool
    rescaled: bool


def is_dicom(head: bytes) -> bool:
    """
    Whether a file starts as DICOM does: `DICM` after 128 bytes, or, where the meta header is missing, a data set.

    Args:
        head: its first 132 bytes or more.
    """
    if head[128:132] == b"DICM":
        return True
    # Without a meta header a data set starts with an element of group 8, whose length in either encoding is small.
    return head[:2] == b"\x08\x00" and head[3:4] == b"\x00" and len(head) >= 132 and head[6:8] != b"\xff\xff"


def read_dataset(path: Path, **options: Any) -> FileDataset:
    """
    `pydicom.dcmread`, also for files without a meta header, whatever is wrong ending in a ValueError.

    Args:
        path: the file.
        options: for `dcmread`.

    Raises:
        ValueError: when the file is damaged.
        OSError: when it cannot be opened.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd but legal values; what matters is looked at by the callers
            dataset = pydicom.dcmread(path, force=True, **options)
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit, little = dataset.original_encoding
            syntax = pydicom.uid.ImplicitVRLittleEndian if implicit else pydicom.uid.ExplicitVRLittleEndian
            dataset.file_meta.TransferSyntaxUID = syntax if little else pydicom.uid.ExplicitVRBigEndian
    except OSError:
        raise
    except Exception as error:  # pydicom raises whatever its parser stumbled over
        raise ValueError(f"damaged DICOM file ({_brief(error)})") from error
    return dataset


def read_header(path: Path) -> DicomHeader:
    """
    Read the tags that place an image in a volume.

    Args:
        path: a DICOM file.

    Raises:
        ValueError: when the file is damaged or holds no single-frame greyscale image, saying why.
        OSError: when it cannot be opened.
    """
    dataset = read_dataset(path, stop_before_pixels=True, specific_tags=_TAGS)
    if dataset.file_meta.get("MediaStorageSOPClassUID") == _DICOMDIR:
        raise ValueError("a DICOMDIR, not an image; the files it lists are found without it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _require_image(dataset, path)
            return _header(dataset, path)
    except (TypeError, AttributeError, OverflowError, KeyError) as error:
        raise ValueError(f"damaged DICOM header ({_brief(error)})") from error


def _header(dataset: FileDataset, path: Path) -> DicomHeader:
    slope = _number(dataset, "RescaleSlope")
    if slope is not None and (slope == 0 or not np.isfinite(slope)):
        raise ValueError("rescale slope is 0 or not a number, so that the values are lost")
    spacing = _numbers(dataset, "PixelSpacing", 2)
    orientation = _numbers(dataset, "ImageOrientationPatient", 6)
    if orientation is not None and not _orthonormal(orientation):
        raise ValueError("image orientation is not two perpendicular directions")
    return DicomHeader(
        path=path,
        series=str(dataset.get("SeriesInstanceUID") or "").strip(),
        instance=str(dataset.get("SOPInstanceUID") or "").strip(),
        patient=str(dataset.get("PatientID") or "").strip(),
        modality=str(dataset.get("Modality") or "").strip(),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        spacing=(spacing[0], spacing[1]) if spacing and min(spacing) > 0 else None,
        position=_triple(_numbers(dataset, "ImagePositionPatient", 3)),
        orientation=orientation,
        thickness=abs(_number(dataset, "SpacingBetweenSlices") or _number(dataset, "SliceThickness") or 0) or None,
        number=None if dataset.get("InstanceNumber") in (None, "") else int(dataset.InstanceNumber),
        localizer="LOCALIZER" in (dataset.get("ImageType") or ()),
        inverted=dataset.PhotometricInterpretation == "MONOCHROME1",
        annotated=str(dataset.get("BurnedInAnnotation") or "").strip() == "YES",
        rescaled=slope is not None or "ModalityLUTSequence" in dataset,
    )


def _require_image(dataset: FileDataset, path: Path) -> None:
    if not dataset.get("Rows") or not dataset.get("Columns"):
        kind = pydicom.uid.UID(str(dataset.get("SOPClassUID") or "")).name or "no SOP class"
        raise ValueError(f"no image ({kind})")
    if not dataset.get("SeriesInstanceUID"):
        raise ValueError("no SeriesInstanceUID, so that it belongs to no series")
    photometric = str(dataset.get("PhotometricInterpretation") or "MONOCHROME2")
    dataset.PhotometricInterpretation = photometric
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or not photometric.startswith("MONOCHROME"):
        raise ValueError(f"a colour image ({photometric}), not greyscale")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise ValueError(f"multi-frame ({frames} frames), which is not supported; export single-frame DICOM or NIfTI")
    syntax = dataset.file_meta.TransferSyntaxUID
    plain = not syntax.is_private and not syntax.is_encapsulated and not syntax.is_deflated
    expected = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("BitsAllocated") or 0) // 8
    size = path.stat().st_size
    if plain and size < expected:
        raise ValueError(f"truncated: {size} bytes for {expected} bytes of pixels")


def _orthonormal(orientation: tuple[float, ...]) -> bool:
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    off = (np.linalg.norm(row) - 1, np.linalg.norm(column) - 1, row @ column)
    return bool(np.abs(off).max() < _UNIT_TOLERANCE)


def _number(dataset: FileDataset, tag: str) -> float | None:
    value = dataset.get(tag)
    return None if value in (None, "") else float(value)


def _numbers(dataset: FileDataset, tag: str, count: int) -> tuple[float, ...] | None:
    value = dataset.get(tag)
    if value in (None, "") or len(value) != count:
        return None
    numbers = tuple(float(number) for number in value)
    return numbers if np.isfinite(numbers).all() else None


def _triple(numbers: tuple[float, ...] | None) -> tuple[float, float, float] | None:
    return None if numbers is None else (numbers[0], numbers[1], numbers[2])


def _brief(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
