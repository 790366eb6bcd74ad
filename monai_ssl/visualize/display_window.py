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

"""The window in which slices of unknown kind are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from monai_ssl.data.windows import WINDOWS

__all__ = ["DisplayWindow", "display_window"]

_AIR, _WATER = -800, 0  # what has values on both sides is CT


class DisplayWindow(NamedTuple):
    """
    What is shown black and what white.

    Attributes:
        name: of the CT window, a key of `monai_ssl.data.WINDOWS`; empty where the values are not Hounsfield units.
        low: shown black.
        high: shown white.
    """

    name: str
    low: float
    high: float


def display_window(images: Sequence[np.ndarray]) -> DisplayWindow:
    """
    A window that shows what is in slices, for pictures only: nothing is learnt or compared with it.

    Values that reach from air to above water are taken for CT: the brain window where much of the body is bone, as in a
    head; the lung window where much of it holds air; the abdominal window otherwise. All other images are shown from
    their 0.5th to their 99.5th percentile.

    Args:
        images: slices of one volume, spread over it; arrays of any shape, in the units of the source.

    Raises:
        ValueError: for no images.

    Example:
        >>> display_window([np.linspace(0, 1000, 1001)])
        DisplayWindow(name='', low=5.0, high=995.0)
    """
    if not len(images):
        raise ValueError("display_window needs one image at least, got none")
    values = np.concatenate([np.ravel(image) for image in images])
    if values.min() > _AIR or values.max() <= _WATER:
        low, high = np.percentile(values, (0.5, 99.5))
        return DisplayWindow("", float(low), float(high))
    body, tissue = values[values > -950], values[values > -200]
    if (tissue > 300).mean() > 0.12:
        name = "brain"
    elif (body < -500).mean() > 0.15:
        name = "lung"
    else:
        name = "abdomen"
    return DisplayWindow(name, *WINDOWS[name])
