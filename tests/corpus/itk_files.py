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

"""NRRD and MetaImage files written by hand, field by field."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from corpus.common import AXIAL, SHAPE, Truth, marker, positions

__all__ = ["SPACES", "TYPES", "mha", "nrrd", "numbers"]

SPACES = {"left-posterior-superior": (-1, -1, 1), "right-anterior-superior": (1, 1, 1), "LPS": (-1, -1, 1),
           "left-anterior-superior": (-1, 1, 1), "RAS": (1, 1, 1)}  # fmt: skip
TYPES = {"i2": ("short", "SHORT"), "u2": ("ushort", "USHORT"), "u1": ("uchar", "UCHAR"), "i1": ("signed char", "CHAR"),
          "i4": ("int", "INT"), "u4": ("uint", "UINT"), "f4": ("float", "FLOAT"), "f8": ("double", "DOUBLE"),
          "i8": ("longlong", "LONG_LONG"), "u8": ("ulonglong", "ULONG_LONG")}  # fmt: skip


def numbers(values) -> str:
    return ",".join(f"{0.0 + value:.12g}" for value in values)


def nrrd(
    folder: Path, file: str = "a.nrrd", *, affine=AXIAL, values=None, dtype="i2", endian="<", encoding="raw",
    space: str | None = "left-posterior-superior", data: str | None = None, damage: Callable = bytes,
    head_damage: Callable = str, **fields: str | None,
) -> Truth:  # fmt: skip
    """
    Write a NRRD file.

    Args:
        encoding: raw, gzip or ascii.
        data: the name of a detached data file.
        damage: called with the data as stored, `head_damage` with the text of the header.
        fields: further or other header fields, `_` for a blank; None takes one out.
    """
    places = positions(affine, SHAPE)
    values = marker(places) if values is None else values
    signs = np.array(SPACES.get(space, (-1, -1, 1)))
    lps = signs[:, None] * affine[:3]
    told = {
        "type": TYPES[dtype][0], "dimension": str(values.ndim), "space": space, "space dimension": None,
        "sizes": " ".join(map(str, values.shape)), "kinds": "domain domain domain",
        "space directions": " ".join(f"({numbers(lps[:, k])})" for k in range(3)),
        "endian": "little" if endian == "<" else "big", "encoding": encoding,
        "space origin": f"({numbers(lps[:, 3])})", "data file": data,
    }  # fmt: skip
    told |= {key.replace("_", " "): value for key, value in fields.items()}
    text = "NRRD0004\n# by hand\n" + "".join(f"{key}: {value}\n" for key, value in told.items() if value is not None)
    stored = values.astype(np.dtype(dtype).newbyteorder(endian)).tobytes(order="F")
    if encoding in ("gzip", "gz"):
        stored = gzip.compress(stored, mtime=0)
    if encoding in ("ascii", "text", "txt"):
        stored = " ".join(map(str, values.ravel(order="F"))).encode()
    stored = damage(stored)
    head = head_damage(text).encode()
    (folder / file).write_bytes(head if data else head + b"\n" + stored)
    if data and "/" not in data:
        (folder / data).write_bytes(stored)
    return Truth(values, places)


def mha(
    folder: Path, file: str = "a.mha", *, affine=AXIAL, values=None, dtype="i2", endian="<", packed=False,
    data: str = "LOCAL", damage: Callable = bytes, **fields: str | None,
) -> Truth:  # fmt: skip
    """Write a MetaImage file; arguments as in `nrrd`."""
    places = positions(affine, SHAPE)
    values = marker(places) if values is None else values
    lps = np.diag([-1, -1, 1]) @ affine[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    stored = values.astype(np.dtype(dtype).newbyteorder(endian)).tobytes(order="F")
    stored = damage(zlib.compress(stored) if packed else stored)
    told = {
        "ObjectType": "Image", "NDims": str(values.ndim), "BinaryData": "True",
        "BinaryDataByteOrderMSB": str(endian == ">"), "CompressedData": str(packed),
        "CompressedDataSize": str(len(stored)) if packed else None,
        "TransformMatrix": numbers((lps[:, :3] / spacing).T.ravel()).replace(",", " "),
        "Offset": numbers(lps[:, 3]).replace(",", " "), "CenterOfRotation": "0 0 0", "AnatomicalOrientation": "RAI",
        "ElementSpacing": numbers(spacing).replace(",", " "), "DimSize": " ".join(map(str, values.shape)),
        "ElementType": f"MET_{TYPES[dtype][1]}",
    }  # fmt: skip
    told |= fields | {"ElementDataFile": fields.get("ElementDataFile", data)}
    told["ElementDataFile"] = told.pop("ElementDataFile")  # must be the last
    text = "".join(f"{key} = {value}\n" for key, value in told.items() if value is not None)
    (folder / file).write_bytes(text.encode() + (stored if data == "LOCAL" else b""))
    if data != "LOCAL" and "/" not in data:
        (folder / data).write_bytes(stored)
    return Truth(values, places)
