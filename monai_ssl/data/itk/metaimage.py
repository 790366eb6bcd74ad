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


"""What a MetaImage header says of the voxels. See https://itk.org/Wiki/ITK/MetaIO/Documentation."""

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

__all__ = ["is_metaimage", "parse_metaimage"]

# DimSize may come late, behind any number of notes of the writer.
_FIRST_KEYS = re.compile(rb"(?:\s*[A-Za-z]\w*[ \t]*=.*\n){0,8}?\s*(?:ObjectType[ \t]*=[ \t]*Image\s|NDims[ \t]*=)")
_SEPARATOR = re.compile("[=:]")
_FIELD = re.compile("([^=:]*)([=:])(.*)")
_TYPES = {
    **{"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4"},
    **{"MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8"},
}
# Directions are written with few digits.
_LENGTH_TOLERANCE = 1e-2
_SKEW_TOLERANCE = 2e-3
_FLAGS = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
_UNITS = {"mm": 1.0, "cm": 10.0, "um": 0.001}
_MODALITIES = {"MET_MOD_CT": "CT", "MET_MOD_MR": "MR", "MET_MOD_NM": "NM", "MET_MOD_US": "US", "MET_MOD_PET": "PT"}
# MetaIO has three names each for these.
_MATRIX = ("TransformMatrix", "Rotation", "Orientation")
_ORIGIN = ("Offset", "Position", "Origin")


def is_metaimage(head: bytes) -> bool:
    """Whether a file starts as the header of a MetaImage does, which has no magic of its own."""
    return _FIRST_KEYS.match(head) is not None


def parse_metaimage(file: Path) -> ItkHeader:
    """
    Read the header of a MetaImage, attached (`.mha`) or detached (`.mhd`).

    Raises:
        ValueError: when it describes no series of three-dimensional volumes of real values, or voxels elsewhere.
    """
    lines, end = read_lines(file, lambda line: _SEPARATOR.split(line)[0].strip() == "ElementDataFile")
    fields = Fields()
    # As in MetaIO a key ends at the first separator, even some lines further down: the rest of a note of several lines
    # becomes part of the next key, which then means nothing.
    for key, separator, value in _FIELD.findall("\n".join(lines)):
        fields.put(key.strip(), separator, value.strip())
    if fields.get("ObjectType", "Image") != "Image" or not fields.get("ElementDataFile"):
        raise ValueError("no image in it: ObjectType must be Image, and ElementDataFile must be given")
    (rank,) = fields.integers("NDims", 1)
    sizes = fields.integers("DimSize", rank)
    shape, times = volume_axes(sizes, range(rank))
    if fields.integers("ElementNumberOfChannels", 1, [1]) != [1]:
        raise ValueError("several values a voxel, as in colour; write each channel to its own file")
    if not _flag(fields, "BinaryData", "true"):
        raise ValueError("voxels as text, which is not supported; write the volume in binary")
    orders = {_flag(fields, key) for key in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB") if key in fields}
    if len(orders) > 1:
        raise ValueError("BinaryDataByteOrderMSB and ElementByteOrderMSB contradict each other")
    dtype = np.dtype((">" if True in orders else "<") + fields.word("ElementType", _TYPES))
    name = fields["ElementDataFile"]
    place = (file, end) if name.lower() == "local" else (data_file(file, name), 0)
    encoding = "zlib" if _flag(fields, "CompressedData", "false") else "raw"
    payload = locate(place, encoding, fields.integers("HeaderSize", 1, [0])[0], shape, dtype, times)
    warnings: list[str] = []
    if not orders and dtype.itemsize > 1:
        warnings.append("no byte order stored: little endian taken")
    slope, intercept = _scaling(fields, warnings)
    millimetres = _check_place(fields, rank, warnings)
    modality = _MODALITIES.get(fields.get("Modality", ""), "")
    return ItkHeader(
        "MetaImage", tuple(sizes), shape, dtype, payload, None, millimetres, slope, intercept, modality, tuple(warnings)
    )


def _flag(fields: Fields, key: str, default: str = "false") -> bool:
    flags = Fields({key: fields.get(key, default).lower()})
    return flags.word(key, _FLAGS)


def _scaling(fields: Fields, warnings: list[str]) -> tuple[float, float]:
    (slope,) = fields.numbers("ElementToIntensityFunctionSlope", 1, [1.0])
    (intercept,) = fields.numbers("ElementToIntensityFunctionOffset", 1, [0.0])
    if slope == 0 or not math.isfinite(slope) or not math.isfinite(intercept):
        raise ValueError(f"ElementToIntensityFunction must be a line, got slope {slope} and offset {intercept}")
    if (slope, intercept) != (1, 0):
        warnings.append(f"values are {slope:g} x stored {intercept:+g}, as the header says but other readers ignore")
    return slope, intercept


def _check_place(fields: Fields, rank: int, warnings: list[str]) -> float:
    matrix, origin = ([key for key in keys if key in fields] for keys in (_MATRIX, _ORIGIN))
    if len(matrix) > 1 or len(origin) > 1:
        raise ValueError(f"damaged header: {', '.join(matrix + origin)} say the same thing twice")
    for key, count in (*((key, rank * rank) for key in matrix), *((key, rank) for key in origin)):
        if not all(map(math.isfinite, numbers := fields.numbers(key, count))):
            raise ValueError(f"the affine is none: {key} must be finite, got {numbers}")
    if matrix:
        _check_directions(np.array(fields.numbers(matrix[0], rank * rank)).reshape(rank, rank), warnings)
    else:
        warnings.append(NO_ORIENTATION)
    if matrix and not origin:
        warnings.append(NO_ORIGIN)
    sizes = fields.numbers("ElementSpacing", rank, fields.numbers("ElementSize", rank, [math.nan] * rank))
    if any(size <= 0 or math.isinf(size) for size in sizes):
        raise ValueError(f"the affine is none: ElementSpacing must be positive and finite, got {sizes}")
    if any(map(math.isnan, sizes)):
        warnings.append(NO_SIZE)
    if any(fields.numbers("CenterOfRotation", rank, [0.0] * rank)):
        warnings.append("a centre of rotation is stored, and disregarded as in ITK")
    unit = fields.get("DistanceUnits", "mm").lower()
    if unit not in _UNITS:
        warnings.append(NO_UNIT)
    elif unit != "mm":
        warnings.append(f"units of {_UNITS[unit]:g} mm, converted to millimetres")
    return _UNITS.get(unit, 1.0)


def _check_directions(matrix: np.ndarray, warnings: list[str]) -> None:
    lengths = np.linalg.norm(matrix, axis=1)
    if np.abs(lengths - 1).max() > _LENGTH_TOLERANCE:
        found = " x ".join(f"{length:.4g}" for length in lengths)
        raise ValueError(f"the affine is none: TransformMatrix must hold directions of length 1, got lengths {found}")
    skew = np.abs(matrix @ matrix.T - np.diag(lengths**2)).max()
    if skew > _SKEW_TOLERANCE:
        degrees = np.degrees(np.arcsin(min(skew, 1)))
        warnings.append(f"sheared: axes of TransformMatrix are up to {degrees:.2g} degrees off the right angle")
