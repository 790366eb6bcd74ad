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
from torch import nn

from monai_ssl.networks import classifier_names, create_backbone, forward_order, trained_part


def owners(network):
    return {name for name, module in network.named_modules() if any(True for _ in module.parameters(recurse=False))}


def names_of(network, modules):
    known = {module: name for name, module in network.named_modules()}
    return [known[module] for module in modules]


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("resnet18", ["layer4.1.conv1", "layer4.1.bn1", "layer4.1.conv2", "layer4.1.bn2"]),
        ("resnet50", ["layer4.2.conv2", "layer4.2.bn2", "layer4.2.conv3", "layer4.2.bn3"]),
        (
            "densenet121",
            [*(f"features.denseblock4.denselayer16.{part}" for part in ("conv1", "norm2", "conv2")), "features.norm5"],
        ),
        (
            "inception_v3",
            [*(f"Mixed_7c.{part}" for part in ("branch3x3dbl_3b.conv", "branch3x3dbl_3b.bn")),
             *(f"Mixed_7c.branch_pool.{part}" for part in ("conv", "bn"))],
        ),
        ("inception_resnet_v2", ["block8.branch1.2.bn", "block8.conv2d", "conv2d_7b.conv", "conv2d_7b.bn"]),
        ("vit_tiny_patch16_224", ["blocks.11.norm2", "blocks.11.mlp.fc1", "blocks.11.mlp.fc2", "norm"]),
        ("vit_small_patch14_dinov2", ["blocks.11.mlp.fc1", "blocks.11.mlp.fc2", "blocks.11.ls2", "norm"]),
    ],
)  # fmt: skip
def test_the_last_layers_in_forward_order(name, last):
    network = create_backbone(name, num_classes=3, drop_rate=0.5)
    shape = (1, 112, 112)
    heads = {head.removesuffix(".") for head in classifier_names(network)}
    part = names_of(network, trained_part(network, 4, shape))
    assert [name for name in part if name in owners(network) - heads] == last
    head = names_of(network, trained_part(network, "head", shape))
    assert owners(network) & set(head) == heads
    # the dropout in front of the head is trained with it, whatever holds it; a ResNet calls it without a module
    dropouts = {name for name, module in network.named_modules() if isinstance(module, nn.Dropout) and module.p == 0.5}
    assert dropouts <= set(head)
    assert trained_part(network, "all", shape) is None
    everything = len(owners(network) - heads)
    assert owners(network) <= set(names_of(network, trained_part(network, everything, shape)))
    with pytest.raises(ValueError, match=f"has {everything} modules with parameters"):
        trained_part(network, everything + 1, shape)


def test_the_order_is_that_of_a_real_forward_pass_and_leaves_the_weights():
    network = create_backbone("resnet18", num_classes=2).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    order = forward_order(network, (1, 64, 64))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    seen = []
    for name, module in network.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: seen.append(name))
    with torch.no_grad():
        network(torch.rand(1, 1, 64, 64))
    assert order == sorted(set(seen), key=lambda name: len(seen) - 1 - seen[::-1].index(name))


@pytest.mark.parametrize("layers", ["top", -1, True, 2.0, None])
def test_other_layers_are_refused(layers):
    with pytest.raises(ValueError, match="layers must be"):
        trained_part(create_backbone("resnet18", num_classes=2), layers, (1, 64, 64))


def test_images_that_do_not_pass_are_refused():
    with pytest.raises(ValueError, match=r"takes no images of \(1, 30, 30\)"):
        forward_order(create_backbone("vit_tiny_patch16_224", num_classes=2), (1, 30, 30))
