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
import timm
import torch

from monai_ssl.networks import classifier_names, create_backbone


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
