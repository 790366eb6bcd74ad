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

"""Parameter groups: what decays and what does not, and a learning rate of its own for the classifier head."""

from __future__ import annotations

from typing import Any

from torch import nn

from monai_ssl.networks.backbones import classifier_names

__all__ = ["parameter_groups"]


def parameter_groups(
    network: nn.Module,
    weight_decay: float,
    learning_rate: float | None = None,
    head_learning_rate: float | None = None,
    exclude_norms: bool = True,
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

    Returns:
        groups with `name`, `params`, `weight_decay`, `always_adapt` and, where given, `lr`; names are `decay`,
        `no_decay`, `head_decay`, `head_no_decay`; empty groups are left out.

    Raises:
        ValueError: when `weight_decay` is negative, or a head's rate is given for a network without classifier head.

    Example:
        >>> import torch
        >>> from monai_ssl.networks import create_backbone
        >>> from monai_ssl.optimizers import parameter_groups
        >>> network = create_backbone("resnet18", num_classes=2)
        >>> optimizer = torch.optim.AdamW(parameter_groups(network, 0.05, 1e-4, head_learning_rate=1e-3))
        >>> [group["name"] for group in optimizer.param_groups]
        ['decay', 'no_decay', 'head_decay', 'head_no_decay']
    """
    if weight_decay < 0:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay}")
    heads = classifier_names(network) if head_learning_rate is not None else ()
    groups: dict[str, dict[str, Any]] = {}
    for prefix, rate in (("", learning_rate), ("head_", head_learning_rate)):
        for kind, decay in (("decay", weight_decay), ("no_decay", 0.0)):
            groups[prefix + kind] = {"name": prefix + kind, "params": [], "weight_decay": decay}
            groups[prefix + kind]["always_adapt"] = kind == "decay"  # or LARS without decay would be plain SGD
            groups[prefix + kind] |= {} if rate is None else {"lr": rate}
    for name, parameter in network.named_parameters():
        kind = "no_decay" if exclude_norms and parameter.ndim <= 1 else "decay"
        groups[("head_" if name.startswith(heads) else "") + kind]["params"].append(parameter)
    if head_learning_rate is not None and not (groups["head_decay"]["params"] or groups["head_no_decay"]["params"]):
        raise ValueError(
            f"head_learning_rate is given, but {type(network).__name__} has no classifier head known to timm; "
            "create it with num_classes, or leave head_learning_rate out"
        )
    return [group for group in groups.values() if group["params"]]
