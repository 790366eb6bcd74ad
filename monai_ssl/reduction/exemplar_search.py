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

"""Exemplars among millions of hashes."""

from __future__ import annotations

import numba
import numpy as np

from monai_ssl.reduction.bit_blocks import BitBlocks, choose_bit_blocks
from monai_ssl.reduction.multi_index import MultiIndex, earliest_near, in_order, insert, new_index

__all__ = ["find_exemplars"]

_FIRST = 4096  # kept hashes, up to which comparing with all of them is as fast as an index
_GROWTH = 4  # of the kept hashes, until blocks of bits are chosen anew
_PAIRS = 2048
_BATCH = 65


def find_exemplars(hashes: np.ndarray, threshold: int, exemplar: np.ndarray) -> None:
    """
    For each hash the earliest kept one within the threshold, itself where it is kept.

    "Kept if no earlier kept hash lies within the threshold" is what the reference's loop comes to, so one pass in order
    does, with an index of the hashes kept so far.

    Args:
        hashes: (N,) uint64, contiguous and writable, N below 2**31.
        threshold: 0 to 64 bits.
        exemplar: (N,) int64, written in place.
    """
    random = np.random.default_rng(0)  # for the choice of blocks; what it draws changes the time, not the result
    first = 0
    while first < len(hashes):
        first = _up_to_next_index(hashes, threshold, exemplar, first, random)


def _up_to_next_index(
    hashes: np.ndarray, threshold: int, exemplar: np.ndarray, first: int, random: np.random.Generator
) -> int:
    kept = np.flatnonzero(exemplar[:first] == np.arange(first))
    limit = max(_FIRST, _GROWTH * len(kept))
    blocks = BitBlocks([[]], [threshold])
    if len(kept) >= _FIRST:
        pairs = random.choice(kept, _PAIRS), random.integers(first, len(hashes), _PAIRS)
        blocks = choose_bit_blocks(hashes[pairs[0]] ^ hashes[pairs[1]], threshold, limit // 2)
    index = new_index(blocks, hashes, kept, first)
    return _search(hashes, np.uint64(threshold), exemplar, first, limit - len(kept), index)


@numba.njit(cache=True, nogil=True)
def _search(
    hashes: np.ndarray, threshold: np.uint64, exemplar: np.ndarray, first: int, most_kept: int, index: MultiIndex
) -> int:
    batch = np.empty((_BATCH, 2), np.int64)
    position = first
    while position < len(hashes) and most_kept > 0:
        if position > 0 and hashes[position] == hashes[position - 1]:  # as every third slice of a CT
            exemplar[position] = exemplar[position - 1]
        else:
            ordered = in_order(hashes[position], index)
            exemplar[position] = earliest_near(ordered, threshold, position, batch, index)
            if exemplar[position] == position:
                insert(ordered, position, index)
                most_kept -= 1
        position += 1
    return position
