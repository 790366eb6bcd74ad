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

"""The usual CT windows by name; apart from the transforms, since exporting images needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

__all__ = ["WINDOWS", "Window", "window_choices", "window_limits"]

Window = str | tuple[float, float]

WINDOWS: dict[str, tuple[float, float]] = {
    name: (level - width / 2, level + width / 2)
    for name, width, level in (
        ("lung", 1500, -600),
        ("mediastinum", 350, 50),
        ("abdomen", 400, 50),
        ("bone", 1800, 400),
        ("brain", 80, 40),
    )
}
"""Lowest and highest HU of the usual CT windows, from https://radiopaedia.org/articles/windowing-ct."""


def window_limits(window: Window) -> tuple[float, float]:
    """
    The lowest and highest value of a window.

    Args:
        window: a name in `WINDOWS`, or (lowest, highest) itself.

    Raises:
        ValueError: for an unknown name, or a window that is not two finite numbers in rising order.

    Example:
        >>> window_limits("lung")
        (-1350.0, 150.0)
    """
    if isinstance(window, str):
        if window not in WINDOWS:
            raise ValueError(f"window must be one of {', '.join(WINDOWS)}, or a pair (lowest, highest), got {window!r}")
        return WINDOWS[window]
    numbers = isinstance(window, Sequence) and len(window) == 2 and all(isinstance(limit, Real) for limit in window)
    if not numbers or not all(map(math.isfinite, window)) or window[0] >= window[1]:
        raise ValueError(f"window must be two finite numbers, the lowest first, got {window!r}")
    return float(window[0]), float(window[1])


def window_choices(window: Window | Sequence[Window | None] | None) -> list[Window | None]:
    """
    The windows that a setting names: itself, or where it is a list of windows, those.

    Args:
        window: a name, (lowest, highest), None, or a list of these.

    Example:
        >>> window_choices(["lung", (-160, 240)]), window_choices((-160, 240))
        (['lung', (-160, 240)], [(-160, 240)])
    """
    if not isinstance(window, list | tuple) or all(isinstance(limit, Real) for limit in window):
        return [window]  # type: ignore[list-item]
    return list(window)
