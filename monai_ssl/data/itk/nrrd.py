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
_AS_TEXT = {"ascii", "text", "txt", "hex"}
# The way from each space to RAS.
_PATIENT = {
    **dict.fromkeys(("right-anterior-superior", "ras"), (1, 1, 1)),
    **dict.fromkeys(("left-anterior-superior", "las"), (-1, 1, 1)),
    **dict.fromkeys(("left-posterior-superior", "lps"), (-1, -1, 1)),
}
_SCANNER = {"scanner-xyz", "3d-right-handed", "3d-left-handed"}
_UNITS = {
    **dict.fromkeys(("", "mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **{"m": 1000.0, "cm": 10.0},
    **dict.fromkeys(("um", "µm", "micron", "microns"), 0.001),
}
_SPATIAL_KINDS = {"domain", "space", "???"}
_VECTOR = re.compile(r"none|\([^()]*\)")
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
    if fields.get("encoding") in _AS_TEXT:
        raise ValueError("voxels as text (encoding ascii or hex), which is not supported; write them raw or as gzip")
    encoding = fields.word("encoding", _ENCODINGS)
    if fields.integers("lineskip", 1, [0]) != [0]:
        raise ValueError("voxels behind skipped lines, which is not supported; write the volume as one .nrrd")
    axes = _spatial_axes(fields, sizes)
    shape, times = volume_axes(sizes, axes)
    voxels = (data_file(file, fields["datafile"]), 0) if "datafile" in fields else (file, end)
    payload = locate(voxels, encoding, fields.integers("byteskip", 1, [0])[0], shape, dtype, times)
    warnings: list[str] = []
    millimetres = _units(fields, warnings)
    place = _place(fields, sizes, axes[:3], warnings)
    return ItkHeader("NRRD", tuple(sizes), shape, dtype, payload, place, millimetres, 1.0, 0.0, "", tuple(warnings))


def _spatial_axes(fields: Fields, sizes: list[int]) -> list[int]:
    rank = len(sizes)
    kinds = fields.get("kinds", " ".join(["???"] * rank)).lower().split()
    directions = _vectors(fields, rank)
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


def _place(fields: Fields, sizes: list[int], axes: list[int], warnings: list[str]) -> np.ndarray | None:
    word = fields.get("space", "").lower()
    # Each space has a twin with time as its fourth axis, RAST or right-anterior-superior-time.
    space = word.removesuffix("-time") if "-" in word else word[:3] if word[3:] in ("", "t") else word
    if word and space not in _PATIENT.keys() | _SCANNER:
        allowed = ", ".join(sorted(_PATIENT.keys() | _SCANNER))
        raise ValueError(f"space must be one of {allowed}, with -time or without")
    if space not in _PATIENT or "spacedirections" not in fields:
        warnings.append(NO_ORIENTATION)
    elif "spaceorigin" not in fields or "nan" in fields["spaceorigin"].lower():
        warnings.append(NO_ORIGIN)
    if "spacedirections" in fields:
        # Not left to ITK: it takes RAST and LAST as if they were LPST, mirrored.
        signs = _PATIENT.get(space, _PATIENT["lps"])
        directions = _vectors(fields, len(sizes))
        columns = [_vector(directions[axis]) for axis in axes] + [np.eye(3)[2]] * (3 - len(axes))
        origin = np.nan_to_num(_vector(fields.get("spaceorigin", "(0)")))
        return np.vstack([np.diag(signs) @ np.column_stack([*columns, origin]), np.eye(4)[3]])
    if "spacings" not in fields and {"axismins", "axismaxs"} <= fields.keys():
        return _between_ends(fields, sizes, axes)
    spacings = fields.numbers("spacings", len(sizes), [math.nan] * len(sizes))[:3]
    if any(spacing <= 0 or math.isinf(spacing) for spacing in spacings):
        raise ValueError(f"the affine is none: spacings must be positive and finite, got {spacings}")
    if any(map(math.isnan, spacings)):
        warnings.append(NO_SIZE)
    return None


def _vectors(fields: Fields, rank: int) -> list[str]:
    text = fields.get("spacedirections", "() " * rank)
    if _VECTOR.sub("", text).strip():
        raise ValueError("damaged header: space directions must be vectors of numbers")
    return _VECTOR.findall(text)


def _vector(text: str) -> np.ndarray:
    """The three components of space, what follows being time."""
    try:
        numbers = [float(word) for word in text.strip("() ").split(",")]
    except ValueError as error:
        raise ValueError("damaged header: space directions and origin must be vectors of numbers") from error
    if any(numbers[3:]):
        raise ValueError("an axis that runs through space and time")
    return np.array((*numbers, 0.0, 0.0)[:3])


def _between_ends(fields: Fields, sizes: list[int], axes: list[int]) -> np.ndarray:
    """Voxel sizes from where each axis begins and ends: at the faces of the outermost cells, or at their centres."""
    rank = len(sizes)
    low, high = (np.array(fields.numbers(key, rank)) for key in ("axismins", "axismaxs"))
    cells = np.array([word != "node" for word in fields.get("centers", "cell " * rank).split()])
    if len(cells) != rank:
        raise ValueError(f"damaged header: {rank} axes, but {len(cells)} centers")
    steps = (high - low) / np.maximum(np.array(sizes) - ~cells, 1)
    if not (steps[axes] > 0).all():
        raise ValueError("the affine is none: axis maxs must be above axis mins")
    first = np.where(cells, low + steps / 2, low)
    affine = np.eye(4)
    affine[range(len(axes)), range(len(axes))], affine[: len(axes), 3] = steps[axes], first[axes]
    return np.diag([*_PATIENT["lps"], 1]) @ affine
