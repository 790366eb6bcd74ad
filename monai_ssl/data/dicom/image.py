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


"""The record of one DICOM image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monai_ssl.data.dicom.plain import StoredPixels

__all__ = ["DicomHeader", "ImageHeader", "RefusedHeader"]

_PROJECTIONS = {"CR", "DX", "IO", "MG", "PX", "RF", "US", "XA"}


@dataclass(frozen=True)
class DicomHeader:
    """
    What a file of a series tells, an image or why it is none.

    `frame` counts the images of an enhanced multi-frame file from 0, and is None for a single-frame file.
    """

    path: Path
    frame: int | None
    series: str


@dataclass(frozen=True)
class RefusedHeader(DicomHeader):
    """A damaged image, whose series should tell that it lacks one."""

    reason: str


@dataclass(frozen=True)
class ImageHeader(DicomHeader):
    """
    What decides on the place of one image in a volume; missing tags are None or empty.

    `sets` holds the tags that may tell it from other images of its place (see `set_tags_of`), `spacing_tag` the keyword
    of what `spacing` comes from, `plain` the pixels as they were found.
    """

    study: str
    instance: str
    reference: str
    patient: str
    name: str
    birth: str
    modality: str
    sets: dict[str, str]
    rows: int
    columns: int
    spacing: tuple[float, ...] | None
    spacing_tag: str
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    thickness: float | None
    number: int | None
    colour: bool
    inverted: bool
    annotated: bool
    lossy: bool
    rescaled: bool
    plain: StoredPixels

    @property
    def projection(self) -> bool:
        """Whether it is a picture of its own, such as a radiograph, and no slice of a volume."""
        return self.position is None and self.modality in _PROJECTIONS
