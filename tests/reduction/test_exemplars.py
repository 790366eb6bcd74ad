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

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_ssl.reduction import hamming_distance, select_exemplars


def reference_loop(hashes, threshold):
    """The greedy loop of the reference, on plain integers."""
    remaining, exemplar = list(range(len(hashes))), [0] * len(hashes)
    while remaining:
        first = remaining[0]
        near = [i for i in remaining if bin(hashes[i] ^ hashes[first]).count("1") <= threshold]
        for i in near:
            exemplar[i] = first
        remaining = [i for i in remaining if i not in near]
    return exemplar


# Few distinct bits, so that duplicates, ties and chains of neighbours are the rule.
HASHES = st.lists(st.integers(0, 63).map(lambda bits: bits * 0x8000_0400_0010_0001 % 2**64) | st.integers(0, 2**64 - 1))


@settings(max_examples=300, deadline=None)
@given(HASHES, st.integers(0, 64))
def test_equal_to_the_reference_loop(hashes, threshold):
    exemplar = select_exemplars(np.array(hashes, np.uint64), threshold)
    assert exemplar.dtype == np.int64
    assert exemplar.tolist() == reference_loop(hashes, threshold)


@settings(max_examples=100, deadline=None)
@given(HASHES, st.integers(0, 64))
def test_each_exemplar_is_the_earliest_kept_one_in_reach(hashes, threshold):
    hashes = np.array(hashes, np.uint64)
    exemplar = select_exemplars(hashes, threshold)
    kept = np.flatnonzero(exemplar == np.arange(len(hashes)))
    for index, own in enumerate(exemplar):
        earlier = kept[kept <= index]
        assert own == earlier[hamming_distance(hashes[earlier], hashes[index]) <= threshold][0]


def test_thousands_of_noisy_copies_find_their_originals():
    rng = np.random.default_rng(0)
    originals = rng.integers(0, 2**64, 500, dtype=np.uint64)
    source = np.concatenate([np.arange(500), rng.integers(0, 500, 9500)])
    flips = (np.uint64(1) << rng.integers(0, 64, (2, 10000)).astype(np.uint64)) * (np.arange(10000) >= 500)
    exemplar = select_exemplars(originals[source] ^ flips[0] ^ flips[1], threshold=3)
    np.testing.assert_array_equal(exemplar, source)  # random originals are some 32 bits apart


@pytest.mark.parametrize("threshold", [-1, 65, 6.5, "6", True, None])
def test_threshold_outside_its_range_is_refused(threshold):
    with pytest.raises(ValueError, match="from 0 to 64"):
        select_exemplars(np.zeros(3, np.uint64), threshold)


@pytest.mark.parametrize("hashes", [np.zeros(3, np.int64), np.zeros((3, 1), np.uint64), np.zeros(3)])
def test_other_hashes_are_refused(hashes):
    with pytest.raises(ValueError, match=r"shape \(N,\) and dtype uint64"):
        select_exemplars(hashes, 6)
