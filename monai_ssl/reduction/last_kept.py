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

"""Dropping slices that resemble the last kept one: the loop that similarities without an index share."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable

import numpy as np

__all__ = ["check_pair", "keep_by_last_kept"]


def keep_by_last_kept(
    images: Iterable[np.ndarray], threshold: float, similarity: Callable[[np.ndarray, np.ndarray], float]
) -> tuple[np.ndarray, np.ndarray]:
    """
    Walk through a volume and drop every slice that lies within `threshold` of the last kept one.

    Each slice is compared once, and only the last kept one is held, however long the volume.

    Args:
        images: 8-bit slices (H, W) of one size, in order along the axis: a stack (N, H, W), or an iterator that makes
            them one at a time, which may hand out the same array again.
        threshold: 1 - similarity, 0 to 1. 0 drops only what has similarity 1.
        similarity: of two slices, the kept one first; at most 1.

    Returns:
        exemplar: (N,) int64, the index of the last kept slice at each slice; its own where it is kept.
        distance: (N,) float64, 1 - similarity to that exemplar; 0 for kept.

    Raises:
        ValueError: for a threshold outside 0 to 1, or a slice that is not uint8, has no pixels or is of another size.
    """
    if not isinstance(threshold, numbers.Real) or isinstance(threshold, bool) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be a number from 0 to 1 (1 - similarity), got {threshold!r}")
    exemplar: list[int] = []
    distances: list[float] = []
    kept: np.ndarray | None = None
    for index, image in enumerate(map(np.asarray, images)):
        if kept is None:
            check_pair(image, image)
        elif (distance := 1.0 - similarity(kept, image)) <= threshold:
            exemplar.append(exemplar[-1])
            distances.append(distance)
            continue
        kept = image.copy()
        exemplar.append(index)
        distances.append(0.0)
    return np.array(exemplar, dtype=np.int64), np.array(distances, dtype=np.float64)


def check_pair(a: np.ndarray, b: np.ndarray) -> None:
    """Refuse what is not two 8-bit images (H, W) of one size, with pixels."""
    for image in (a, b):
        if image.ndim != 2 or 0 in image.shape or image.dtype != np.uint8:
            raise ValueError(
                "an image must have shape (H, W), H and W at least 1, and dtype uint8, "
                f"got {image.shape} and {image.dtype}; convert other values with to_uint8"
            )
    if a.shape != b.shape:
        raise ValueError(f"two images, or the slices of a volume, must have one size, got {a.shape} and {b.shape}")
