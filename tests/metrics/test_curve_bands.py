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
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from monai_ssl.metrics import bootstrap_auc, precision_recall_bands, redraw_counts, roc_auc, roc_bands
from monai_ssl.metrics.redraws import label_strata

_RANDOM = np.random.default_rng(0)
_LABELS = _RANDOM.random((70, 3)) < 0.4
_SCORES = _RANDOM.integers(9, size=(70, 3)) / 9 + 0.3 * _LABELS


def test_roc_curves_equal_sklearn() -> None:
    for label, band in enumerate(roc_bands(_LABELS, _SCORES, redraws=20)[:3]):
        fpr, tpr, _ = roc_curve(_LABELS[:, label], _SCORES[:, label], drop_intermediate=False)
        np.testing.assert_allclose(band.x, fpr)
        np.testing.assert_allclose(band.y, tpr)
        assert auc(band.x, band.y) == pytest.approx(roc_auc_score(_LABELS[:, label], _SCORES[:, label]), abs=1e-12)


def test_an_unknown_label_leaves_its_image_out_of_that_curve() -> None:
    known = np.random.default_rng(1).random((70, 3)) < 0.7
    bands = roc_bands(np.where(known, _LABELS, np.nan), _SCORES, redraws=20)
    for label, band in enumerate(bands[:3]):
        rows = known[:, label]
        fpr, tpr, _ = roc_curve(_LABELS[rows, label], _SCORES[rows, label], drop_intermediate=False)
        np.testing.assert_allclose(band.x, fpr)
        np.testing.assert_allclose(band.y, tpr)


def test_roc_band_is_the_percentiles_of_sklearn_curves_over_the_same_redraws() -> None:
    groups = np.arange(70) // 2
    band = roc_bands(_LABELS[:, 0], _SCORES[:, 0], redraws=50, groups=groups, seed=4)[0]
    curves = []
    for count in np.concatenate(list(redraw_counts(70, 50, groups, 4)), axis=1).T:
        drawn = np.repeat(np.arange(70), count)
        fpr, tpr, _ = roc_curve(_LABELS[drawn, 0], _SCORES[drawn, 0], drop_intermediate=False)
        # The highest point at or left of a grid value, then straight on to the next corner.
        left = [np.flatnonzero(fpr <= x + 1e-9)[-1] for x in band.grid]
        curves.append(
            [
                tpr[i] if i + 1 == len(fpr) else tpr[i] + (x - fpr[i]) / (fpr[i + 1] - fpr[i]) * (tpr[i + 1] - tpr[i])
                for x, i in zip(band.grid, left, strict=True)
            ]
        )
    np.testing.assert_allclose(np.percentile(curves, (2.5, 97.5), axis=0), [band.low, band.high])


def test_mean_roc_curve_has_the_macro_area_and_one_class_labels_are_left_out() -> None:
    labels = np.c_[_LABELS, np.zeros(70, int)]
    scores = np.c_[_SCORES, np.ones(70)]
    bands = roc_bands(labels, scores, redraws=20)
    assert bands[3] is None
    assert auc(bands[4].x, bands[4].y) == pytest.approx(np.nanmean(roc_auc(labels, scores)), abs=0.01)
    assert roc_bands(labels[:, 3], scores[:, 3], redraws=5) == [None]


def test_precision_recall_steps_are_those_of_sklearn_and_their_area_is_average_precision() -> None:
    known = np.random.default_rng(1).random((70, 3)) < 0.7
    bands = precision_recall_bands(np.where(known, _LABELS, np.nan), _SCORES, redraws=20)
    for label, band in enumerate(bands[:3]):
        truth, scores = _LABELS[known[:, label], label], _SCORES[known[:, label], label]
        precision, recall = (array[-2::-1] for array in precision_recall_curve(truth, scores)[:2])
        reached = np.diff(recall, prepend=0) > 0
        np.testing.assert_allclose(band.x, np.r_[0, recall[reached]])
        np.testing.assert_allclose(band.y, np.r_[precision[reached][0], precision[reached]])
        area = np.diff(band.x) @ band.y[1:]
        assert area == pytest.approx(average_precision_score(truth, scores), abs=1e-12)


def test_precision_recall_band_is_the_percentiles_of_sklearn_curves_over_the_same_redraws() -> None:
    groups = np.arange(70) // 2
    bands = precision_recall_bands(_LABELS, _SCORES, redraws=50, groups=groups, seed=4)
    curves = np.empty((50, 3, 101))
    for redraw, count in enumerate(np.concatenate(list(redraw_counts(70, 50, groups, 4)), axis=1).T):
        drawn = np.repeat(np.arange(70), count)
        for label in range(3):
            precision, recall, thresholds = precision_recall_curve(_LABELS[drawn, label], _SCORES[drawn, label])
            for point, wanted in enumerate(bands[label].grid):
                # thresholds rise and recall falls: the last that is enough is the highest threshold
                enough = np.flatnonzero((recall[: len(thresholds)] >= wanted - 1e-9) & (recall[:-1] > 0))
                curves[redraw, label, point] = precision[enough[-1]]
    for samples, band in zip([*np.moveaxis(curves, 1, 0), curves.mean(axis=1)], bands, strict=True):
        np.testing.assert_allclose(np.percentile(samples, (2.5, 97.5), axis=0), [band.low, band.high])


def test_redraws_without_both_classes_are_left_out_and_one_class_has_no_curve() -> None:
    labels, scores = np.array([1, 0, 0, 0, 0]), np.array([0.9, 0.2, 0.3, 0.4, 0.5])
    for bands in (roc_bands, precision_recall_bands):
        [band] = bands(labels, scores, redraws=200)  # a third of the redraws lacks the positive
        np.testing.assert_array_equal([band.low[1:], band.high[1:]], 1)
        assert bands(np.ones(5), scores, redraws=5) == [None]
        assert bands(np.c_[labels, np.ones(5)], np.c_[scores, scores], redraws=5)[1] is None


def test_stratified_redraws_hold_every_class_and_are_those_of_the_auc() -> None:
    labels = np.r_[np.ones(1), np.zeros(30)]
    scores = np.r_[0.5, np.linspace(0, 1, 30)]
    [band] = roc_bands(labels, scores, redraws=40, stratify=True)
    result = bootstrap_auc(labels, scores, redraws=40, stratify=True)
    assert result.invalid == [0]
    rates = []
    for count in np.concatenate(list(redraw_counts(31, 40, None, 0, label_strata(labels[:, None]))), axis=1).T:
        drawn = np.repeat(scores[1:], count[1:])
        rates.append(1.0 * (np.mean(drawn >= 0.5) <= band.grid + 1e-9))  # the one positive is found from there on
    np.testing.assert_allclose(np.percentile(rates, (2.5, 97.5), axis=0), [band.low, band.high])


def test_equal_seeds_give_equal_bands_and_the_order_of_images_does_not_matter() -> None:
    groups, mixed = np.arange(70) // 2, np.random.default_rng(3).permutation(70)
    for bands in (roc_bands, precision_recall_bands):
        for one, other in zip(
            bands(_LABELS, _SCORES, 30, groups, 5),
            bands(_LABELS[mixed], _SCORES[mixed], 30, groups[mixed], 5),
            strict=True,
        ):
            np.testing.assert_array_equal([one.low, one.high], [other.low, other.high])
