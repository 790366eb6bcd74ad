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

"""Exemplars by the cosine similarity of features."""

from __future__ import annotations

import numpy as np

__all__ = ["cosine_distance", "select_by_cosine"]

# Features compared at a time, and kept ones that they are compared with: 64 MiB of similarities.
_BLOCK, _KEPT = 1024, 1 << 14
# Sums in float32 depend on their order: equal directions may come out this far apart, and distances are told coarser.
_ROUNDING, _DIGITS = 1e-6, 5


def select_by_cosine(features: np.ndarray, threshold: float) -> np.ndarray:
    """
    Drop every slice whose features lie within `threshold` of those of an earlier kept one.

    The counterpart of `select_exemplars`, with 1 - cosine similarity as the distance.

    Args:
        features: (N, D) float; of any length, only their direction counts. One of length 0 is at 1 from any other.
        threshold: 0 to 2; 0 drops equal directions only.

    Returns:
        (N,) int64: for each slice the earliest kept one within the threshold; its own index where it is kept itself.

    Raises:
        ValueError: for another shape, values that are not finite, or a threshold out of range.

    Example:
        >>> select_by_cosine(np.array([[1.0, 0.0], [2.0, 0.1], [0.0, 1.0]]), 0.1)
        array([0, 0, 2])
    """
    if not 0 <= threshold <= 2:
        raise ValueError(f"threshold must be from 0 to 2 (1 - cosine similarity), got {threshold!r}")
    unit = _unit(features)
    exemplar = np.arange(len(unit))
    kept = np.empty(0, dtype=np.int64)
    for start in range(0, len(unit), _BLOCK):
        block = unit[start : start + _BLOCK]
        exemplar[start : start + len(block)] = _earliest(block, unit, kept, threshold)
        near = _within(block @ block.T, threshold)
        new = np.zeros(len(block), dtype=bool)
        for k in np.flatnonzero(exemplar[start : start + len(block)] < 0):
            earlier = near[k] & new
            new[k] = not earlier.any()
            exemplar[start + k] = start + (k if new[k] else earlier.argmax())
        kept = np.concatenate([kept, start + np.flatnonzero(new)])
    return exemplar


def cosine_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """
    1 - cosine similarity of each pair of rows, to five decimals.

    Args:
        a: (N, D).
        b: (N, D).

    Returns:
        (N,) float64, 0 to 2.

    Example:
        >>> cosine_distance(np.eye(2), np.array([[3.0, 0.0], [1.0, 0.0]])).tolist()
        [0.0, 1.0]
    """
    similarity = np.einsum("nd,nd->n", _unit(a), _unit(b)).astype(np.float64)
    return np.round(1 - similarity, _DIGITS).clip(0, 2)


def _earliest(block: np.ndarray, unit: np.ndarray, kept: np.ndarray, threshold: float) -> np.ndarray:
    """For each of a block the earliest kept slice within the threshold, -1 where there is none."""
    found = np.full(len(block), -1)
    for start in range(0, len(kept), _KEPT):
        part = kept[start : start + _KEPT]
        open_ = np.flatnonzero(found < 0)
        near = _within(block[open_] @ unit[part].T, threshold)
        hit = near.any(axis=1)
        found[open_[hit]] = part[near[hit].argmax(axis=1)]
    return found


def _unit(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, dtype=np.float32)
    if features.ndim != 2 or not np.isfinite(features).all():
        raise ValueError(f"features must be finite and of shape (N, D), got shape {features.shape}")
    # Else squares of what is very large or small would not fit.
    features = features / _or_one(np.abs(features).max(axis=1, initial=0, keepdims=True))
    return features / _or_one(np.linalg.norm(features, axis=1, keepdims=True))


def _or_one(lengths: np.ndarray) -> np.ndarray:
    return np.where(lengths > 0, lengths, 1)


def _within(similarity: np.ndarray, threshold: float) -> np.ndarray:
    return similarity >= np.float32(1 - threshold - _ROUNDING)
