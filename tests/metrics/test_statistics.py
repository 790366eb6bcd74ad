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
from sklearn import metrics as sklearn_metrics

from monai_ssl.metrics.calibration import calibration_error
from monai_ssl.metrics.names import METRICS, check_metrics
from monai_ssl.metrics.redraws import redraw_counts
from monai_ssl.metrics.statistics import Decisions, redraw_metrics

ALL = (*METRICS, "sensitivity_at_specificity:0.75", "sensitivity_at_specificity:1")


def by_sklearn(name: str, truth: np.ndarray, scores: np.ndarray, called: np.ndarray) -> float:
    """Each metric by another library."""
    fpr, tpr, _ = sklearn_metrics.roc_curve(truth, scores, drop_intermediate=False)
    if name.startswith("sensitivity_at"):
        return tpr[fpr <= 1 - float(name.split(":")[1]) + 1e-9].max()
    by_name = {
        "auc": lambda: sklearn_metrics.roc_auc_score(truth, scores),
        "average_precision": lambda: sklearn_metrics.average_precision_score(truth, scores),
        "sensitivity": lambda: sklearn_metrics.recall_score(truth, called),
        "specificity": lambda: sklearn_metrics.recall_score(1 - truth, ~called),
        "f1": lambda: sklearn_metrics.f1_score(truth, called),
        "accuracy": lambda: sklearn_metrics.accuracy_score(truth, called),
        "brier": lambda: sklearn_metrics.brier_score_loss(truth, scores),
        "calibration_error": lambda: calibration_error(truth, scores)[0],
    }
    return by_name[name]()


@pytest.mark.parametrize("decimals", [1, 8])
def test_every_metric_of_every_redraw_is_that_of_the_repeated_images(decimals: int) -> None:
    random = np.random.default_rng(0)
    truth = (random.random(60) < 0.3).astype(float)
    scores = np.round(np.clip(random.random(60) * 0.7 + 0.3 * truth, 0, 1), decimals)
    groups = random.integers(25, size=60)
    [counts] = redraw_counts(60, 12, groups, seed=3)
    samples = redraw_metrics([Decisions(truth, scores, 0.5)], ALL, [counts])[:, 0]
    for redraw, count in enumerate(counts.T):
        drawn = np.repeat(np.arange(60), count)
        wanted = [by_sklearn(name, truth[drawn], scores[drawn], scores[drawn] >= 0.5) for name in ALL]
        np.testing.assert_allclose(samples[redraw], wanted, rtol=0, atol=1e-12)


def test_labels_that_are_pooled_are_one_long_label_and_unknown_ones_no_part_of_it() -> None:
    random = np.random.default_rng(1)
    truth = np.where(random.random((40, 3)) < 0.2, np.nan, random.random((40, 3)) < 0.4)
    scores, thresholds = random.random((40, 3)), np.array([0.3, 0.5, 0.8])
    known = np.isfinite(truth)
    [counts] = redraw_counts(40, 5, seed=0)
    samples = redraw_metrics([Decisions(truth, scores, thresholds)], METRICS, [counts])[:, 0]
    for redraw, count in enumerate(counts.T):
        rows = np.repeat(np.arange(40), count)
        keep = known[rows]
        flat, score = truth[rows][keep], scores[rows][keep]
        called = (scores >= thresholds)[rows][keep]
        wanted = [by_sklearn(name, flat, score, called) for name in METRICS]
        np.testing.assert_allclose(samples[redraw], wanted, rtol=0, atol=1e-12)


def test_what_a_redraw_does_not_allow_is_nan() -> None:
    ones = np.ones((4, 1), np.int32)
    no_positive = Decisions(np.zeros(4), np.array([0.1, 0.2, 0.6, 0.3]), 0.5).values(METRICS, ones)[:, 0]
    expected = dict.fromkeys(METRICS, np.nan) | {"specificity": 0.75, "accuracy": 0.75, "brier": 0.125}
    expected["calibration_error"] = 0.3
    np.testing.assert_allclose(no_positive, [expected[name] for name in METRICS])
    mixed, logits = np.array([0, 1, 1, 0.0]), np.array([-1.0, 3, 2, 0.5])
    no_threshold = dict(zip(METRICS, Decisions(mixed, logits).values(METRICS, ones)[:, 0], strict=True))
    assert [name for name, value in no_threshold.items() if np.isfinite(value)] == list(METRICS[:3])
    assert not np.isfinite(Decisions(np.full(4, np.nan), logits, 0.5).values(METRICS, ones)).any()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["auc", "aux", "sensitivity_at_specificity:2"],
            "unknown metrics: aux, sensitivity_at_specificity:2; known: auc",
        ),
        (["sensitivity_at_specificity:high", "sensitivity_at_specificity"], "sensitivity_at_specificity:high, sens"),
        (["auc", "auc"], "auc twice"),
        ([], "none given"),
    ],
)
def test_wrong_names_are_named(names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_metrics(names)


@pytest.mark.parametrize("specificity", ["0.56", "0.9", "0.07"])
def test_sensitivity_needs_as_many_negatives_as_exact_fractions_do(specificity: str) -> None:
    assert float("0.56") * 25 > 14  # in binary, so that rounding it up asks for a negative more
    random = np.random.default_rng(0)
    for negatives in (10, 25, 50, 100):
        truth = np.repeat([0.0, 1.0], [negatives, 200])
        scores = random.random(negatives + 200)
        found = Decisions(truth, scores).values([f"sensitivity_at_specificity:{specificity}"], np.ones((len(truth), 1)))
        enough = [
            np.mean(scores[truth == 1] >= threshold)
            for threshold in [*scores, 2.0]
            if Fraction(int((scores[truth == 0] < threshold).sum()), negatives) >= Fraction(specificity)
        ]
        assert found.item() == max(enough)
