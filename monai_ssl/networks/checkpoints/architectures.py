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

"""Which of timm's architectures a set of tensors belongs to, told from names and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from monai_ssl.networks.backbones import classifier_names, create_backbone
from monai_ssl.networks.checkpoints.adapting import first_layers
from monai_ssl.networks.checkpoints.layout import AVERAGED_COUNT

__all__ = ["COMPUTED", "STEP_COUNT", "Architecture", "architecture_of", "left_over", "reason_left_behind"]

STEP_COUNT = "num_batches_tracked"  # no weight, and absent from files of old torch versions

_VITS = ("tiny", "Ti"), ("small", "S"), ("base", "B"), ("large", "L")
_CANDIDATES: dict[str, dict[str, str]] = {
    "layer1.": {
        **{f"resnet{depth}": f"a ResNet-{depth}" for depth in (18, 34, 50, 101, 152)},
        "resnet50d": "a ResNet-50-D",
    },
    "features.denseblock1.": {f"densenet{depth}": f"a DenseNet-{depth}" for depth in (121, 169, 201)},
    "Mixed_5b.": {"inception_v3": "an InceptionV3"},
    "mixed_5b.": {"inception_resnet_v2": "an Inception-ResNet-v2"},
    "stages.": {f"convnext_{size}": f"a ConvNeXt-{size}" for size in ("tiny", "small", "base", "large")},
    "blocks.": {
        **{f"vit_{size}_patch16_224": f"a ViT-{letter}/16" for size, letter in _VITS},
        "vit_small_patch8_224": "a ViT-S/8",
        "vit_base_patch8_224": "a ViT-B/8",
        "vit_small_patch32_224": "a ViT-S/32",
        "vit_base_patch32_224": "a ViT-B/32",
        **{
            f"vit_{size}_patch14_dinov2": f"a ViT-{letter}/14 of DINOv2"
            for size, letter in (*_VITS[1:], ("giant", "g"))
        },
        **{
            f"vit_{size}_patch14_reg4_dinov2": f"a ViT-{letter}/14 of DINOv2 with 4 registers"
            for size, letter in (*_VITS[1:], ("giant", "g"))
        },
    },
}
_USUAL_CLASSIFIERS = ("fc.", "head.", "head_dist.", "classifier.", "classif.", "last_linear.")
# What timm computes itself, and files of old versions hold.
COMPUTED = (STEP_COUNT, "relative_position_index", "relative_coords_table", "attn_mask")


class Architecture(NamedTuple):
    """An architecture of timm: its name there, in words, the beginnings of its classifier's names, its first layers."""

    backbone: str
    words: str
    classifier: tuple[str, ...]
    first_layers: tuple[str, ...]


def architecture_of(tensors: Mapping[str, Tensor]) -> Architecture | None:
    """
    The architecture that `tensors` fill wholly, but for its classifier, channels and image size; None when unknown.

    Args:
        tensors: by timm's names.
    """
    for mark, candidates in _CANDIDATES.items():
        if any(name.startswith(mark) for name in tensors):
            for name, words in candidates.items():
                shapes, parts, classifier, first = _expected(name)
                if _fits(tensors, shapes) and not left_over(tensors, shapes, parts, classifier):
                    return Architecture(name, words, classifier, first)
    return None


def left_over(
    tensors: Mapping[str, Tensor], own: Iterable[str], parts: Iterable[str], classifier: tuple[str, ...]
) -> list[str]:
    """
    Names that lie within the parts of a network and yet are not its own: those of a deeper or otherwise richer one.

    Args:
        tensors: by timm's names.
        own: the network's names.
        parts: names of its children.
        classifier: beginnings of its classifier's names.
    """
    own, parts = set(own), set(parts)
    return [
        name
        for name in tensors
        if name not in own
        and ("." not in name or name.partition(".")[0] in parts)
        and reason_left_behind(name, classifier) is None
    ]


def reason_left_behind(name: str, heads: tuple[str, ...]) -> str | None:
    """
    Why a backbone has no use for a tensor, None when that is not plain.

    Args:
        name: by timm's names.
        heads: beginnings of the classifier's names; empty where they are not known.
    """
    if name.startswith(heads or _USUAL_CLASSIFIERS):
        return "classifier"
    if name.startswith("AuxLogits."):
        return "auxiliary classifier"
    if name == "mask_token":
        return "mask token of the pre-training"
    if name == AVERAGED_COUNT:
        return "count of the averaged weights"
    return "computed by timm itself" if name.endswith(COMPUTED) else None


@lru_cache(maxsize=64)
def _expected(name: str) -> tuple[dict[str, tuple[int | None, ...]], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    with torch.device("meta"):
        network = create_backbone(name, in_channels=3)
    shapes: dict[str, tuple[int | None, ...]] = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    first = first_layers(network)
    for key in first:
        shapes[key] = (shapes[key][0], None, *shapes[key][2:])
    if "pos_embed" in shapes:
        shapes["pos_embed"] = (1, None, shapes["pos_embed"][2])
    parts = tuple(name for name, _ in network.named_children())
    return shapes, parts, classifier_names(network), first


def _fits(tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int | None, ...]]) -> bool:
    return all(
        name in tensors
        and tensors[name].ndim == len(shape)
        and all(wanted in (None, given) for wanted, given in zip(shape, tensors[name].shape, strict=True))
        for name, shape in shapes.items()
        if not name.endswith(STEP_COUNT)
    )
