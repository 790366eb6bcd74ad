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


"""
Headers of the usual kind, scanned in a fraction of the time that a parser takes.

The usual kind is little-endian, uncompressed by deflate, in plain ASCII, and short. All else is left to pydicom, whose
data sets these are as well: values stay as they were read until somebody asks for them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import BinaryIO

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from monai_ssl.data.dicom.tags import TEXTS

__all__ = ["scan_header", "scan_meta"]

_WINDOW = 1 << 16
_PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}
_META_START = 132
_CLASS, _SYNTAX = 0x00020002, 0x00020010
_META = {_CLASS: "UI", _SYNTAX: "UI"}
_SHORT = {
    *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS"),
    *(b"ST", b"TM", b"UI", b"UL", b"US"),
}
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_explicit = struct.Struct("<HH2sH").unpack_from
_implicit = struct.Struct("<HHI").unpack_from
_length = struct.Struct("<I").unpack_from


_Elements = dict[BaseTag, DataElement | RawDataElement]


class _UnusualError(Exception):
    """Something for pydicom."""


_ODD = (_UnusualError, struct.error, KeyError, UnicodeDecodeError, RecursionError)


def scan_meta(data: bytes) -> tuple[str, int] | None:
    """
    The transfer syntax of a file, and where its meta header ends.

    Args:
        data: how the file starts.

    Returns:
        None when there is no meta header of the usual kind in `data`.
    """
    try:
        meta, end = _scan(data, _META_START, False, _META)
        return _syntax(meta), end
    except _ODD:
        return None


def scan_header(stream: BinaryIO, tags: Mapping[int, str]) -> Dataset | None:
    """
    The elements before the pixels.

    Args:
        stream: a DICOM file. It stands before the pixels afterwards, or where it stood when nothing is returned.
        tags: of the elements that are wanted, and their value representations.

    Returns:
        A data set of these, with `file_meta` and `original_encoding`; None when the header is not of the usual kind.
    """
    start = stream.tell()
    data = stream.read(_WINDOW)
    try:
        meta, at = _scan(data, _META_START, False, _META)
        syntax = _syntax(meta)
        if data[128:132] != b"DICM" or syntax in (ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian):
            raise _UnusualError
        implicit = syntax == ImplicitVRLittleEndian
        if implicit and data[at + 4 : at + 6].isalpha():
            raise _UnusualError  # not what it says
        elements, at = _scan(data, at, implicit, tags)
    except _ODD:
        stream.seek(start)
        return None
    stream.seek(start + at)
    dataset = Dataset(elements)
    dataset.file_meta = FileMetaDataset(meta)
    dataset.set_original_encoding(implicit, True, None)
    return dataset


def _syntax(meta: _Elements) -> str:
    return (meta[BaseTag(_SYNTAX)].value or b"").decode("ascii").rstrip("\0 ")


def _scan(data: bytes, at: int, implicit: bool, tags: Mapping[int, str]) -> tuple[_Elements, int]:
    """The wanted elements of the meta header or of what follows, and where the next one lies."""
    found: _Elements = {}
    last = -1
    while True:
        if tags is _META and _implicit(data, at)[0] != 2:
            return found, at
        group, element, representation, length, value = _head(data, at, implicit)
        number = group << 16 | element
        if number in _PIXELS:
            return found, at
        if number <= last:
            raise _UnusualError
        last = number
        end = _end(data, value, length, representation, implicit)
        if number in tags:
            content = data[value:end]
            text = (tags[number] if representation in (None, "UN") else representation) in TEXTS
            if length == _UNDEFINED or (text and (not content.isascii() or b"\x1b" in content)):
                raise _UnusualError
            tag = BaseTag(number)
            found[tag] = RawDataElement(tag, representation, length, content, value, implicit, True)
        at = end


def _head(data: bytes, at: int, implicit: bool) -> tuple[int, int, str | None, int, int]:
    """Group, element, value representation and length of the element at a place, and where its value starts."""
    if implicit or data[at : at + 2] == b"\xfe\xff":
        group, element, length = _implicit(data, at)
        return group, element, None, length, at + 8
    group, element, representation, length = _explicit(data, at)
    if representation in _SHORT:
        return group, element, representation.decode("ascii"), length, at + 8
    if representation not in _LONG:
        raise _UnusualError
    return group, element, representation.decode("ascii"), _length(data, at + 8)[0], at + 12


def _end(data: bytes, value: int, length: int, representation: str | None, implicit: bool) -> int:
    """Where the element ends whose value starts at a place."""
    if length != _UNDEFINED:
        end = value + length
        if end > len(data):
            raise _UnusualError
        return end
    if representation not in ("SQ", None):
        raise _UnusualError
    at = value
    while True:
        group, element, length = _implicit(data, at)
        at += 8
        if (group, element) == _SEQUENCE_END:
            return at
        if (group, element) != _ITEM:
            raise _UnusualError
        at = at + length if length != _UNDEFINED else _item_end(data, at, implicit)


def _item_end(data: bytes, at: int, implicit: bool) -> int:
    while True:
        group, element, representation, length, value = _head(data, at, implicit)
        if (group, element) == _ITEM_END:
            return value
        at = _end(data, value, length, representation, implicit)
