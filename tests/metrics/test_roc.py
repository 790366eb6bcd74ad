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
from sklearn.metrics import auc, roc_auc_score, roc_curve

from monai_ssl.metrics import redraw_counts, roc_auc, roc_bands

_RANDOM = np.random.default_rng(0)
_LABELS = _RANDOM.random((70, 3)) < 0.4
_SCORES = _RANDOM.integers(9, size=(70, 3)) / 9 + 0.3 * _LABELS


def test_curves_equal_sklearn() -> None:
    for label, band in enumerate(roc_bands(_LABELS, _SCORES, redraws=20)[:3]):
        fpr, tpr, _ = roc_curve(_LABELS[:, label], _SCORES[:, label], drop_intermediate=False)
        np.testing.assert_allclose(band.fpr, fpr)
        np.testing.assert_allclose(band.tpr, tpr)
        assert auc(band.fpr, band.tpr) == pytest.approx(roc_auc_score(_LABELS[:, label], _SCORES[:, label]), abs=1e-12)


def test_an_unknown_label_leaves_its_image_out_of_that_curve() -> None:
    known = np.random.default_rng(1).random((70, 3)) < 0.7
    bands = roc_bands(np.where(known, _LABELS, np.nan), _SCORES, redraws=20)
    for label, band in enumerate(bands[:3]):
        rows = known[:, label]
        fpr, tpr, _ = roc_curve(_LABELS[rows, label], _SCORES[rows, label], drop_intermediate=False)
        np.testing.assert_allclose(band.fpr, fpr)
        np.testing.assert_allclose(band.tpr, tpr)


def test_band_is_the_percentiles_of_sklearn_curves_over_the_same_redraws() -> None:
    groups = np.arange(70) // 2
    band = roc_bands(_LABELS[:, 0], _SCORES[:, 0], redraws=50, groups=groups, seed=4)[0]
    curves = []
    for count in np.concatenate(list(redraw_counts(70, 50, groups, 4)), axis=1).T:
        drawn = np.repeat(np.arange(70), count)
        fpr, tpr, _ = roc_curve(_LABELS[drawn, 0], _SCORES[drawn, 0], drop_intermediate=False)
        # The highest point at or left of a grid value, then straight on to the next corner.
        left = [np.flatnonzero(fpr <= x)[-1] for x in band.grid]
        curves.append(
            [
                tpr[i] if i + 1 == len(fpr) else tpr[i] + (x - fpr[i]) / (fpr[i + 1] - fpr[i]) * (tpr[i + 1] - tpr[i])
                for x, i in zip(band.grid, left, strict=True)
            ]
        )
    np.testing.assert_allclose(np.percentile(curves, (2.5, 97.5), axis=0), [band.low, band.high])


def test_mean_curve_has_the_macro_area_and_one_class_labels_are_left_out() -> None:
    labels = np.c_[_LABELS, np.zeros(70, int)]
    scores = np.c_[_SCORES, np.ones(70)]
    bands = roc_bands(labels, scores, redraws=20)
    assert bands[3] is None
    assert auc(bands[4].fpr, bands[4].tpr) == pytest.approx(np.nanmean(roc_auc(labels, scores)), abs=0.01)
    assert roc_bands(labels[:, 3], scores[:, 3], redraws=5) == [None]
