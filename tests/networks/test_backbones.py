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

from copy import deepcopy
from pathlib import Path

import pytest
import timm
import torch

from monai_ssl.networks import classifier_names, create_backbone, load_backbone_weights

# Of the larger ones, fewer blocks: what is looked at is the same in each.
NAMED: dict[str, dict] = {
    "resnet18": {},
    "resnet50": {"layers": (1, 1, 1, 1)},
    "resnet50d": {"layers": (1, 1, 1, 1)},
    "densenet121": {"block_config": (2, 2, 2, 2)},
    "inception_v3": {},
    "inception_resnet_v2": {},
    "convnext_tiny": {"depths": (1, 1, 1, 1)},
    "vit_small_patch16_224": {"depth": 2},
    "vit_base_patch16_224": {"depth": 1},
    "vit_small_patch14_dinov2": {"depth": 2},
    "vit_base_patch14_dinov2": {"depth": 1},
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(NAMED))
def test_named_backbones_classify_at_other_sizes_and_take_their_own_file_back(
    tmp_path: Path, name: str, channels: int
) -> None:
    network = create_backbone(name, channels, num_classes=3, **NAMED[name]).eval()
    side = 112 if "vit" in name or "inception" in name else 64
    image = torch.rand(1, channels, side, side)
    state = network.state_dict()
    heads = {key for key in state if key.startswith(classifier_names(network))}
    assert {state[key].shape[0] for key in heads} == {3}
    torch.save(state, tmp_path / "model.pt")
    other = deepcopy(network)
    with torch.no_grad():
        for key, tensor in other.state_dict().items():
            tensor.mul_(key in heads)  # all but the classifier must come from the file
    report = load_backbone_weights(other, tmp_path / "model.pt")
    assert set(report.unexpected) == heads
    assert len(report.normalisation.mean) == channels
    with torch.no_grad():
        logits = network(image)
        torch.testing.assert_close(other(image), logits)
    assert logits.shape == (1, 3)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("name", "width", "sizes"),
    [
        ("vit_small_patch16_224", 384, (224, 336, 512)),
        ("vit_base_patch16_224", 768, (224, 336, 512)),
        ("vit_small_patch14_dinov2", 384, (224, 336, 518)),
        ("vit_base_patch14_dinov2", 768, (224, 336, 518)),
        ("vit_large_patch14_dinov2", 1024, (224, 336, 518)),
        ("vit_large_patch14_reg4_dinov2", 1024, (224, 518)),
        ("resnet50", 2048, (224, 512)),
        ("inception_resnet_v2", 1536, (256, 299)),
    ],
)
def test_named_backbones_take_the_sizes_of_the_studies(name: str, width: int, sizes: tuple[int, ...]) -> None:
    with torch.device("meta"):
        backbone = create_backbone(name).eval()
        for size in sizes:
            assert backbone(torch.zeros(2, 1, size, size)).shape == (2, width)


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "convnext_atto", "mobilenetv3_small_050"])
def test_features_are_timms_pooled_features(name: str) -> None:
    torch.manual_seed(0)
    backbone = create_backbone(name).eval()
    torch.manual_seed(0)
    peer = timm.create_model(name, num_classes=0, in_chans=1).eval()
    image = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        features = backbone(image)
        torch.testing.assert_close(features, peer(image))
        torch.testing.assert_close(features, peer.forward_head(peer.forward_features(image), pre_logits=True))
    assert features.shape[1] == backbone.num_features


def test_transformer_takes_crops_of_several_sizes_as_timm_built_for_each() -> None:
    backbone = create_backbone("vit_tiny_patch16_224").eval()
    with torch.no_grad():
        for size in (96, 224):
            image = torch.rand(1, 1, size, size)
            peer = timm.create_model("vit_tiny_patch16_224", num_classes=0, in_chans=1, img_size=size).eval()
            weights = timm.models.vision_transformer.checkpoint_filter_fn(backbone.state_dict(), peer)
            peer.load_state_dict(weights)
            torch.testing.assert_close(backbone(image), peer(image), rtol=1e-4, atol=1e-4)


def test_num_classes_gives_the_plain_timm_classifier() -> None:
    backbone = create_backbone("resnet18", in_channels=3, num_classes=5)
    peer = timm.create_model("resnet18", num_classes=5)
    shapes = {name: tensor.shape for name, tensor in peer.state_dict().items()}
    assert {name: tensor.shape for name, tensor in backbone.state_dict().items()} == shapes
    assert classifier_names(backbone) == ("fc.",)
    assert backbone.num_features == 512


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="resnet50"):
        create_backbone("resnet_50")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet18", "pretrained": True}, "load_backbone_weights"),
        ({"name": "resnet18", "in_chans": 3}, "in_channels"),
        ({"name": "resnet18", "in_channels": 0}, "at least 1"),
        ({"name": "resnet18", "drop_rat": 0.1}, "drop_rat"),
        ({"name": "vit_tiny_patch16_224", "drop_rat": 0.1}, "drop_rat"),
        ({"name": "resnet18.no_such_tag"}, "no_such_tag"),
        ({"name": "hf-hub:timm/resnet18"}, "no backbone"),
    ],
)
def test_wrong_options_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_backbone(**arguments)
