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


"""What a compressed image says of itself before it is decoded: decoders fill a buffer with whatever fits, or crash."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from pydicom.uid import (
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

__all__ = ["Frame", "check_fragments", "frame_of", "is_lossy", "segments"]

_WITH_MARKERS = {*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes}
_ALWAYS_LOSSY = {JPEGBaseline8Bit, JPEGExtended12Bit}
# JPEG 2000 in a file format of its own, against the standard: the codestream lies within.
_CONTAINER, _JPEG_2000 = b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"
_STARTS = (b"\xff\xd8\xff", _JPEG_2000)
_END = b"\xff\xd9"
# Start of frame of JPEG (but for the tables among these numbers) and of JPEG-LS.
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_SCAN, _SIZE, _CODING, _TILE_PART, _LS_FRAME = 0xDA, 0x51, 0x52, 0x90, 0xF7
_BARE = {0x01, *range(0xD0, 0xD9), 0xFF}
# Enough of a compressed image to hold its size; and of its end, which may be padded.
_HEAD, _TAIL = 4096, 16


def segments(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """
    Marker, place and content of each segment of a JPEG, JPEG-LS or JPEG 2000 image, up to its first coded data.

    Args:
        stream: how the codestream starts; the last content is cut short where it ends.

    See:
        ITU-T T.81 B.1.1, T.87 C.1 and T.800 A.3.
    """
    start = stream.find(_JPEG_2000) if stream.startswith(_CONTAINER) else 0
    at = start + 2 if stream[start:].startswith(_STARTS) else len(stream)
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker in _BARE:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        yield marker, at, stream[at + 4 : at + 2 + length]
        if marker in (_SCAN, _TILE_PART):
            return
        at += 2 + length


class Frame(NamedTuple):
    """Size of an image, and bits of its values."""

    rows: int
    columns: int
    bits: int


def frame_of(head: bytes) -> Frame | None:
    """
    What a JPEG, JPEG-LS or JPEG 2000 image tells of itself.

    Args:
        head: how the codestream starts; a few kB.

    Returns:
        None when it is none of these, or does not tell within `head`.

    See:
        ITU-T T.81 B.2.2, T.87 C.2.2 and T.800 A.5.1.
    """
    for marker, _, content in segments(head):
        if marker == _SIZE and len(content) >= 37:
            x, y, x_offset, y_offset = struct.unpack(">4I", content[2:18])
            return Frame(y - y_offset, x - x_offset, (content[36] & 0x7F) + 1)
        if marker in _FRAMES and len(content) >= 5:
            bits, rows, columns = struct.unpack(">B2H", content[:5])
            return Frame(rows, columns, bits) if rows else None  # 0 is told later, by a marker of its own
    return None


def is_lossy(syntax: str, head: bytes) -> bool:
    """
    Whether values were changed by the coding, as far as it tells.

    Args:
        syntax: the transfer syntax.
        head: how the codestream starts; a few kB.

    See:
        ITU-T T.87 C.2.3 (NEAR) and T.800 A.6.1 (transformation 0 is irreversible).
    """
    if syntax in _ALWAYS_LOSSY:
        return True
    told = {marker: content for marker, _, content in segments(head)}
    scan, coding = told.get(_SCAN, b""), told.get(_CODING, b"")
    if _LS_FRAME in told and scan:
        return scan[1 + 2 * scan[0] :][:1] not in (b"", b"\0")
    return _SIZE in told and coding[9:10] == b"\0"


def check_fragments(
    stream: BinaryIO, fragments: tuple[tuple[int, int], ...], frames: int, size: tuple[int, int], syntax: str
) -> bool:
    """
    Hold the compressed pieces of a file against its header: their count, the size of the images, that they end.

    Args:
        stream: of the file.
        fragments: (start, length) of each piece.
        frames: how many images there are.
        size: (rows, columns) of each.
        syntax: the transfer syntax.

    Returns:
        Whether the coding is a lossy one.

    Raises:
        ValueError: when they do not match.
    """
    if len(fragments) < frames:
        raise ValueError(f"truncated: compressed pixels of {len(fragments)} frames of {frames:,}")
    apart = len(fragments) == frames
    for start, length in fragments if apart else fragments[:1]:
        stream.seek(start)
        head = stream.read(min(length, _HEAD))
        found = frame_of(head)
        if found is not None and found[:2] != size:
            raise ValueError(f"compressed image of {found.columns} x {found.rows}, columns and rows tell otherwise")
    for start, length in (fragments if apart else fragments[-1:]) if syntax in _WITH_MARKERS else ():
        stream.seek(start + max(0, length - _TAIL))
        if not stream.read(min(length, _TAIL)).rstrip(b"\0\xff").endswith(_END):
            raise ValueError("truncated: a compressed image without its end")
    return is_lossy(syntax, head)
