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
from ignite.engine import Engine, Events
from torch import nn

from monai_ssl.data.sampling import EpochBatchSampler, SeededDataset
from monai_ssl.handlers import Probes
from monai_ssl.handlers.random_state import random_state
from monai_ssl.metrics import knn_auc, linear_auc


def images(count=40):
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        label = torch.tensor([number % 2, number % 3 == 0], dtype=torch.float32)
        image = torch.randn(1, 4, 4, generator=generator) + label[0]
        yield {"id": f"{number:02d}", "split": "val" if number >= 25 else "train", "image": image, "label": label}


def probe(network, items, every, epochs, batch_size=7):
    dataset = SeededDataset(items)
    sampler = EpochBatchSampler(len(dataset), batch_size, shuffle=False, pad=False)
    loader = torch.utils.data.DataLoader(dataset, batch_sampler=sampler, generator=torch.Generator())
    engine = Engine(lambda engine, batch: None)
    engine.state.device = torch.device("cpu")
    handler = Probes(network, loader, every)
    handler.attach(engine)
    found = []
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: found.append(dict(engine.state.metrics)))
    engine.run([0], max_epochs=epochs)
    return found


def backbone():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 5, 3), nn.BatchNorm2d(5), nn.Dropout(0.5), nn.Flatten()).train()


def test_values_are_those_of_the_features_in_evaluation_mode():
    network, items = backbone(), list(images())
    found = probe(network, items[::-1], every=2, epochs=3)
    network.eval()
    with torch.no_grad():
        features = network(torch.stack([item["image"] for item in items])).numpy()
    labels = np.stack([item["label"].numpy() for item in items])
    sides = (features[:25], labels[:25], features[25:], labels[25:])
    assert found[0] == found[2] == {}
    assert found[1]["knn_auc"] == pytest.approx(knn_auc(*sides))
    assert found[1]["linear_auc"] == pytest.approx(linear_auc(*sides), abs=1e-6)


def test_nothing_is_left_behind():
    network = backbone()
    network[1].eval()  # as a frozen part is
    modes = [module.training for module in network.modules()]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    states = random_state()
    probe(network, list(images()), every=1, epochs=1)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    after = random_state()
    assert torch.equal(states["torch"], after["torch"])
    assert states["python"] == after["python"]
    assert torch.equal(states["numpy"][1], after["numpy"][1])


def test_none_are_made_when_off():
    assert probe(backbone(), [], every=0, epochs=2) == [{}, {}]
