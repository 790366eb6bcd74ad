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

import copy

import pytest
import torch
from timm.optim import Lars, param_groups_layer_decay
from torch import nn

from monai_ssl.networks import SwAVNet, create_backbone
from monai_ssl.optimizers import parameter_groups


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
@pytest.mark.parametrize("head", [None, 0.1])
def test_every_parameter_is_in_exactly_one_group(name: str, head: float | None) -> None:
    network = create_backbone(name, num_classes=3)
    for parameter in list(network.parameters())[:10]:
        parameter.requires_grad_(False)
    groups = parameter_groups(network, 0.05, learning_rate=0.01, head_learning_rate=head)
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(listed) == sorted(id(parameter) for parameter in network.parameters())


def test_biases_and_norms_do_not_decay() -> None:
    network = SwAVNet(create_backbone("resnet18"), prototypes=10)
    decay, no_decay = parameter_groups(network, 1e-6)
    expected = set()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            expected.add(id(module.weight))
    assert {id(parameter) for parameter in decay["params"]} == expected
    assert (decay["weight_decay"], no_decay["weight_decay"]) == (1e-6, 0)
    assert "lr" not in decay
    (everything,) = parameter_groups(network, 1e-6, exclude_norms=False)
    assert len(everything["params"]) == len(list(network.parameters()))


@pytest.mark.parametrize(
    ("name", "head"), [("resnet18", "fc"), ("vit_tiny_patch16_224", "head"), ("convnext_atto", "head.fc")]
)
def test_head_has_its_own_rate(name: str, head: str) -> None:
    network = create_backbone(name, num_classes=3)
    groups = parameter_groups(network, 0.05, learning_rate=0.01, head_learning_rate=0.1)
    layer = network.get_submodule(head)
    rates = {id(parameter): (group["lr"], group["weight_decay"]) for group in groups for parameter in group["params"]}
    assert rates.pop(id(layer.weight)) == (0.1, 0.05)
    assert rates.pop(id(layer.bias)) == (0.1, 0)
    assert {rate for rate, _ in rates.values()} == {0.01}


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "densenet121", "inception_v3", "convnext_atto"])
def test_layers_have_the_rates_that_timm_gives_them(name: str) -> None:
    network = create_backbone(name, num_classes=3)
    ours = parameter_groups(network, 0.05, learning_rate=0.01, layer_decay=0.75)
    theirs = param_groups_layer_decay(network, 0.05, layer_decay=0.75)
    expected = {id(p): 0.01 * group["lr_scale"] for group in theirs for p in group["params"]}
    assert {id(p): group["lr"] for group in ours for p in group["params"]} == pytest.approx(expected)
    expected = {id(p): group["weight_decay"] for group in theirs for p in group["params"]}
    assert {id(p): group["weight_decay"] for group in ours for p in group["params"]} == expected
    assert len({group["name"] for group in ours}) == len(ours)
    rates = [group["lr"] for group in ours]
    assert rates == sorted(rates)
    with_head = parameter_groups(network, 0.05, learning_rate=0.01, head_learning_rate=0.5, layer_decay=0.75)
    assert {group["lr"] for group in with_head if group["name"].startswith("head_")} == {0.5}
    assert max(group["lr"] for group in with_head if group["name"].startswith("layer_")) <= 0.01


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a learning_rate"):
        parameter_groups(create_backbone("resnet18"), 0, layer_decay=0.5)
    with pytest.raises(ValueError, match="above 0 to 1"):
        parameter_groups(create_backbone("resnet18"), 0, learning_rate=1, layer_decay=0)
    with pytest.raises(ValueError, match="no layers of Linear"):
        parameter_groups(nn.Linear(2, 2), 0, learning_rate=1, layer_decay=0.5)
    with pytest.raises(ValueError, match="weight_decay"):
        parameter_groups(nn.Linear(2, 2), -1)
    with pytest.raises(ValueError, match="num_classes"):
        parameter_groups(create_backbone("resnet18"), 0, head_learning_rate=0.1)


def test_lars_adapts_weights_and_leaves_biases_and_norms_to_plain_sgd() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    slow = copy.deepcopy(network)
    rate, momentum, decay, trust, eps = 0.3, 0.9, 1e-2, 1e-3, 1e-8
    optimizer = Lars(parameter_groups(network, decay), lr=rate, momentum=momentum, trust_coeff=trust)
    buffers: dict[str, torch.Tensor] = {}
    for _ in range(3):
        batch = torch.randn(8, 4)
        for model in (network, slow):
            model.zero_grad()
            model(batch).square().mean().backward()
        optimizer.step()
        with torch.no_grad():
            for name, weight in slow.named_parameters():
                step = weight.grad
                if weight.ndim > 1:
                    ratio = trust * weight.norm() / (step.norm() + decay * weight.norm() + eps)
                    step = ratio * (step + decay * weight)
                buffers[name] = step if name not in buffers else momentum * buffers[name] + step
                weight.sub_(rate * buffers[name])
    for ours, theirs in zip(network.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.optim.Optimizer.load_state_dict(optimizer, optimizer.state_dict())


def test_without_exclusion_lars_is_larc_on_all_parameters_as_in_the_original() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    slow = copy.deepcopy(network)
    nn.init.constant_(network[1].bias, 0.1)
    nn.init.constant_(slow[1].bias, 0.1)  # LARC leaves alone, and Lars decays, what is exactly zero
    optimizer = Lars(parameter_groups(network, 1e-6, exclude_norms=False), lr=0.3, momentum=0.9)
    peer = torch.optim.SGD(slow.parameters(), lr=0.3, momentum=0.9)
    for _ in range(3):
        batch = torch.randn(8, 4)
        for model in (network, slow):
            model.zero_grad()
            model(batch).square().mean().backward()
        with torch.no_grad():
            for weight in slow.parameters():
                ratio = 1e-3 * weight.norm() / (weight.grad.norm() + 1e-6 * weight.norm() + 1e-8)
                weight.grad.add_(weight, alpha=1e-6).mul_(ratio)
        optimizer.step()
        peer.step()
    for ours, theirs in zip(network.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_lars_adapts_weights_without_decay_too() -> None:
    steps = []
    for decay in (0, 1e-12):
        network = nn.Linear(4, 4, bias=False)
        nn.init.ones_(network.weight)
        optimizer = Lars(parameter_groups(network, decay), lr=0.15)
        network(torch.ones(1, 4)).sum().backward()
        optimizer.step()
        steps.append((1 - network.weight).mean().item())
    assert steps[0] == pytest.approx(steps[1]) == pytest.approx(0.15 * 1e-3, rel=1e-2)
