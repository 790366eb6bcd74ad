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

"""Mutual information of neighbouring slices."""

from __future__ import annotations

import numbers
from collections.abc import Iterable

import cv2
import numpy as np

from monai_ssl.reduction.last_kept import check_pair, keep_by_last_kept

__all__ = ["keep_by_mutual_information", "normalized_mutual_information"]

_LEVELS = 64
_BLOCK = 1 << 24  # pixels counted at a time: OpenCV returns float32, which holds no larger count exactly


def normalized_mutual_information(a: np.ndarray, b: np.ndarray, levels: int = _LEVELS) -> float:
    """
    How much of two 8-bit images is told by the other: 2 I(a; b) / (H(a) + H(b)), over their joint histogram.

    Equal to `sklearn.metrics.normalized_mutual_info_score` of the two images of bins. It asks only whether the grey
    values of one foretell those of the other: a slice and its negative have 1.

    Args:
        a: (H, W) uint8.
        b: (H, W) uint8.
        levels: 2 to 256 equal bins of 0 to 255; a pixel falls into bin `value * levels // 256`.

    Returns:
        0 to 1. An image within one bin carries no information: 1 for two such images, 0 for one against another.

    Raises:
        ValueError: for another dtype, two sizes or levels outside 2 to 256.

    Example:
        >>> image = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
        >>> normalized_mutual_information(image, 255 - image)
        1.0

    Source: Strehl & Ghosh 2002, "Cluster ensembles", https://www.jmlr.org/papers/v3/strehl02a.html, with the
    arithmetic mean of the entropies.
    """
    a, b = np.asarray(a), np.asarray(b)
    check_pair(a, b)
    if not isinstance(levels, numbers.Integral) or not 2 <= levels <= 256:
        raise ValueError(f"levels must be an integer from 2 to 256, got {levels!r}")
    joint = _joint_histogram(a, b, int(levels))
    of_a, of_b = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    entropy_a, entropy_b = _entropy(of_a), _entropy(of_b)
    if not entropy_a or not entropy_b:
        return float(entropy_a == entropy_b)
    # 2 I / (H(a) + H(b)) = 1 - (H(a|b) + H(b|a)) / (H(a) + H(b)): the entropies that are left are sums of logarithms
    # of ratios >= 1, so never below 0, and exactly 0 where the levels of one image are those of the other.
    ratio = np.maximum(of_a * of_b, 1) / np.maximum(joint, 1) ** 2
    left = float((joint * np.log(ratio)).sum()) / a.size
    return max(0.0, 1.0 - left / (entropy_a + entropy_b))


def keep_by_mutual_information(images: Iterable[np.ndarray], threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """
    Drop every slice whose `normalized_mutual_information` with the last kept one is at least 1 - `threshold`.

    Args:
        images: 8-bit slices (H, W) of one size, in order along the axis: a stack (N, H, W), or an iterator that makes
            them one at a time.
        threshold: 1 - similarity, 0 to 1. 0 drops only slices whose 64 levels are those of the kept one, renamed or
            not; 1 keeps the first slice alone.

    Returns:
        exemplar: (N,) int64, the index of the last kept slice at each slice; its own where it is kept.
        distance: (N,) float64, 1 - similarity to that exemplar; 0 for kept.

    Raises:
        ValueError: for a threshold outside 0 to 1, another dtype, or slices of several sizes.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
        >>> keep_by_mutual_information(images[[0, 0, 1, 1]], threshold=0.1)[0]
        array([0, 0, 2, 2])
    """
    return keep_by_last_kept(images, threshold, normalized_mutual_information)


def _joint_histogram(a: np.ndarray, b: np.ndarray, levels: int) -> np.ndarray:
    a, b = np.ravel(a), np.ravel(b)
    joint = np.zeros((levels, levels))
    for start in range(0, a.size, _BLOCK):
        block = [pixels[start : start + _BLOCK] for pixels in (a, b)]
        joint += cv2.calcHist(block, [0, 1], None, [levels, levels], [0, 256, 0, 256])
    return joint


def _entropy(counts: np.ndarray) -> float:
    total = counts.sum()
    return float((counts / total * np.log(total / np.maximum(counts, 1))).sum())
