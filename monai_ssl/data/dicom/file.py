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


"""Opening one DICOM file: whatever is wrong with it ends in a ValueError, and nothing in it takes memory unasked."""

from __future__ import annotations

import io
import logging
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import Dataset, FileDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from monai_ssl.data.limits import check_size, most_bytes

__all__ = ["PixelData", "is_dicom", "locate_pixels", "open_dicom", "quietly", "read_dataset"]

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_META_PREFIX = 132 + 12  # preamble, "DICM", and the element that tells the length of the rest of the meta header
_INTEGERS = (0x7FE0, 0x0010)
_PIXEL_TAGS = {_INTEGERS, (0x7FE0, 0x0008), (0x7FE0, 0x0009)}
_UNDEFINED = 0xFFFFFFFF
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True)
class PixelData:
    """
    Where the pixels of a file lie.

    Attributes:
        start: of their first byte in the stream.
        size: their bytes as stored.
        integers: whether they are integers, not floating-point numbers.
        state: size in bytes and time of the file; None where the stream is not the file itself.
        fragments: (start, length) of each compressed piece in the stream; None where they are not compressed.
    """

    start: int
    size: int
    integers: bool
    state: tuple[int, int] | None
    fragments: tuple[tuple[int, int], ...] | None


def is_dicom(head: bytes) -> bool:
    """
    Whether a file starts as DICOM does: `DICM` after 128 bytes, or, where that is missing, a meta header or a data set.

    Args:
        head: its first 132 bytes or more.
    """
    if head[128:132] == b"DICM":
        return True
    if len(head) < 132:
        return False
    # A data set starts with an element of group 8 (or 2), whose length in either encoding is small.
    little = head[1:2] == b"\x00" and head[:1] in (b"\x02", b"\x08") and head[3:4] == b"\x00"
    big = head[:3] == b"\x00\x08\x00" and head[4:6].isalpha() and head[4:6].isupper()
    return (little and head[6:8] != b"\xff\xff") or big


@contextmanager
def quietly() -> Iterator[None]:
    """No warnings and log lines of pydicom, which may quote values; what matters is looked at by the callers."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def open_dicom(path: Path, max_gib: float) -> Iterator[BinaryIO]:
    """
    The file, opened for reading; a deflated one inflated, with a bound.

    Raises:
        ValueError: when it is a damaged deflated file, or inflates beyond `limits.most_bytes`.
        OSError: when it cannot be opened.
    """
    with open(path, "rb") as file:
        head = file.read(1024)
        file.seek(0)
        yield _inflated(file, path.stat().st_size, max_gib) if _DEFLATED in head else file


def read_dataset(stream: BinaryIO, **options: Any) -> FileDataset:
    """
    `pydicom.dcmread`, also without a meta header; on return the stream stands where reading stopped.

    Args:
        stream: from `open_dicom`.
        options: for `dcmread`.

    Raises:
        ValueError: when the file is damaged. The message tells no value of the file, since it may name a patient.
    """
    try:
        with quietly():
            dataset = pydicom.dcmread(stream, force=True, **options)
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit, little = dataset.original_encoding
            syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            dataset.file_meta.TransferSyntaxUID = syntax if little else ExplicitVRBigEndian
    except Exception as error:  # pydicom raises whatever its parser stumbled over
        raise ValueError(f"damaged DICOM file ({type(error).__name__})") from error
    return dataset


def locate_pixels(stream: BinaryIO, dataset: Dataset) -> PixelData:
    """
    Find the pixels behind a data set that was read up to them.

    Args:
        stream: as `read_dataset(stream, stop_before_pixels=True)` left it.
        dataset: what that returned.

    Raises:
        ValueError: when there are none, or the file ends before they do.
    """
    implicit, little = dataset.original_encoding
    order = "<" if little else ">"
    head = stream.read(8 if implicit else 12)
    if len(head) < (8 if implicit else 12):
        raise ValueError("truncated: the file ends before any pixels")
    tag = struct.unpack(order + "HH", head[:4])
    if tag not in _PIXEL_TAGS:
        raise ValueError("damaged DICOM file: no pixels where they should be")
    (length,) = struct.unpack(order + "I", head[-4:])
    start = stream.tell()
    fragments = None
    if length == _UNDEFINED:
        fragments = _fragments(stream)
        length = sum(size for _, size in fragments)
    elif (held := stream.seek(0, io.SEEK_END) - start) < length:
        raise ValueError(f"truncated: {held} bytes of pixels, the file tells of {length}")
    return PixelData(start, length, tag == _INTEGERS, _state(stream), fragments)


def _state(stream: BinaryIO) -> tuple[int, int] | None:
    if isinstance(stream, io.BytesIO):
        return None
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns


def _inflated(file: BinaryIO, size: int, max_gib: float) -> BinaryIO:
    try:
        meta = read_file_meta_info(file.name)
        file.seek(_META_PREFIX + meta.FileMetaInformationGroupLength)
        most = most_bytes(size, max_gib)
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        content = inflate.decompress(file.read(), most)
    except Exception as error:
        raise ValueError(f"damaged deflated DICOM file ({type(error).__name__})") from error
    if not inflate.eof:
        if len(content) >= most:
            check_size(most + 1, size, max_gib)
        raise ValueError("truncated: the deflated data set does not end")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    prefix = DicomBytesIO()
    write_file_meta_info(prefix, meta, enforce_standard=False)
    return io.BytesIO(bytes(128) + b"DICM" + prefix.getvalue() + content)


def _fragments(stream: BinaryIO) -> tuple[tuple[int, int], ...]:
    found = []
    end = stream.seek(0, io.SEEK_END) if (start := stream.tell()) else 0
    stream.seek(start)
    while (tag := stream.read(4)) == _ITEM:
        length = int.from_bytes(stream.read(4), "little")
        at = stream.tell()
        if at + length > end:
            raise ValueError(f"truncated: {end - at} bytes of a compressed piece of {length}")
        found.append((at, length))
        stream.seek(at + length)
    if tag not in (_END, b""):
        raise ValueError("damaged DICOM file: compressed pixels are not in pieces")
    if len(found) < 2:
        raise ValueError("truncated: no compressed pixels")
    return tuple(found[1:])  # the first is the offset table
