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

"""Where a network looks: class activation maps and occlusion, through MONAI, for networks of timm."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import torch
from monai.networks.utils import eval_mode
from monai.utils import convert_to_tensor
from monai.visualize import GradCAM, OcclusionSensitivity
from torch import nn
from torch.nn import functional

__all__ = ["METHODS", "saliency_map", "target_layer"]

METHODS = ("gradcam", "occlusion")
_OCCLUDED_SHARE = 8  # a side of the square that is hidden is this part of the image's side
_OVERLAP = 0.5
_BATCH = 32
_ROUNDING = 1e-5  # of a logit in float32, computed in batches of two sizes
_TOKENS = 3  # dimensions of (B, tokens, C)


def saliency_map(
    network: nn.Module,
    images: torch.Tensor,
    class_index: int,
    method: str = "gradcam",
    layer: str | None = None,
) -> torch.Tensor:
    """
    What of each image speaks for a class, from 0 to 1, where 1 is the most of that image.

    "gradcam" weighs the channels of the last spatial layer by the mean gradient of the class's logit. Of a vision
    transformer these are the patch tokens that enter its last attention; tokens behind it, all but those that are
    pooled, have no gradient. "occlusion" hides a square, an eighth of the image's side, behind the image's mean, in
    steps of half its side; a pixel has the mean fall of the logit over the squares that cover it.

    What speaks against the class counts as 0. A map that is 0 everywhere says that nothing speaks for it by this
    method, and is returned so: it is not stretched.

    Args:
        network: a classifier of timm, (B, C, H, W) to (B, classes) logits. Its mode, gradients and hooks stay.
        images: (B, C, H, W), prepared as for training, on the network's device.
        class_index: 0 to classes - 1.
        method: "gradcam" or "occlusion". The latter needs no layer, and hundreds of passes an image.
        layer: of "gradcam", the name of a module that gives (B, C, h, w), (B, h, w, C) or patch tokens; None takes
            :py:func:`target_layer`.

    Returns:
        (B, H, W) float32, without gradient.

    Raises:
        ValueError: for another method, class or layer, images that are not (B, C, H, W), or a network whose last
            spatial layer cannot be told.

    Example:
        >>> from monai_ssl.networks import create_backbone
        >>> network = create_backbone("resnet18", num_classes=2)
        >>> saliency_map(network, torch.rand(3, 1, 64, 48), class_index=1).shape
        torch.Size([3, 64, 48])

    See Selvaraju et al., ICCV 2017 (https://arxiv.org/abs/1610.02391), Zeiler and Fergus, ECCV 2014
    (https://arxiv.org/abs/1311.2901).
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    if images.ndim != 4:
        raise ValueError(f"images must be (B, C, H, W), got {tuple(images.shape)}")
    classes = getattr(network, "num_classes", None)
    if class_index < 0 or (classes is not None and class_index >= classes):
        raise ValueError(f"class_index must be from 0 to {(classes or 0) - 1}, got {class_index}")
    raw = (
        _gradcam(network, images, class_index, layer)
        if method == "gradcam"
        else _occluded(network, images, class_index)
    )
    highest = raw.amax(dim=(1, 2), keepdim=True)
    return torch.where(highest > 0, raw / highest.clamp_min(torch.finfo(raw.dtype).tiny), 0).float()


def target_layer(network: nn.Module) -> str:
    """
    The layer that "gradcam" takes of a network of timm: the first norm of a transformer's last block, else the last
    stage.

    Raises:
        ValueError: when the network tells none.

    Example:
        >>> from monai_ssl.networks import create_backbone
        >>> target_layer(create_backbone("resnet18")), target_layer(create_backbone("vit_tiny_patch16_224"))
        ('layer4', 'blocks.11.norm1')
    """
    stages = getattr(network, "feature_info", None)
    if not isinstance(stages, list) or not stages:
        raise ValueError(_no_layer(network, "it does not tell its stages"))
    last = stages[-1]["module"]
    if hasattr(network, "num_prefix_tokens"):
        return f"{last}.norm1"
    return last


def _gradcam(network: nn.Module, images: torch.Tensor, class_index: int, layer: str | None) -> torch.Tensor:
    name = target_layer(network) if layer is None else layer
    if name not in dict(network.named_modules()):
        raise ValueError(_no_layer(network, f"it has no layer {name!r}"))
    # MONAI's hooks stay, and the gradients too: a copy takes them.
    looked_at = copy.deepcopy(network).eval().requires_grad_(False)
    for module in looked_at.modules():
        if hasattr(module, "inplace"):
            module.__dict__["inplace"] = False
    cam = _TimmGradCAM(looked_at, target_layers=name, postprocessing=_same)
    cam.as_planes = partial(_as_planes, network, tuple(images.shape[2:]), name)
    with torch.enable_grad():
        # frozen layers have a gradient too, through the image
        maps = cam(images.detach().requires_grad_(), class_idx=class_index)
    return maps[:, 0].detach()


def _occluded(network: nn.Module, images: torch.Tensor, class_index: int) -> torch.Tensor:
    square = [max(1, round(side / _OCCLUDED_SHARE)) for side in images.shape[2:]]
    occlusion = OcclusionSensitivity(
        network, mask_size=square, n_batch=_BATCH, mode="mean_img", overlap=_OVERLAP, activate=False, verbose=False
    )
    maps = []
    for image in images.detach().split(1):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Using a non-tuple sequence")  # MONAI's own, and harmless
            hidden = convert_to_tensor(occlusion(image)[0], track_meta=False)[:, class_index]
        with eval_mode(network):
            whole = network(image)[:, class_index, None, None]
        fall = (whole - hidden.to(whole.device)).clamp_min(0)
        # what is but the rounding of batches of two sizes is not to be stretched into a map
        maps.append(fall * (fall.max() > _ROUNDING * (1 + whole.abs())))
    return torch.cat(maps)


class _TimmGradCAM(GradCAM):
    """MONAI's, for activations that are tokens or have their channels last."""

    as_planes: Callable[[torch.Tensor], torch.Tensor]

    def compute_map(self, x, class_idx=None, retain_graph=False, layer_idx=-1, **kwargs):  # type: ignore[no-untyped-def, override]
        _, activations, gradients = self.nn_module(x, class_idx=class_idx, retain_graph=retain_graph, **kwargs)
        weights = self.as_planes(gradients[layer_idx]).mean(dim=(2, 3), keepdim=True)
        return functional.relu((weights * self.as_planes(activations[layer_idx])).sum(dim=1, keepdim=True))


def _as_planes(network: nn.Module, image_size: Sequence[int], name: str, values: torch.Tensor) -> torch.Tensor:
    """What a layer gives, as (B, C, h, w)."""
    if values.ndim == _TOKENS:
        patches = values[:, getattr(network, "num_prefix_tokens", 0) :]
        patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
        grid = [-(-side // step) for side, step in zip(image_size, patch, strict=True)] if patch else [0, 0]
        if patches.shape[1] == grid[0] * grid[1]:
            return patches.transpose(1, 2).unflatten(2, grid)
    elif values.ndim == 4:
        stages = getattr(network, "feature_info", None) or [{}]
        last = values.shape[3] == stages[-1].get("num_chs") != values.shape[1]
        return values.permute(0, 3, 1, 2) if last else values
    raise ValueError(
        _no_layer(network, f"layer {name!r} gives {tuple(values.shape)}, no planes and no grid of patches")
    )


def _no_layer(network: nn.Module, why: str) -> str:
    return (
        f"{type(network).__name__}: gradcam finds no spatial layer, {why}; name one with layer (named_modules() lists "
        'them), or take method "occlusion", which needs none'
    )


def _same(maps: torch.Tensor) -> torch.Tensor:
    return maps
