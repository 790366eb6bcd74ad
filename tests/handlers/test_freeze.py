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

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

from monai_ssl.handlers import Freeze
from monai_ssl.networks import create_backbone


def trained(network, handler, epochs=4, steps=3):
    """Train as MONAI's trainer does, and return the state after each epoch."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    generator = torch.Generator().manual_seed(0)
    states = [{name: value.clone() for name, value in network.state_dict().items()}]

    def step(engine, batch):
        network.train()
        optimizer.zero_grad()
        network(torch.rand(4, 1, 32, 32, generator=generator)).square().mean().backward()
        optimizer.step()

    engine = Engine(step)
    handler.attach(engine)
    engine.add_event_handler(
        Events.EPOCH_COMPLETED, lambda _: states.append({k: v.clone() for k, v in network.state_dict().items()})
    )
    engine.run(range(steps), max_epochs=epochs)
    return states


def changed(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_a_frozen_backbone_stays_as_it_is_and_then_opens():
    network = create_backbone("resnet18", num_classes=2, drop_rate=0.5)
    names = set(network.state_dict())
    states = trained(network, Freeze(network, trained=network.get_classifier(), epochs=2))
    head = {"fc.weight", "fc.bias"}
    assert changed(states[0], states[2]) == head
    # BatchNorm statistics included, everything moves once it is open
    assert changed(states[2], states[3]) == names
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_part_stays_open_for_good_once_the_first_epochs_are_over():
    network = create_backbone("resnet18", num_classes=2)
    part = [network.layer4[1].bn2, network.fc]
    states = trained(network, Freeze(network, trained=network.fc, epochs=2, afterwards=part))
    assert changed(states[0], states[2]) == {"fc.weight", "fc.bias"}
    of_the_norm = {name for name in states[0] if name.startswith("layer4.1.bn2.")}
    assert changed(states[2], states[4]) == {"fc.weight", "fc.bias"} | of_the_norm
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_parameters_of_the_root_freeze_too():
    network = create_backbone("vit_tiny_patch16_224", num_classes=2)
    states = trained(network, Freeze(network, trained=network.get_classifier(), epochs=1), epochs=2, steps=1)
    assert changed(states[0], states[1]) == {"head.weight", "head.bias"}
    assert {"cls_token", "pos_embed"} <= changed(states[1], states[2])


@pytest.mark.parametrize("iterations", [0, 4, 7])
def test_iterations_count_over_the_whole_run(iterations):
    network = nn.Sequential(nn.Flatten(), nn.Linear(1024, 4), nn.Linear(4, 2))
    handler = Freeze(network[2], iterations=iterations)
    weights = []
    network[2].register_forward_hook(lambda module, *_: weights.append(module.weight.detach().clone()))
    trained(network, handler, epochs=3)
    same = [torch.equal(weights[0], weight) for weight in weights]
    # the forward pass of the step after the last frozen one still sees the old weights
    assert same == [True] * (iterations + 1) + [False] * (8 - iterations)
