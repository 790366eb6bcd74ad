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

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from monai_ssl.data.dicom.codestream import check_fragments
from monai_ssl.data.dicom.colour import is_colour, samples_of
from monai_ssl.data.dicom.directory import describe_directory
from monai_ssl.data.dicom.file import open_dicom, quietly, read_dataset
from monai_ssl.data.dicom.image import DicomHeader, ImageHeader, RefusedHeader
from monai_ssl.data.dicom.pixel_data import PixelData, locate_pixels
from monai_ssl.data.dicom.place import orientation_of, position_of, spacing_of, thickness_of
from monai_ssl.data.dicom.plain import Matrix, find_pixels
from monai_ssl.data.dicom.scan import scan_header
from monai_ssl.data.dicom.tags import SET_TAGS, number_of, number_or_none, set_tags_of, text_of, value_of
from monai_ssl.data.limits import check_size

__all__ = ["DicomHeader", "NoImageError", "no_slice", "read_headers"]

_KEYWORDS = [
    *SET_TAGS,
    "BitsAllocated",
    "BitsStored",
    "BurnedInAnnotation",
    "Columns",
    "DirectoryRecordSequence",
    "FrameOfReferenceUID",
    "HighBit",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImagerPixelSpacing",
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
_NO_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation, not an image",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation, not an image",
    "1.2.840.10008.5.1.4.1.1.481.2": "a dose grid (RTDOSE), not an image",
}
_SCOUT = "a localizer (scout image), part of no volume"
# Of ImageType and FrameType.
_NO_SLICES = {
    "LOCALIZER": _SCOUT,
    "SCANOSCOPE": _SCOUT,
    "SCOUT": _SCOUT,
    "MOSAIC": "a mosaic, many slices tiled in one image; split it into slices first",
}
_BITS = (8, 16, 32, 64)
# Pixel data are padded by an odd byte, by few writers to a round length. A row or column of them is no padding: then
# rows, columns or bits are not what the header tells.
_MOST_PADDING = 256
# Of a film, which nothing but its pixels bounds; an hour of angiography has as many.
_MOST_FRAMES = 100_000


class NoImageError(ValueError):
    """A sound DICOM file that holds no image to look at, such as a report, or none of the body, such as a scout."""


