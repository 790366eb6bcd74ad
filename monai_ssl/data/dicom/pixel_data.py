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

"""Finding the pixels of a file, compressed or not, without reading them."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.dataset import Dataset

from monai_ssl.data.dicom.file import Inflated, State, state_of

__all__ = ["PixelData", "locate_pixels"]

_INTEGERS = (0x7FE0, 0x0010)
_PIXEL_TAGS = {_INTEGERS, (0x7FE0, 0x0008), (0x7FE0, 0x0009)}
# None of these can be the length of pixels, which is even, in an encoding that tells no value representation.
_PIXEL_HEADS = {b"OB\0\0", b"OW\0\0", b"OF\0\0", b"OD\0\0", b"UN\0\0"}
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
        state: of the file.
        inflated: whether the stream is not the file itself.
        fragments: (start, length) of each compressed piece in the stream; None where they are not compressed.
        lossy: whether the compression is, as far as it tells.
    """

    start: int
    size: int
    integers: bool
    state: State
    inflated: bool
    fragments: tuple[tuple[int, int], ...] | None
    lossy: bool = False


def locate_pixels(stream: BinaryIO, dataset: Dataset) -> PixelData:
    """
    Find the pixels behind a data set that was read up to them.

    Args:
        stream: as `read_dataset(stream, stop_before_pixels=True)` left it.
        dataset: what that returned.

    Raises:
        ValueError: when there are none, or the file ends before they do.
    """
    order = "<" if dataset.original_encoding[1] else ">"
    head = stream.read(8)
    if head[4:8] in _PIXEL_HEADS:  # whatever the transfer syntax tells
        head += stream.read(4)
    if len(head) not in (8, 12):
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
    return PixelData(start, length, tag == _INTEGERS, state_of(stream), isinstance(stream, Inflated), fragments)


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
