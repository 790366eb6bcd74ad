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

"""Kept hashes in tables by blocks of their bits, so that the near ones are found without looking at all."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.extending import intrinsic

from monai_ssl.reduction.bit_blocks import BitBlocks

__all__ = ["MultiIndex", "earliest_near", "in_order", "insert", "new_index"]


class MultiIndex(NamedTuple):
    """A table for each block of bits; in it, hashes that are equal in the block lie side by side, at one place."""

    bytes_in_order: np.ndarray  # (8, 256) uint64, where the bits of each byte go, so that a block's bits are neighbours
    shifts: np.ndarray  # (blocks,) uint64
    masks: np.ndarray  # (blocks,) uint64; (hash in order >> shift) & mask is the block as a number
    blocks: np.ndarray  # (P,) int64, of each place to look at for a near hash
    flips: np.ndarray  # (P,) uint64, in which bits that place differs from the hash's own
    starts: np.ndarray  # (blocks + 1,) int64, the rows of each table in places
    places: np.ndarray  # (rows, 2) int32, first hash and the one after the last
    hashes: np.ndarray  # (blocks * capacity,) uint64, bits in order
    positions: np.ndarray  # (blocks * capacity,) int32, ascending in each place


def new_index(blocks: BitBlocks, hashes: np.ndarray, kept: np.ndarray, first: int) -> MultiIndex:
    """
    An index of the kept hashes, with room for all later ones, so that no place ever has to move.

    Args:
        blocks: which bits to look up.
        hashes: (N,) uint64.
        kept: positions of the kept ones, ascending, below `first`.
        first: from here on any hash may still be kept.
    """
    widths = [len(bits) for bits in blocks.bits]
    flips = [_flips(width, radius) for width, radius in zip(widths, blocks.radii, strict=True)]
    starts = np.cumsum([0, *(1 << width for width in widths)])
    room = len(widths) * (len(kept) + len(hashes) - first)
    index = MultiIndex(
        bytes_in_order=_bytes_in_order(blocks),
        shifts=np.cumsum([0, *widths[:-1]]).astype(np.uint64),
        masks=np.array([(1 << width) - 1 for width in widths], np.uint64),
        blocks=np.repeat(np.arange(len(widths)), [len(of_block) for of_block in flips]),
        flips=np.concatenate(flips),
        starts=starts,
        places=np.zeros((starts[-1], 2), np.int32),
        hashes=np.empty(room, np.uint64),
        positions=np.empty(room, np.int32),
    )
    counts = index.places[:, 1]
    _count(hashes[kept], index)
    _count(hashes[first:], index)
    for start, stop in itertools.pairwise(starts):
        index.places[start:stop, 0] = np.cumsum(counts[start:stop]) - counts[start:stop]
    counts[:] = index.places[:, 0]
    _insert_all(hashes, kept, index)
    return index


def _bytes_in_order(blocks: BitBlocks) -> np.ndarray:
    order = list(itertools.chain(*blocks.bits))
    order += sorted(set(range(64)).difference(order))
    table = np.zeros((8, 256), np.uint64)
    values = np.arange(256, dtype=np.uint64)
    for place, bit in enumerate(order):
        table[bit // 8] |= (values >> np.uint64(bit % 8) & np.uint64(1)) << np.uint64(place)
    return table


def _flips(width: int, radius: int) -> np.ndarray:
    chosen = (itertools.combinations(range(width), count) for count in range(min(radius, width) + 1))
    return np.array([sum(1 << bit for bit in bits) for bits in itertools.chain(*chosen)], np.uint64)


def _type_bit_count(context: Any, word: Any) -> Any:
    return word(word), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


_bit_count: Any = intrinsic(_type_bit_count)  # numba has none


@numba.njit(cache=True, nogil=True)
def in_order(word: np.uint64, index: MultiIndex) -> np.uint64:
    """The hash with its bits in order of the blocks; distances stay what they were."""
    ordered = np.uint64(0)
    for byte in range(8):
        ordered |= index.bytes_in_order[byte, (word >> np.uint64(8 * byte)) & np.uint64(255)]
    return ordered


@numba.njit(cache=True, nogil=True)
def _place(ordered: np.uint64, block: int, flip: np.uint64, index: MultiIndex) -> int:
    return index.starts[block] + np.int64(((ordered >> index.shifts[block]) & index.masks[block]) ^ flip)


@numba.njit(cache=True, nogil=True)
def _count(hashes: np.ndarray, index: MultiIndex) -> None:
    for word in hashes:
        ordered = in_order(word, index)
        for block in range(len(index.shifts)):
            index.places[_place(ordered, block, np.uint64(0), index), 1] += 1


@numba.njit(cache=True, nogil=True)
def insert(ordered: np.uint64, position: int, index: MultiIndex) -> None:
    """Add a hash, its bits in order, that stands after all in the index."""
    capacity = len(index.hashes) // len(index.shifts)
    for block in range(len(index.shifts)):
        place = _place(ordered, block, np.uint64(0), index)
        end = index.places[place, 1]
        index.hashes[block * capacity + end] = ordered
        index.positions[block * capacity + end] = position
        index.places[place, 1] = end + 1


@numba.njit(cache=True, nogil=True)
def _insert_all(hashes: np.ndarray, kept: np.ndarray, index: MultiIndex) -> None:
    for position in kept:
        insert(in_order(hashes[position], index), position, index)


@numba.njit(cache=True, nogil=True)
def earliest_near(ordered: np.uint64, threshold: np.uint64, none: int, batch: np.ndarray, index: MultiIndex) -> int:
    """
    Position of the earliest hash of the index within the threshold, or `none`, a position after all of them.

    Args:
        ordered: the hash, its bits in order.
        threshold: the one that the blocks were chosen for.
        none: what to return without a near one.
        batch: (B, 2) int64, to work in. As many places are looked up before the first hash is compared, and a word of
            each cache line read: memory is slow to answer, but answers many questions at a time.
        index: of the kept hashes.
    """
    capacity = len(index.hashes) // len(index.shifts)
    earliest = none
    for start in range(0, len(index.blocks), len(batch) - 1):
        filled = 0
        for probe in range(start, min(start + len(batch) - 1, len(index.blocks))):
            block = index.blocks[probe]
            place = _place(ordered, block, index.flips[probe], index)
            batch[filled, 0] = block * capacity + index.places[place, 0]
            batch[filled, 1] = block * capacity + index.places[place, 1]
            filled += batch[filled, 0] < batch[filled, 1]
        read = np.uint64(0)
        for found in range(filled):
            for candidate in range(batch[found, 0], batch[found, 1], 8):
                read ^= index.hashes[candidate]
        batch[-1, 0] = np.int64(read)  # or the compiler would leave the reading out
        for found in range(filled):
            if earliest == none or index.positions[batch[found, 0]] < earliest:
                earliest = _first_near(ordered, threshold, earliest, batch[found, 0], batch[found, 1], index)
    return earliest


@numba.njit(cache=True, nogil=True)
def _first_near(
    ordered: np.uint64, threshold: np.uint64, earliest: int, candidate: int, end: int, index: MultiIndex
) -> int:
    # Eight comparisons without a branch among them take the time of three with.
    while candidate + 8 <= end:
        near = False
        for further in range(8):
            near |= _bit_count(index.hashes[candidate + further] ^ ordered) <= threshold
        if near:
            break
        candidate += 8
    while candidate < end:
        if _bit_count(index.hashes[candidate] ^ ordered) <= threshold:
            return min(earliest, index.positions[candidate])
        candidate += 1
    return earliest
