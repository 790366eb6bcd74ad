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

"""Which layers of a network are trained, told by the order in which an image passes them."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from monai_ssl.networks.backbones import classifier_names

__all__ = ["forward_order", "trained_part"]


def trained_part(network: nn.Module, layers: str | int, input_shape: Sequence[int]) -> nn.ModuleList | None:
    """
    The modules of a timm classifier that a scheme of transfer learning trains.

    What lies behind the last frozen layer, such as the dropout in front of the classifier, belongs to the trained part.

    Args:
        network: with a classifier known to timm.
        layers: "all"; "head", the classifier alone; or N >= 0, the last N modules that own parameters, in the order in
            which the image passes them, norms counted, and the classifier besides.
        input_shape: (C, H, W) of an image.

    Returns:
        the modules, for :py:class:`monai_ssl.handlers.Freeze`; None for "all".

    Raises:
        ValueError: for another value of `layers`, or when the network has fewer modules.

    Example:
        >>> from monai_ssl.networks import create_backbone, trained_part
        >>> network = create_backbone("resnet18", num_classes=2)
        >>> part = trained_part(network, 2, (1, 64, 64))
        >>> [type(module).__name__ for module in part if any(True for _ in module.parameters())]
        ['Conv2d', 'BatchNorm2d', 'Linear']

    See Mei et al., Radiology: AI 2022, doi 10.1148/ryai.210315, for the top 10 layers.
    """
    if layers == "all":
        return None
    if layers != "head" and (isinstance(layers, bool) or not isinstance(layers, int) or layers < 0):
        raise ValueError(f'layers must be "all", "head" or a whole number of at least 0, got {layers!r}')
    modules = dict(network.named_modules())
    order = forward_order(network, input_shape)
    heads = tuple(name.removesuffix(".") for name in classifier_names(network))
    body = [name for name in order if name not in heads and any(True for _ in modules[name].parameters(recurse=False))]
    # A module comes before those within it, so the last ones are whole: none holds a layer that is frozen.
    count = 0 if layers == "head" else int(layers)
    if count > len(body):
        raise ValueError(f"the network has {len(body)} modules with parameters besides its classifier, got {layers}")
    frozen = body[: len(body) - count]
    behind = order[order.index(frozen[-1]) + 1 :] if frozen else order
    return nn.ModuleList(modules[name] for name in dict.fromkeys((*behind, *heads)))


def forward_order(network: nn.Module, input_shape: Sequence[int]) -> list[str]:
    """
    The names of a network's modules in the order in which an image passes them, each at its last call.

    Args:
        network: looked at in evaluation mode, without its weights: the cost is that of its description.
        input_shape: (C, H, W) of an image.

    Raises:
        ValueError: when the network does not take such images.
    """
    described = copy.deepcopy(network).to("meta").eval()
    called: dict[str, None] = {}

    def note(name: str) -> None:
        called.pop(name, None)
        called[name] = None

    for name, module in described.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: note(name))
    try:
        with torch.no_grad():
            described(torch.empty(1, *input_shape, device="meta"))
    except (AssertionError, RuntimeError) as error:
        raise ValueError(f"{type(network).__name__} takes no images of {tuple(input_shape)}: {error}") from error
    return list(called)
