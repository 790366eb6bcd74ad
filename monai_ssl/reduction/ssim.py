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

"""Structural similarity of neighbouring slices."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from monai_ssl.reduction.last_kept import check_pair, keep_by_last_kept

__all__ = ["keep_by_ssim", "structural_similarity"]

_RADIUS = 5  # of the window


def structural_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """
    The mean structural similarity (SSIM) of two 8-bit images, under a Gaussian window of sigma 1.5 and 11x11 pixels.

    Equal to `skimage.metrics.structural_similarity(a, b, data_range=255, gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False)`, where the window lies within the image. Two equal images have exactly 1.

    Args:
        a: (H, W) uint8. Where a side is shorter than the window, 11 pixels, both images are mirrored at its two ends,
            so that the window can centre on each of its pixels.
        b: (H, W) uint8.

    Returns:
        -1 to 1.

    Raises:
        ValueError: for another dtype, or two sizes.

    Example:
        >>> ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
        >>> structural_similarity(ramp, ramp)
        1.0
        >>> round(structural_similarity(ramp, ramp + 10), 4)
        0.9257

    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity",
    https://doi.org/10.1109/TIP.2003.819861.
    """
    a, b = np.asarray(a), np.asarray(b)
    check_pair(a, b)
    from monai_ssl.reduction.ssim_kernel import mean_similarity

    return min(1.0, mean_similarity(_prepare(a), _prepare(b)))


def keep_by_ssim(images: Iterable[np.ndarray], threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """
    Drop every slice whose `structural_similarity` to the last kept one is at least 1 - `threshold`.

    Args:
        images: 8-bit slices (H, W) of one size, in order along the axis: a stack (N, H, W), or an iterator that makes
            them one at a time.
        threshold: 1 - similarity, 0 to 1. 0 drops copies only; 1 still keeps slices of negative similarity.

    Returns:
        exemplar: (N,) int64, the index of the last kept slice at each slice; its own where it is kept.
        distance: (N,) float64, 1 - similarity to that exemplar; 0 for kept.

    Raises:
        ValueError: for a threshold outside 0 to 1, another dtype, or slices of several sizes.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
        >>> keep_by_ssim(images[[0, 0, 1, 1]], threshold=0.1)[0]
        array([0, 0, 2, 2])
    """
    return keep_by_last_kept(images, threshold, structural_similarity)


def _prepare(image: np.ndarray) -> np.ndarray:
    if min(image.shape) <= 2 * _RADIUS:
        image = np.pad(image, [(_RADIUS * (side <= 2 * _RADIUS),) * 2 for side in image.shape], mode="symmetric")
    return np.ascontiguousarray(image)
