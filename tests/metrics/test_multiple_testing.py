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
from scipy.stats import false_discovery_control

from monai_ssl.metrics import benjamini_hochberg, holm

# The 15 p-values of Benjamini and Hochberg 1995, section 3.2: at 0.05 their procedure rejects the first four,
# Bonferroni's and Holm's the first three.
PUBLISHED = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
    *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
]


def _plain_benjamini_hochberg(p_values: list[float]) -> list[float]:
    adjusted = []
    for p in p_values:
        as_large = [q for q in p_values if q >= p]
        adjusted.append(min(1.0, *(q * len(p_values) / sum(r <= q for r in p_values) for q in as_large), 1.0))
    return adjusted


def _plain_holm(p_values: list[float]) -> list[float]:
    adjusted = []
    for p in p_values:
        as_small = [q for q in p_values if q <= p]
        adjusted.append(min(1.0, max(q * sum(r >= q for r in p_values) for q in as_small)))
    return adjusted


def test_the_published_example() -> None:
    assert (benjamini_hochberg(PUBLISHED) <= 0.05).sum() == 4
    assert (holm(PUBLISHED) <= 0.05).sum() == 3
    assert benjamini_hochberg(PUBLISHED)[3] == pytest.approx(0.0095 * 15 / 4)
    assert holm(PUBLISHED)[3] == pytest.approx(0.0095 * 12)


def test_plain_loops_give_the_same_with_ties() -> None:
    random = np.random.default_rng(0)
    for size in (1, 2, 7, 40):
        p_values = random.integers(1, 30, size) / 100
        np.testing.assert_allclose(benjamini_hochberg(p_values), _plain_benjamini_hochberg(p_values.tolist()))
        np.testing.assert_allclose(benjamini_hochberg(p_values), false_discovery_control(p_values))
        np.testing.assert_allclose(holm(p_values), _plain_holm(p_values.tolist()))


def test_nan_is_not_of_the_family_and_the_shape_stays() -> None:
    p_values = np.array([[0.01, np.nan, 0.2], [0.04, 0.03, np.nan]])
    for method in (benjamini_hochberg, holm):
        adjusted = method(p_values)
        assert adjusted.shape == (2, 3)
        assert np.isnan(adjusted[0, 1])
        np.testing.assert_array_equal(adjusted[np.isfinite(p_values)], method(p_values[np.isfinite(p_values)]))
        assert np.isnan(method([np.nan, np.nan])).all()
        assert method([]).tolist() == []
        assert method(0.03) == 0.03
    assert p_values[0, 0] == 0.01


def test_what_is_no_p_value_is_refused() -> None:
    for method in (benjamini_hochberg, holm):
        with pytest.raises(ValueError, match=r"in 0..1, got 2 others, such as 1.2"):
            method([0.1, 1.2, -0.1])
