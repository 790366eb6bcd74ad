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


"""What a DICOM file tells about its images, without the pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from monai_ssl.data.dicom.codestream import image_size
from monai_ssl.data.dicom.file import PixelData, locate_pixels, open_dicom, quietly, read_dataset
from monai_ssl.data.dicom.plain import Matrix, PlainPixels, find_plain
from monai_ssl.data.dicom.scan import scan_header
from monai_ssl.data.dicom.tags import UnreadableTagError, number_of, numbers_of, text_of, value_of
from monai_ssl.data.limits import check_size

__all__ = ["DicomHeader", "read_headers"]

_KEYWORDS = [
    "BitsAllocated",
    "BitsStored",
    "BurnedInAnnotation",
    "Columns",
    "ConvolutionKernel",
    "DirectoryRecordSequence",
    "EchoTime",
    "FrameOfReferenceUID",
    "HighBit",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageType",
    "InstanceNumber",
    "LossyImageCompression",
    "Modality",
    "ModalityLUTSequence",
    "NumberOfFrames",
    "PatientBirthDate",
    "PatientID",
    "PatientName",
    "PerFrameFunctionalGroupsSequence",
    "PhotometricInterpretation",
    "PixelPaddingRangeLimit",
    "PixelPaddingValue",
    "PixelRepresentation",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "SeriesInstanceUID",
    "SharedFunctionalGroupsSequence",
    "SliceThickness",
    "SpacingBetweenSlices",
    "StudyInstanceUID",
]
_TAGS: dict[int, str] = {Tag(keyword): dictionary_VR(keyword) for keyword in _KEYWORDS}
# Images of one series that differ in these are of two kinds, wherever they lie.
_KIND = ("EchoTime", "EffectiveEchoTime", "ConvolutionKernel", "ImageType")
_DICOMDIR = "1.2.840.10008.1.3.10"
_NO_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation, not an image",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation, not an image",
    "1.2.840.10008.5.1.4.1.1.481.2": "a dose grid (RTDOSE), not an image",
}
_BITS = (8, 16, 32, 64)
# Direction cosines are written with few digits; further off than this they are no directions.
_UNIT_TOLERANCE = 0.01
# Pixel data are padded by a few bytes at most; more means that rows, columns or bits are not what the header tells.
_MOST_PADDING = 0.25
# Enough of a compressed image to hold its size.
_HEAD = 4096


@dataclass(frozen=True)
class DicomHeader:
    """
    What decides on the place of one image in a volume; missing tags are None or empty.

    `frame` counts the images of an enhanced multi-frame file from 0, and is None for a single-frame file. `kind` holds
    echo time, kernel and image type as text, `plain` where uncompressed pixels lie.
    """

    path: Path
    frame: int | None
    study: str
    series: str
    instance: str
    reference: str
    patient: str
    person: str
    modality: str
    kind: tuple[str, ...]
    rows: int
    columns: int
    spacing: tuple[float, ...] | None
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    thickness: float | None
    number: int | None
    inverted: bool
    annotated: bool
    lossy: bool
    rescaled: bool
    plain: PlainPixels | None


def read_headers(path: Path, max_gib: float) -> list[DicomHeader]:
    """
    Read the tags that place the images of a file in a volume.

    Args:
        path: a DICOM file.
        max_gib: the most that its pixels may take, see `limits.check_size`.

    Returns:
        One header, or one for each frame of an enhanced multi-frame image.

    Raises:
        ValueError: when the file is damaged or holds no greyscale image, saying why.
        OSError: when it cannot be opened.
    """
    with quietly(), open_dicom(path, max_gib) as stream:
        dataset = scan_header(stream, _TAGS) or read_dataset(stream, stop_before_pixels=True, specific_tags=_KEYWORDS)
        if text_of(dataset.file_meta, "MediaStorageSOPClassUID") == _DICOMDIR:
            raise ValueError(_directory(dataset, path.parent))
        try:
            matrix = _check_image(dataset)
            pixels = _check_pixels(stream, dataset, matrix, max_gib)
            if matrix.frames == 1 and "PerFrameFunctionalGroupsSequence" not in dataset:
                return [_header(dataset, path, None, matrix, pixels)]
            _check_groups(dataset, matrix.frames)
            return [_header(dataset, path, frame, matrix, pixels) for frame in range(matrix.frames)]
        except (TypeError, AttributeError, OverflowError, KeyError) as error:
            raise ValueError(f"damaged DICOM header ({type(error).__name__})") from error


def _header(dataset: Dataset, path: Path, frame: int | None, matrix: Matrix, pixels: PixelData) -> DicomHeader:
    slope, intercept = (number_of(dataset, tag, frame) for tag in ("RescaleSlope", "RescaleIntercept"))
    if slope == 0:
        raise ValueError("rescale slope is 0, so that the values are lost")
    orientation = numbers_of(dataset, "ImageOrientationPatient", 6, frame)
    if orientation is not None and not _orthonormal(orientation):
        raise ValueError("image orientation is not two perpendicular directions")
    position = numbers_of(dataset, "ImagePositionPatient", 3, frame)
    if frame and position is None:
        raise ValueError("several frames without positions: a film, or not enough to place them")
    spacing = numbers_of(dataset, "PixelSpacing", 2, frame)
    patient = text_of(dataset, "PatientID")
    calibrated = text_of(dataset, "RescaleType", frame) in ("", "HU") or text_of(dataset, "Modality") != "CT"
    return DicomHeader(
        path=path,
        frame=frame,
        study=text_of(dataset, "StudyInstanceUID"),
        series=text_of(dataset, "SeriesInstanceUID"),
        instance=text_of(dataset, "SOPInstanceUID"),
        reference=text_of(dataset, "FrameOfReferenceUID"),
        patient=patient,
        person=_person(dataset),
        modality=text_of(dataset, "Modality"),
        kind=tuple(text_of(dataset, tag, frame) for tag in _KIND),
        rows=matrix.rows,
        columns=matrix.columns,
        spacing=spacing if spacing and min(spacing) > 0 else None,
        position=position,
        orientation=orientation,
        thickness=_thickness(dataset, frame),
        number=_whole(dataset, "InstanceNumber"),
        inverted=text_of(dataset, "PhotometricInterpretation") == "MONOCHROME1",
        annotated=text_of(dataset, "BurnedInAnnotation") == "YES",
        lossy=text_of(dataset, "LossyImageCompression") == "01",
        rescaled=(slope is not None and intercept is not None and calibrated)
        or bool(value_of(dataset, "ModalityLUTSequence")),
        plain=find_plain(dataset, matrix, pixels, frame),
    )


def _check_image(dataset: Dataset) -> Matrix:
    kind = UID(text_of(dataset, "SOPClassUID"))
    if kind in _NO_IMAGES:
        raise ValueError(_NO_IMAGES[kind])
    rows, columns = (int(number_of(dataset, tag) or 0) for tag in ("Rows", "Columns"))
    if not rows or not columns:
        raise ValueError(f"no image ({kind.name if kind and kind.name != kind else 'of unknown kind, or cut off'})")
    if not text_of(dataset, "SeriesInstanceUID"):
        raise ValueError("no SeriesInstanceUID, so that it belongs to no series")
    photometric = text_of(dataset, "PhotometricInterpretation") or "MONOCHROME2"
    if (number_of(dataset, "SamplesPerPixel") or 1) != 1 or not photometric.startswith("MONOCHROME"):
        raise ValueError("a colour image, not greyscale")
    if "LOCALIZER" in (value_of(dataset, "ImageType") or ()):
        raise ValueError("a localizer (scout image), part of no volume")
    allocated, stored = number_of(dataset, "BitsAllocated"), number_of(dataset, "BitsStored")
    if allocated not in _BITS or not 0 < (stored or allocated) <= allocated:
        raise ValueError(
            f"{stored} bits stored of {allocated} allocated; of {', '.join(map(str, _BITS))} all can be read"
        )
    return Matrix(max(1, _whole(dataset, "NumberOfFrames") or 1), rows, columns, int(allocated))


def _check_pixels(stream: BinaryIO, dataset: Dataset, matrix: Matrix, max_gib: float) -> PixelData:
    pixels = locate_pixels(stream, dataset)
    width = matrix.bits // 8
    expected = matrix.rows * matrix.columns * matrix.frames * width
    if pixels.fragments is None and pixels.size < expected:
        raise ValueError(f"truncated: {pixels.size:,} bytes of pixels, rows and columns need {expected:,}")
    if pixels.fragments is None and pixels.size > expected * (1 + _MOST_PADDING):
        raise ValueError(f"{pixels.size:,} bytes of pixels where rows and columns need {expected:,}")
    if pixels.fragments is not None:
        _check_fragments(stream, pixels.fragments, matrix)
    check_size(expected * max(1, 2 // width), pixels.size, max_gib)
    return pixels


def _check_fragments(stream: BinaryIO, fragments: tuple[tuple[int, int], ...], matrix: Matrix) -> None:
    if len(fragments) < matrix.frames:
        raise ValueError(f"truncated: compressed pixels of {len(fragments)} frames of {matrix.frames:,}")
    for start, length in fragments if len(fragments) == matrix.frames else fragments[:1]:
        stream.seek(start)
        size = image_size(stream.read(min(length, _HEAD)))
        if size not in (None, (matrix.rows, matrix.columns)):
            raise ValueError(f"compressed image of {size[1]} x {size[0]}, columns and rows tell otherwise")


def _check_groups(dataset: Dataset, frames: int) -> None:
    groups = len(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if groups == 0:
        raise ValueError(f"{frames} frames without functional groups: a film, or not enough to place them")
    if groups != frames:
        raise ValueError(f"damaged DICOM header: {frames} frames, but functional groups for {groups}")


def _directory(dataset: Dataset, folder: Path) -> str:
    # Nothing is opened through it: what lies in the folder is found without it.
    records = dataset.get("DirectoryRecordSequence") or ()
    parts = [record.get("ReferencedFileID") for record in records]
    names = [[part] if isinstance(part, str) else list(part) for part in parts if part]
    outside = sum(any(part in ("", ".", "..") or "/" in part or "\\" in part for part in name) for name in names)
    absent = sum(not folder.joinpath(*name).exists() for name in names) if not outside else 0
    told = [f"{absent} of the {len(names)} files that it lists are absent"] if absent else []
    told += [f"{outside} of the {len(names)} files that it lists are no names below its folder"] if outside else []
    return "; ".join(["a DICOMDIR, not an image; images are found without it", *told])


def _orthonormal(orientation: tuple[float, ...]) -> bool:
    row, column = orientation[:3], orientation[3:]
    skew = sum(a * b for a, b in zip(row, column, strict=True))
    return max(abs(math.hypot(*row) - 1), abs(math.hypot(*column) - 1), abs(skew)) < _UNIT_TOLERANCE


def _thickness(dataset: Dataset, frame: int | None) -> float | None:
    for tag in ("SpacingBetweenSlices", "SliceThickness"):
        try:
            if number := number_of(dataset, tag, frame):
                return abs(number)
        except UnreadableTagError:
            continue
    return None


def _person(dataset: Dataset) -> str:
    # Spelling differs between machines: DOE^JANE and Doe^Jane^^ are one name.
    name = text_of(dataset, "PatientName").rstrip("^ ").casefold()
    return f"{name} {text_of(dataset, 'PatientBirthDate')}".strip()


def _whole(dataset: Dataset, tag: str) -> int | None:
    try:
        number = number_of(dataset, tag)
    except UnreadableTagError:
        return None
    return None if number is None else int(number)
