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
from sklearn.metrics import roc_curve

from monai_ssl.metrics import youden_thresholds


def _rates(labels: np.ndarray, scores: np.ndarray, threshold: float) -> tuple[float, float]:
    called = scores >= threshold
    return float(called[labels == 1].mean()), float(called[labels == 0].mean())


_ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 6) | st.floats(-1e300, 1e300, allow_subnormal=True)),
    min_size=2,
    max_size=40,
).filter(lambda rows: len({label for label, _ in rows}) == 2)


@settings(max_examples=300, deadline=None)
@given(_ROWS)
def test_it_decides_as_sklearns_best_corner(rows: list[tuple[int, float]]) -> None:
    labels, scores = np.array(rows).T
    threshold = youden_thresholds(labels, scores)[0]
    fpr, tpr, corners = roc_curve(labels, scores, drop_intermediate=False)
    hits, alarms = _rates(labels, scores, threshold)
    assert hits - alarms == pytest.approx((tpr - fpr).max(), abs=1e-12)
    # the highest of the best: no corner above it is as good
    above = corners > scores[scores >= threshold].min()
    assert (tpr - fpr)[above & np.isfinite(corners)].max(initial=-1) < hits - alarms - 1e-12


def test_it_lies_midway_and_keeps_its_side_where_there_is_no_number_between() -> None:
    assert youden_thresholds([0, 1], np.float32([0.25, 0.75])).tolist() == [0.5]
    assert youden_thresholds([0, 1], [0.5, np.nextafter(0.5, 1)]).tolist() == [np.nextafter(0.5, 1)]
    assert youden_thresholds([1, 0], [0.25, 0.75]).tolist() == [0.25]  # J is 0: no threshold helps
    assert youden_thresholds([0, 1], [0.4, 0.4]).tolist() == [0.4]


def test_unknown_labels_are_left_out_and_one_class_is_nan() -> None:
    random = np.random.default_rng(0)
    labels = np.where(random.random((80, 3)) < 0.3, np.nan, random.random((80, 3)) < 0.4)
    labels[:, 1] = np.where(np.isnan(labels[:, 1]), np.nan, 1)
    scores = random.integers(20, size=(80, 3)) / 20
    thresholds = youden_thresholds(labels, scores)
    assert np.isnan(thresholds[1])
    for label in (0, 2):
        known = np.isfinite(labels[:, label])
        assert thresholds[label] == youden_thresholds(labels[known, label], scores[known, label])[0]
