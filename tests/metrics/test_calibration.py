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
import torch
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import binary_calibration_error

from monai_ssl.metrics import calibration_error, calibration_line, reliability_curve

_RANDOM = np.random.default_rng(0)
_SCORES = _RANDOM.random((400, 3)) ** 2
_LABELS = (_RANDOM.random((400, 3)) < expit(0.7 * logit(_SCORES) - 0.5)).astype(float)


def test_curve_equals_sklearn() -> None:
    curve = reliability_curve(_LABELS[:, 0], _SCORES[:, 0])
    share, score = calibration_curve(_LABELS[:, 0], _SCORES[:, 0], n_bins=10)
    np.testing.assert_allclose(curve["positive_share"], share)
    np.testing.assert_allclose(curve["mean_score"], score)
    assert curve["images"].sum() == 400


def test_scores_on_edges_and_empty_bins() -> None:
    curve = reliability_curve([0, 1, 1, 0], [0.0, 0.3, 1.0, 0.99], bins=10)
    assert curve["images"].tolist() == [1, 0, 0, 1, 0, 0, 0, 0, 0, 2]
    assert curve["positive_share"].isna().sum() == 7
    assert (curve["low"][3], curve["high"][9]) == (0.3, 1.0)


@pytest.mark.parametrize("bins", [10, 15])
def test_error_equals_a_plain_loop_and_torchmetrics(bins: int) -> None:
    known = _RANDOM.random(_LABELS.shape) < 0.8
    errors = calibration_error(np.where(known, _LABELS, np.nan), _SCORES, bins)
    for label in range(3):
        labels, scores = _LABELS[known[:, label], label], _SCORES[known[:, label], label]
        expected = 0.0
        for number in range(bins):
            rows = [i for i in range(len(scores)) if number / bins <= scores[i] < (number + 1) / bins]
            if rows:
                expected += len(rows) / len(scores) * abs(np.mean(scores[rows]) - np.mean(labels[rows]))
        assert errors[label] == pytest.approx(expected, abs=1e-12)
        peer = binary_calibration_error(torch.tensor(scores), torch.tensor(labels).int(), n_bins=bins)
        assert errors[label] == pytest.approx(peer.item(), abs=1e-6)


def test_line_is_the_most_likely_one() -> None:
    intercepts, slopes = calibration_line(_LABELS, _SCORES)
    for label in range(3):
        logits, truth = logit(_SCORES[:, label]), _LABELS[:, label]

        def surprise(line: np.ndarray, logits: np.ndarray = logits, truth: np.ndarray = truth) -> float:
            value = line[0] + line[1] * logits
            return float((np.logaddexp(0, value) - truth * value).sum())

        best = minimize(surprise, [0.0, 1.0], tol=1e-10).x
        np.testing.assert_allclose([intercepts[label], slopes[label]], best, atol=1e-4)
    # made with intercept -0.5 and slope 0.7
    assert slopes.mean() == pytest.approx(0.7, abs=0.1)
    assert intercepts.mean() == pytest.approx(-0.5, abs=0.2)


def test_no_line_where_none_is_best_and_saturated_scores_have_one() -> None:
    labels = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]])
    scores = np.array([[0.1, 0.1, 0.0], [0.2, 0.2, 0.4], [0.2, 0.3, 0.6], [0.9, 0.4, 1.0]])
    intercepts, slopes = calibration_line(labels, scores)
    assert np.isnan(intercepts).tolist() == np.isnan(slopes).tolist() == [True, True, False]


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0 to 1, got 2 others, such as -0\.5"):
        calibration_error([0, 1, 1], [-0.5, 0.5, 1.5])
