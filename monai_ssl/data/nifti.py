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


"""Reading NIfTI files, with what others let pass: checksums, truncation, affines that are none."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from isal import igzip, isal_zlib
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from monai_ssl.data.volume import Volume, relative_name
from monai_ssl.data.voxels import RejectedVolumeError, Voxels, clean_voxels
from monai_ssl.orientation import canonical_axes

__all__ = ["NiftiVolume", "find_nifti", "is_nifti"]

_GZIP = b"\x1f\x8b"
_LARGEST_VOLUME = 8 << 30
_CHUNK = 1 << 20
_MILLIMETRES = {"meter": 1000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
# The stubs of isal declare its error as an instance.
_DAMAGE: tuple[type[Exception], ...] = (OSError, EOFError, isal_zlib.error)  # type: ignore[assignment]


@dataclass(frozen=True)
class NiftiVolume(Volume):
    """One three-dimensional NIfTI-1 or NIfTI-2 file, plain or gzipped."""

    def read(self) -> Voxels:
        """
        The scaled values, once the whole file is read and its gzip checksum verified.

        Raises:
            RejectedVolumeError: when the file is damaged, naming it.
        """
        path = self.files[0]
        try:
            with closing(_open(path)) as stream:
                header = _header(stream)
                raw = _voxels(stream, header)
        except _DAMAGE as error:
            raise RejectedVolumeError(self.name, f"damaged ({error})") from error
        except ValueError as error:
            raise RejectedVolumeError(self.name, str(error)) from error
        slope, intercept = _scaling(header)
        if (slope, intercept) != (1, 0):
            raw = raw * slope + intercept
        return clean_voxels(self.name, raw, None, _affine(header)[0])


def is_nifti(head: bytes) -> bool:
    """
    Whether a file starts as NIfTI does, plain or gzipped.

    Args:
        head: its first 4096 bytes, or all where it is shorter.
    """
    if head[:2] == _GZIP:
        try:
            head = isal_zlib.decompressobj(wbits=31).decompress(head, 1024)
        except _DAMAGE:
            return True  # gzip that breaks at once: the reader names the damage
    return _header_class(head) is not None


def find_nifti(file: Path, root: Path) -> NiftiVolume:
    """
    The record of a NIfTI file, from its header.

    Args:
        file: as told by `is_nifti`.
        root: the folder that was searched.

    Raises:
        ValueError: when it is no three-dimensional volume of real values, or its affine is none.
    """
    try:
        with closing(_open(file)) as stream:
            header = _header(stream)
    except _DAMAGE as error:
        raise ValueError(f"damaged ({error})") from error
    shape = _shape(header)
    affine, warnings = _affine(header)
    expected = _expected_bytes(header)
    if expected > _LARGEST_VOLUME:
        raise ValueError(f"the header claims {shape[0]} x {shape[1]} x {shape[2]} voxels, more than 8 GiB")
    with open(file, "rb") as stream:
        compressed = stream.read(2) == _GZIP
    size = file.stat().st_size
    if not compressed and size < expected:
        raise ValueError(f"truncated: {size} bytes of {expected}")
    _scaling(header)
    if not np.isfinite(float(header["scl_slope"])):
        warnings.append("scale slope is not a number: stored values taken as they are")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    name = relative_name(file, root)
    return NiftiVolume(
        source=name,
        series=name,
        patient=None,
        root=root,
        files=(file,),
        format="NIfTI",
        modality="",
        shape=shape,
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        warnings=tuple(warnings),
    )


def _open(path: Path) -> BinaryIO:
    file = open(path, "rb")  # noqa: SIM115  the caller closes it
    compressed = file.read(2) == _GZIP
    file.seek(0)
    if not compressed:
        return file
    file.close()
    return igzip.open(path, "rb")


def _header_class(head: bytes) -> type[Nifti1Header] | None:
    for kind, magics, at in ((Nifti1Header, (b"n+1\0", b"ni1\0"), 344), (Nifti2Header, (b"n+2\0", b"ni2\0"), 4)):
        if head[at : at + 4] in magics:
            return kind
    return None


def _header(stream: BinaryIO) -> Nifti1Header:
    head = stream.read(Nifti2Header.sizeof_hdr)
    kind = _header_class(head)
    if kind is None:
        raise ValueError("neither DICOM nor NIfTI: gzip of something else, or a damaged header")
    try:
        header = kind(head[: kind.sizeof_hdr], check=False)
        header.get_data_dtype()
    except (HeaderDataError, KeyError, ValueError) as error:
        raise ValueError(f"damaged NIfTI header ({error})") from error
    if bytes(header["magic"])[:2] != b"n+":
        raise ValueError("a NIfTI pair (.hdr and .img), which is not supported; convert it to one .nii.gz")
    return header


def _shape(header: Nifti1Header) -> tuple[int, int, int]:
    dims = [int(size) for size in header["dim"]]
    rank, sizes = dims[0], dims[1 : dims[0] + 1] if 1 <= dims[0] <= 7 else []
    if not 2 <= rank <= 7 or min(sizes) < 1:
        raise ValueError(f"dimensions {dims[: max(rank, 0) + 1]} are no volume")
    if len(sizes) > 3 and max(sizes[3:]) > 1:
        raise ValueError(
            f"{rank}-D, {' x '.join(map(str, sizes))}: not one volume; write each time point to its own file"
        )
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        raise ValueError(f"{'colour' if dtype.kind == 'V' else dtype.name} voxels, not real values")
    x, y, z = (*sizes, 1)[:3]
    return x, y, z


def _expected_bytes(header: Nifti1Header) -> int:
    x, y, z = _shape(header)
    return max(int(header["vox_offset"]), header.sizeof_hdr) + x * y * z * header.get_data_dtype().itemsize


def _voxels(stream: BinaryIO, header: Nifti1Header) -> np.ndarray:
    dtype = header.get_data_dtype()
    start = max(int(header["vox_offset"]), header.sizeof_hdr)
    expected = _expected_bytes(header) - start
    skipped = stream.seek(start)
    # Room is taken as data arrive, so that a header that lies costs nothing.
    buffer = bytearray()
    while skipped == start and len(buffer) < expected and (chunk := stream.read(min(_CHUNK, expected - len(buffer)))):
        buffer += chunk
    if len(buffer) < expected:
        raise ValueError(f"truncated: {len(buffer)} bytes of voxels, the header tells of {expected}")
    trailing = 0
    while chunk := stream.read(_CHUNK):  # to the end, where the checksum is
        trailing += len(chunk)
        if trailing > _CHUNK:
            raise ValueError(f"more than {trailing} bytes behind the voxels that the header tells of")
    array = np.frombuffer(buffer, dtype=dtype).reshape(_shape(header), order="F")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _scaling(header: Nifti1Header) -> tuple[float, float]:
    try:
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise ValueError(f"scaling is not a number ({error})") from error
    return (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)


def _affine(header: Nifti1Header) -> tuple[np.ndarray, list[str]]:
    warnings = []
    try:
        affine = np.array(header.get_best_affine(), dtype=np.float64)
        unit = header.get_xyzt_units()[0]
        if unit in ("meter", "micron"):
            affine[:3] *= _MILLIMETRES[unit]
            warnings.append(f"units are {unit}s, converted to millimetres")
        canonical_axes(affine)
        if not header["sform_code"] and not header["qform_code"]:
            warnings.append("no orientation stored: the axes may be mirrored")
        if header["sform_code"] and header["qform_code"]:
            off = float(np.abs(header.get_sform() - header.get_qform()).max())
            if off > 0.1:
                warnings.append(f"sform and qform disagree by up to {off:.3g}: the sform is taken")
    except (ValueError, KeyError, HeaderDataError, np.linalg.LinAlgError) as error:
        raise ValueError(f"the affine is none: {error}") from error
    return affine, warnings
