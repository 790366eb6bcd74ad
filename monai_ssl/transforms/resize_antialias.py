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

"""One size for all images, as multi-crop makes it: without aliasing, and fast."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.config.type_definitions import NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_tensor

from monai_ssl.transforms.resize_kernel import resize_box

__all__ = ["ResizeAntialias", "ResizeAntialiasD", "ResizeAntialiasDict", "ResizeAntialiasd"]


class ResizeAntialias(Transform):
    """
    Stretch an image to a size, by the triangle filter that `MultiCrop` cuts its views with.

    Images that a network is trained, tested and used on are then made alike to those that it was pre-trained on.
    MONAI's `Resize(anti_aliasing=True)` blurs by a Gaussian first and takes fifty times as long; the result carries no
    metadata, unlike its.

    Args:
        size: (rows, columns) of the result, each at least 1.

    Raises:
        ValueError: for another size.

    Example:
        >>> import torch
        >>> from monai_ssl.transforms import ResizeAntialias
        >>> ResizeAntialias((1, 2))(torch.tensor([[[0.0, 2.0, 4.0, 6.0]]]))
        tensor([[[1.4286, 4.5714]]])

    Equal to `torch.nn.functional.interpolate(mode="bilinear", antialias=True)` and, up to its rounding, to Pillow.
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012 (MONAI's own form)

    def __init__(self, size: Sequence[int]) -> None:
        if len(size) != 2 or not all(isinstance(side, int) and side >= 1 for side in size):
            raise ValueError(f"size must be two whole numbers above 0, rows and columns, got {size}")
        self.size = tuple(size)

    def __call__(self, img: NdarrayOrTensor) -> torch.Tensor:
        """
        Args:
            img: (C, H, W).

        Returns:
            (C, rows, columns), float32.
        """
        pixels = np.ascontiguousarray(convert_to_tensor(img, track_meta=False).numpy(), dtype=np.float32)
        resized = np.empty((len(pixels), *self.size), np.float32)
        for channel, plane in zip(resized, pixels, strict=True):
            resize_box(plane, 0, 0, plane.shape[0], plane.shape[1], channel)
        return torch.from_numpy(resized)


class ResizeAntialiasd(MapTransform):
    """
    Dictionary form of `ResizeAntialias`.

    Args:
        keys: keys of the images.
        size: see `ResizeAntialias`.
        allow_missing_keys: do not raise when a key is absent.
    """

    backend = ResizeAntialias.backend

    def __init__(self, keys: KeysCollection, size: Sequence[int], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.resize = ResizeAntialias(size)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.resize(d[key])
        return d


ResizeAntialiasD = ResizeAntialiasDict = ResizeAntialiasd
