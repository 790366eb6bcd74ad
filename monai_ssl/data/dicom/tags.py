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


"""Tag values of an image or of one frame of a multi-frame image, read with care."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

__all__ = [
    "SET_TAGS", "TEXTS", "UnreadableTagError", "first_number_of", "number_of", "number_or_none", "numbers_of",
    "set_tags_of", "text_of", "value_of",
]  # fmt: skip

_FRAME_TYPES = ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence")
# Where the functional groups of an enhanced image hold what a single-frame image holds at its top level.
_GROUPS: dict[str, tuple[str, ...]] = {
    "ComplexImageComponent": _FRAME_TYPES,
    "ConvolutionKernel": ("CTReconstructionSequence",),
    "DiffusionBValue": ("MRDiffusionSequence",),
    "EffectiveEchoTime": ("MREchoSequence",),
    "FrameAcquisitionNumber": ("FrameContentSequence",),
    "FrameType": _FRAME_TYPES,
    "ImageOrientationPatient": ("PlaneOrientationSequence",),
    "ImagePositionPatient": ("PlanePositionSequence",),
    "KVP": ("CTXRayDetailsSequence",),
    "NominalCardiacTriggerDelayTime": ("CardiacSynchronizationSequence",),
    "NominalPercentageOfCardiacPhase": ("CardiacSynchronizationSequence",),
    "PixelSpacing": ("PixelMeasuresSequence",),
    "RescaleIntercept": ("PixelValueTransformationSequence",),
    "RescaleSlope": ("PixelValueTransformationSequence",),
    "RescaleType": ("PixelValueTransformationSequence",),
    "SliceThickness": ("PixelMeasuresSequence",),
    "SpacingBetweenSlices": ("PixelMeasuresSequence",),
    "StackID": ("FrameContentSequence",),
    "TemporalPositionIndex": ("FrameContentSequence",),
    "VOILUTFunction": ("FrameVOILUTSequence",),
    "WindowCenter": ("FrameVOILUTSequence",),
    "WindowWidth": ("FrameVOILUTSequence",),
}
# What tells the sets of images of one series apart, such as time points and echoes; the most telling ones first.
SET_TAGS = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "EchoTime",
    "EffectiveEchoTime",
    "DiffusionBValue",
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "NominalPercentageOfCardiacPhase",
    "FrameReferenceTime",
    "KVP",
    "StackID",
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "ConvolutionKernel",
    "ComplexImageComponent",
    "FrameType",
    "ImageType",
    "AcquisitionTime",
    "ContentTime",
)
_SET_NUMBERS = [(int(Tag(name)), tag) for tag in SET_TAGS for name in (tag, *_GROUPS.get(tag, ()))]
# Value representations that are text; several values stand between backslashes.
TEXTS = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI"}
_ESCAPE = b"\x1b"  # to another character set


class UnreadableTagError(ValueError):
    """A tag whose value is none of its kind. The value is not told, since it may name a patient."""


def value_of(dataset: Dataset, tag: str, frame: int | None = None) -> Any:
    """
    The value of a tag, or None when it is absent or empty. Numbers may come as text, several values as a sequence.

    Args:
        dataset: of the file.
        tag: its keyword.
        frame: of an enhanced image, counted from 0; its own functional groups go before the shared ones, and both
            before the top level.

    Raises:
        UnreadableTagError: when there is a value that cannot be converted.

    See:
        https://dicom.nema.org/medical/dicom/current/output/chtml/part03/sect_C.7.6.16.html
    """
    try:
        for holder in (dataset,) if frame is None or tag not in _GROUPS else _holders(dataset, tag, frame):
            value = _value(holder, tag)
            if value is not None and value != "":
                return value
    except Exception as error:  # pydicom raises whatever its conversion stumbled over
        raise UnreadableTagError(f"{tag} is unreadable") from error
    return None


def number_of(dataset: Dataset, tag: str, frame: int | None = None) -> float | None:
    """
    A number, or None where it is absent.

    Raises:
        UnreadableTagError: when it is not one finite number.
    """
    value = value_of(dataset, tag, frame)
    return None if value is None else _floats(tag, [value])[0]


def first_number_of(dataset: Dataset, tag: str, frame: int | None = None) -> float | None:
    """
    The first of one or several numbers, or None where there is none.

    Raises:
        UnreadableTagError: when it is not a finite number.
    """
    value = value_of(dataset, tag, frame)
    first = value[0] if isinstance(value, list | MultiValue) and len(value) else value
    return None if first is None or first == "" else _floats(tag, [first])[0]


def number_or_none(dataset: Dataset, tag: str, frame: int | None = None) -> float | None:
    """A number, or None where it is absent or unreadable."""
    try:
        return number_of(dataset, tag, frame)
    except UnreadableTagError:
        return None


def numbers_of(dataset: Dataset, tag: str, count: int, frame: int | None = None) -> tuple[float, ...] | None:
    """
    Numbers, or None where they are absent.

    Raises:
        UnreadableTagError: when they are not `count` finite numbers.
    """
    value = value_of(dataset, tag, frame)
    if value is None:
        return None
    if isinstance(value, str | float) or len(value) != count:
        raise UnreadableTagError(f"{tag} does not hold {count} numbers")
    return _floats(tag, value)


def text_of(dataset: Dataset, tag: str, frame: int | None = None) -> str:
    """Its text without the spaces around it; empty where it is absent or unreadable."""
    try:
        value = value_of(dataset, tag, frame)
    except UnreadableTagError:
        return ""
    if isinstance(value, list | MultiValue):
        return "\\".join(str(part).strip() for part in value)
    return "" if value is None else str(value).strip()


def set_tags_of(dataset: Dataset, frame: int | None = None) -> dict[str, str]:
    """The text of those of `SET_TAGS` that have one."""
    held = [dataset.keys(), *(groups.keys() for groups in (() if frame is None else _groups(dataset, frame)))]
    tags = {tag: None for keys in held for number, tag in _SET_NUMBERS if number in keys}
    return {tag: text for tag in tags if (text := text_of(dataset, tag, frame))}


def _value(holder: Dataset, tag: str) -> Any:
    """The value; plain text is decoded here, since pydicom's conversion takes several times as long as its parser."""
    number, representation = _known(tag)
    element = holder.get_item(number)
    if not isinstance(element, RawDataElement):
        return None if element is None else element.value
    value, representation = element.value, element.VR or representation
    if value is not None and value.isascii() and _ESCAPE not in value:
        if representation in TEXTS:
            parts = [part.strip(" \0") for part in value.decode("ascii").split("\\")]
            return parts if len(parts) > 1 else parts[0]
        if representation == "US" and len(value) == 2:
            return int.from_bytes(value, "little" if element.is_little_endian else "big")
    return holder[number].value


@lru_cache
def _known(tag: str) -> tuple[BaseTag, str]:
    number = Tag(tag)
    return number, dictionary_VR(number)


def _floats(tag: str, values: Any) -> tuple[float, ...]:
    try:
        if "_" in "".join(map(str, values)):
            raise ValueError  # Python reads 1_5 as 15
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnreadableTagError(f"{tag} is not a number") from error
    if not all(map(math.isfinite, numbers)):
        raise UnreadableTagError(f"{tag} is not a finite number")
    return numbers


def _holders(dataset: Dataset, tag: str, frame: int) -> Iterator[Dataset]:
    for groups in _groups(dataset, frame):
        for group in _GROUPS[tag]:
            yield from (groups.get(group) or ())[:1]
    yield dataset


def _groups(dataset: Dataset, frame: int) -> tuple[Dataset, ...]:
    own = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared = dataset.get("SharedFunctionalGroupsSequence") or ()
    return (*own[frame : frame + 1], *shared[:1])
