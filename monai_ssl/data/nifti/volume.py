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

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from isal import isal_zlib

from monai_ssl.data.limits import MAX_GIB
from monai_ssl.data.nifti.header import HEADER_BYTES, NiftiHeader, is_header, parse_header
from monai_ssl.data.payload import DAMAGE, UNREADABLE, Payload, describe, open_stream, time_points
from monai_ssl.data.scaling import scaled
from monai_ssl.data.volume import Volume, relative_name
from monai_ssl.data.voxels import RejectedVolumeError, Voxels, clean_voxels

__all__ = ["NiftiVolume", "find_nifti", "is_nifti"]

_GZIP = b"\x1f\x8b"
_MOST_HEADER = 1 << 20  # with its extensions, where it is a file of its own


@dataclass(frozen=True)
class NiftiVolume(Volume):
    """
    One three-dimensional volume of a NIfTI-1 or NIfTI-2 file or pair, plain or gzipped.

    Attributes:
        time: which time point of the file, from 0.
    """

    time: int = 0

    def read(self) -> Voxels:
        """
        The scaled values, once the whole file is read and its gzip checksum verified.

        Raises:
            RejectedVolumeError: when the file is damaged, naming it.
        """
        try:
            header = _header(self.files[0])
            if header.shape != self.shape or header.times <= self.time:
                raise ValueError("the file changed since it was found; search again")
            content, warnings = _payload(self.files[-1], header).read(self.time)
            values, more = scaled(content.view(header.dtype), header.slope, header.intercept)
        except UNREADABLE as error:
            raise RejectedVolumeError(self.name, describe(error)) from error
        array = values.reshape(self.shape, order="F")
        return clean_voxels(self.name, array, None, header.affine, warnings=warnings + more)


def is_nifti(head: bytes) -> bool:
    """
    Whether a file starts as NIfTI or its forerunner Analyze 7.5 does, plain or gzipped.

    Args:
        head: its first 4096 bytes, or all where it is shorter.
    """
    if head[:2] == _GZIP:
        left, head = head, b""
        while left and len(head) < HEADER_BYTES:  # a header may go over several members
            inflate = isal_zlib.decompressobj(wbits=31)
            try:
                head += inflate.decompress(left, HEADER_BYTES - len(head))
            except DAMAGE:
                return True  # gzip that breaks at once: the reader names the damage
            if len(head) < HEADER_BYTES and not inflate.eof:
                return True  # or ends at once
            left = inflate.unused_data
    return is_header(head)


def find_nifti(file: Path, root: Path, *, split_time: bool = False, max_gib: float = MAX_GIB) -> list[NiftiVolume]:
    """
    The volumes of a NIfTI file, from its header.

    Args:
        file: as told by `is_nifti`; of a pair, the header.
        root: the folder that was searched.
        split_time: whether several time points become a volume each, instead of a refusal.
        max_gib: the most that the stored voxels of one volume may take.

    Returns:
        One record, or one for each time point.

    Raises:
        ValueError: when it holds no three-dimensional volumes of real values, its affine is none, it is too large or
            too short, or several time points were not asked for.
    """
    try:
        header = _header(file)
        files = (file, _image_file(file)) if header.pair else (file,)
        _payload(files[-1], header).check(max_gib)
    except UNREADABLE as error:
        raise ValueError(describe(error)) from error
    name = relative_name(file, root)
    spacing = np.linalg.norm(header.affine[:3, :3], axis=0)
    return [
        NiftiVolume(
            source=source,
            series=name,
            patient=None,
            root=root,
            files=files,
            format="NIfTI",
            modality="",
            shape=header.shape,
            spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
            warnings=header.warnings + warnings,
            time=time,
        )
        for time, (source, warnings) in enumerate(time_points(name, header.times, split_time))
    ]


def _encoding(path: Path) -> str:
    with open(path, "rb") as file:
        return "gzip" if file.read(2) == _GZIP else "raw"


def _header(path: Path) -> NiftiHeader:
    encoding = _encoding(path)
    with open(path, "rb") as file:
        stream = open_stream(file, encoding)
        header = parse_header(stream.read(HEADER_BYTES))
        # The header of a pair is read to its end, where the checksum is; a single file when its voxels are.
        if header.pair and len(stream.read(_MOST_HEADER)) == _MOST_HEADER:
            raise ValueError(f"the header of a pair with more than {_MOST_HEADER} bytes behind it")
    return header


def _image_file(header: Path) -> Path:
    stem = header.name.removesuffix(".gz")
    suffix = "." + "".join(new if old.islower() else new.upper() for old, new in zip(stem[-3:], "img", strict=False))
    if stem[-4:].lower() != ".hdr":
        raise ValueError("the header of a pair, but not called .hdr, so that its .img cannot be found")
    for name in (f"{stem[:-4]}{each}{gz}" for each in (suffix, ".img", ".IMG") for gz in ("", ".gz")):
        if (path := header.with_name(name)).is_file():
            return path
    raise ValueError(f"the header of a pair without its voxels: {stem[:-4]}{suffix} (or {suffix}.gz) is missing")


def _payload(path: Path, header: NiftiHeader) -> Payload:
    size = math.prod(header.shape) * header.dtype.itemsize
    # Voxels may begin as gzip does; a file of just their length is not compressed.
    plain = header.pair and path.stat().st_size == header.offset + size * header.times
    return Payload(path, "raw" if plain else _encoding(path), 0, header.offset, size, header.times)
