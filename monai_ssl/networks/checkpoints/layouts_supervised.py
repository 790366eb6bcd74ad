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

"""
Layouts of supervised training: RadImageNet and torchvision.

They were read from https://github.com/BMEII-AI/RadImageNet, https://github.com/Warvito/radimagenet-models and
https://github.com/pytorch/vision.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from monai_ssl.networks.checkpoints.layout import Layout
from monai_ssl.networks.checkpoints.statistics import imagenet, minus_one_to_one

__all__ = ["SUPERVISED"]

# The children of torchvision's InceptionV3 in order; those without parameters have numbers too.
_INCEPTION = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2"),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
)
_INCEPTION_END = ("Mixed_7a", "Mixed_7b", "Mixed_7c")


def _flat_layer_scale(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.flatten() if name.endswith(".gamma") else tensor for name, tensor in tensors.items()}


def _numbered(children: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((rf"{number}\.", f"{child}.") for number, child in enumerate(children))


def _radimagenet(network: str, mark: str, renames: tuple[tuple[str, str], ...], **more: Any) -> Layout:
    return Layout(
        "radimagenet",
        f"RadImageNet {network}, official",
        marks=(rf"backbone\.{mark}",),
        prefix=r"backbone\.",
        renames=renames,
        left_behind=((r"(fc|classifier|linear)\.", "classifier"), *more.get("left_behind", ())),
        **minus_one_to_one("as RadImageNet's own code scales images"),
    )


_RADIMAGENET = (
    Layout(
        "radimagenet_keras",
        "RadImageNet ported from Keras",
        marks=(r"(\w+\.)*(conv1|0)\.bias$", r"(\w+\.)*(layer1|4)\.0\.conv1\.bias$"),
        refusal=(
            "it is another network than torchvision's and timm's ResNet-50, though names are alike: its convolutions "
            "have biases, its stride sits in the first convolution of a block, its BatchNorm eps is 1.001e-5. "
            "RadImageNet's official ResNet50.pt fits --backbone resnet50"
        ),
    ),
    _radimagenet(
        "ResNet-50",
        r"4\.0\.conv1\.",
        _numbered(("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")),
    ),
    _radimagenet("DenseNet-121", r"0\.conv0\.", _numbered(("features",))),
    _radimagenet(
        "InceptionV3",
        r"15\.conv0\.",
        _numbered((*_INCEPTION, "AuxLogits", *_INCEPTION_END)),
        left_behind=((r"backbone\.15\.", "auxiliary classifier"),),
    ),
    _radimagenet("InceptionV3", r"17\.branch1x1\.", _numbered((*_INCEPTION, *_INCEPTION_END))),
)

_TORCHVISION = (
    Layout(
        "torchvision_vit",
        "torchvision ViT",
        marks=(r"conv_proj\.", r"encoder\.layers\.encoder_layer_0\."),
        renames=(
            (r"class_token$", "cls_token"),
            (r"conv_proj\.", "patch_embed.proj."),
            (r"encoder\.pos_embedding$", "pos_embed"),
            (r"encoder\.ln\.", "norm."),
            (r"encoder\.layers\.encoder_layer_(\d+)\.ln_(\d)\.", r"blocks.\1.norm\2."),
            (r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_", r"blocks.\1.attn.qkv."),
            (r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj\.", r"blocks.\1.attn.proj."),
            (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:0|linear_1)\.", r"blocks.\1.mlp.fc1."),
            (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:3|linear_2)\.", r"blocks.\1.mlp.fc2."),
        ),
        left_behind=((r"heads\.", "classifier"),),
        **imagenet("as with torchvision's weights"),
    ),
    Layout(
        "torchvision_convnext",
        "torchvision ConvNeXt",
        marks=(r"features\.1\.0\.layer_scale$",),
        renames=(
            (r"features\.0\.", "stem."),
            *((rf"features\.{2 * i}\.", f"stages.{i}.downsample.") for i in (1, 2, 3)),
            *(
                (rf"features\.{2 * i + 1}\.(\d+)\.{theirs}", rf"stages.{i}.blocks.\1.{ours}")
                for i in range(4)
                for theirs, ours in (
                    (r"layer_scale$", "gamma"),
                    (r"block\.0\.", "conv_dw."),
                    (r"block\.2\.", "norm."),
                    (r"block\.3\.", "mlp.fc1."),
                    (r"block\.5\.", "mlp.fc2."),
                )
            ),
            (r"classifier\.0\.", "head.norm."),
        ),
        left_behind=((r"classifier\.2\.", "classifier"),),
        convert=_flat_layer_scale,
        **imagenet("as with torchvision's weights"),
    ),
    Layout(
        "torchvision_densenet",
        "torchvision DenseNet, names of its old files",
        marks=(r"features\.denseblock1\.denselayer1\.norm\.1\.",),
        renames=((r"(features\.denseblock\d+\.denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),),
        **imagenet("as with torchvision's weights"),
    ),
    Layout(
        "torchvision_inception",
        "torchvision InceptionV3",
        marks=(r"AuxLogits\.conv0\.", r"Mixed_7c\."),
        left_behind=((r"AuxLogits\.", "auxiliary classifier"),),
        like_timm=True,
        **minus_one_to_one("as torchvision's weights take images (transform_input)"),
    ),
)

SUPERVISED: tuple[Layout, ...] = (*_RADIMAGENET, *_TORCHVISION)
