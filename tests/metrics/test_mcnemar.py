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

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest, chi2

from monai_ssl.metrics import mcnemar_test


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 1), (1, 1), (5, 1), (12, 12), (3, 40), (0, 60), (480, 560)])
def test_one_image_per_patient_is_the_exact_binomial_test(only_a: int, only_b: int) -> None:
    right_a = np.repeat([1, 0, 1, 0], [only_a, only_b, 7, 5])
    right_b = np.repeat([0, 1, 1, 0], [only_a, only_b, 7, 5])
    expected = binomtest(only_a, only_a + only_b).pvalue
    assert mcnemar_test(right_a, right_b) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_test(right_b, right_a, groups=np.arange(len(right_a))) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_patients_of_several_images_equal_every_exchange_counted(seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(9), random.integers(1, 5, 9))
    right = random.random((2, len(groups))) < [[0.8], [0.5]]
    differences = np.array([right[0, groups == g].sum() - right[1, groups == g].sum() for g in range(9)])
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product([-1, 1], repeat=9)]
    expected = np.mean(np.array(sums) >= abs(differences.sum()))
    assert mcnemar_test(*right, groups) == pytest.approx(expected, rel=1e-12)
    assert mcnemar_test(*right[::-1], groups) == mcnemar_test(*right, groups)


def test_many_patients_come_near_the_chi_squared_of_yang_2010() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(3000), random.integers(1, 5, 3000))
    skill = random.normal(size=(2, 3000))[:, groups]
    right = random.random((2, len(groups))) < 1 / (1 + np.exp(-skill - [[0.0], [0.04]]))
    differences = np.bincount(groups, right[0]) - np.bincount(groups, right[1])
    statistic = differences.sum() ** 2 / (differences**2).sum()
    p_value = mcnemar_test(*right, groups)
    assert p_value == pytest.approx(chi2.sf(statistic, 1), rel=0.1)
    assert 0.001 < p_value < 0.5
    # images of a patient taken for independent ones
    assert mcnemar_test(*right) < 0.7 * p_value


def test_every_image_thrice_tells_no_more_than_once() -> None:
    random = np.random.default_rng(1)
    right = random.random((2, 40)) < [[0.9], [0.7]]
    once = mcnemar_test(*right)
    assert mcnemar_test(*np.tile(right, 3), groups=np.tile(np.arange(40), 3)) == pytest.approx(once)


def test_no_difference_has_p_one_and_the_largest_is_not_zero() -> None:
    right = np.array([1, 0, 1, 1])
    assert mcnemar_test(right, right) == 1
    assert mcnemar_test([1, 0, 1, 0], [0, 1, 0, 1], groups=list("aabb")) == 1
    assert mcnemar_test([1, 0, 1], [0, 1, 1]) == 1
    assert 0 < mcnemar_test(np.ones(5000), np.zeros(5000)) < 1e-300


def test_unknown_images_are_left_out() -> None:
    right_a, right_b = np.array([1, 1, 1, np.nan, 0, 1]), np.array([0, 0, 0, 1, np.nan, 1])
    assert mcnemar_test(right_a, right_b) == 2 / 2**3
    groups = list("aabcde")
    assert mcnemar_test(right_a, right_b, groups) == 2 / 2**2


def test_input_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one shape, \(N,\), N > 0, got \(2,\) and \(3,\)"):
        mcnemar_test([1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match=r"right_b must be 0, 1 or NaN, got 1 others, such as 0.7"):
        mcnemar_test([1, 0], [1, 0.7])
    with pytest.raises(ValueError, match="2 images, got 3"):
        mcnemar_test([1, 0], [1, 0], groups=["a", "b", "c"])