def read_headers(path: Path, max_gib: float, alone: bool = False) -> list[DicomHeader]:
    """
    Read the tags that place the images of a file in a volume.

    Args:
        path: a DICOM file.
        max_gib: the most that its pixels may take, see `limits.check_size`.
        alone: each image counts for itself: without a series, in colour, and the frames of a film without places, too.

    Returns:
        One header, or one for each frame of an enhanced multi-frame image; a `RefusedHeader` for a damaged image.

    Raises:
        NoImageError: when the file is no image of the body.
        ValueError: when the file is damaged or holds no greyscale image of a series, saying why.
        OSError: when it cannot be opened.
    """
    with quietly(), open_dicom(path, max_gib) as stream:
        dataset = scan_header(stream, _TAGS) or read_dataset(stream, stop_before_pixels=True, specific_tags=_KEYWORDS)
        with _explained():
            if told := describe_directory(dataset, path.parent):
                raise NoImageError(told)
            matrix = _check_image(dataset, alone)
        try:
            with _explained():
                return _headers(stream, dataset, path, matrix, max_gib, alone)
        except ValueError as error:
            return [RefusedHeader(path, None, text_of(dataset, "SeriesInstanceUID"), str(error))]


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever pydicom stumbles over ends in a ValueError without its text, which may quote values."""
    try:
        yield
    except (ValueError, OSError):  # OSErrors are not of the file's content, ValueErrors tell what is wrong with it
        raise
    except Exception as error:
        raise ValueError(f"damaged DICOM header ({type(error).__name__})") from error


def no_slice(types: str) -> str:
    """Why an image of these ImageType or FrameType values is no slice of a volume; empty when it may be one."""
    values = types.upper().split("\\")
    return next((reason for value, reason in _NO_SLICES.items() if value in values), "")


def _headers(
    stream: BinaryIO, dataset: Dataset, path: Path, matrix: Matrix, max_gib: float, alone: bool
) -> list[DicomHeader]:
    pixels = _check_pixels(stream, dataset, matrix, max_gib)
    if matrix.frames == 1 and "PerFrameFunctionalGroupsSequence" not in dataset:
        return [_header(dataset, path, None, matrix, pixels)]
    if alone and matrix.frames > _MOST_FRAMES:
        raise ValueError(f"{matrix.frames:,} frames, the most is {_MOST_FRAMES:,}")
    if not alone or "PerFrameFunctionalGroupsSequence" in dataset:
        _check_groups(dataset, matrix.frames)
    headers = [_header(dataset, path, frame, matrix, pixels) for frame in range(matrix.frames)]
    if not alone and any(header.position is None for header in headers[1:]):
        raise ValueError("several frames without positions: a film, or not enough to place them")
    return list(headers)


def _header(dataset: Dataset, path: Path, frame: int | None, matrix: Matrix, pixels: PixelData) -> ImageHeader:
    slope, intercept = (number_of(dataset, tag, frame) for tag in ("RescaleSlope", "RescaleIntercept"))
    if slope == 0:
        raise ValueError("rescale slope is 0, so that the values are lost")
    spacing, spacing_tag = spacing_of(dataset, frame)
    calibrated = text_of(dataset, "RescaleType", frame) in ("", "HU") or text_of(dataset, "Modality") != "CT"
    return ImageHeader(
        path=path,
        frame=frame,
        study=text_of(dataset, "StudyInstanceUID"),
        series=text_of(dataset, "SeriesInstanceUID"),
        instance=text_of(dataset, "SOPInstanceUID"),
        reference=text_of(dataset, "FrameOfReferenceUID"),
        patient=text_of(dataset, "PatientID"),
        # Spelling differs between machines: DOE^JANE and Doe^Jane^^ are one name.
        name=text_of(dataset, "PatientName").rstrip("^ ").casefold(),
        birth=text_of(dataset, "PatientBirthDate"),
        modality=text_of(dataset, "Modality"),
        sets=set_tags_of(dataset, frame),
        rows=matrix.rows,
        columns=matrix.columns,
        spacing=spacing,
        spacing_tag=spacing_tag,
        position=position_of(dataset, frame),
        orientation=orientation_of(dataset, frame),
        thickness=thickness_of(dataset, frame),
        number=_whole(dataset, "InstanceNumber"),
        colour=is_colour(dataset),
        inverted=text_of(dataset, "PhotometricInterpretation") == "MONOCHROME1",
        annotated=text_of(dataset, "BurnedInAnnotation") == "YES",
        lossy=pixels.lossy or text_of(dataset, "LossyImageCompression") == "01",
        rescaled=(slope is not None and intercept is not None and calibrated)
        or bool(value_of(dataset, "ModalityLUTSequence")),
        plain=find_pixels(dataset, matrix, pixels, frame),
    )


def _check_image(dataset: Dataset, alone: bool) -> Matrix:
    kind = UID(text_of(dataset, "SOPClassUID"))
    if kind in _NO_IMAGES:
        raise NoImageError(_NO_IMAGES[kind])
    rows, columns = (int(number_of(dataset, tag) or 0) for tag in ("Rows", "Columns"))
    if rows <= 0 or columns <= 0:
        if kind and kind.name != kind and "Image" not in kind.name:
            raise NoImageError(f"no image ({kind.name})")
        raise ValueError(f"no image ({kind.name if kind and kind.name != kind else 'of unknown kind, or cut off'})")
    if not alone and not text_of(dataset, "SeriesInstanceUID"):
        raise ValueError("no SeriesInstanceUID, so that it belongs to no series")
    colour = is_colour(dataset)
    if colour and not alone:
        raise ValueError("a colour image, not greyscale")
    if reason := no_slice(text_of(dataset, "ImageType")):
        raise NoImageError(reason)
    allocated, stored = number_of(dataset, "BitsAllocated"), number_of(dataset, "BitsStored")
    if allocated not in _BITS or not 0 < (stored or allocated) <= allocated:
        raise ValueError(
            f"{stored or 0:g} bits stored of {allocated or 0:g} allocated; "
            f"of {', '.join(map(str, _BITS))} all can be read"
        )
    samples = samples_of(dataset) if colour else 1
    return Matrix(max(1, _whole(dataset, "NumberOfFrames") or 1), rows, columns, int(allocated), samples)


def _check_pixels(stream: BinaryIO, dataset: Dataset, matrix: Matrix, max_gib: float) -> PixelData:
    pixels = locate_pixels(stream, dataset)
    width = matrix.bits // 8 * matrix.samples
    expected = matrix.rows * matrix.columns * matrix.frames * width
    if pixels.fragments is None and pixels.size < expected:
        raise ValueError(f"truncated: {pixels.size:,} bytes of pixels, rows and columns need {expected:,}")
    most = min(_MOST_PADDING, min(matrix.rows, matrix.columns) * width - 1)
    if pixels.fragments is None and pixels.size > expected + max(1, most):
        raise ValueError(f"{pixels.size:,} bytes of pixels where rows and columns need {expected:,}")
    if pixels.fragments is not None:
        size, syntax = (matrix.rows, matrix.columns), text_of(dataset.file_meta, "TransferSyntaxUID")
        pixels = replace(pixels, lossy=check_fragments(stream, pixels.fragments, matrix.frames, size, syntax))
    check_size(expected * max(1, 2 // width), pixels.size, max_gib)
    return pixels


def _check_groups(dataset: Dataset, frames: int) -> None:
    groups = len(value_of(dataset, "PerFrameFunctionalGroupsSequence") or ())
    if groups == 0:
        raise ValueError(f"{frames} frames without functional groups: a film, or not enough to place them")
    if groups != frames:
        raise ValueError(f"damaged DICOM header: {frames} frames, but functional groups for {groups}")


def _whole(dataset: Dataset, tag: str) -> int | None:
    number = number_or_none(dataset, tag)
    return None if number is None else int(number)
