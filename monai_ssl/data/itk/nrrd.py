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


"""What an NRRD header says of the voxels. See https://teem.sourceforge.net/nrrd/format.html."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from monai_ssl.data.itk.header import (
    NO_ORIENTATION,
    NO_ORIGIN,
    NO_SIZE,
    NO_UNIT,
    Fields,
    ItkHeader,
    data_file,
    locate,
    read_lines,
    volume_axes,
)

__all__ = ["is_nrrd", "parse_nrrd"]

_MAGIC = re.compile(rb"NRRD000[1-5]\r?\n")
# The names of C and of stdint.h, as teem takes them.
_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), "i8"),
    **dict.fromkeys(("int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
    **{"float": "f4", "double": "f8"},
}
_ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_PATIENT = {"right-anterior-superior", "left-anterior-superior", "left-posterior-superior", "ras", "las", "lps"}
_SCANNER = {"scanner-xyz", "3d-right-handed", "3d-left-handed"}
_UNITS = {
    **dict.fromkeys(("", "mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **{"m": 1000.0, "cm": 10.0},
    **dict.fromkeys(("um", "µm", "micron", "microns"), 0.001),
}
_SPATIAL_KINDS = {"domain", "space", "???"}
_TIME_KINDS = _SPATIAL_KINDS | {"time", "list", "none"}


def is_nrrd(head: bytes) -> bool:
    """Whether a file starts as NRRD does."""
    return _MAGIC.match(head) is not None


def parse_nrrd(file: Path) -> ItkHeader:
    """
    Read the header of an NRRD file, attached (`.nrrd`) or detached (`.nhdr`).

    Raises:
        ValueError: when it describes no series of three-dimensional volumes of real values, or voxels elsewhere.
    """
    lines, end = read_lines(file, lambda line: not line.strip())
    fields = Fields()
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        # What has := is a note of the writer, not a field.
        if line.strip() and not line.startswith("#") and ":=" not in line.partition(": ")[0]:
            name = key.strip().lower().replace(" ", "")
            fields.put({"centerings": "centers"}.get(name, name), colon, value.strip())
    (rank,) = fields.integers("dimension", 1)
    sizes = fields.integers("sizes", rank)
    kind = fields.word("type", _TYPES)
    order = fields.word("endian", {"little": "<", "big": ">"}, "little" if kind in ("i1", "u1") else "")
    dtype = np.dtype(order + kind)
    encoding = fields.word("encoding", _ENCODINGS)
    if fields.integers("lineskip", 1, [0]) != [0]:
        raise ValueError("voxels behind skipped lines, which is not supported; write the volume as one .nrrd")
    shape, times = volume_axes(sizes, _spatial_axes(fields, sizes))
    place = (data_file(file, fields["datafile"]), 0) if "datafile" in fields else (file, end)
    payload = locate(place, encoding, fields.integers("byteskip", 1, [0])[0], shape, dtype, times)
    warnings: list[str] = []
    millimetres = _units(fields, warnings)
    _check_place(fields, rank, warnings)
    return ItkHeader("NRRD", tuple(sizes), shape, dtype, payload, millimetres, 1.0, 0.0, "", tuple(warnings))


def _spatial_axes(fields: Fields, sizes: list[int]) -> list[int]:
    rank = len(sizes)
    kinds = fields.get("kinds", " ".join(["???"] * rank)).lower().split()
    directions = re.findall(r"none|\([^()]*\)", fields.get("spacedirections", "() " * rank))
    if len(kinds) != rank or len(directions) != rank:
        raise ValueError(f"damaged header: {rank} axes, but {len(kinds)} kinds and {len(directions)} space directions")
    axes = [axis for axis in range(rank) if kinds[axis] in _SPATIAL_KINDS and directions[axis] != "none"]
    timed = len(axes) == 4 or rank - 1 not in axes
    if timed and kinds[-1] not in _TIME_KINDS and sizes[-1] > 1:
        raise ValueError("the last axis is neither space nor time: several components, not one value a voxel")
    return axes


def _units(fields: Fields, warnings: list[str]) -> float:
    names = set(re.findall(r'"([^"]*)"', fields.get("spaceunits", fields.get("units", '""'))))
    scales = {_UNITS.get(name.strip().lower(), 0.0) for name in names if name.strip()} or {1.0}
    if len(scales) > 1 and "spaceunits" in fields:
        raise ValueError("several units of length in one space; write the volume in millimetres")
    scale = scales.pop()
    if scale == 0:
        warnings.append(NO_UNIT)
        return 1.0
    if scale != 1:
        warnings.append(f"units of {scale:g} mm, converted to millimetres")
    return scale


def _check_place(fields: Fields, rank: int, warnings: list[str]) -> None:
    word = fields.get("space", "").lower()
    # Each space has a twin with time as its fourth axis, RAST or right-anterior-superior-time.
    space = word.removesuffix("-time") if "-" in word else word[:3] if word[3:] in ("", "t") else word
    if word and space not in _PATIENT | _SCANNER:
        raise ValueError(f"space must be one of {', '.join(sorted(_PATIENT | _SCANNER))}, with -time or without")
    if space not in _PATIENT or "spacedirections" not in fields:
        warnings.append(NO_ORIENTATION)
    elif "spaceorigin" not in fields or "nan" in fields["spaceorigin"].lower():
        warnings.append(NO_ORIGIN)
    if "spacedirections" not in fields:
        spacings = fields.numbers("spacings", rank, [math.nan] * rank)[:3]
        if any(spacing <= 0 or math.isinf(spacing) for spacing in spacings):
            raise ValueError(f"the affine is none: spacings must be positive and finite, got {spacings}")
        if any(map(math.isnan, spacings)):
            warnings.append(NO_SIZE)
