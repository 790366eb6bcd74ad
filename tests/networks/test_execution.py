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
import shutil

import pytest
import torch

from monai_ssl.networks import SwAVNet, checkpoint_activations, compile_backbone, create_backbone


def gradients(backbone, sizes=(64, 32)):
    torch.manual_seed(0)
    sum(backbone(torch.rand(4, 1, size, size)).square().sum() for size in sizes).backward()
    return {name: parameter.grad for name, parameter in backbone.named_parameters()}


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "mobilenetv3_small_050"])
def test_checkpointing_changes_neither_gradients_nor_statistics(name):
    torch.manual_seed(0)
    plain = create_backbone(name)
    saving = checkpoint_activations(copy.deepcopy(plain))
    expected, found = gradients(plain), gradients(saving)
    for key, gradient in expected.items():
        torch.testing.assert_close(found[key], gradient, rtol=1e-4, atol=1e-4)
    for (key, ours), theirs in zip(saving.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=key)


def test_checkpointing_keeps_fewer_activations():
    saved = []
    for enabled in (False, True):
        backbone = checkpoint_activations(create_backbone("resnet10t"), enabled)
        count = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, count=count: count.append(t.numel()) or t, lambda t: t):
            backbone(torch.rand(2, 1, 64, 64))
        saved.append(sum(count))
    assert saved[1] < 0.7 * saved[0]


def test_checkpointing_is_refused_where_timm_has_none():
    with pytest.raises(ValueError, match="gradient_checkpointing"):
        checkpoint_activations(torch.nn.Identity())


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="torch.compile needs a C++ compiler")
def test_compiled_is_uncompiled_with_the_same_names():
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Flatten(2), torch.nn.Tanh(), torch.nn.AdaptiveAvgPool1d(1))
    compiled = compile_backbone(copy.deepcopy(plain))
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        image = torch.rand(2, 1, 32, 32)
        torch.testing.assert_close(compiled(image), plain(image), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224"])
def test_channels_last_changes_no_score(name):
    torch.manual_seed(0)
    network = SwAVNet(create_backbone(name), hidden_dim=8, output_dim=4, prototypes=9).eval()
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)
    crops = [torch.rand(2, 1, size, size) for size in (64, 64, 32)]
    with torch.no_grad():
        for ours, theirs in zip(other(crops).scores, network(crops).scores, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
