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

"""A few telling images, chosen by a rule, for pictures and for the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from monai_ssl.files import atomic_path

__all__ = ["choose_examples", "example", "write_examples"]

_LEAST_SIDE = 256
_SHOWN = (0.5, 99.5)


def choose_examples(table: pd.DataFrame, thresholds: Mapping[str, float], known: pd.Series) -> dict[int, str]:
    """
    Of each label the true positive with the highest score, the miss with the lowest and the false alarm with the
    highest, by its threshold; images whose lesion is known go first. Without a threshold, the highest positive alone.

    Args:
        table: `label, truth, score`.
        thresholds: by label.
        known: whether a row's lesion is known.

    Returns:
        "true positive", "miss" or "false alarm" by row.

    Example:
        >>> table = pd.DataFrame({"label": "mass", "truth": [1, 1, 0, 0], "score": [0.9, 0.2, 0.8, 0.1]})
        >>> choose_examples(table, {"mass": 0.5}, pd.Series(False, index=table.index))
        {0: 'true positive', 1: 'miss', 2: 'false alarm'}
    """
    chosen: dict[int, str] = {}
    for label, rows in table.assign(known=known).groupby("label", sort=False):
        threshold = thresholds[str(label)]
        called = rows["score"] >= (-np.inf if np.isnan(threshold) else threshold)
        groups = {
            "true positive": (rows[called & (rows["truth"] == 1)], False),
            "miss": (rows[~called & (rows["truth"] == 1)], True),
            "false alarm": (rows[called & (rows["truth"] == 0)] if threshold == threshold else rows[:0], False),
        }
        for kind, (group, lowest) in groups.items():
            if len(group):
                order = group.sort_values(["known", "score"], ascending=[False, lowest], kind="stable")
                chosen[int(order.index[0])] = kind
    return chosen


def example(image: np.ndarray, saliency: np.ndarray, mask: np.ndarray | None) -> dict[str, np.ndarray]:
    """
    One image as shown: 256 px, or the map's size where larger; values from their 0.5th to their 99.5th percentile.

    Args:
        image: (h, w), values of the file.
        saliency: (s, s), 0 to 1.
        mask: (n, n) bool, or None.

    Returns:
        `image` uint8, `saliency` float16, `mask` bool, each (n, n).
    """
    side = example_side(len(saliency))
    low, high = np.percentile(image, _SHOWN)
    grey = cv2.resize(np.asarray(image, np.float32), (side, side), interpolation=cv2.INTER_AREA)
    shown = np.clip((grey - low) * (255 / max(high - low, 1e-6)), 0, 255).round().astype(np.uint8)
    large = cv2.resize(np.asarray(saliency, np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    marked = np.zeros((side, side), bool) if mask is None else mask
    return {"image": shown, "saliency": large.clip(0, 1).astype(np.float16), "mask": marked}


def example_side(map_side: int) -> int:
    """The side in pixels at which an example is shown."""
    return max(map_side, _LEAST_SIDE)


def write_examples(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as `.npz`, atomically."""
    with atomic_path(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
