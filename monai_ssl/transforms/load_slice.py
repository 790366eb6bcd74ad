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

"""Read one 2-D image: a slice of a store, or an image file."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends

from monai_ssl.data.array_images import read_npz_image
from monai_ssl.data.dicom.single import is_dicom_file, read_dicom_image

__all__ = ["LoadSlice", "LoadSliceD", "LoadSliceDict", "LoadSliced", "UnreadableImageError"]


class UnreadableImageError(ValueError):
    """An image file that is damaged or none; the message names it."""


class LoadSlice(Transform):
    """
    Read one slice as a tensor (1, H, W) in the type it is stored in.

    A `.npy` volume of a slice store is memory-mapped, so one slice is read, not the volume. An array of a `.npz` of
    MedMNIST is read once in each process, and stays in memory. Image files (PNG, JPEG, TIFF, BMP) are read as grey, 8
    or 16 bit; colour is converted. DICOM images, known by content, have the values of a store (CT, MR, PT, NM), or are
    8 or 16 bit as a viewer shows them (radiographs and all else).

    Example:
        >>> import numpy as np, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "volume.npy")
        >>> np.save(path, np.arange(24, dtype=np.int16).reshape(2, 3, 4))
        >>> LoadSlice()(path, row=1).shape
        torch.Size([1, 3, 4])
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012 (MONAI's own form)

    def __call__(self, file: str | os.PathLike, row: int = -1) -> torch.Tensor:
        """
        Args:
            file: a `.npy` volume (N, H, W), a `.npz` of MedMNIST or an image file.
            row: of the slice in the volume, of the image in the `.npz` as `list_images` counts, or the frame of a
                multi-frame DICOM file, 0 or above; not used for other image files.

        Raises:
            UnreadableImageError: when the file cannot be read as an image, naming it.
            ValueError: when a volume is given without a row, naming it.
        """
        if str(file).endswith(".npy"):
            if row < 0:
                raise ValueError(f"{file}: a volume of slices needs the row of one, 0 or above, got {row}")
            volume = np.load(file, mmap_mode="r", allow_pickle=False)
            return torch.from_numpy(np.array(volume[row]))[None]
        if str(file).endswith(".npz"):
            return torch.from_numpy(read_npz_image(file, row))[None]
        if os.path.isfile(file) and is_dicom_file(Path(file)):
            try:
                return torch.from_numpy(read_dicom_image(Path(file), row))[None]
            except ValueError as error:
                raise UnreadableImageError(str(error)) from None
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
        if image is None:
            raise UnreadableImageError(
                f"{file}: not an image that can be read; allowed are grey or colour PNG, JPEG, TIFF, BMP, and DICOM"
            )
        return torch.from_numpy(image)[None]


class LoadSliced(MapTransform):
    """
    Dictionary version of :py:class:`LoadSlice`: replaces the file name under each key by the slice.

    Args:
        keys: of the file names.
        row_key: of the row in the volume.
        allow_missing_keys: do not raise when a key is missing.
    """

    backend = LoadSlice.backend

    def __init__(self, keys: KeysCollection, row_key: str = "row", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.row_key = row_key
        self.loader = LoadSlice()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.loader(d[key], d.get(self.row_key, -1))
        return d


LoadSliceD = LoadSliceDict = LoadSliced
