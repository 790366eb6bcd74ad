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

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.config.type_definitions import NdarrayOrTensor
from monai.data import MetaTensor
from monai.data.meta_obj import get_track_meta
from monai.transforms.transform import MapTransform, Randomizable, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor, get_equivalent_dtype

from monai_ssl.data.windows import WINDOWS, Window, window_choices, window_limits

__all__ = [
    "WINDOWS",
    "RandScaleWindow",
    "RandScaleWindowD",
    "RandScaleWindowDict",
    "RandScaleWindowd",
    "ScaleWindow",
    "ScaleWindowD",
    "ScaleWindowDict",
    "ScaleWindowd",
]

logger = logging.getLogger(__name__)

# The range of CT up to dense bone: what is brighter is metal, what is darker is padding.
_WIDE = (-1000.0, 1000.0)
_BY_TYPE = {np.dtype(np.uint8): (0.0, 255.0), np.dtype(np.uint16): (0.0, 65535.0)}

Windows = Window | Sequence[Window | None] | None


class ScaleWindow(Transform):
    """
    Map intensities linearly from a window to [0, 1] and clip what lies outside.

    Args:
        window: a name in `WINDOWS` (lung, mediastinum, abdomen, bone, brain), or (lowest, highest) in the image's own
            units, or None to go by the image's type: uint8 as 0 to 255, uint16 as 0 to 65535, and **any other type as
            Hounsfield units**, -1000 to 1000. Images of other meaning (MR, floats in [0, 1]) need their own pair.
            Of a list, as `RandScaleWindow` takes it, the first is used, and a warning says so: what was trained on
            drawn windows is applied in one.

    Raises:
        ValueError: for an unknown name, or a window that is not two finite numbers in rising order.

    Example:
        >>> import numpy as np
        >>> from monai_ssl.transforms import ScaleWindow
        >>> ScaleWindow("lung")(np.float32([[[-1350, -600, 150]]]))
        metatensor([[[0.0000, 0.5000, 1.0000]]])
    """

    backend = [TransformBackends.TORCH, TransformBackends.NUMPY]  # noqa: RUF012

    def __init__(self, window: Windows = None) -> None:
        first, *others = window_choices(window)
        self._untold = window if others else None
        self.window = None if first is None else window_limits(first)

    def __call__(self, img: NdarrayOrTensor) -> torch.Tensor:
        """
        Args:
            img: image of any shape.

        Returns:
            image of the same shape, float32, in [0, 1].
        """
        if self._untold is not None:
            logger.warning("of the windows %s the first is used; give one window to choose another", self._untold)
            self._untold = None
        low, high = self.window or _BY_TYPE.get(np.dtype(get_equivalent_dtype(img.dtype, np.ndarray)), _WIDE)
        # In place and without metadata, which would cost more than the arithmetic.
        plain = convert_to_tensor(img, track_meta=False)
        scaled = plain.to(torch.float32, copy=True).sub_(low).div_(high - low).clamp_(0, 1)
        if isinstance(img, MetaTensor) and get_track_meta():
            return convert_to_dst_type(scaled, img, dtype=torch.float32)[0]
        return convert_to_tensor(scaled, track_meta=get_track_meta())


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
        window: Windows = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.scaler = ScaleWindow(window)

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.scaler(d[key])
        return d


class RandScaleWindow(Randomizable, Transform):
    """
    `ScaleWindow` with a window that is drawn for each image, from a list of windows of equal chance.

    Drawn before `MultiCrop`, one window holds for all views of a slice. A window of its own for each view would ask for
    agreement where there is nothing to agree on: lung is black in a mediastinal window, and soft tissue all alike in
    the lung's. The jitter of brightness and contrast, which each view has of its own, moves centre and width besides.

    Args:
        window: a list of what `ScaleWindow` takes, or one such, which is then no choice.

    Raises:
        ValueError: as `ScaleWindow`; for an empty list.

    Example:
        >>> import numpy as np
        >>> from monai_ssl.transforms import RandScaleWindow
        >>> scale = RandScaleWindow(["lung", "bone", (-160, 240)]).set_random_state(0)
        >>> scale(np.float32([[[-600, 40]]]))
        metatensor([[[0.5000, 0.9267]]])
    """

    backend = ScaleWindow.backend

    def __init__(self, window: Windows = None) -> None:
        self.scalers = [ScaleWindow(choice) for choice in window_choices(window)]
        self._drawn = 0

    def randomize(self, data: Any = None) -> None:
        """Draw a window."""
        self._drawn = self.R.randint(len(self.scalers))

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> torch.Tensor:
        """
        Args:
            img: image of any shape.
            randomize: False repeats the window drawn last.

        Returns:
            image of the same shape, float32, in [0, 1].
        """
        if randomize:
            self.randomize()
        return self.scalers[self._drawn](img)


class RandScaleWindowd(Randomizable, MapTransform):
    """
    Dictionary form of `RandScaleWindow`; all keys get the same window.

    Args:
        keys: keys of the images.
        window: see `RandScaleWindow`.
        allow_missing_keys: do not raise when a key is absent.
    """

    backend = ScaleWindow.backend

    def __init__(self, keys: KeysCollection, window: Windows = None, allow_missing_keys: bool = False) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.scaler = RandScaleWindow(window)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandScaleWindowd:
        """Seed the choice of the window."""
        super().set_random_state(seed, state)
        self.scaler.set_random_state(state=self.R)
        return self

    def randomize(self, data: Any = None) -> None:
        """Draw a window."""
        self.scaler.randomize()

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        d = dict(data)
        self.randomize()
        for key in self.key_iterator(d):
            d[key] = self.scaler(d[key], randomize=False)
        return d


ScaleWindowD = ScaleWindowDict = ScaleWindowd
RandScaleWindowD = RandScaleWindowDict = RandScaleWindowd
