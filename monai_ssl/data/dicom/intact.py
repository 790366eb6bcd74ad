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


"""Damage that decoders pass over: what was lost is filled in without a word, or ends the process."""

from __future__ import annotations

import struct
from math import ceil

from pydicom.uid import JPEG2000TransferSyntaxes, RLELossless

from monai_ssl.data.dicom.codestream import frame_of, segments

__all__ = ["DamagedStreamError", "check_intact"]

_SIZE, _CODING, _TILE_PART = 0x51, 0x52, 0x90
_RUNS_HEAD = 64
# Longer runs of zeros come from no coder of runs, and not from an arithmetic one.
_ZEROS = 32
# Code-block styles that write bits as they are, so that blank ones are zeros: bypass, and high throughput.
_RAW = 0x41


class DamagedStreamError(ValueError):
    """A compressed image that is not whole, or that its decoder could not make sense of."""


def check_intact(stream: bytes, syntax: str, size: tuple[int, int], allocated: int, stored: int) -> None:
    """
    Look for what the decoder of an image would not notice.

    A few changed bytes within arithmetic or Huffman coded data cannot be told from others: there is no check sum.

    Args:
        stream: the whole compressed image.
        syntax: the transfer syntax.
        size: (rows, columns).
        allocated: bits of a pixel, of all its samples.
        stored: how many of them hold the value.

    Raises:
        DamagedStreamError: when it is damaged.
    """
    if syntax == RLELossless:
        _check_runs(stream, size[0] * size[1], allocated // 8)
        return
    frame = frame_of(stream)
    if frame is None or frame[:2] != size:
        raise DamagedStreamError("no compressed image of the size that rows and columns tell")
    if _bytes(frame.bits) != _bytes(stored):  # fewer or more by a few are usual
        raise DamagedStreamError(f"compressed values of {frame.bits} bits, the header tells of {stored}")
    if syntax in JPEG2000TransferSyntaxes:
        _check_tiles(stream)


def _bytes(bits: int) -> int:
    return 1 if bits <= 8 else 2 if bits <= 16 else 4


def _check_runs(stream: bytes, pixels: int, width: int) -> None:
    """See https://dicom.nema.org/medical/dicom/current/output/chtml/part05/chapter_G.html."""
    if len(stream) < _RUNS_HEAD:
        raise DamagedStreamError("run lengths without their header")
    count, *starts = struct.unpack("<16I", stream[:_RUNS_HEAD])
    ends = [*starts[1:width], len(stream)]
    apart = all(start < end for start, end in zip(starts[:width], ends, strict=True))
    if count != width or starts[0] < _RUNS_HEAD or not apart:
        raise DamagedStreamError(f"the header of the run lengths is not that of {width} bytes a pixel")
    # A coder that repeats nothing, but writes all as it is, writes zeros as they are.
    repeats = len(stream) - _RUNS_HEAD < width * (pixels + pixels // 128)
    if repeats and bytes(_ZEROS) in stream[starts[0] :]:
        raise DamagedStreamError("zeros in place of run lengths")


def _check_tiles(stream: bytes) -> None:
    """Tile-parts must fill the stream, and hold no more zeros than empty packets make; see ITU-T T.800 A.4.2, B.10."""
    told = {marker: (at, content) for marker, at, content in segments(stream)}
    if not {_SIZE, _CODING, _TILE_PART} <= told.keys():
        raise DamagedStreamError("a JPEG 2000 image without size, coding or tiles")
    size, coding = told[_SIZE][1], told[_CODING][1]
    if len(size) < 36 or len(coding) < 10:
        raise DamagedStreamError("a JPEG 2000 image whose header is cut")
    right, bottom, _, _, columns, rows, left, top = struct.unpack(">8I", size[2:34])
    if not columns or not rows:
        raise DamagedStreamError("a JPEG 2000 image whose tiles have no size")
    first = at = told[_TILE_PART][0]
    seen = set()
    while stream[at : at + 2] == b"\xff\x90" and at + 12 <= len(stream):
        tile, length = struct.unpack(">HI", stream[at + 4 : at + 10])
        seen.add(tile)
        at = at + length if length >= 12 else stream.rfind(b"\xff\xd9") if length == 0 else len(stream)
    if stream[at : at + 2] != b"\xff\xd9" or len(seen) < ceil((right - left) / columns) * ceil((bottom - top) / rows):
        raise DamagedStreamError("JPEG 2000 tiles are missing or cut")
    if not coding[8] & _RAW and bytes(_ZEROS + _most_packets(coding, rows, columns)) in stream[first:at]:
        raise DamagedStreamError("zeros in place of JPEG 2000 packets")


def _most_packets(coding: bytes, rows: int, columns: int) -> int:
    """A bound on the packets of a tile; an empty one is a byte of zeros."""
    layers, levels = struct.unpack(">H", coding[2:4])[0], coding[5]
    precincts = coding[10:] if coding[0] & 1 else bytes([0xFF]) * (levels + 1)
    counts = (
        (ceil(columns / (1 << level + (each & 15))) + 1) * (ceil(rows / (1 << level + (each >> 4))) + 1)
        for level, each in zip(range(levels, -1, -1), precincts, strict=False)
    )
    return layers * sum(counts)
