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

"""Intensities to [0, 1] through a window of Hounsfield units, or by what the type of the image can hold."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from monai.config import KeysCollection
from monai.config.type_definitions import NdarrayOrTensor
from monai.data.meta_obj import get_track_meta
from monai.transforms.transform import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_tensor, get_equivalent_dtype

from monai_ssl.data.windows import WINDOWS, window_limits

__all__ = ["WINDOWS", "ScaleWindow", "ScaleWindowD", "ScaleWindowDict", "ScaleWindowd"]

# The range of CT up to dense bone: what is brighter is metal, what is darker is padding.
_WIDE = (-1000.0, 1000.0)
_BY_TYPE = {np.dtype(np.uint8): (0.0, 255.0), np.dtype(np.uint16): (0.0, 65535.0)}


class ScaleWindow(Transform):
    """
    Map intensities linearly from a window to [0, 1] and clip what lies outside.

    Args:
        window: a name in `WINDOWS` (lung, mediastinum, abdomen, bone, brain), or (lowest, highest) in the image's own
            units, or None to go by the image's type: uint8 as 0 to 255, uint16 as 0 to 65535, and **any other type as
            Hounsfield units**, -1000 to 1000. Images of other meaning (MR, floats in [0, 1]) need their own pair.

    Raises:
        ValueError: for an unknown name, or a window that is not two finite numbers in rising order.

    Example:
        >>> import numpy as np
        >>> from monai_ssl.transforms import ScaleWindow
        >>> ScaleWindow("lung")(np.float32([[[-1350, -600, 150]]]))
        metatensor([[[0.0000, 0.5000, 1.0000]]])
    """

    backend = [TransformBackends.TORCH, TransformBackends.NUMPY]  # noqa: RUF012

    def __init__(self, window: str | tuple[float, float] | None = None) -> None:
        self.window = None if window is None else window_limits(window)

    def __call__(self, img: NdarrayOrTensor) -> torch.Tensor:
        """
        Args:
            img: image of any shape.

        Returns:
            image of the same shape, float32, in [0, 1].
        """
        low, high = self.window or _BY_TYPE.get(np.dtype(get_equivalent_dtype(img.dtype, np.ndarray)), _WIDE)
        image = convert_to_tensor(img, dtype=torch.float32, track_meta=get_track_meta())
        return ((image - low) / (high - low)).clamp_(0, 1)


class ScaleWindowd(MapTransform):
    """
    Dictionary form of `ScaleWindow`.

    Args:
        keys: keys of the images.
        window: see `ScaleWindow`.
        allow_missing_keys: do not raise when a key is absent.
    """

    backend = ScaleWindow.backend

    def __init__(
        self,
        keys: KeysCollection,
        window: str | tuple[float, float] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.scaler = ScaleWindow(window)

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.scaler(d[key])
        return d


ScaleWindowD = ScaleWindowDict = ScaleWindowd
