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

"""Backbones: any architecture that timm knows, with random weights and the image sizes of multi-crop."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import timm
from timm.models import is_model
from torch import nn

__all__ = ["classifier_names", "create_backbone"]


def create_backbone(name: str, in_channels: int = 1, **timm_options: Any) -> nn.Module:
    """
    Build a timm network with random weights, as a feature extractor or, with `num_classes`, as a classifier.

    One channel by default: a CT slice is grey, and three equal channels would cost without telling more. Transformers
    whose position embedding can follow the image size do so (`dynamic_img_size`), so that crops of 96 and 224 px pass
    through one network; sides must still be multiples of the patch (96 and 224 for 16 px, 98 and 224 for 14 px), unless
    `dynamic_img_pad=True` is given. The few that cannot (BEiT) take `img_size`, and then only crops of that size.

    Args:
        name: architecture name in timm, such as `resnet50`, `densenet121`, `vit_small_patch16_224`, with or without
            the tag of a weight set after a dot.
        in_channels: channels of the input image, at least 1.
        timm_options: passed on to `timm.create_model`: `num_classes`, `drop_rate`, `img_size` ...

    Returns:
        the network: (B, in_channels, H, W) to (B, num_features), or to (B, num_classes) logits where that is given.
        Its `num_features` is the width of the features.

    Raises:
        ValueError: for an unknown name, with the nearest known ones, and for options that would fetch weights.

    Example:
        >>> from monai_ssl.networks import create_backbone
        >>> create_backbone("resnet18").num_features
        512
    """
    if in_channels < 1:
        raise ValueError(f"in_channels must be at least 1, got {in_channels}")
    if {"pretrained", "in_chans"} & timm_options.keys():
        raise ValueError(
            f"create_backbone takes neither pretrained nor in_chans, got {sorted(timm_options)}; "
            "give in_channels, and start from weights on disk with load_backbone_weights"
        )
    if not is_model(name.partition(".")[0]):
        raise ValueError(f"no backbone {name!r} in timm {timm.__version__}; {_nearest(name)}")
    backbone = _create(name, {"num_classes": 0, **timm_options, "in_chans": in_channels})
    # timm tells the last convolution's width from that of the features where a layer lies between (MobileNetV3, VGG)
    backbone.num_features = getattr(backbone, "head_hidden_size", None) or backbone.num_features
    return backbone


def classifier_names(network: nn.Module) -> tuple[str, ...]:
    """
    The beginnings of the names of a timm network's classifier parameters, such as `("fc.",)`; empty when unknown.

    Example:
        >>> from monai_ssl.networks import classifier_names, create_backbone
        >>> classifier_names(create_backbone("resnet18"))
        ('fc.',)
    """
    names = (getattr(network, "pretrained_cfg", None) or {}).get("classifier") or ()
    return tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))


def _create(name: str, options: dict[str, Any]) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=False, **{"dynamic_img_size": True, **options})
    except TypeError as error:
        if "dynamic_img_size" not in str(error):
            raise ValueError(f"backbone {name!r} does not take these options: {error}") from error
    except RuntimeError as error:
        raise ValueError(f"backbone {name!r}: {error}; leave out the part after the dot") from error
    try:
        return timm.create_model(name, pretrained=False, **options)
    except TypeError as error:
        raise ValueError(f"backbone {name!r} does not take these options: {error}") from error


def _nearest(name: str) -> str:
    near = get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else "timm.list_models() lists what it knows"
