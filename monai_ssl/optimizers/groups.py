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

"""Parameter groups: what decays and what does not, and learning rates of their own for the head and for each layer."""

from __future__ import annotations

import logging
from typing import Any

from timm.models import group_parameters
from torch import nn

from monai_ssl.networks.backbones import classifier_names

__all__ = ["parameter_groups"]

logger = logging.getLogger(__name__)


def parameter_groups(
    network: nn.Module,
    weight_decay: float,
    learning_rate: float | None = None,
    head_learning_rate: float | None = None,
    exclude_norms: bool = True,
    layer_decay: float | None = None,
) -> list[dict[str, Any]]:
    """
    Split a network's parameters into groups for an optimiser, every parameter in exactly one.

    Biases and the parameters of norms have no scale to decay, so they get none; `timm.optim.Lars` also leaves them
    unadapted, and adapts all others (`always_adapt`), whatever the decay. Other optimisers do not look at that. Frozen
    parameters are included: opening them later must not change the groups.

    Args:
        network: the network that is trained.
        weight_decay: for all parameters but biases and norms, at least 0.
        learning_rate: for all groups (but the head's); None leaves it to the optimiser.
        head_learning_rate: when given, the classifier head of a timm network forms groups of its own with this rate.
        exclude_norms: False lets biases and norms decay too, as in facebookresearch's SwAV.
        layer_decay: when given, above 0 to 1, the rate of each layer of a timm network is that of the layer behind it
            times this: the last one, the head's, has `learning_rate`, which must be given. Layers are timm's.

    Returns:
        groups with `name`, `params`, `weight_decay`, `always_adapt` and, where given, `lr`; names are `decay`,
        `no_decay`, `head_decay`, `head_no_decay`, and with `layer_decay` in front of them `layer_0_` for the first
        layer and so on; empty groups are left out.

    Raises:
        ValueError: when a number is out of range, when a head's rate is given for a network without classifier head,
            or `layer_decay` without `learning_rate` or for a network whose layers timm does not know.

    Example:
        >>> import torch
        >>> from monai_ssl.networks import create_backbone
        >>> from monai_ssl.optimizers import parameter_groups
        >>> network = create_backbone("resnet18", num_classes=2)
        >>> optimizer = torch.optim.AdamW(parameter_groups(network, 0.05, 1e-4, head_learning_rate=1e-3))
        >>> [group["name"] for group in optimizer.param_groups]
        ['decay', 'no_decay', 'head_decay', 'head_no_decay']

    Layer-wise decay as in Bao et al., BEiT, ICLR 2022, https://arxiv.org/abs/2106.08254.
    """
    if weight_decay < 0:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay}")
    heads = classifier_names(network) if head_learning_rate is not None else ()
    rates = _layer_rates(network, learning_rate, layer_decay)
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        head = name.startswith(heads)
        decays = not (exclude_norms and parameter.ndim <= 1)
        layer, rate = rates.get(name, ("", learning_rate))
        layer, rate = ("head_", head_learning_rate) if head else (layer, rate)
        group = groups.setdefault(layer + ("decay" if decays else "no_decay"), {"params": []})
        group["params"].append(parameter)
        group["weight_decay"] = weight_decay if decays else 0.0
        group["always_adapt"] = decays  # or LARS without decay would be plain SGD
        group |= {} if rate is None else {"lr": rate}
    if head_learning_rate is not None and not groups.keys() & {"head_decay", "head_no_decay"}:
        raise ValueError(
            f"head_learning_rate is given, but {type(network).__name__} has no classifier head known to timm; "
            "create it with num_classes, or leave head_learning_rate out"
        )
    return [{"name": name, **group} for name, group in sorted(groups.items(), key=_place)]


def _layer_rates(
    network: nn.Module, learning_rate: float | None, layer_decay: float | None
) -> dict[str, tuple[str, float]]:
    """The beginning of the group's name, and the rate, by name of the parameter."""
    if layer_decay is None:
        return {}
    if learning_rate is None or not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay must be above 0 to 1 and needs a learning_rate, got {layer_decay}")
    if not hasattr(network, "group_matcher"):
        raise ValueError(f"layer_decay is given, but timm knows no layers of {type(network).__name__}; leave it out")
    matcher = network.group_matcher(coarse=False)  # type: ignore[operator]
    layers = group_parameters(network, matcher, reverse=True)
    last = max(layers.values())
    logger.info("rates of %d layers: from %.3g at the image to %.3g", last + 1, learning_rate * layer_decay**last,
                learning_rate)  # fmt: skip
    return {name: (f"layer_{at}_", learning_rate * layer_decay ** (last - at)) for name, at in layers.items()}


def _place(group: tuple[str, dict[str, Any]]) -> tuple[bool, int, bool]:
    name = group[0]
    layer = int(name.split("_")[1]) if name.startswith("layer_") else 0
    return name.startswith("head_"), layer, name.endswith("no_decay")
