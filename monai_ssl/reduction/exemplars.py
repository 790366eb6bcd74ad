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

"""Which of many hashes stand for the rest."""

from __future__ import annotations

import numbers

import numpy as np

__all__ = ["hamming_distance", "select_exemplars"]

# Hashes up to which a plain loop takes less time than loading numba, however many of them are kept.
_FEW = 4096


def select_exemplars(hashes: np.ndarray, threshold: int) -> np.ndarray:
    """
    Drop every hash that lies within `threshold` bits of an earlier kept one.

    The kept set is that of the reference: take the first remaining hash, drop all remaining ones within the threshold,
    repeat. The order of `hashes` therefore matters, and hashes that are appended change nothing for those before.

    Args:
        hashes: (N,) uint64, N below 2**31.
        threshold: Hamming distance, 0 to 64. 0 drops exact duplicates only, 64 keeps the first alone.

    Returns:
        (N,) int64: for each hash the earliest kept one within the threshold; its own index where it is kept itself.

    Raises:
        ValueError: for another shape or dtype, or a threshold outside 0 to 64.

    Example:
        >>> select_exemplars(np.array([0b0000, 0b0001, 0b1111], dtype=np.uint64), threshold=2)
        array([0, 0, 2])

    Source: Wolf et al. 2024, "Less is More", https://arxiv.org/abs/2410.14524.
    """
    hashes = np.asarray(hashes)
    _check(hashes, threshold)
    exemplar = np.empty(len(hashes), np.int64)
    if len(hashes) <= _FEW:
        _select_plainly(hashes, threshold, exemplar)
    else:
        # Not at the top: importing numba takes a process seconds, and a worker never has this many hashes.
        from monai_ssl.reduction.exemplar_search import find_exemplars

        find_exemplars(np.require(hashes, requirements=["C", "A", "W"]), int(threshold), exemplar)
    return exemplar


def _check(hashes: np.ndarray, threshold: int) -> None:
    if hashes.ndim != 1 or hashes.dtype != np.uint64:
        raise ValueError(f"hashes must have shape (N,) and dtype uint64, got {hashes.shape} and {hashes.dtype}")
    if len(hashes) >= 2**31:
        raise ValueError(f"hashes must be fewer than 2**31, got {len(hashes)}; reduce them by patient")
    whole = isinstance(threshold, numbers.Integral) and not isinstance(threshold, bool)
    if not whole or not 0 <= threshold <= 64:
        raise ValueError(f"threshold must be an integer from 0 to 64 (bits that differ), got {threshold!r}")


def _select_plainly(hashes: np.ndarray, threshold: int, exemplar: np.ndarray) -> None:
    remaining, candidates = np.arange(len(hashes)), hashes
    while len(remaining):
        near = hamming_distance(candidates, candidates[0]) <= threshold
        exemplar[remaining[near]] = remaining[0]
        remaining, candidates = remaining[~near], candidates[~near]


def hamming_distance(a: np.ndarray, b: np.ndarray | np.uint64) -> np.ndarray:
    """
    The number of bits that differ.

    Args:
        a: uint64 of any shape.
        b: uint64, broadcast against `a`.

    Returns:
        uint8, 0 to 64.

    Example:
        >>> int(hamming_distance(np.uint64(0b1100), np.uint64(0b1010)))
        2
    """
    return np.bitwise_count(np.bitwise_xor(a, b))
