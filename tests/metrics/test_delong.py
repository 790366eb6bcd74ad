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
import tracemalloc

import numpy as np
import pytest
from scipy.stats import chi2, norm
from sklearn.metrics import roc_auc_score

from monai_ssl.metrics import delong_covariance, delong_test

# Albumin, total protein, K-G score and whether surgery was of use: 43 of the 49 women with ovarian cancer of DeLong,
# DeLong and Clarke-Pearson 1988, as printed with the example "Comparing Receiver Operating Characteristic Curves" of
# SAS/STAT's LOGISTIC procedure.
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
3.8 5.7 5 1   3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
2.3 4.4 6 1   4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1   4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
3.7 6.1 5 1   3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
3.3 5.7 6 1   3.7 6.9 5 1  3.6 6.6 5 1
"""


def _made_up(images: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = random.random(images) < 0.4
    return labels, np.round(random.normal(size=(3, images)) + labels, 1)  # of many ties


def _plain(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's components and Obuchowski's sums over patients, as the papers print them, by loops over pairs."""
    sick, well = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    patients = sorted(set(groups))
    m, n, everyone = len(sick), len(well), len(patients)
    with_sick, with_well = (sum(any(groups[i] == g for i in side) for g in patients) for side in (sick, well))
    auc, sums = [], []
    for model in scores:
        won = [[1.0 if model[i] > model[j] else 0.5 if model[i] == model[j] else 0.0 for j in well] for i in sick]
        a = sum(map(sum, won)) / (m * n)
        v10 = [sum(row) / n for row in won]
        v01 = [sum(row[j] for row in won) / m for j in range(n)]
        per_patient = []
        for g in patients:
            x = sum(v - a for v, i in zip(v10, sick, strict=True) if groups[i] == g)
            y = sum(v - a for v, j in zip(v01, well, strict=True) if groups[j] == g)
            per_patient.append((x, y))
        auc.append(a)
        sums.append(per_patient)
    covariance = np.zeros((len(scores), len(scores)))
    for a, b in itertools.product(range(len(scores)), repeat=2):
        pairs = list(zip(sums[a], sums[b], strict=True))
        s10 = with_sick / ((with_sick - 1) * m) * sum(p[0] * q[0] for p, q in pairs)
        s01 = with_well / ((with_well - 1) * n) * sum(p[1] * q[1] for p, q in pairs)
        s11 = everyone / (everyone - 1) * sum(p[0] * q[1] for p, q in pairs)
        s11_back = everyone / (everyone - 1) * sum(p[1] * q[0] for p, q in pairs)
        covariance[a, b] = s10 / m + s01 / n + (s11 + s11_back) / (m * n)
    return np.array(auc), covariance


def test_the_example_of_delong_1988_as_sas_prints_it() -> None:
    table = np.array(OVARIAN.split(), float).reshape(-1, 4)
    labels, albumin, protein, score = table[:, 3], table[:, 0], table[:, 1], -table[:, 2]
    auc, covariance = delong_covariance(labels, [albumin, score, protein])
    np.testing.assert_allclose(auc, [0.7366, 0.7258, 0.6478], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [0.0927, 0.1028, 0.1000], atol=5e-5)
    assert delong_test(labels, albumin, score) == pytest.approx(0.9102, abs=5e-5)
    assert delong_test(labels, protein, score) == pytest.approx(0.4561, abs=5e-5)
    contrast = np.array([[1, -1, 0], [0, -1, 1]])
    difference = contrast @ auc
    statistic = difference @ np.linalg.solve(contrast @ covariance @ contrast.T, difference)
    assert statistic == pytest.approx(2.5340, abs=5e-5)
    assert chi2.sf(statistic, 2) == pytest.approx(0.2817, abs=5e-5)


def test_plain_loops_over_pairs_give_the_same_with_ties_and_patients() -> None:
    labels, scores = _made_up(70)
    random = np.random.default_rng(1)
    for groups in (np.arange(70), random.integers(25, size=70), labels * 20 + random.integers(20, size=70)):
        auc, covariance = delong_covariance(labels, scores, groups)
        expected_auc, expected = _plain(labels, scores, groups)
        np.testing.assert_allclose(auc, expected_auc, atol=1e-13)
        np.testing.assert_allclose(covariance, expected, atol=1e-15)
        z = (auc[0] - auc[1]) / np.sqrt(expected[0, 0] + expected[1, 1] - 2 * expected[0, 1])
        assert delong_test(labels, scores[0], scores[1], groups) == pytest.approx(2 * norm.sf(abs(z)), rel=1e-9)


def test_one_image_per_patient_is_the_test_without_patients() -> None:
    labels, scores = _made_up(50)
    named = [f"p{i}" for i in np.random.default_rng(2).permutation(50)]
    with_groups, without = delong_covariance(labels, scores, named), delong_covariance(labels, scores)
    np.testing.assert_array_equal(with_groups[0], without[0])
    np.testing.assert_allclose(with_groups[1], without[1], rtol=1e-12)
    assert delong_test(labels, *scores[:2], named) == pytest.approx(delong_test(labels, *scores[:2]), rel=1e-9)


