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


"""DICOM series for MONAI's LoadImage, with the care of `find_volumes`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from monai_ssl.data.limits import MAX_GIB
from monai_ssl.data.volume import Volume
from monai_ssl.data.volumes import find_volumes
from monai_ssl.data.voxels import RejectedVolumeError, Rejection

__all__ = ["DicomSeriesReader"]


class DicomSeriesReader(ImageReader):
    """
    Reads one DICOM series from a folder: slices in order of position, HU, RAS affine; what is odd is warned of.

    MONAI's own readers weave two series into one, trust InstanceNumber or stretch a volume over a missing slice without
    a word; this one refuses or warns. A NIfTI, NRRD or MetaImage file is read with the same care.

    Args:
        series_uid: the SeriesInstanceUID to take from a folder that holds several; `UID#2` for a further part.
        max_gib: the most that the volume may take in memory, in GiB; see `find_volumes`.

    Example:
        >>> from monai.transforms import LoadImage
        >>> load = LoadImage(reader=DicomSeriesReader(), image_only=True)
        >>> volume = load("dicom/series")  # (X, Y, Z) in HU  # doctest: +SKIP
    """

    def __init__(self, series_uid: str | None = None, max_gib: float = MAX_GIB) -> None:
        super().__init__()
        self.series_uid = series_uid
        self.max_gib = max_gib

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Folders and files of any name: content decides."""
        return all(Path(name).exists() for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> tuple[Path, ...]:
        """
        The folder to read, or the folders, nothing more.

        LoadImage answers an error in `read` by trying other readers, which would return the very volume that is refused
        here; an error in `get_data` reaches the user.
        """
        return tuple(map(Path, ensure_tuple(data)))

    def get_data(self, img: tuple[Path, ...]) -> tuple[np.ndarray, dict]:
        """
        The voxels and MONAI's metadata.

        Args:
            img: what `read` returned.

        Returns:
            (X, Y, Z) int16 or float32, padding at the smallest valid value; and a dictionary with `affine` (RAS),
            `spatial_shape`, `spacing`, `modality`.

        Raises:
            ValueError: when the folder holds no series, several series (listing them), or a damaged one.
        """
        if len(img) != 1:
            raise ValueError(f"DicomSeriesReader takes one folder or file at a time, got {len(img)}")
        (path,) = img
        volume, rejections = self._choose(path)
        try:
            voxels = volume.read()
        except RejectedVolumeError as error:
            raise ValueError(f"{path}: {error}") from error
        told = [f"{volume.name}: {warning}" for warning in (*volume.warnings, *voxels.warnings)]
        for warning in (*told, *_left_out(rejections)):
            warnings.warn(warning, stacklevel=2)
        return voxels.array, {
            MetaKeys.AFFINE: voxels.affine,
            MetaKeys.ORIGINAL_AFFINE: voxels.affine.copy(),
            MetaKeys.SPATIAL_SHAPE: np.array(voxels.array.shape),
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
            MetaKeys.SPACE: SpaceKeys.RAS,
            "spacing": np.array(volume.spacing),
            "modality": volume.modality,
        }

    def _choose(self, path: Path) -> tuple[Volume, list[Rejection]]:
        volumes, rejections = find_volumes(path, max_gib=self.max_gib)
        chosen = [volume for volume in volumes if self.series_uid in (None, volume.source)]
        if len(chosen) == 1:
            return chosen[0], rejections
        listed = "".join(
            f"\n  {volume.source}: {' x '.join(map(str, volume.shape))} {volume.modality}, first file {volume.name}"
            for volume in volumes
        )
        if volumes:
            held = f"holds {len(volumes)} series" if self.series_uid is None else f"has no series {self.series_uid}"
            raise ValueError(f"{path}: {held}; give one as DicomSeriesReader(series_uid=...):{listed}")
        reasons = "".join(f"\n  {reason}" for reason in _left_out(rejections))
        raise ValueError(f"{path}: holds no volume that can be read{reasons}")


def _left_out(rejections: list[Rejection], most: int = 10) -> list[str]:
    told = [f"{rejection.file} left out: {rejection.reason}" for rejection in rejections[:most]]
    return told + ([f"{len(rejections) - most} more files left out"] if len(rejections) > most else [])
