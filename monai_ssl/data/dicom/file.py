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
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from monai_ssl.data.dicom.scan import scan_meta
from monai_ssl.data.limits import check_size, most_bytes

__all__ = ["Inflated", "State", "is_dicom", "open_dicom", "quietly", "read_dataset", "state_of"]

# Size in bytes, time of the content and of the entry, by which a file is known again.
State = tuple[int, int, int]

_DEFLATED, _INFLATED = (str(uid).encode() for uid in (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian))
# A meta header is far shorter.
_META, _MOST_META = 1 << 12, 1 << 16


class Inflated(io.BytesIO):
    """What a deflated file holds, which is in that state."""

    def __init__(self, content: bytes, state: State) -> None:
        super().__init__(content)
        self.state = state


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
        head = file.read(_META)
        meta = scan_meta(head + file.read(_MOST_META)) if _DEFLATED in head else ("", 0)
        file.seek(0)
        if meta is None:  # pydicom may still find that it is deflated, and would inflate it without a bound
            raise ValueError("damaged DICOM file: a meta header that tells of deflated data cannot be read")
        yield _inflated(file, meta[1], max_gib) if meta[0] == DeflatedExplicitVRLittleEndian else file


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
        told = f"an element cannot be read, or a sequence does not end ({type(error).__name__})"
        raise ValueError(f"damaged DICOM file: {told}") from None
    return dataset


def state_of(stream: BinaryIO) -> State:
    """The state of an open file, or of the one that `open_dicom` has inflated."""
    if isinstance(stream, Inflated):
        return stream.state
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _inflated(file: BinaryIO, start: int, max_gib: float) -> BinaryIO:
    state = size, *_ = state_of(file)
    # The data set is written out below as it lies in the meta header's other syntax: a value of equal length.
    meta = file.read(start).replace(_DEFLATED, _INFLATED.ljust(len(_DEFLATED), b"\0"))
    most = most_bytes(size, max_gib)
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflate.decompress(file.read(), most)
    except zlib.error:
        raise ValueError("damaged deflated DICOM file") from None
    if not inflate.eof:
        if len(content) >= most:
            check_size(most + 1, size, max_gib)
        raise ValueError("truncated: the deflated data set does not end")
    return Inflated(meta + content, state)
