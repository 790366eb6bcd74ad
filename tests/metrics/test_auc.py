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
from sklearn.metrics import roc_auc_score

from monai_ssl.metrics import MacroROCAUC, roc_auc


@pytest.mark.parametrize("levels", [2, 7, 10**9])
def test_auc_equals_sklearn_with_ties(levels: int) -> None:
    random = np.random.default_rng(levels)
    labels, scores = random.random((300, 4)) < 0.2, random.integers(levels, size=(300, 4)) / levels
    expected = [roc_auc_score(labels[:, i], scores[:, i]) for i in range(4)]
    np.testing.assert_allclose(roc_auc(labels, scores), expected, rtol=0, atol=1e-12)


def test_everything_wrong_is_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"2 labels are neither 0, 1 nor NaN .*2\.0, 3\.0.*1 of 4 scores"):
        roc_auc([0, 1, 2, 3.0], [0.1, np.inf, 0.3, 0.4])
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        roc_auc([0, 1], [0.1, 0.2, 0.3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_an_unknown_label_leaves_its_image_out_for_that_label_only(dtype: type) -> None:
    random = np.random.default_rng(1)
    labels = np.where(random.random((200, 3)) < 0.3, np.nan, random.random((200, 3)) < 0.4)
    labels[:, 2] = np.where(random.random(200) < 0.5, np.nan, 0)
    scores = random.integers(9, size=(200, 3)).astype(dtype)
    known = np.isfinite(labels)
    expected = [roc_auc_score(labels[known[:, i], i], scores[known[:, i], i]) for i in range(2)]
    np.testing.assert_allclose(roc_auc(labels, scores)[:2], expected, rtol=0, atol=1e-12)
    assert np.isnan(roc_auc(labels, scores)[2])
    metric = MacroROCAUC()
    metric(torch.tensor(scores), torch.tensor(labels))
    assert metric.aggregate() == pytest.approx(np.mean(expected), abs=1e-12)
    empty = np.where(known[:, :2], labels[:, :2], None)  # as a table with an empty cell of whole numbers gives it
    np.testing.assert_allclose(roc_auc(empty, scores[:, :2]), expected, rtol=0, atol=1e-12)


def test_macro_metric_averages_over_labels_with_both_classes() -> None:
    random = np.random.default_rng(0)
    labels = (random.random((60, 3)) < 0.4).astype(np.int64)
    labels[:, 1] = 0
    scores = random.random((60, 3))
    metric = MacroROCAUC()
    for rows in (slice(0, 25), slice(25, 60)):
        metric(torch.tensor(scores[rows]), torch.tensor(labels[rows]))
    expected = np.mean([roc_auc_score(labels[:, i], scores[:, i]) for i in (0, 2)])
    assert metric.aggregate() == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(metric.aggregate("none")[0], roc_auc(labels, scores)[0])
    metric.reset()
    metric([torch.tensor([0.3]), torch.tensor([0.9])], [torch.tensor([0]), torch.tensor([1])])
    assert metric.aggregate() == 1.0
    metric.reset()
    metric(torch.tensor([[0.3], [0.9]]), torch.tensor([[0], [0]]))
    assert np.isnan(metric.aggregate())


def test_macro_metric_is_an_ignite_metric() -> None:
    from ignite.engine import Engine
    from monai.handlers import IgniteMetricHandler

    labels, scores = torch.tensor([[0], [1], [1], [0]]), torch.tensor([[0.2], [0.1], [0.8], [0.3]])
    engine = Engine(lambda engine, batch: batch)
    handler = IgniteMetricHandler(metric_fn=MacroROCAUC(), output_transform=lambda rows: (scores[rows], labels[rows]))
    handler.attach(engine, "val_auc")
    engine.run([[0, 1], [2, 3]], max_epochs=1)
    assert engine.state.metrics["val_auc"] == pytest.approx(roc_auc_score(labels[:, 0], scores[:, 0]))
