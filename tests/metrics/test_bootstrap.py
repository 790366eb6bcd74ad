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
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from monai_ssl.metrics import bootstrap_auc, compare_auc, paired_p_value, redraw_counts
from monai_ssl.metrics.statistics import redraw_auc


def _made_up(images: int = 90, labels: int = 3, levels: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.random((images, labels)) < 0.3, random.integers(levels, size=(2, images, labels)) / levels


def _all_counts(*args: object) -> np.ndarray:
    return np.concatenate(list(redraw_counts(*args)), axis=1)  # type: ignore[arg-type]


def test_samples_equal_a_plain_loop_over_expanded_redraws() -> None:
    labels, scores = _made_up()
    groups = np.random.default_rng(1).integers(20, size=90)
    for patients in (None, groups):
        counts = _all_counts(90, 37, patients, 5)
        samples = redraw_auc(labels, scores, 37, patients, 5)
        for redraw in range(37):
            drawn = np.repeat(np.arange(90), counts[:, redraw])
            for model in range(2):
                for label in range(3):
                    expected = roc_auc_score(labels[drawn, label], scores[model, drawn, label])
                    assert samples[redraw, model, label] == pytest.approx(expected, abs=1e-12)


def test_redraws_with_unknown_labels_equal_those_of_the_known_images_with_the_same_counts() -> None:
    labels, scores = _made_up()
    random = np.random.default_rng(3)
    truth = np.where(random.random(labels.shape) < 0.3, np.nan, labels)
    groups = random.integers(20, size=90)
    counts = _all_counts(90, 37, groups, 5)
    samples = redraw_auc(truth, scores, 37, groups, 5)
    for redraw in range(37):
        for label in range(3):
            drawn = np.repeat(np.arange(90), counts[:, redraw] * np.isfinite(truth[:, label]))
            for model in range(2):
                expected = roc_auc_score(truth[drawn, label], scores[model, drawn, label])
                assert samples[redraw, model, label] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_array_equal(bootstrap_auc(truth, scores[0], 37, groups, 5).samples, samples[:, 0])


def test_image_redraws_keep_the_size_and_draw_evenly() -> None:
    counts = _all_counts(50, 400)
    np.testing.assert_array_equal(counts.sum(axis=0), 50)
    assert abs(counts.mean(axis=1) - 1).max() < 4 / np.sqrt(400)


def test_a_drawn_patient_brings_all_images_whatever_their_order() -> None:
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    counts = _all_counts(6, 100, groups, 3)
    for name in "abc":
        rows = counts[groups == name]
        np.testing.assert_array_equal(rows, np.broadcast_to(rows[0], rows.shape))
    np.testing.assert_array_equal(counts[[0, 1, 3]].sum(axis=0), 3)
    shuffled = np.random.default_rng(0).permutation(6)
    np.testing.assert_array_equal(_all_counts(6, 100, groups[shuffled], 3), counts[shuffled])


def test_interval_is_the_percentiles_of_valid_redraws_and_the_others_are_counted() -> None:
    labels = np.zeros(30, int)
    labels[:2] = 1  # about 13 % of redraws have no positive
    scores = np.random.default_rng(2).random(30)
    counts = _all_counts(30, 500, None, 9)
    result = bootstrap_auc(labels, scores, redraws=500, seed=9)
    lacking = (counts[:2].sum(axis=0) == 0) | (counts[2:].sum(axis=0) == 0)
    np.testing.assert_array_equal(np.isnan(result.samples[:, 0]), lacking)
    assert result.invalid.tolist() == [lacking.sum()] != [0]
    valid = result.samples[~lacking, 0]
    assert (result.low[0], result.high[0]) == pytest.approx(tuple(np.percentile(valid, (2.5, 97.5))))
    assert result.unit == "image"


def test_a_label_with_one_class_is_nan_with_a_warning() -> None:
    labels = np.array([[0, 0], [1, 0], [0, 0], [1, 0]])
    scores = np.random.default_rng(0).random((4, 2))
    with pytest.warns(UserWarning, match="label number 1: one class only"):
        result = bootstrap_auc(labels, scores, redraws=50)
    assert np.isnan([result.auc[1], result.low[1], result.high[1]]).all()
    assert result.invalid[1] == 50
    with pytest.warns(UserWarning, match="one class only"):
        assert np.isnan(compare_auc(labels, scores, scores, redraws=50).p_value[1])


def test_identical_models_and_swapped_models() -> None:
    labels, scores = _made_up()
    same = compare_auc(labels, scores[0], scores[0], redraws=200)
    assert same.difference.tolist() == [0, 0, 0]
    assert same.p_value.tolist() == [1, 1, 1]
    there, back = (compare_auc(labels, *pair, redraws=200) for pair in (scores, scores[::-1]))
    np.testing.assert_array_equal(there.difference, -back.difference)
    np.testing.assert_allclose(there.low, -back.high)
    np.testing.assert_array_equal(there.p_value, back.p_value)


def test_p_value_counts_redraws_as_far_from_the_difference_as_zero_is() -> None:
    samples = np.array([[0.0], [0.1], [0.3], [0.4], [np.nan]])
    # |d* - 0.2| = 0.2, 0.1, 0.1, 0.2: two of four reach |0.2|, 0.4 - 0.2 only but for rounding.
    assert paired_p_value(samples, np.array([0.2])).tolist() == [3 / 5]


@pytest.mark.parametrize("per_patient", [1, 3])
def test_p_values_hold_their_level_under_the_null(per_patient: int) -> None:
    random = np.random.default_rng(per_patient)
    p_values = []
    for seed in range(120):
        disease = random.random(120) < 0.5
        shared = random.normal(size=(3, 120)) + 1.0 * disease  # patient effects, of the truth and of either model
        images = [np.repeat(shared[m] + shared[2], per_patient) for m in (0, 1)]
        images = [scores + random.normal(size=len(scores)) for scores in images]
        labels, patients = np.repeat(disease, per_patient), np.repeat(np.arange(120), per_patient)
        p_values += compare_auc(labels, *images, redraws=200, groups=patients, seed=seed).p_value.tolist()
    assert kstest(p_values, "uniform").pvalue > 0.001
    assert sum(p <= 0.05 for p in p_values) <= 14  # 99.9 % of Binomial(120, 0.05) lies below


def test_results_depend_on_the_seed_alone() -> None:
    labels, scores = _made_up()
    first, again, other = (bootstrap_auc(labels, scores[0], redraws=40, seed=seed).samples for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # A longer run begins with the shorter one.
    np.testing.assert_array_equal(bootstrap_auc(labels, scores[0], redraws=50, seed=1).samples[:40], first)


def test_bad_groups_and_redraws_are_refused() -> None:
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    with pytest.raises(ValueError, match="4 images, got 3"):
        bootstrap_auc(labels, scores, groups=["a", "b", "c"])
    with pytest.raises(ValueError, match="1 of 4 images have no patient"):
        bootstrap_auc(labels, scores, groups=["a", "b", " ", "c"])
    # every redraw would be the data themselves: an interval of no width and the smallest p-value, from one patient
    with pytest.raises(ValueError, match="all 4 images are of one patient"):
        bootstrap_auc(labels, scores, groups=["a"] * 4)
    with pytest.raises(ValueError, match="redraws must be at least 1, got 0"):
        bootstrap_auc(labels, scores, redraws=0)
