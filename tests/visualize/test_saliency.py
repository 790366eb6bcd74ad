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
from torch import nn
from torch.nn import functional

from monai_ssl.networks import create_backbone
from monai_ssl.visualize import saliency_map
from monai_ssl.visualize.saliency import target_layer


def make(name, in_channels=1, **options):
    torch.manual_seed(0)
    network = create_backbone(name, in_channels, num_classes=3, **options)
    for parameter in network.parameters():  # a new network's zero biases and small layer scales give flat maps
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 0.5, 0.3)
    return network


def stretched(maps):
    highest = maps.amax(dim=(1, 2), keepdim=True)
    return torch.where(highest > 0, maps / highest, maps)


def plain_gradcam(network, images, class_index, layer, to_planes):
    """Selvaraju's formula with torch.autograd, and no hook but one."""
    kept = []
    handle = network.get_submodule(layer).register_forward_hook(lambda *call: kept.append(call[2]))
    logits = network.eval()(images.clone().requires_grad_())
    handle.remove()
    gradient = torch.autograd.grad(logits[:, class_index].sum(), kept[0])[0]
    planes, slopes = to_planes(kept[0].detach()), to_planes(gradient)
    raw = (planes * slopes.mean(dim=(2, 3), keepdim=True)).sum(dim=1, keepdim=True).clamp_min(0)
    return stretched(functional.interpolate(raw, images.shape[2:], mode="bilinear", align_corners=False)[:, 0])


def tokens(prefix, rows, columns):
    return lambda values: values[:, prefix:].reshape(len(values), rows, columns, -1).permute(0, 3, 1, 2)


CASES = {
    "resnet10t": (64, 96, "layer4", lambda values: values),
    "densenet121": (64, 64, "features.norm5", lambda values: values),
    "convnext_atto": (64, 64, "stages.3", lambda values: values),
    "swin_tiny_patch4_window7_224": (112, 112, "layers.3", lambda values: values.permute(0, 3, 1, 2)),
    "vit_tiny_patch16_224": (64, 96, "blocks.11.norm1", tokens(1, 4, 6)),
    "vit_small_patch14_reg4_dinov2": (70, 56, "blocks.11.norm1", tokens(5, 5, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_gradcam_is_that_of_a_plain_formula(name):
    height, width, layer, to_planes = CASES[name]
    size = {"img_size": height} if "swin" in name else {}
    network, images = make(name, **size), torch.rand(2, 1, height, width)
    assert target_layer(network) == layer
    maps = [saliency_map(network, images, class_index) for class_index in range(3)]
    for class_index in (0, 2):
        expected = plain_gradcam(network, images, class_index, layer, to_planes)
        torch.testing.assert_close(maps[class_index], expected, rtol=1e-3, atol=1e-4)
    assert torch.stack(maps).amax() == 1
    assert torch.stack(maps).amin() >= 0


def plain_occlusion(network, image, class_index):
    """Each square hidden in a loop; the last one of a line ends with the image."""
    sides = [round(side / 8) for side in image.shape[2:]]
    starts = [
        sorted({min(start, whole - side) for start in range(0, whole, side // 2)})
        for whole, side in zip(image.shape[2:], sides, strict=True)
    ]
    total, times = (torch.zeros(image.shape[2:], dtype=image.dtype) for _ in range(2))
    with torch.no_grad():
        whole = network.eval()(image)[0, class_index]
        for top in starts[0]:
            for left in starts[1]:
                hidden = image.clone()
                hidden[:, :, top : top + sides[0], left : left + sides[1]] = image.mean()
                part = (slice(top, top + sides[0]), slice(left, left + sides[1]))
                total[part] += whole - network(hidden)[0, class_index]
                times[part] += 1
    return stretched((total / times).clamp_min(0)[None])[0]


def test_occlusion_is_that_of_a_plain_loop():
    network, images = make("resnet10t").double(), torch.rand(2, 1, 24, 32).double()
    maps = saliency_map(network, images, 2, method="occlusion")
    for image, one in zip(images.split(1), maps, strict=True):
        torch.testing.assert_close(one, plain_occlusion(network, image, 2).float(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["gradcam", "occlusion"])
@pytest.mark.parametrize("training", [True, False])
def test_network_is_left_as_it_was(method, training):
    network = make("resnet10t", in_channels=3).train(training)
    network.conv1[0].requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():  # as an evaluation would call it
        maps = saliency_map(network, torch.rand(2, 3, 32, 32), 1, method)
    assert maps.shape == (2, 32, 32)
    assert maps.dtype == torch.float32
    assert not maps.requires_grad
    assert all(module.training == training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert [parameter.requires_grad for parameter in network.conv1[0].parameters()] == [False]
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Bright(nn.Module):
    """A CNN made by hand: class 0 grows with what is bright, class 1 falls with it."""

    num_classes = 2

    def __init__(self):
        super().__init__()
        self.feature_info = [{"module": "stage", "num_chs": 1}]
        self.stage = nn.Sequential(nn.Conv2d(1, 1, 5, stride=2, padding=2), nn.ReLU(inplace=True))
        nn.init.constant_(self.stage[0].weight, 1 / 25)
        nn.init.constant_(self.stage[0].bias, -0.5)

    def forward(self, images):
        mean = self.stage(images).mean(dim=(1, 2, 3))
        return torch.stack([mean, -mean], dim=1)


@pytest.mark.parametrize("method", ["gradcam", "occlusion"])
def test_map_points_to_the_blob_for_its_class_and_is_empty_for_the_other(method):
    image = torch.zeros(1, 1, 64, 64)
    image[:, :, 40:52, 8:20] = 1
    network = Bright()
    shown = saliency_map(network, image, 0, method)[0]
    row, column = np.unravel_index(shown.argmax(), shown.shape)
    assert 38 <= row < 54
    assert 6 <= column < 22
    assert shown[:24, 40:].max() == 0
    against = saliency_map(network, image, 1, method)[0]
    assert against[40:52, 8:20].max() == 0
    if method == "gradcam":  # hidden behind grey, what lies beside the blob grows brighter
        assert against.max() == 0
    flat = saliency_map(network, torch.zeros(1, 1, 64, 64), 0, method)
    assert flat.abs().max() == 0
    assert torch.isfinite(flat).all()


def test_what_cannot_be_looked_into_is_refused_with_what_works():
    images = torch.rand(1, 1, 224, 224)
    with pytest.raises(ValueError, match=r"MlpMixer: gradcam finds no spatial layer.*occlusion"):
        saliency_map(create_backbone("mixer_s32_224", num_classes=2), images, 0)
    network = create_backbone("resnet10t", num_classes=2)
    with pytest.raises(ValueError, match="no layer 'layer9'"):
        saliency_map(network, images, 0, layer="layer9")
    with pytest.raises(ValueError, match="known: gradcam, occlusion"):
        saliency_map(network, images, 0, method="lime")
    with pytest.raises(ValueError, match="from 0 to 1, got 2"):
        saliency_map(network, images, 2)
    with pytest.raises(ValueError, match=r"\(B, C, H, W\)"):
        saliency_map(network, images[0], 0)
    with pytest.raises(ValueError, match="does not tell its stages"):
        saliency_map(nn.Flatten(), images, 0)
