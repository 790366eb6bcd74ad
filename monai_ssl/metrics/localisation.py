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

"""How well a map of where a network looks meets the lesion: overlap, pointing game, and a figure without threshold."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from monai_ssl.metrics.auc import roc_auc

__all__ = ["centred_gaussian", "dice", "iou", "localisation_scores", "pointing_game"]

THRESHOLD = 0.5
_WIDTH = 0.25


def dice(saliency: np.ndarray, mask: np.ndarray, threshold: float = THRESHOLD) -> float:
    """
    Dice overlap of the lesion with the pixels whose saliency is at least `threshold` of the map's highest value.

    RadImageNet scores class activation maps by Dice on lesions; which threshold it took could not be confirmed, so half
    of the highest value, the usual one, is the default.

    Args:
        saliency: (H, W), 0 or above. Where it is 0 everywhere nothing is counted as marked.
        mask: (H, W) bool, the lesion; one pixel at least.
        threshold: above 0, at most 1.

    Returns:
        0 to 1.

    Raises:
        ValueError: for other shapes, an empty mask, negative or non-finite saliency, or another threshold.

    Example:
        >>> dice(np.array([[1.0, 0.6], [0.1, 0.0]]), np.array([[True, False], [False, False]])).__round__(3)
        0.667

    See Mei et al., Radiology: AI 2022, doi 10.1148/ryai.210315.
    """
    both, either = _overlap(saliency, mask, threshold)
    return 2 * both / (both + either)


def iou(saliency: np.ndarray, mask: np.ndarray, threshold: float = THRESHOLD) -> float:
    """
    Intersection over union of the same two regions as :py:func:`dice`.

    Args:
        saliency, mask, threshold: as of `dice`.

    Returns:
        0 to 1.

    Raises:
        ValueError: as `dice`.

    Example:
        >>> iou(np.array([[1.0, 0.6], [0.1, 0.0]]), np.array([[True, False], [False, False]]))
        0.5
    """
    both, either = _overlap(saliency, mask, threshold)
    return both / either


def pointing_game(saliency: np.ndarray, mask: np.ndarray, tolerance: float = 0.0) -> float:
    """
    Whether the highest point of a map lies in the lesion: 1 for a hit, 0 for a miss.

    Of several equally high points each counts for its share, so that a constant map scores what chance does: the
    lesion's share of the image.

    Args:
        saliency, mask: as of :py:func:`dice`.
        tolerance: pixels; a point so near the lesion is a hit too. The paper takes 15 px, on photographs.

    Raises:
        ValueError: as `dice`, or for a negative tolerance.

    Example:
        >>> pointing_game(np.ones((4, 4)), np.eye(4, dtype=bool))
        0.25

    See Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016 (https://arxiv.org/abs/1608.00507).
    """
    saliency, mask = _checked(saliency, mask)
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be 0 px or above, got {tolerance}")
    rows, columns = np.nonzero(saliency == saliency.max())
    if not tolerance:
        return float(mask[rows, columns].mean())
    return float((distance_transform_edt(~mask)[rows, columns] <= tolerance).mean())


def localisation_scores(saliency: np.ndarray, mask: np.ndarray, threshold: float = THRESHOLD) -> dict[str, float]:
    """
    All figures of one map.

    Args:
        saliency, mask, threshold: as of :py:func:`dice`.

    Returns:
        `dice`, `iou`, `hit` (:py:func:`pointing_game`, no tolerance) and `pixel_auc`: the AUC of the saliency for
        telling the lesion's pixels from the others, which needs no threshold; NaN where the lesion fills the image.

    Raises:
        ValueError: as `dice`.

    Example:
        >>> localisation_scores(np.array([[1.0, 0.6], [0.1, 0.0]]), np.array([[True, False], [False, False]]))["hit"]
        1.0
    """
    return {
        "dice": dice(saliency, mask, threshold),
        "iou": iou(saliency, mask, threshold),
        "hit": pointing_game(saliency, mask),
        "pixel_auc": float(roc_auc(np.ravel(mask).astype(np.float64)[:, None], np.ravel(saliency)[:, None])[0]),
    }


def centred_gaussian(height: int, width: int) -> np.ndarray:
    """
    A map that looks at the middle, whatever the image: what a map must beat to say anything.

    Args:
        height, width: pixels.

    Returns:
        (height, width) float64, 1 in the middle; the standard deviation is a quarter of each side.

    Example:
        >>> centred_gaussian(3, 3)[1, 1]
        np.float64(1.0)
    """
    rows, columns = ((np.arange(side) + 0.5 - side / 2) / (side * _WIDTH) for side in (height, width))
    return np.exp(-0.5 * (rows[:, None] ** 2 + columns[None] ** 2))


def _overlap(saliency: np.ndarray, mask: np.ndarray, threshold: float) -> tuple[float, float]:
    saliency, mask = _checked(saliency, mask)
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, a share of the highest value, got {threshold}")
    marked = (saliency >= threshold * saliency.max()) & (saliency > 0)
    return float((marked & mask).sum()), float((marked | mask).sum())


def _checked(saliency: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    saliency, mask = np.asarray(saliency), np.asarray(mask, bool)
    if saliency.ndim != 2 or saliency.shape != mask.shape:
        raise ValueError(f"map and mask must be (H, W) of one shape, got {saliency.shape} and {mask.shape}")
    if not mask.any():
        raise ValueError("the mask is empty; only images that show the lesion can be scored")
    if not np.isfinite(saliency).all() or saliency.min() < 0:
        raise ValueError("the map must be finite and 0 or above; what speaks against the class counts as 0")
    return saliency, mask
