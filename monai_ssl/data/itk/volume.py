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


"""Reading NRRD and MetaImage: where two readers of the header agree, and nothing is taken that is not there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monai_ssl.data.itk.header import ItkHeader
from monai_ssl.data.itk.metaimage import is_metaimage, parse_metaimage
from monai_ssl.data.itk.nrrd import is_nrrd, parse_nrrd
from monai_ssl.data.limits import MAX_GIB
from monai_ssl.data.payload import UNREADABLE, Payload, describe, time_points
from monai_ssl.data.scaling import scaled
from monai_ssl.data.volume import Volume, relative_name
from monai_ssl.data.voxels import RejectedVolumeError, Voxels, clean_voxels
from monai_ssl.orientation import canonical_axes

__all__ = ["ItkVolume", "find_itk", "is_itk"]

_HEAD = 4096
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class ItkVolume(Volume):
    """
    One three-dimensional volume of an NRRD or MetaImage file, attached or detached, plain or compressed.

    Attributes:
        payload: where the voxels lie.
        dtype: of the stored values, as NumPy writes it.
        slope: value of one stored unit.
        intercept: value of a stored 0.
        affine: (4, 4) rows, voxel index to RAS millimetres.
        time: which time point of the file, from 0.
    """

    payload: Payload
    dtype: str
    slope: float
    intercept: float
    affine: tuple[tuple[float, ...], ...]
    time: int

    def read(self) -> Voxels:
        """
        The values, once the whole file is read and the checksum of its compression verified.

        The stream that has to be followed to its end holds the voxels, so they are not decoded a second time by ITK,
        which fills up what a truncated file lacks and has no image of 64-bit integers.

        Raises:
            RejectedVolumeError: when the file is damaged, naming it.
        """
        try:
            content, warnings = self.payload.read(self.time)
            values, more = scaled(content.view(self.dtype), self.slope, self.intercept)
        except UNREADABLE as error:
            raise RejectedVolumeError(self.name, describe(error)) from error
        array = values.reshape(self.shape, order="F")
        return clean_voxels(self.name, array, None, np.array(self.affine), warnings=warnings + more)


def is_itk(head: bytes) -> bool:
    """
    Whether a file starts as NRRD or MetaImage do.

    Args:
        head: its first 4096 bytes, or all where it is shorter.
    """
    return is_nrrd(head) or is_metaimage(head)


def find_itk(file: Path, root: Path, *, split_time: bool = False, max_gib: float = MAX_GIB) -> list[ItkVolume]:
    """
    The volumes of an NRRD or MetaImage file, from its header.

    Args:
        file: as told by `is_itk`; of a detached pair, the header.
        root: the folder that was searched.
        split_time: whether several time points become a volume each, instead of a refusal.
        max_gib: the most that the stored voxels of one volume may take.

    Returns:
        One record, or one for each time point.

    Raises:
        ValueError: when it holds no three-dimensional volumes of real values, its affine is none, it is too large or
            too short, its voxels lie outside its folder, or several time points were not asked for.
    """
    try:
        with open(file, "rb") as stream:
            parse = parse_nrrd if is_nrrd(stream.read(_HEAD)) else parse_metaimage
        header = parse(file)
        header.payload.check(max_gib)
    except UNREADABLE as error:
        raise ValueError(describe(error)) from error
    name = relative_name(file, root)
    points = time_points(name, header.payload.times, split_time)
    affine = _affine(file, header)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    flat = ("two-dimensional: its place along the third axis is not stored",) if len(header.sizes) == 2 else ()
    return [
        ItkVolume(
            source=source,
            series=name,
            patient=None,
            root=root,
            files=tuple(dict.fromkeys((file, header.payload.file))),
            format=header.format,
            modality=header.modality,
            shape=header.shape,
            spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
            warnings=header.warnings + flat + warnings,
            payload=header.payload,
            dtype=header.dtype.str,
            slope=header.slope,
            intercept=header.intercept,
            affine=tuple(tuple(float(number) for number in row) for row in affine),
            time=time,
        )
        for time, (source, warnings) in enumerate(points)
    ]


def _affine(file: Path, header: ItkHeader) -> np.ndarray:
    try:
        affine = _LPS_TO_RAS @ _ask_itk(file, header)
    except TypeError as error:
        raise ValueError("its path is no UTF-8, which ITK needs; rename the file or its folder") from error
    except RuntimeError as error:
        # ITK's own words repeat what stands in the header.
        raise ValueError("ITK cannot read the header; itk.imread of the file says what it stumbles over") from error
    if header.place is not None:
        told, affine = affine, header.place.copy()
        # Up to a mirroring and a scale, ITK finds the same: of two readers that differ, one is wrong.
        with np.errstate(all="ignore"):
            lines, others = (np.abs(each[:3, :3]) / np.linalg.norm(each[:3, :3], axis=0) for each in (told, affine))
        if not np.allclose(lines, others, atol=1e-4):
            raise ValueError("the affine is none: space directions are singular, or ITK reads them differently")
    affine[:3] *= header.millimetres
    try:
        canonical_axes(affine)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise ValueError(f"the affine is none: {error}") from error
    return affine


def _ask_itk(file: Path, header: ItkHeader) -> np.ndarray:
    """The affine that ITK finds, to LPS, once it found the same voxels: of two readers that differ, one is wrong."""
    reader = _reader(header.format)
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    axes = range(reader.GetNumberOfDimensions())
    count = reader.GetNumberOfComponents() * math.prod(reader.GetDimensions(axis) for axis in axes)
    kind = reader.GetComponentTypeAsString(reader.GetComponentType())
    letter = "u" if kind.startswith("unsigned") else "f" if kind in ("float", "double") else "i"
    if (count, letter, reader.GetComponentSize()) != (
        math.prod(header.sizes),
        header.dtype.kind,
        header.dtype.itemsize,
    ):
        raise ValueError(f"ITK reads the header differently: {count} values of type {kind}")
    affine = np.eye(4)
    for axis in axes[:3]:
        direction = reader.GetDirection(axis)[:3]
        affine[:3, axis] = 0
        affine[: len(direction), axis] = np.multiply(direction, reader.GetSpacing(axis))
        affine[axis, 3] = reader.GetOrigin(axis)
    return affine


def _reader(format_name: str) -> Any:
    # From its own module: `import itk` and one class of it loads every filter, 10 seconds and 850 MB.
    if format_name == "NRRD":
        from itk.itkNrrdImageIOPython import itkNrrdImageIO

        return itkNrrdImageIO.New()
    from itk.itkMetaImageIOPython import itkMetaImageIO

    return itkMetaImageIO.New()
