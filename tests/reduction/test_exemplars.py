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

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_ssl.reduction import bit_blocks, exemplar_search, exemplars, hamming_distance, select_exemplars
from monai_ssl.reduction.bit_blocks import BitBlocks, choose_bit_blocks

# Few distinct bits, so that duplicates, ties and chains of neighbours are the rule.
HASHES = st.lists(st.integers(0, 63).map(lambda bits: bits * 0x8000_0400_0010_0001 % 2**64) | st.integers(0, 2**64 - 1))
WAYS = pytest.mark.parametrize("way", ["plain", "index"])


def bits_of(hashes):
    return np.unpackbits(np.asarray(hashes, np.uint64)[:, None].view(np.uint8), axis=1) > 0


def reference_loop(hashes, threshold):
    """The greedy loop of the reference, on arrays of bits."""
    bits, indices = bits_of(hashes), np.arange(len(hashes))
    exemplar = np.empty(len(hashes), np.int64)
    while len(bits):
        near = np.logical_xor(bits[0], bits).sum(axis=1) <= threshold
        exemplar[indices[near]] = indices[0]
        bits, indices = bits[~near], indices[~near]
    return exemplar


def select(hashes, threshold, way):
    """All by the plain loop, or all by the index, with blocks of bits from the 8th kept hash on whatever they cost."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exemplars, "_FEW", -1 if way == "index" else 2**31)
        patch.setattr(exemplar_search, "_FIRST", 8)
        patch.setattr(bit_blocks, "_NEAR_PROBE", 0)
        return select_exemplars(np.asarray(hashes, np.uint64), threshold)


def walks(random, count):
    """Volumes of some 100 slices: a bit or two flips from each to the next."""
    steps = np.uint64(1) << random.integers(0, 64, (2, count)).astype(np.uint64)
    steps = steps[0] ^ np.where(random.random(count) < 0.3, steps[1], 0).astype(np.uint64)
    jumps = random.integers(0, 2**64, count, dtype=np.uint64)
    return np.bitwise_xor.accumulate(np.where(random.random(count) < 0.01, jumps, steps))


def uniform(random, count):
    return random.integers(0, 2**64, count, dtype=np.uint64)


def few_bits(random, count):
    return uniform(random, count) & np.uint64(0x0000_F0F0_0000_0FFF)


def half_alike(random, count):
    return np.where(random.random(count) < 0.5, uniform(random, count), few_bits(random, count))


def repeated_bits(random, count):
    odd = uniform(random, count) & np.uint64(0x5555_5555_5555_5555)
    return odd | odd << np.uint64(1)


def all_equal(random, count):
    return np.full(count, uniform(random, 1))


def one_cluster(random, count):
    return np.bitwise_xor.reduce(np.uint64(1) << random.integers(0, 64, (9, count)).astype(np.uint64))


def counting(random, count):
    return np.arange(count, dtype=np.uint64)


@WAYS
@settings(max_examples=150, deadline=None)
@given(hashes=HASHES, threshold=st.integers(0, 64))
def test_equal_to_the_reference_loop(way, hashes, threshold):
    exemplar = select(hashes, threshold, way)
    assert exemplar.dtype == np.int64
    assert exemplar.tolist() == reference_loop(hashes, threshold).tolist()


@WAYS
@pytest.mark.parametrize(
    "draw", [walks, uniform, few_bits, half_alike, repeated_bits, all_equal, one_cluster, counting]
)
@settings(max_examples=6, deadline=None)
@given(count=st.integers(500, 2000), threshold=st.integers(0, 24), seed=st.integers(0, 2**32))
def test_thousands_equal_to_the_reference_loop(way, draw, count, threshold, seed):
    hashes = draw(np.random.default_rng(seed), count)
    np.testing.assert_array_equal(select(hashes, threshold, way), reference_loop(hashes, threshold))


@pytest.mark.parametrize("threshold", [0, 3, 6, 12])
def test_both_ways_agree_where_the_index_is_rebuilt(threshold, monkeypatch):
    hashes = np.concatenate([draw(np.random.default_rng(0), 9000) for draw in (uniform, walks)])
    by_index = select_exemplars(hashes, threshold)
    monkeypatch.setattr(exemplars, "_FEW", len(hashes))
    np.testing.assert_array_equal(by_index, select_exemplars(hashes, threshold))


@st.composite
def blocks_and_thresholds(draw):
    """Any blocks that keep the promise of `BitBlocks`."""
    count = draw(st.integers(1, 8))
    bits, order = [], draw(st.permutations(range(64)))
    for block in range(count):
        bits.append(order[8 * block : 8 * block + draw(st.integers(0, 8))])
    radii = draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    return BitBlocks(bits, radii), sum(radii) + count - 1


@settings(max_examples=100, deadline=None)
@given(blocks_and_thresholds(), st.integers(0, 2**32))
def test_any_blocks_give_the_same_exemplars(chosen, seed):
    blocks, threshold = chosen
    hashes = walks(np.random.default_rng(seed), 300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exemplar_search, "choose_bit_blocks", lambda *_: blocks)
        exemplar = select(hashes, threshold, "index")
    np.testing.assert_array_equal(exemplar, reference_loop(hashes, threshold))


@pytest.mark.parametrize("draw", [walks, uniform, few_bits, half_alike, repeated_bits, all_equal])
def test_blocks_keep_their_promise(draw):
    random = np.random.default_rng(0)
    differences = draw(random, 512) ^ random.permutation(draw(random, 512))
    for kept in (100, 1_000_000):
        for threshold in (0, 1, 2, 6, 7, 11, 20, 64):
            blocks = choose_bit_blocks(differences, threshold, kept)
            assert sum(radius + 1 for radius in blocks.radii) == threshold + 1
            used = [bit for bits in blocks.bits for bit in bits]
            assert len(used) == len(set(used)) <= 64


def test_blocks_leave_few_candidates_where_half_of_the_hashes_are_alike_in_half_of_the_bits():
    random = np.random.default_rng(0)
    hashes = uniform(random, 4096)
    hashes[::2] &= np.uint64(0xFFFF_FFFF)
    differences = random.permutation(hashes)[:2048] ^ random.permutation(hashes)[:2048]
    blocks = choose_bit_blocks(differences, 6, 200_000)
    bits = bits_of(differences)
    near = [bits[:, block].sum(axis=1) <= radius for block, radius in zip(blocks.bits, blocks.radii, strict=True)]
    assert np.sum(np.mean(near, axis=1)) < 0.05
    assert np.mean(differences >> np.uint64(48) == 0) > 0.2  # the first 16 bits as a block


def test_thousands_of_noisy_copies_find_their_originals():
    random = np.random.default_rng(0)
    originals = uniform(random, 500)
    source = np.concatenate([np.arange(500), random.integers(0, 500, 9500)])
    flips = (np.uint64(1) << random.integers(0, 64, (2, 10000)).astype(np.uint64)) * (np.arange(10000) >= 500)
    exemplar = select_exemplars(originals[source] ^ flips[0] ^ flips[1], threshold=3)
    np.testing.assert_array_equal(exemplar, source)  # random originals are some 32 bits apart


@WAYS
def test_each_exemplar_is_the_earliest_kept_one_in_reach(way):
    hashes = one_cluster(np.random.default_rng(0), 3000)
    exemplar = select(hashes, 9, way)
    kept = np.flatnonzero(exemplar == np.arange(len(hashes)))
    for index, own in enumerate(exemplar):
        earlier = kept[kept <= index]
        assert own == earlier[hamming_distance(hashes[earlier], hashes[index]) <= 9][0]


@WAYS
def test_arrays_that_are_views_or_read_only(way):
    hashes = walks(np.random.default_rng(0), 600)
    view = np.repeat(hashes, 2)[::2]
    view.flags.writeable = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exemplars, "_FEW", -1 if way == "index" else 600)
        np.testing.assert_array_equal(select_exemplars(view, 6), reference_loop(hashes, 6))


def test_few_hashes_do_not_load_numba():
    code = (
        "import sys, numpy as np; from monai_ssl.reduction import select_exemplars\n"
        "select_exemplars(np.arange(4096, dtype=np.uint64), 6); sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("threshold", [-1, 65, 6.5, "6", True, None])
def test_threshold_outside_its_range_is_refused(threshold):
    with pytest.raises(ValueError, match="from 0 to 64"):
        select_exemplars(np.zeros(3, np.uint64), threshold)


@pytest.mark.parametrize("hashes", [np.zeros(3, np.int64), np.zeros((3, 1), np.uint64), np.zeros(3)])
def test_other_hashes_are_refused(hashes):
    with pytest.raises(ValueError, match=r"shape \(N,\) and dtype uint64"):
        select_exemplars(hashes, 6)


def test_more_hashes_than_can_be_counted_are_refused():
    with pytest.raises(ValueError, match=r"fewer than 2\*\*31"):
        select_exemplars(np.broadcast_to(np.uint64(0), 2**31), 6)
