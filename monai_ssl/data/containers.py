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


"""Files that are no volumes but known all the same, so that a refusal can say what to do."""

from __future__ import annotations

from isal import isal_zlib

from monai_ssl.data.payload import DAMAGE

__all__ = ["other_content"]

_UNPACK = "; unpack it first"
_PICTURE = "a picture; radiographs as PNG need no slicing: give their folder as dataset_dir"
_MAGICS = (
    (0, b"PK\x03\x04", f"a zip archive{_UNPACK}"),
    (0, b"BZh", f"compressed by bzip2{_UNPACK}"),
    (0, b"\xfd7zXZ\0", f"compressed by xz{_UNPACK}"),
    (0, b"\x28\xb5\x2f\xfd", f"compressed by zstd{_UNPACK}"),
    (0, b"7z\xbc\xaf\x27\x1c", f"a 7z archive{_UNPACK}"),
    (0, b"Rar!\x1a\x07", f"a rar archive{_UNPACK}"),
    (257, b"ustar", f"a tar archive{_UNPACK}"),
    (0, b"\x89PNG\r\n\x1a\n", _PICTURE),
    (0, b"\xff\xd8\xff", _PICTURE),
    # FreeSurfer's version 1, whose first size is below 65536.
    (0, b"\0\0\0\x01\0\0", "FreeSurfer MGH; convert it to NIfTI, as with mri_convert"),
)
_GZIP = b"\x1f\x8b"
_ENOUGH = 512


def other_content(head: bytes) -> str:
    """
    What a file is, and what to do with it; empty when it is not known.

    Args:
        head: its first bytes, at least 512 of them where it has as many.

    Example:
        >>> other_content(b"BZh91AY&SY")
        'compressed by bzip2; unpack it first'
    """
    if head.startswith(_GZIP):
        try:
            inside = isal_zlib.decompressobj(wbits=31).decompress(head, _ENOUGH)
        except DAMAGE:
            return ""
        what, remedy, todo = ("gzip" + _UNPACK if inside.startswith(_GZIP) else other_content(inside)).partition(";")
        return f"{what} within gzip{remedy}{todo}" if what else f"compressed by gzip, as only NIfTI may be{_UNPACK}"
    return next((text for at, magic, text in _MAGICS if head.startswith(magic, at)), "")