def test_every_image_twice_tells_no_more_than_once() -> None:
    labels, scores = _made_up(60)
    once = delong_covariance(labels, scores)
    twice = delong_covariance(np.tile(labels, 2), np.tile(scores, 2), np.tile(np.arange(60), 2))
    np.testing.assert_allclose(twice[0], once[0], atol=1e-13)
    np.testing.assert_allclose(twice[1], once[1], rtol=1e-10)
    taken_for_independent = delong_covariance(np.tile(labels, 2), np.tile(scores, 2))[1]
    assert (np.diag(taken_for_independent) < 0.6 * np.diag(once[1])).all()


def test_unknown_labels_are_left_out() -> None:
    labels, scores = _made_up(80)
    random = np.random.default_rng(3)
    known, groups = random.random(80) < 0.7, random.integers(30, size=80)
    truth = np.where(known, labels, np.nan)
    got = delong_covariance(truth, scores, groups)
    expected = delong_covariance(labels[known], scores[:, known], groups[known])
    np.testing.assert_array_equal(got[0], expected[0])
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-12)
    assert delong_test(truth, *scores[:2], groups) == pytest.approx(
        delong_test(labels[known], *scores[:2, known], groups[known])
    )


def test_order_of_models_and_rising_transforms_change_nothing() -> None:
    labels, scores = _made_up(60)
    p_value = delong_test(labels, scores[0], scores[1])
    assert delong_test(labels, scores[1], scores[0]) == p_value
    assert delong_test(labels, np.exp(scores[0]), scores[1] * 7 - 3) == p_value
    assert delong_test(~labels, -scores[0], -scores[1]) == pytest.approx(p_value)


def test_models_that_rank_alike_have_p_one() -> None:
    labels, scores = _made_up(60)
    assert delong_test(labels, scores[0], scores[0]) == 1
    assert delong_test(labels, scores[0], 2 * scores[0] + 1) == 1
    assert delong_test(labels, labels, labels * 3) == 1  # both perfect
    assert delong_test(labels, np.zeros(60), np.ones(60)) == 1  # both blind


def test_a_difference_without_variance_has_the_smallest_p_of_exchanging_the_models() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    models = np.stack([labels, 1 - labels])
    observed = np.diff([roc_auc_score(labels, model) for model in models])
    as_far = 0
    for exchanged in itertools.product([False, True], repeat=5):
        first, second = np.where(exchanged, models[::-1], models)
        as_far += abs(roc_auc_score(labels, first) - roc_auc_score(labels, second)) >= abs(observed)
    assert delong_test(labels, *models) == as_far / 2**5 == 2 / 2**5
    assert delong_test(np.tile(labels, 2), *np.tile(models, 2), groups=np.tile(np.arange(5), 2)) == 2 / 2**5
    many = np.tile(labels, 1000)
    assert 0 < delong_test(many, many, 1 - many) < 1e-300


def test_what_has_no_variance_to_estimate_is_nan_with_a_warning() -> None:
    scores = np.random.default_rng(0).random((2, 5))
    with pytest.warns(UserWarning, match=r"one class only \(0 positives in 5 images\)"):
        assert np.isnan(delong_test(np.zeros(5), *scores))
    with pytest.warns(UserWarning, match="one class only"):
        assert all(np.isnan(part).all() for part in delong_covariance(np.ones(5), scores))
    with pytest.warns(UserWarning, match="a class is of one patient only"):
        assert np.isnan(delong_test([0, 0, 0, 1, 1], *scores, groups=list("abcdd")))
    with pytest.warns(UserWarning, match="a class is of one patient only"):
        auc, covariance = delong_covariance([0, 0, 0, 0, 1], scores)
    assert auc[0] == roc_auc_score([0, 0, 0, 0, 1], scores[0])
    assert np.isnan(covariance).all()


def test_input_that_cannot_be_used_is_refused() -> None:
    labels, scores = _made_up(10)
    with pytest.raises(ValueError, match=r"one shape.*got \(10,\) and \(9,\)"):
        delong_test(labels, scores[0], scores[1, :9])
    with pytest.raises(ValueError, match=r"one label at a time, got shape \(10, 2\)"):
        delong_test(np.stack([labels, labels], axis=1), scores[:2].T, scores[:2].T)
    with pytest.raises(ValueError, match="1 of 10 scores are NaN"):
        delong_test(labels, scores[0], np.where(np.arange(10) == 3, np.nan, scores[1]))
    with pytest.raises(ValueError, match=r"scores must be \(M, N\)"):
        delong_covariance(labels, scores[0])
    with pytest.raises(ValueError, match="10 images, got 2"):
        delong_test(labels, scores[0], scores[1], groups=["a", "b"])


def test_memory_holds_no_matrix_of_pairs() -> None:
    labels, scores = _made_up(100_000)
    tracemalloc.start()
    delong_covariance(labels, scores, groups=np.arange(100_000) // 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # bytes; one per pair would be 2.4e9
