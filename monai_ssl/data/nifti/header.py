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


"""What a NIfTI header says, and what it says wrongly: sizes, type, scaling and the place in the world."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

import numpy as np
from nibabel.nifti1 import Nifti1Header, data_type_codes
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from monai_ssl.orientation import canonical_axes

__all__ = ["NiftiHeader", "is_header", "parse_header"]

HEADER_BYTES = Nifti2Header.sizeof_hdr
_MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNITS = {1: "meters", 3: "microns"}
# Symmetric matrices, displacements, vectors, quaternions and RGB: several components of one image.
_VECTOR_INTENTS = {1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 2003, 2004, *range(2006, 2020)}
_ROUNDING = 1e-4  # of a quaternion stored as float32 whose length should be 1
_APART = 0.1  # voxels


class NiftiHeader(NamedTuple):
    """
    A checked header.

    Attributes:
        shape: voxels (X, Y, Z).
        times: how many volumes follow one another.
        dtype: of the stored values, with their byte order.
        offset: bytes before the voxels, in the file that holds them.
        slope: value of one stored unit.
        intercept: value of a stored 0.
        affine: (4, 4), voxel index to RAS millimetres.
        pair: whether the voxels lie in an `.img` file.
        warnings: what is odd.
    """

    shape: tuple[int, int, int]
    times: int
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float
    affine: np.ndarray
    pair: bool
    warnings: tuple[str, ...]


def is_header(head: bytes) -> bool:
    """Whether the bytes start as a NIfTI header does, or as that of its forerunner Analyze 7.5."""
    return _kind(head) is not None or _is_analyze(head)


def parse_header(head: bytes) -> NiftiHeader:
    """
    Check a header and read it.

    Args:
        head: the first `HEADER_BYTES` bytes of a decompressed file, or all where it is shorter.

    Raises:
        ValueError: when it describes no series of three-dimensional volumes of real values at a place in the world.
    """
    kind = _kind(head)
    if kind is None and _is_analyze(head):
        raise ValueError(
            "an Analyze 7.5 header, or a NIfTI header whose magic is damaged: left and right are not defined; "
            "convert it to NIfTI with the tool that wrote it"
        )
    if kind is None or len(head) < kind.sizeof_hdr:
        raise ValueError("no NIfTI header: gzip of something else, or damaged")
    header = kind(head[: kind.sizeof_hdr], check=False)
    if int(header["datatype"]) not in data_type_codes.label:
        raise ValueError(f"damaged NIfTI header: type code {int(header['datatype'])} is unknown")
    dtype = header.get_data_dtype()
    warnings: list[str] = []
    shape, times = _sizes(header, warnings)
    _check_format(header, dtype, warnings)
    slope, intercept = _scaling(header, warnings)
    with np.errstate(all="ignore"):
        affine = _affine(header, shape, warnings)
    pair = bytes(header["magic"])[:2] == b"ni"
    offset = _offset(header, pair, warnings)
    return NiftiHeader(shape, times, dtype, offset, slope, intercept, affine, pair, tuple(warnings))


def _kind(head: bytes) -> type[Nifti1Header] | None:
    for kind, magics, at in ((Nifti1Header, (b"n+1\0", b"ni1\0"), 344), (Nifti2Header, (b"n+2\0", b"ni2\0"), 4)):
        if head[at : at + 4] in magics:
            return kind
    return None


def _is_analyze(head: bytes) -> bool:
    if len(head) < Nifti1Header.sizeof_hdr:
        return False
    for order in "<>":
        size, rank = struct.unpack_from(f"{order}i36xh", head)
        if size == Nifti1Header.sizeof_hdr and 1 <= rank <= 7:
            return True
    return False


def _sizes(header: Nifti1Header, warnings: list[str]) -> tuple[tuple[int, int, int], int]:
    dims = [int(size) for size in header["dim"]]
    rank, sizes = dims[0], dims[1 : dims[0] + 1] if 1 <= dims[0] <= 7 else []
    if 0 in sizes[3:]:
        warnings.append(f"dimensions {dims[: rank + 1]}: a size of 0 beyond the third counts as 1")
        sizes[3:] = [size or 1 for size in sizes[3:]]
    if not 2 <= rank <= 7 or min(sizes) < 1:
        raise ValueError(f"dimensions {dims[: max(rank, 0) + 1]} are no volume")
    x, y, z, times, *others = [*sizes, 1, 1][: max(rank, 4)]
    text = f"{rank}-D, {' x '.join(map(str, sizes))}"
    if math.prod(others) > 1:
        raise ValueError(f"{text}: several components or channels, not one volume; write each to its own file")
    if times > 1 and int(header["intent_code"]) in _VECTOR_INTENTS:
        raise ValueError(f"{text}: vectors, as the intent code says, not time points; write each component to a file")
    return (x, y, z), times


def _check_format(header: Nifti1Header, dtype: np.dtype, warnings: list[str]) -> None:
    label = data_type_codes.label[int(header["datatype"])]
    if label in ("RGB", "RGBA"):
        raise ValueError(f"colour voxels ({label}), not real values")
    if label == "float128":
        raise ValueError("float128 voxels, whose layout differs between machines; write them as float64")
    if dtype.kind not in "iuf":
        raise ValueError(f"{label} voxels, not real values")
    if int(header["sizeof_hdr"]) != header.sizeof_hdr:
        warnings.append(f"the header claims {int(header['sizeof_hdr'])} bytes for itself, not {header.sizeof_hdr}")
    if int(header["bitpix"]) != dtype.itemsize * 8:
        warnings.append(f"{int(header['bitpix'])} bits per voxel disagree with the type {label}, which is taken")
    if "eol_check" in header and tuple(header["eol_check"]) not in ((13, 10, 26, 10), (0, 0, 0, 0)):
        raise ValueError("damaged NIfTI header: line ends were changed, as by a transfer in text mode")


def _offset(header: Nifti1Header, pair: bool, warnings: list[str]) -> int:
    offset = float(header["vox_offset"])
    if not math.isfinite(offset) or offset < 0 or offset != int(offset):
        raise ValueError(f"voxels at byte {offset!r} of the file")
    if pair:
        return int(offset)
    if offset == 0:
        warnings.append(f"no voxel offset: byte {header.single_vox_offset} taken")
        return header.single_vox_offset
    if offset < header.single_vox_offset:
        raise ValueError(f"voxels at byte {offset!r}, within the header of {header.single_vox_offset} bytes")
    return int(offset)


def _scaling(header: Nifti1Header, warnings: list[str]) -> tuple[float, float]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if not math.isfinite(slope):
        warnings.append("scale slope is not a number: stored values taken as they are")
    elif slope and not math.isfinite(intercept):
        raise ValueError(f"scale intercept is {intercept}, with a slope of {slope:g}")
    elif slope:
        return slope, intercept
    elif intercept and math.isfinite(intercept):
        warnings.append(f"scale slope 0 means no scaling: the intercept {intercept:g} is disregarded")
    return 1.0, 0.0


def _affine(header: Nifti1Header, shape: tuple[int, int, int], warnings: list[str]) -> np.ndarray:
    stored = np.array(header["pixdim"][1:4], dtype=np.float64)
    header["pixdim"][1:4] = sizes = np.where(np.isfinite(stored) & (stored != 0), np.abs(stored), 1.0)
    used = np.array(shape) > 1
    sform, qform = (_form(header, name, warnings) for name in ("sform", "qform"))
    if sform is not None and (qform is None or _is_known(header, "sform") or not _is_known(header, "qform")):
        affine = sform
        _complete(affine, shape, warnings)
        _compare(affine, shape, stored, qform, warnings)
    else:
        # Voxel sizes that are none become 1 mm, negative ones positive, as in nibabel, but not in silence.
        if (sizes != stored)[used].any():
            found = " x ".join(f"{size:g}" for size in stored)
            warnings.append(
                f"voxel size {found} in the header: sizes that are 0 or no number count as 1, negative as positive"
            )
        affine = np.array(header.get_base_affine(), dtype=np.float64) if qform is None else qform
        if qform is None:
            warnings.append("no orientation stored: the axes may be mirrored")
    unit = int(header["xyzt_units"]) & 7
    affine[:3] *= _MILLIMETRES.get(unit, 1.0)
    if unit in _UNITS:
        warnings.append(f"units are {_UNITS[unit]}, converted to millimetres")
    elif unit not in _MILLIMETRES:
        warnings.append(f"unit code {unit} is unknown: millimetres taken")
    try:
        canonical_axes(affine)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise ValueError(f"the affine is none: {error}") from error
    return affine


def _is_known(header: Nifti1Header, name: str) -> bool:
    return 1 <= int(header[f"{name}_code"]) <= 5


def _complete(affine: np.ndarray, shape: tuple[int, int, int], warnings: list[str]) -> None:
    """The third axis of a single slice, which writers of two-dimensional images leave at 0."""
    if shape[2] == 1 and not affine[:3, 2].any():
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        affine[:3, 2] = normal / np.linalg.norm(normal)
        warnings.append("two-dimensional: its third axis is not stored, and taken across the other two")


def _form(header: Nifti1Header, name: str, warnings: list[str]) -> np.ndarray | None:
    code = int(header[f"{name}_code"])
    if code == 0:
        return None
    if not _is_known(header, name):
        warnings.append(f"{name} code {code} is unknown: taken as an orientation all the same, where there is no other")
    if name == "sform":
        return np.array(header.get_sform(), dtype=np.float64)
    if (qfac := float(header["pixdim"][0])) not in (-1, 1):
        header["pixdim"][0] = 1
        if qfac != 0:
            warnings.append(f"qfac is {qfac!r}, neither 1 nor -1: 1 taken")
    quaternion = np.array([header[f"quatern_{axis}"] for axis in "bcd"], dtype=np.float64)
    if 1 < (length := float(np.linalg.norm(quaternion))) < 1 + _ROUNDING:
        for axis, value in zip("bcd", quaternion / length, strict=True):
            header[f"quatern_{axis}"] = value
    try:
        return np.array(header.get_qform(), dtype=np.float64)
    except (ValueError, HeaderDataError):
        return np.full((4, 4), np.nan)


def _compare(
    sform: np.ndarray, shape: tuple[int, int, int], sizes: np.ndarray, qform: np.ndarray | None, warnings: list[str]
) -> None:
    """The sform decides; whatever else the header says about the place should not disagree."""
    steps = np.linalg.norm(sform[:3, :3], axis=0)
    if qform is not None:
        corners = np.array([*np.ndindex(2, 2, 2)]) * (np.array(shape) - 1)
        off = float(np.linalg.norm(corners @ (sform - qform)[:3, :3].T + (sform - qform)[:3, 3], axis=1).max())
        if not math.isfinite(off):
            warnings.append("the qform is none, by its quaternion or offset: the sform is taken")
            return
        if off > _APART * steps.min():
            warnings.append(f"sform and qform disagree by up to {off:.3g} units: the sform is taken")
            return
    used = np.array(shape) > 1
    if not np.allclose(steps[used], sizes[used], rtol=0.01):
        found, taken = (" x ".join(f"{size:.4g}" for size in row) for row in (sizes, steps))
        warnings.append(f"voxel size {found} in the header, but {taken} by the sform, which is taken")
