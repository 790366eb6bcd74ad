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

"""What the values of images mean, and so which window holds for them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from monai_ssl.data.dicom.single import PICTURES, kind_of_dicom
from monai_ssl.data.images import ImageData
from monai_ssl.data.windows import window_choices
from monai_ssl.transforms import LoadSlice

__all__ = ["HU", "recorded_window", "scaling_problems", "values_of", "window_for"]

logger = logging.getLogger(__name__)

HU = "HU"
_OTHER = "other"
_LOOKED_AT = 16
# Fat has as much and air -1000; an MR, PET or normalised image has nothing so low.
_HIGHEST_LOW = -100
_HIGH = f"no value of {_HIGHEST_LOW} or below"
# Scaled as HU all grey values would be one, as those of images in [0, 1].
_LEAST_SPAN = 20
_FLAT = f"values that span less than {_LEAST_SPAN}"


def values_of(data: ImageData) -> str:
    """
    What most images hold, by their modality in DICOM, else by a look at a few: `HU`, `pictures` (8 or 16 bit, whose
    type tells their range) or `other`; empty for no images.
    """
    kinds = _kinds(data).most_common(1)
    return kinds[0][0] if kinds and kinds[0][0] in (HU, PICTURES) else _OTHER if kinds else ""


def window_for(data: ImageData, window: Any, known: Any, known_for: str | None) -> Any:
    """
    The window for images: the one asked for, or where that is "auto" the one that is known, if for such values.

    Args:
        data: the images.
        window: as :py:class:`monai_ssl.transforms.ScaleWindow` takes it, or "auto".
        known: of a checkpoint or a record.
        known_for: what `values_of` told of its images; None, where that was not recorded, counts as `HU`.
    """
    if window != "auto":
        if window is not None and values_of(data) == PICTURES:
            logger.warning("--window %s is taken as asked for, though the images are 8 or 16 bit pictures: it counts "
                           "in their brightness, not in HU", window)  # fmt: skip
        return window
    return known if values_of(data) == (known_for or HU) else None


def recorded_window(data: ImageData, window: Any, trained: Mapping[str, Any]) -> Any:
    """
    `window_for` images that a trained model is applied to; the log says when they are not like those it was trained on.

    Args:
        data: the images.
        window: see `window_for`.
        trained: `window` and `values` of its record.
    """
    taken = window_for(data, window, trained["window"], trained["values"])
    before, now = trained["values"] or (HU if trained["window"] is not None else None), values_of(data)
    if window == "auto" and before and now and now != before:
        scaled = {HU: "from -1000 to 1000 HU", PICTURES: "by their type"}.get(now, "by --window only")
        logger.warning("trained on %s values with window %s, applied to %s: these are scaled %s; that is right where "
                       "both then look alike, else give --window", before, trained["window"], now, scaled)  # fmt: skip
    return taken


def scaling_problems(data: ImageData, window: Any) -> list[str]:
    """
    Whether images can be scaled without a window: pictures by their type, CT as HU; MR, PET, NM and images in [0, 1]
    cannot. Some among others that can, and values that are no HU as it seems, are logged as a warning.

    Args:
        data: the images.
        window: that is used.
    """
    if data.problems or None not in window_choices(window):
        return []
    kinds = _kinds(data)
    others = {kind: count for kind, count in kinds.items() if kind not in (HU, PICTURES)}
    if not others:
        return []
    told = (
        f"{sum(others.values())} of {sum(kinds.values())} images looked at are neither pictures of 8 or 16 bits nor CT "
        f'in HU ({", ".join(others)}), so nothing tells what is black and white; give --window "[LOW, HIGH]"'
    )
    if others.keys() == kinds.keys() - {_HIGH}:
        return [told]
    # a CT without fat and air, of a masked brain say, has no low values either
    logger.warning("%s, or all are scaled as HU, from -1000 to 1000", told)
    return []


@lru_cache(maxsize=4)
def _kinds(data: ImageData) -> Counter[str]:
    """How many of a few images, evenly spaced, are of which kind."""
    table = data.table
    some = table.iloc[np.unique(np.linspace(0, len(table) - 1, _LOOKED_AT).astype(int))] if len(table) else table
    kinds = (_kind(file, row) for file, row in zip(some["file"], some["row"], strict=True))
    return Counter(kind for kind in kinds if kind)


def _kind(file: str, row: int) -> str:
    """Empty for an image that cannot be read, which loading tells."""
    if file.endswith(".npz"):
        return PICTURES
    kind = "" if file.endswith(".npy") else kind_of_dicom(Path(file))
    if kind in (PICTURES, "MR", "NM", "PT"):
        return kind
    if kind == "CT":
        return HU
    try:
        image = LoadSlice()(file, row).numpy()
    except (OSError, ValueError):
        return ""
    if image.dtype in (np.uint8, np.uint16):
        return PICTURES
    if image.min() <= _HIGHEST_LOW:
        return HU
    return _FLAT if image.max() - image.min() < _LEAST_SPAN else _HIGH
