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


"""What the text headers of NRRD and MetaImage have in common."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from monai_ssl.data.payload import Payload

__all__ = [
    *("NO_ORIENTATION", "NO_ORIGIN", "NO_SIZE", "NO_UNIT"),
    *("Fields", "ItkHeader", "data_file", "locate", "read_lines", "volume_axes"),
]

NO_ORIENTATION = "no orientation stored: the axes are taken as left, posterior, superior"
NO_ORIGIN = "no origin stored: 0 taken, so that positions are relative"
NO_SIZE = "voxel size missing: 1 mm taken"
NO_UNIT = "the unit of length is unknown: millimetres taken"
_MOST_HEADER = 1 << 20
_BEYOND = 1 << 63
_Value = TypeVar("_Value")


class ItkHeader(NamedTuple):
    """
    What is told of the voxels.

    Attributes:
        format: "NRRD" or "MetaImage".
        sizes: of all axes, as ITK has to find them.
        shape: voxels (X, Y, Z).
        dtype: of the stored values, with their byte order.
        payload: where they lie.
        place: (4, 4), voxel index to RAS in units of length, where the header is plain about it; None where ITK tells.
        millimetres: of one unit of length.
        slope: value of one stored unit.
        intercept: value of a stored 0.
        modality: "CT", "MR" ...; empty when the header does not tell.
        warnings: what is odd.
    """

    format: str
    sizes: tuple[int, ...]
    shape: tuple[int, int, int]
    dtype: np.dtype
    payload: Payload
    place: np.ndarray | None
    millimetres: float
    slope: float
    intercept: float
    modality: str
    warnings: tuple[str, ...]


class Fields(dict[str, str]):
    """
    The fields of a header, each given once, and read as what they should be.

    Every error is a ValueError, and none repeats the text that was found: it might name a patient.
    """

    def put(self, key: str, separator: str, value: str) -> None:
        if not separator or not key:
            raise ValueError("damaged header: a line that is no field")
        if key in self:
            raise ValueError("damaged header: a field is given twice")
        self[key] = value

    def word(self, key: str, meanings: dict[str, _Value], default: str = "") -> _Value:
        word = self.get(key, default)
        if word not in meanings:
            raise ValueError(
                f"{key} must be one of {', '.join(sorted(meanings))}, got {'something else' if word else 'nothing'}"
            )
        return meanings[word]

    def integers(self, key: str, count: int, default: Sequence[int] = ()) -> list[int]:
        numbers = [int(number) for number in self._numbers(key, count, default, int)]
        if any(abs(number) >= _BEYOND for number in numbers):
            raise ValueError(f"{key} must hold numbers below 2**63, got a larger one")
        return numbers

    def numbers(self, key: str, count: int, default: Sequence[float] = ()) -> list[float]:
        return self._numbers(key, count, default, float)

    def _numbers(self, key: str, count: int, default: Sequence[float], kind: Callable[[str], float]) -> list[float]:
        if key not in self and default:
            return list(default)
        try:
            numbers = [kind(word) for word in self.get(key, "").split()]
        except ValueError:
            numbers = []
        if len(numbers) != count:
            found = "other text" if key in self else "nothing"
            raise ValueError(f"{key} must hold numbers, {count} of them, got {len(numbers) or found}")
        return numbers


def read_lines(file: Path, is_last: Callable[[str], bool]) -> tuple[list[str], int]:
    """
    The lines of a header up to the one that ends it, or all, and the bytes that they take.

    Raises:
        ValueError: when it is longer than any header.
    """
    lines = []
    with open(file, "rb") as stream:
        while stream.tell() < _MOST_HEADER and (line := stream.readline(_MOST_HEADER)):
            lines.append(os.fsdecode(line).rstrip("\r\n"))
            if is_last(lines[-1]):
                return lines, stream.tell()
        if stream.tell() >= _MOST_HEADER:
            raise ValueError(f"a header without an end in {_MOST_HEADER} bytes")
        return lines, stream.tell()


def volume_axes(sizes: Sequence[int], spatial: Sequence[int]) -> tuple[tuple[int, int, int], int]:
    """
    The shape of a volume and the number of time points.

    Args:
        sizes: of all axes, the fastest first.
        spatial: which of them span a volume; a fourth one is time.

    Raises:
        ValueError: when there are others of more than one entry, unless it is only the last: time.
    """
    text = f"{len(sizes)}-D, {' x '.join(map(str, sizes))}"
    if min(sizes, default=0) < 1 or not 2 <= len(spatial) <= 4:
        raise ValueError(f"{text}: no volume")
    others = [axis for axis in range(len(sizes)) if axis not in spatial[:3] and sizes[axis] > 1]
    if others and others != [len(sizes) - 1]:
        raise ValueError(f"{text}: several components or channels, not one volume; write each to its own file")
    x, y, z = ([sizes[axis] for axis in spatial] + [1])[:3]
    return (x, y, z), sizes[others[0]] if others else 1


def data_file(header: Path, name: str) -> Path:
    """
    The file of the voxels, by its name below the folder of its header.

    What the header names is a stranger's wish and never leads out of the folder; a link that lies there under that name
    is the owner's, and is followed as everywhere (git-annex keeps the content of all files elsewhere).

    Raises:
        ValueError: when it is elsewhere, several or missing.
    """
    if name.split(" ")[0] == "LIST" or "%" in name:
        raise ValueError("voxels in a list of files, which is not supported; write the volume as one file")
    if not name or "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError("voxels outside the folder of the header, which are never followed; put both into one folder")
    path = header.parent / name
    try:
        found = path.is_file()
        if found and path.samefile(header):
            raise ValueError("the header names itself as the file of the voxels")
    except OSError as error:  # such as a name that is too long
        raise ValueError("voxels in a file whose path cannot be resolved") from error
    if not found:
        shown = os.fsencode(name[:80]).decode(errors="backslashreplace")
        what = "is a folder or no regular file" if path.exists() else "is missing"
        raise ValueError(f"the file of the voxels {what}: {shown}")
    return path


def locate(
    place: tuple[Path, int], encoding: str, skip: int, shape: tuple[int, int, int], dtype: np.dtype, times: int
) -> Payload:
    """
    Where the voxels lie.

    Args:
        place: the file and the bytes of header in it.
        encoding: as in `Payload`.
        skip: bytes before the voxels; -1 when they are the end of a raw file.
    """
    file, start = place
    size = math.prod(shape) * dtype.itemsize
    if skip == -1 and encoding == "raw":
        skip = max(file.stat().st_size - start - size * times, 0)
    if skip < 0:
        raise ValueError(f"voxels behind {skip} bytes; allowed are 0 and more, and -1 without compression")
    return Payload(file, encoding, start, skip, size, times)
