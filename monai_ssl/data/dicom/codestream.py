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


"""What a compressed image says of its own size; decoders fill a buffer of the header's size with whatever fits."""

from __future__ import annotations

import struct

__all__ = ["image_size"]

_JPEG_2000, _JPEG = b"\xff\x4f\xff\x51", b"\xff\xd8"
# Start of frame of JPEG (but for the tables among these numbers) and of JPEG-LS.
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_BARE = {0x01, *range(0xD0, 0xD9), 0xFF}


def image_size(head: bytes) -> tuple[int, int] | None:
    """
    Rows and columns of a JPEG, JPEG-LS or JPEG 2000 image.

    Args:
        head: how the codestream starts; a few kB.

    Returns:
        None when it is none of these, or does not tell within `head`.

    See:
        ITU-T T.81 B.2.2, T.87 C.2.2 and T.800 A.5.1.
    """
    if head[:4] == _JPEG_2000 and len(head) >= 24:
        x, y, x_offset, y_offset = struct.unpack(">4I", head[8:24])
        return y - y_offset, x - x_offset
    at = 2 if head[:2] == _JPEG else len(head)
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker in _FRAMES:
            rows, columns = struct.unpack(">2H", head[at + 5 : at + 9])
            return (rows, columns) if rows else None  # 0 is told later, by a marker of its own
        at += 1 if marker == 0xFF else 2 if marker in _BARE else 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None
