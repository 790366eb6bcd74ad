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
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from monai_ssl.metrics import knn_auc, linear_auc


def sides(seed=0, labels=2):
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(6, labels))
    for count in (60, 40):
        features = generator.normal(size=(count, 6)) * [1, 10, 0.1, 1, 1, 3]
        yield features
        yield (features @ weights + generator.normal(scale=5, size=(count, labels)) > 0).astype(np.float32)


def test_neighbours_vote_as_those_of_scikit_learn():
    train, train_labels, test, test_labels = sides()
    expected = []
    for learnt, truth in zip(train_labels.T, test_labels.T, strict=True):
        model = KNeighborsClassifier(20, metric="cosine").fit(train, learnt)
        expected.append(roc_auc_score(truth, model.predict_proba(test)[:, 1]))
    assert knn_auc(train, train_labels, test, test_labels) == pytest.approx(np.mean(expected), abs=1e-12)


def test_neighbours_are_those_of_a_plain_loop():
    train, train_labels, test, test_labels = sides(labels=1)
    scores = []
    for point in test:
        similarity = [point @ other / np.linalg.norm(point) / np.linalg.norm(other) for other in train]
        scores.append(train_labels[np.argsort(similarity)[-5:], 0].mean())
    assert knn_auc(train, train_labels, test, test_labels, 5) == pytest.approx(roc_auc_score(test_labels, scores))


def test_the_line_is_that_of_scikit_learn():
    train, train_labels, test, test_labels = sides()
    scaler = StandardScaler().fit(train)
    expected = []
    for learnt, truth in zip(train_labels.T, test_labels.T, strict=True):
        model = LogisticRegression(max_iter=1000).fit(scaler.transform(train), learnt)
        expected.append(roc_auc_score(truth, model.predict_proba(scaler.transform(test))[:, 1]))
    assert linear_auc(train, train_labels, test, test_labels) == pytest.approx(np.mean(expected), abs=1e-12)


def test_labels_of_one_class_are_left_out():
    train, train_labels, test, test_labels = sides()
    single = linear_auc(train, train_labels[:, :1], test, test_labels[:, :1])
    train_labels[:, 1] = 1
    assert linear_auc(train, train_labels, test, test_labels) == single
    single = knn_auc(train, train_labels[:, :1], test, test_labels[:, :1])
    test_labels[:, 1] = 0
    assert knn_auc(train, train_labels, test, test_labels) == single
    assert np.isnan(linear_auc(train, train_labels, test, np.zeros_like(test_labels)))


def test_unknown_labels_are_left_out_for_that_label():
    train, train_labels, test, test_labels = sides(labels=3)
    train_labels[::3, 0], train_labels[5:9, 1], test_labels[::4, 1] = np.nan, np.nan, np.nan
    for auc in (knn_auc, linear_auc):
        expected = []
        for learnt, truth in zip(train_labels.T, test_labels.T, strict=True):
            here, there = ~np.isnan(learnt), ~np.isnan(truth)
            expected.append(auc(train[here], learnt[here, None], test[there], truth[there, None]))
        assert auc(train, train_labels, test, test_labels) == pytest.approx(np.mean(expected), abs=1e-12)
        only = auc(train, train_labels[:, 1:], test, test_labels[:, 1:])
        assert auc(train, np.where([True, False, False], np.nan, train_labels), test, test_labels) == only
        assert np.isnan(auc(train, np.full((60, 1), np.nan), test, test_labels[:, :1]))
