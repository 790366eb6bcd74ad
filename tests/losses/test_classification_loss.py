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
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from monai_ssl.losses import KnownLabelsBCE, class_weights, classification_loss


@pytest.mark.parametrize("weighted", [False, True])
def test_all_known_is_torch_s_own_loss_with_its_gradient(weighted):
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(7, 3, generator=generator, dtype=torch.float64).requires_grad_() for _ in range(2)]
    logits[1].data.copy_(logits[0].data)
    target = torch.randint(0, 2, (7, 3), generator=generator).double()
    weight = torch.tensor([0.5, 2.0, 30.0], dtype=torch.float64) if weighted else None
    ours, theirs = KnownLabelsBCE(weight)(logits[0], target), nn.BCEWithLogitsLoss(pos_weight=weight)(logits[1], target)
    ours.backward()
    theirs.backward()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(logits[0].grad, logits[1].grad)


def test_unknown_labels_are_as_if_they_were_not_there():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 2, generator=generator).requires_grad_()
    target = torch.randint(0, 2, (6, 2), generator=generator).float()
    target[[0, 3, 5], [1, 0, 1]] = float("nan")
    weight = torch.tensor([3.0, 0.2])
    loss = KnownLabelsBCE(weight)(logits, target)
    loss.backward()
    known = [(i, j) for i in range(6) for j in range(2) if not target[i, j].isnan()]
    slow = [
        nn.functional.binary_cross_entropy_with_logits(logits[i, j], target[i, j], pos_weight=weight[j])
        for i, j in known
    ]
    torch.testing.assert_close(loss, torch.stack(slow).mean())
    assert (logits.grad == 0).nonzero().tolist() == [[0, 1], [3, 0], [5, 1]]
    nothing = KnownLabelsBCE()(logits, torch.full((6, 2), float("nan")))
    assert nothing.item() == 0


def test_balanced_weights_of_labels_are_negatives_over_positives_and_never_without_end():
    labels = np.zeros((1000, 4))
    labels[:10, 0] = 1
    labels[:, 1] = 1
    labels[:5, 2] = 1
    labels[5:800, 2] = np.nan
    assert class_weights(labels, "multilabel").tolist() == [99, 1, 40, 1]
    assert class_weights(labels, "multilabel", "none") is None
    assert class_weights(labels, "multilabel", [1, 2, 3, 4]).tolist() == [1, 2, 3, 4]


def test_balanced_weights_of_classes_are_scikit_learn_s():
    classes = np.random.default_rng(0).choice(5, size=200, p=[0.5, 0.3, 0.1, 0.07, 0.03])
    found = class_weights(np.eye(5)[classes], "multiclass")
    assert found == pytest.approx(compute_class_weight("balanced", classes=np.arange(5), y=classes))
    loss = classification_loss(np.eye(5)[classes], "multiclass")
    logits, target = torch.randn(9, 5), torch.from_numpy(np.eye(5, dtype=np.float32)[classes[:9]])
    expected = nn.CrossEntropyLoss(weight=torch.from_numpy(found).float())(logits, target)
    torch.testing.assert_close(loss(logits, target), expected)


@pytest.mark.parametrize("weights", ["sqrt", {"a": 1}, ["x", 1, 2], [1, 2], [1, 0, 1], [1, -1, 2], [1, 1, torch.nan]])
def test_other_weights_are_refused(weights):
    with pytest.raises(ValueError, match="class_weights must be"):
        class_weights(np.zeros((4, 3)), "multilabel", weights)
    with pytest.raises(ValueError, match="task must be"):
        classification_loss(np.zeros((4, 3)), "regression")
