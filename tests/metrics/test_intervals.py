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

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import bootstrap, norm

from monai_ssl.metrics import (
    bca_interval,
    bootstrap_auc,
    compare_auc,
    paired_p_value,
    percentile_interval,
    roc_auc,
)
from monai_ssl.metrics.redraws import label_strata, leave_out_counts, redraw_counts
from monai_ssl.metrics.statistics import leave_out_auc


@pytest.fixture(name="skewed")
def _skewed() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = (random.random(120) < 0.2).astype(float)
    return labels, np.round(norm.cdf(random.normal(size=120) + 2.0 * labels), 2)


def test_bca_is_scipys_on_the_same_redraws(skewed: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = skewed
    result = bootstrap_auc(labels, scores, redraws=999, seed=1, interval="bca")

    class Drawn:
        bootstrap_distribution = result.samples[:, 0]

    scipys = bootstrap(
        (np.arange(120),),
        lambda rows: roc_auc(labels[rows], scores[rows])[0],
        n_resamples=0,
        bootstrap_result=Drawn(),
        vectorized=False,
        method="BCa",
    )
    np.testing.assert_allclose([result.low[0], result.high[0]], scipys.confidence_interval, atol=1e-12)
    percentile = percentile_interval(result.samples)
    assert abs(percentile[0][0] - result.low[0]) > 0.003  # skewed: the two differ, so the check can fail
    assert scipys.standard_error == pytest.approx(result.sd[0], abs=1e-12)


def test_the_jackknife_leaves_each_patient_out_once(skewed: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = skewed
    groups = np.random.default_rng(2).integers(30, size=120)
    values = leave_out_auc(labels[:, None], scores[None, :, None], groups)[:, 0, 0]
    patients = sorted(set(groups.tolist()), key=str)
    wanted = [roc_auc(labels[groups != one], scores[groups != one])[0] for one in patients]
    np.testing.assert_allclose(values, wanted, atol=1e-12)


def test_more_than_a_thousand_patients_are_left_out_in_blocks() -> None:
    counts = np.concatenate(list(leave_out_counts(3500, np.arange(3500) % 2500)), axis=1)
    assert counts.shape == (3500, 1000)
    patients = counts[:2500]
    assert ((1 - patients).sum(axis=1) == 1).all()
    assert set((1 - patients).sum(axis=0)) == {2, 3}
    np.testing.assert_array_equal(counts[2500:], patients[:1000])


def test_blocks_leave_bca_as_it_is() -> None:
    random = np.random.default_rng(0)
    values = random.exponential(size=6000)
    samples = np.array([values[random.integers(6000, size=6000)].mean() for _ in range(400)])
    one_by_one = (values.sum() - values) / 5999
    blocks = np.concatenate(list(leave_out_counts(6000)), axis=1)
    in_blocks = values @ blocks / blocks.sum(axis=0)
    exact, ours = (np.array(bca_interval(samples, values.mean(), jackknife)) for jackknife in (one_by_one, in_blocks))
    np.testing.assert_allclose(ours, exact, atol=0.05 * np.ptp(exact) / 10)


def test_where_nothing_varies_both_ends_are_the_value() -> None:
    low, high = bca_interval(np.zeros((50, 2)), np.array([0.0, np.nan]), np.zeros((5, 2)))
    np.testing.assert_array_equal([low, high], [[0, np.nan], [0, np.nan]])
    assert np.isnan(bca_interval(np.ones((50,)), np.array(0.0), np.zeros(5))).all()  # all redraws on one side


def test_equal_models_differ_by_nothing_in_both_intervals(skewed: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = skewed
    for interval in ("percentile", "bca"):
        result = compare_auc(labels, scores, scores, redraws=50, interval=interval)
        assert (result.low[0], result.high[0], result.p_value[0]) == (0, 0, 1)
    with pytest.raises(ValueError, match="unknown interval 'normal'; known: percentile, bca"):
        compare_auc(labels, scores, scores, redraws=50, interval="normal")


def test_a_stratified_redraw_has_as_many_patients_of_the_rarest_label_as_the_data() -> None:
    random = np.random.default_rng(0)
    groups = random.integers(80, size=200)
    labels = (random.random((200, 3)) < [0.3, 0.1, 0.02]).astype(float)
    strata = label_strata(labels, groups)
    for block in redraw_counts(200, 40, groups, seed=1, strata=strata):
        for count in block.T:
            for stratum in range(4):
                first = np.unique(groups[strata == stratum], return_index=True)[1]
                assert count[strata == stratum][first].sum() == len(first)
    plain = bootstrap_auc(labels, random.random((200, 3)), 200, groups)
    stratified = bootstrap_auc(labels, random.random((200, 3)), 200, groups, stratify=True)
    assert plain.invalid[2] > 0
    assert stratified.invalid.tolist() == [0, 0, 0]


def test_the_rarest_label_of_any_image_is_the_patients_stratum() -> None:
    labels = np.array([[1, 0], [0, 1], [1, 0], [0, 0], [np.nan, 0]])
    assert label_strata(labels, ["a", "a", "b", "c", "c"]).tolist() == [1, 1, 0, 2, 2]
    with pytest.raises(ValueError, match="1 patients have images in several strata"):
        next(redraw_counts(3, 5, ["a", "a", "b"], strata=np.array([0, 1, 0])))
    with pytest.raises(ValueError, match=r"for each of the 3 images, got shape \(2,\)"):
        next(redraw_counts(3, 5, None, strata=np.array([0, 1])))


@pytest.mark.parametrize("parts", [7, 8, 10, 12])
def test_p_value_counts_as_exact_fractions_do(parts: int) -> None:
    differences = [(Fraction(a - b, parts), a / parts - b / parts) for a in range(parts + 1) for b in range(parts + 1)]
    samples = np.array([number for _, number in differences])
    for exact, number in differences:
        beyond = sum(abs(redrawn - exact) >= abs(exact) for redrawn, _ in differences)
        assert paired_p_value(samples, np.array(number)) == (beyond + 1) / (len(differences) + 1)


def test_bca_takes_a_redraw_that_is_rounded_otherwise_for_a_tie() -> None:
    parts = np.random.default_rng(0).integers(1, 600, 200)
    parts[:60] = 300
    assert 0.1 + 0.2 != 0.3
    jackknife = np.array([1.0, 2, 2, 3, 4, 7])
    exact = np.array(bca_interval(parts, np.array(300), jackknife))
    otherwise = np.where(parts == 300, 0.1 + 0.2, parts / 1000)
    for samples, value in ((parts / 1000, 0.1 + 0.2), (otherwise, 0.3)):
        np.testing.assert_allclose(bca_interval(samples, np.array(value), jackknife), exact / 1000, atol=1e-12)
    # all equal but for the rounding: no width, and no skewness
    assert bca_interval(np.full(9, 0.3), np.array(0.1 + 0.2), np.full(9, 0.3)) == (0.1 + 0.2, 0.1 + 0.2)
    level = np.array([0.3] * 5 + [0.1 + 0.2])
    samples = np.random.default_rng(1).random(200)
    flat = bca_interval(samples, np.array(0.3), np.full(6, 0.3))
    np.testing.assert_array_equal(bca_interval(samples, np.array(0.3), level), flat)
