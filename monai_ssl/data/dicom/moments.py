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


"""Several sets of images in one series, such as time points or echoes, and the tags that tell them apart."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from monai_ssl.data.dicom.geometry import find_places, places_along
from monai_ssl.data.dicom.image import ImageHeader
from monai_ssl.data.dicom.tags import SET_TAGS

__all__ = ["ImageSet", "split_sets"]

# Images that differ in these are of two sets even where they lie between one another. The others may change from slice
# to slice of one set: acquisitions are interleaved, heart beats are not alike.
_KINDS = {
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "EchoTime",
    "EffectiveEchoTime",
    "DiffusionBValue",
    "NominalPercentageOfCardiacPhase",
    "KVP",
    "ConvolutionKernel",
    "ComplexImageComponent",
    "FrameType",
    "ImageType",
}
# Measured rather than set, so that one set may have values that differ by so much, relatively.
_MEASURED = {"EchoTime", "EffectiveEchoTime", "DiffusionBValue", "KVP"}
_TOLERANCE = 0.01
# Fewer images that differ in a kind are strays.
_FEWEST = 3
# How much of the places each set must have: all of them, or, where no tag gives such sets, most.
_SHARES = (1.0, 0.51)


class ImageSet(NamedTuple):
    """
    Attributes:
        headers: of its images.
        tags: that tell it from other sets of its series; empty for the only one.
        missing: at how many of the places of the other sets it has no image.
        crowded: whether several of its images lie at one place, since no tag tells them apart.
    """

    headers: list[ImageHeader]
    tags: tuple[str, ...]
    missing: int
    crowded: bool


def split_sets(headers: list[ImageHeader]) -> tuple[list[ImageSet], list[tuple[str, ImageHeader]]]:
    """
    Tell time points, echoes, kernels or the like of one series apart, where they share places or are woven together.

    Kinds that lie one behind the other, such as two blocks of an acquisition, stay together.

    Args:
        headers: alike in geometry.

    Returns:
        The sets; and images of kinds too small for a set, each with the tag that it differs in.
    """
    return _Splitter(headers).split()


class _Splitter:
    def __init__(self, headers: list[ImageHeader]) -> None:
        self.headers = headers
        self.places = find_places(headers)
        self.along = None if headers[0].position is None else places_along(headers)
        self.values = {tag: _values(headers, tag) for tag in SET_TAGS if any(tag in header.sets for header in headers)}
        self.strays: list[tuple[str, ImageHeader]] = []

    def split(self) -> tuple[list[ImageSet], list[tuple[str, ImageHeader]]]:
        sets = self._sets(np.arange(len(self.headers)), (), 0)
        return sorted(sets, key=lambda one: _order(one.headers[0])), self.strays

    def _sets(self, members: np.ndarray, tags: tuple[str, ...], missing: int) -> list[ImageSet]:
        crowded = self._count(members) < len(members)
        if crowded:
            for share in _SHARES:
                for tag, groups in self._groups(members):
                    sets = self._over_the_same_places(members, groups, (*tags, tag), missing, share)
                    if sets:
                        return sets
        for tag, groups in self._groups(members):
            large = [group for group in groups if len(group) >= _FEWEST]
            if tag in _KINDS and self._woven(large):
                self.strays += [(tag, self.headers[k]) for group in groups if len(group) < _FEWEST for k in group]
                return [one for group in large for one in self._sets(group, (*tags, tag), missing)]
        return [ImageSet([self.headers[k] for k in members], tags, missing, crowded)]

    def _over_the_same_places(
        self, members: np.ndarray, groups: list[np.ndarray], tags: tuple[str, ...], missing: int, share: float
    ) -> list[ImageSet]:
        """A set or more of each group; none at all when a group lacks places, or still has several images at one."""
        count, strays = self._count(members), len(self.strays)
        sets = []
        for group in groups:
            held = self._count(group)
            found = self._sets(group, tags, missing + count - held) if held >= share * count else []
            if not found or any(one.crowded for one in found):
                del self.strays[strays:]
                return []
            sets += found
        return sets

    def _groups(self, members: np.ndarray) -> Iterator[tuple[str, list[np.ndarray]]]:
        for tag, values in self.values.items():
            told = values[members]
            if (told != told[0]).any():
                yield tag, [members[told == value] for value in np.unique(told)]

    def _count(self, members: np.ndarray) -> int:
        return len(np.unique(self.places[members]))

    def _woven(self, groups: list[np.ndarray]) -> bool:
        if self.along is None:
            return False
        ranges = sorted((self.along[group].min(), self.along[group].max()) for group in groups)
        return any(next_low < high for (_, high), (next_low, _) in pairwise(ranges))


def _values(headers: list[ImageHeader], tag: str) -> np.ndarray:
    """(N,) numbers that are equal where the values of a tag are, however they are written."""
    texts = [header.sets.get(tag, "") for header in headers]
    try:
        numbers = np.array([float(text or "nan") for text in texts])
    except ValueError:
        return np.unique(texts, return_inverse=True)[1]
    different, values = np.unique(numbers, return_inverse=True)
    near = _TOLERANCE * np.abs(different[1:]) if tag in _MEASURED else 0.0
    # NaN, which stands for no value, is the last one, and further off than any.
    return np.concatenate([[0], np.cumsum(~(np.diff(different) <= near))])[values]


def _order(header: ImageHeader) -> tuple[str, int]:
    return str(header.path), header.frame or 0
