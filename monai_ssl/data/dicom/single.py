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

"""DICOM images one by one, each for itself: slices with the values of a store, radiographs as a viewer shows them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from tqdm import tqdm

from monai_ssl.data.dicom.display import DISPLAY_TAGS, check_display, displayed_values
from monai_ssl.data.dicom.file import State, is_dicom, open_dicom, quietly, read_dataset
from monai_ssl.data.dicom.header import NoImageError, read_headers
from monai_ssl.data.dicom.image import ImageHeader, RefusedHeader
from monai_ssl.data.dicom.scan import scan_header
from monai_ssl.data.dicom.series import build_series
from monai_ssl.data.dicom.volume import read_images
from monai_ssl.data.limits import MAX_GIB
from monai_ssl.data.volume import relative_name
from monai_ssl.data.voxels import RejectedVolumeError
from monai_ssl.orientation import to_display

__all__ = ["PICTURES", "is_dicom_file", "kind_of_dicom", "list_dicom_images", "read_dicom_image"]

logger = logging.getLogger(__name__)

# Their values are measured: HU, activity, or at least comparable within a series. All others are pictures.
_MEASURED = {"CT", "MR", "NM", "PT"}
PICTURES = "pictures"
"""The kind of all images that are not measured."""
_TAGS = {int(Tag(keyword)): dictionary_VR(keyword) for keyword in DISPLAY_TAGS}
_HEAD = 132
_MOST_NAMED = 20


def is_dicom_file(path: Path) -> bool:
    """Whether a file is DICOM, by its content."""
    with open(path, "rb") as stream:
        return is_dicom(stream.read(_HEAD))


def kind_of_dicom(path: Path) -> str:
    """CT, MR, PT, NM or `PICTURES`; empty for a file that is no DICOM image, or none that can be read."""
    try:
        return _kind(_headers(path)[0])
    except Exception:  # `list_dicom_images` tells what is wrong
        return ""


def list_dicom_images(paths: Iterable[Path], root: Path) -> list[tuple[str, Path, int]]:
    """
    The images of DICOM files, by their headers alone.

    Files without an image of the body (reports, segmentations, scouts, a DICOMDIR) are left out with a warning.

    Args:
        paths: DICOM files.
        root: the folder that names are relative to.

    Returns:
        name, file and row of each image: the row is -1, or the frame, from 0, of a multi-frame file, whose images are
        called `name#0`, `name#1` ...

    Raises:
        ValueError: when files are damaged or cannot be shown, naming them all at once, each with its reason; when they
            are of several kinds, such as CT beside radiographs, whose values mean something else.
    """
    found: list[tuple[str, Path, int]] = []
    left_out: dict[str, list[str]] = {}
    problems: list[str] = []
    kinds: dict[str, list[str]] = {}
    without_window: list[str] = []
    for path in tqdm(list(paths), unit="file", desc="reading headers", disable=None, delay=2):
        name = relative_name(path, root)
        try:
            headers = _headers(path)
            kind = _kind(headers[0])
            if kind == PICTURES and not headers[0].colour and not check_display(_display_tags(path), headers[0].frame):
                without_window.append(name)
            rows = [-1 if header.frame is None else header.frame for header in headers]
        except NoImageError as error:
            left_out.setdefault(str(error), []).append(name)
        except (ValueError, OSError) as error:
            problems.append(f"{name} ({error})")
        except Exception as error:  # of pydicom; its text may quote what stands in the file
            problems.append(f"{name} (cannot be read: {type(error).__name__})")
        else:
            kinds.setdefault(kind, []).append(name)
            found += [(name if row < 0 else f"{name}#{row}", path, row) for row in rows]
    for reason, names in left_out.items():
        logger.warning("%s: %d DICOM files left out, the first %s: %s", root, len(names), names[0], reason)
    if problems:
        more = f" and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
        raise ValueError(
            f"{root}: {len(problems)} DICOM files cannot be used; repair or remove them: "
            f"{', '.join(problems[:_MOST_NAMED])}{more}"
        )
    if len(kinds) > 1:
        told = ", ".join(f"{len(names)} {kind} (the first {names[0]})" for kind, names in kinds.items())
        raise ValueError(f"{root}: holds DICOM files of {told}, whose values mean something else; keep one kind there")
    if without_window:
        logger.warning("%s: %d DICOM files of more than 8 bits have no window or look-up table (the first %s); each "
                       "image is scaled from its own smallest value to its largest", root, len(without_window),
                       without_window[0])  # fmt: skip
    return found


def read_dicom_image(path: Path, row: int = -1) -> np.ndarray:
    """
    One image of a DICOM file.

    CT, MR, PT and NM give the values of a slice store, such as HU, in its orientation; padding has the smallest valid
    value of the image, where a store takes that of the volume. All else is a picture: see `displayed_values`; what has
    colours becomes grey.

    Args:
        path: the file.
        row: the frame of a multi-frame file, from 0; -1 for a file of one image.

    Returns:
        (H, W) int16 or float32 of what is measured, uint8 or uint16 of pictures.

    Raises:
        ValueError: when it is damaged or holds no such image, naming it.

    Example:
        >>> from monai_ssl.data.dicom.single import read_dicom_image
        >>> read_dicom_image("radiograph.dcm").dtype  # doctest: +SKIP
        dtype('uint16')
    """
    path = Path(path)
    try:
        status = path.stat()
        headers = _headers_again(path, (status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        if not max(row, 0) < len(headers) or (row < 0 and len(headers) > 1):
            raise ValueError(f"holds {len(headers)} images, asked for row {row}; give one from 0 to {len(headers) - 1}")
        header = headers[max(row, 0)]
        return _shown(header) if _kind(header) == PICTURES else _measured(header)
    except RejectedVolumeError as error:
        raise ValueError(f"{path}: {error.rejection.reason}") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: {error}") from None


def _headers(path: Path) -> list[ImageHeader]:
    headers = read_headers(path, MAX_GIB, alone=True)
    for header in headers:
        if isinstance(header, RefusedHeader):
            raise ValueError(header.reason)
    return [header for header in headers if isinstance(header, ImageHeader)]


@lru_cache(maxsize=2)
def _headers_again(path: Path, _: State) -> list[ImageHeader]:
    """Of a file in that state; the frames of one are often read one after another."""
    return _headers(path)


def _kind(header: ImageHeader) -> str:
    """The modality where values are measured."""
    if header.colour or (header.modality not in _MEASURED and (header.modality or header.position is None)):
        return PICTURES
    return header.modality or "no modality"


def _measured(header: ImageHeader) -> np.ndarray:
    volumes, rejections = build_series([header], header.path.parent, MAX_GIB)
    if not volumes:
        raise ValueError(rejections[0].reason)
    voxels = volumes[0].read()
    return np.ascontiguousarray(to_display(voxels.array, voxels.affine, 2)[0])


def _shown(header: ImageHeader) -> np.ndarray:
    ((_, values, padding),) = read_images([(header.path, header.frame, header.plain)], header.path.parent, MAX_GIB)
    return values if header.colour else displayed_values(values, padding, _display_tags(header.path), header.frame)


def _display_tags(path: Path) -> Dataset:
    with quietly(), open_dicom(path, MAX_GIB) as stream:
        return scan_header(stream, _TAGS) or read_dataset(
            stream, stop_before_pixels=True, specific_tags=list(DISPLAY_TAGS)
        )
