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

"""Which bits of a hash to look up, so that few candidates are left to compare."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

__all__ = ["BitBlocks", "choose_bit_blocks"]

_BITS = 64
_MOST_BLOCKS = 8  # of 8 bits each; more and smaller ones leave nearly every hash a candidate
_WIDEST = 22  # a block of w bits has a table of 2**w places
# What looking up one place of a table costs, in comparisons of two hashes: a table beyond 17 bits leaves the caches.
_NEAR_PROBE, _FAR_PROBE, _WIDEST_NEAR = 20, 45, 17


class BitBlocks(NamedTuple):
    """
    Disjoint groups of bits, and how many bits of each may differ when it is looked up.

    The sum of `radius + 1` is `threshold + 1`. So two hashes within the threshold are within the radius in one block at
    least: were they not, they would differ in `radius + 1` bits of every block, more than the threshold in all.
    """

    bits: list[list[int]]
    radii: list[int]


def choose_bit_blocks(differences: np.ndarray, threshold: int, kept: int) -> BitBlocks:
    """
    The blocks and radii whose look-up is expected to cost least.

    Bits are dealt to the blocks in turn, each time the one that tells most of those pairs apart that are still alike in
    the block. Constant bits are so left out, and bits that repeat each other come into different blocks.

    Args:
        differences: (P,) uint64, exclusive or of hashes to come and kept ones, drawn at random; P a multiple of 64.
        threshold: 0 to 64 bits.
        kept: how many kept hashes there will be, at least 1.

    Returns:
        The blocks. A single one without bits where it is cheapest to compare with all kept hashes.

    Example:
        >>> differences = np.random.default_rng(0).integers(0, 2**64, 2048, dtype=np.uint64)
        >>> choose_bit_blocks(differences, threshold=6, kept=400_000).radii
        [1, 1, 1, 0]

    Source: Norouzi et al. 2014, "Fast Exact Search in Hamming Space with Multi-Index Hashing",
    https://arxiv.org/abs/1307.2982.
    """
    differs = np.unpackbits(differences.astype("<u8").view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
    columns = np.packbits(np.ascontiguousarray(differs.T), axis=1).view(np.uint64)
    widest = min(_WIDEST, kept.bit_length() + 1)
    most_blocks = min(threshold + 1, _MOST_BLOCKS)
    best, least = BitBlocks([[]], [threshold]), float(kept)
    # Fewer blocks than these would be no wider, and have larger radii.
    for blocks in range(min(_BITS // widest, most_blocks), most_blocks + 1):
        radii = [(threshold + 1 + block) // blocks - 1 for block in range(blocks)][::-1]
        dealt = _deal_bits(columns, blocks, min(_BITS // blocks, widest))
        costs = _costs(differs[:, dealt], radii, kept)
        width = int(costs.argmin()) + 1
        if costs[width - 1] < least:
            best, least = BitBlocks(dealt[:, :width].tolist(), radii), costs[width - 1]
    return best


def _deal_bits(columns: np.ndarray, blocks: int, width: int) -> np.ndarray:
    # columns: for each bit, which pairs differ in it, 64 pairs to the word.
    free = np.ones(_BITS, np.bool_)
    alike = np.full((blocks, columns.shape[1]), ~np.uint64(0))
    apart = np.bitwise_count(columns).sum(axis=1, dtype=np.int64)
    dealt = np.empty((blocks, width), np.int64)
    for place in range(width):
        for block in range(blocks):
            newly_apart = np.bitwise_count(columns & alike[block]).sum(axis=1, dtype=np.int64)
            bit = np.where(free, newly_apart * (_BITS * columns.shape[1] + 1) + apart, -1).argmax()
            free[bit] = False
            alike[block] &= ~columns[bit]
            dealt[block, place] = bit
    return dealt


def _costs(differs: np.ndarray, radii: list[int], kept: int) -> np.ndarray:
    # differs: (pairs, blocks, width); a cost for blocks of the first bit of each, of the first two, and so on.
    widths = range(1, differs.shape[2] + 1)
    places = np.array(
        [[sum(math.comb(width, flips) for flips in range(radius + 1)) for width in widths] for radius in radii]
    )
    near = differs.cumsum(axis=2, dtype=np.uint8) <= np.array(radii, np.uint8)[:, None]
    # A share too small for the pairs to show is at least that of evenly spread hashes.
    shares = np.maximum(near.mean(axis=0), places / 2.0 ** np.array(widths))
    probe = np.where(np.array(widths) <= _WIDEST_NEAR, _NEAR_PROBE, _FAR_PROBE)
    return places.sum(axis=0) * probe + kept * shares.sum(axis=0)
