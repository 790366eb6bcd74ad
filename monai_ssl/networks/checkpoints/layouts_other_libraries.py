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

"""Layouts of networks that other libraries define: MONAI's, and those of Hugging Face transformers."""

from __future__ import annotations

from monai_ssl.networks.checkpoints.layout import Layout

__all__ = ["OTHER_LIBRARIES"]

OTHER_LIBRARIES: tuple[Layout, ...] = (
    Layout(
        "monai_densenet",
        "MONAI DenseNet",
        marks=(r"features\.denseblock1\.denselayer1\.layers\.",),
        renames=((r"(features\.denseblock\d+\.denselayer\d+)\.layers\.", r"\1."),),
        left_behind=((r"class_layers\.", "classifier"),),
    ),
    Layout(
        "monai_resnet",
        "MONAI ResNet",
        marks=(r"layer\d\.0\.downsample\.0\.bias$",),
        absent=(r"conv1\.bias$",),
        refusal=(
            "its shortcut convolutions have biases, timm's have none. A MONAI ResNet made with bias_downsample=False "
            "and conv1_t_stride=2 is torchvision's and fits"
        ),
    ),
    Layout(
        "monai_senet",
        "MONAI SENet",
        marks=(r"layer1\.0\.conv1\.conv\.", r"layer1\.0\.se_layer\."),
        refusal="its squeeze-and-excitation is of linear layers, timm's of convolutions. timm's legacy_seresnet50 fits",
    ),
    Layout(
        "monai_vit",
        "MONAI ViT",
        marks=(r"patch_embedding\.",),
        refusal=(
            "its class token has no position and its LayerNorm eps is 1e-5, which no ViT of timm has. timm's "
            "vit_base_patch16_224 and its like fit"
        ),
    ),
    Layout(
        "transformers",
        "Hugging Face transformers ViT or DINOv2",
        marks=(r"(\w+\.)?embeddings\.patch_embeddings\.projection\.",),
        refusal=(
            "queries, keys and values are apart there. The same weights are published under timm's names: look for "
            "timm/ in front of the name at huggingface.co"
        ),
    ),
)
