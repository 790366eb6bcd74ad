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

"""Where checkpoints of each layout are published, for which backbones, and under which licence."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATALOGUE", "Publication"]

_SEE_PAGE = "see its page"


@dataclass(frozen=True)
class Publication:
    """
    Checkpoints of one layout.

    Attributes:
        backbones: names for `--backbone`.
        images: mean and std that the weights expect of images scaled to [0, 1].
        licence: of the weights, or where only that is known, of the code that they come with.
        url: where they are published, or the code that writes them.
    """

    backbones: str
    images: str
    licence: str
    url: str


_ANY, _RESNET, _VITS = "any of timm's", "resnet50", "vit_small_patch16_224, vit_base_patch16_224"
_IMAGENET, _HALF = "ImageNet's", "0.5 / 0.5"
_DINOV2 = "vit_*_patch14_dinov2, vit_*_patch14_reg4_dinov2"
_OURS = Publication(_ANY, "as trained", "yours", "the bundles of monai_ssl")
_MONAI_REFUSED = Publication("none, refused", "-", "yours", "https://monai.io")
_TORCHVISION = "https://github.com/pytorch/vision"
_SPARK = Publication(_RESNET, _IMAGENET, "MIT (code)", "https://github.com/keyu-tian/SparK")

CATALOGUE: dict[str, Publication] = {
    "monai_ssl": _OURS,
    "monai_ssl_swav": _OURS,
    "monai_ssl_classifier": _OURS,
    "timm": Publication(
        f"{_ANY}, torchvision's ResNets", "by its tag", "differs by tag", "https://huggingface.co/timm"
    ),
    "less_is_more": Publication(_RESNET, "0.1806 / 0.1907", _SEE_PAGE, "https://github.com/Wolfda95/Less_is_More"),
    "swav": Publication(_RESNET, _IMAGENET, "CC BY-NC 4.0", "https://github.com/facebookresearch/swav"),
    "moco": Publication(_RESNET, _IMAGENET, _SEE_PAGE, "https://github.com/facebookresearch/moco"),
    "byol": Publication(
        _RESNET,
        _IMAGENET,
        _SEE_PAGE,
        "https://github.com/Wolfda95/SSL-MedicalImagining-CL-MAE",
    ),
    "spark": _SPARK,
    "spark_decoder": _SPARK,
    "vissl": Publication(_RESNET, _IMAGENET, _SEE_PAGE, "https://github.com/facebookresearch/vissl"),
    "dino": Publication(_VITS, _IMAGENET, "Apache-2.0", "https://github.com/facebookresearch/dino"),
    "dinov2": Publication(_DINOV2, _IMAGENET, "Apache-2.0", "https://github.com/facebookresearch/dinov2"),
    "dinov2_training": Publication(_DINOV2, _IMAGENET, "yours", "https://github.com/facebookresearch/dinov2"),
    "mae": Publication(
        "vit_base_patch16_224, vit_large_patch16_224",
        _IMAGENET,
        "CC BY-NC 4.0",
        "https://github.com/facebookresearch/mae",
    ),
    "vit_med": Publication(
        "vit_base_patch16_224, vit_base_patch14_dinov2",
        "0 / 1, a guess where flat",
        _SEE_PAGE,
        "https://github.com/tayebiarasteh/vit-med",
    ),
    "radimagenet": Publication(
        "resnet50, densenet121, inception_v3", _HALF, "MIT (code)", "https://github.com/BMEII-AI/RadImageNet"
    ),
    "radimagenet_keras": Publication("none, refused", "-", _SEE_PAGE, "https://github.com/Warvito/radimagenet-models"),
    "torchvision_vit": Publication("vit_base_patch16_224 and its like", _IMAGENET, "BSD-3 (code)", _TORCHVISION),
    "torchvision_convnext": Publication("convnext_tiny and its like", _IMAGENET, "BSD-3 (code)", _TORCHVISION),
    "torchvision_densenet": Publication("densenet121 and its like", _IMAGENET, "BSD-3 (code)", _TORCHVISION),
    "torchvision_inception": Publication("inception_v3", _HALF, "BSD-3 (code)", _TORCHVISION),
    "monai_densenet": Publication("densenet121 and its like", "as trained", "yours", "https://monai.io"),
    "monai_resnet": _MONAI_REFUSED,
    "monai_senet": _MONAI_REFUSED,
    "monai_vit": _MONAI_REFUSED,
    "transformers": Publication("none, refused", "-", _SEE_PAGE, "https://huggingface.co/models?library=transformers"),
}
