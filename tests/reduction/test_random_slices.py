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

from monai_ssl.reduction.random_slices import keep_at_random


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 80), st.floats(0.001, 1), st.integers(0, 2**32 - 1))
def test_the_share_is_kept_and_the_nearest_kept_slice_stands_for_the_rest(count, fraction, seed):
    exemplar, distance = keep_at_random(count, fraction, seed)
    kept = np.flatnonzero(exemplar == np.arange(count)).tolist()
    assert len(kept) == (max(1, round(fraction * count)) if count else 0)
    nearest = [min(kept, key=lambda other: (abs(other - index), other)) for index in range(count)]
    assert exemplar.tolist() == nearest
    assert distance.tolist() == [abs(index - own) for index, own in enumerate(nearest)]
    assert exemplar.dtype == np.int64
    assert distance.dtype == np.float64


def test_one_seed_gives_one_draw_and_another_another():
    first, second, other, other_volume = (keep_at_random(500, 0.1, seed)[0] for seed in (0, 0, 1, (0, 1)))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    assert (first != other_volume).any()


def test_every_place_is_as_likely_as_any_other():
    draws = sum(keep_at_random(20, 0.25, seed)[1] == 0 for seed in range(4000))
    assert draws.sum() == 20_000
    # 1000 expected, binomial spread 27; five of them are passed once in 90,000 runs of the 20 places.
    assert np.abs(draws - 1000).max() < 5 * np.sqrt(4000 * 0.25 * 0.75)


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_fraction_outside_its_range_is_refused(fraction):
    with pytest.raises(ValueError, match="above 0 and at most 1, got"):
        keep_at_random(10, fraction, 0)


def test_negative_count_is_refused():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        keep_at_random(-1, 0.5, 0)
