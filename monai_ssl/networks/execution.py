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

"""How a backbone runs: compiled, or with activations made again in the backward pass; the weights are the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["checkpoint_activations", "compile_backbone"]


def compile_backbone(backbone: nn.Module, enabled: bool = True) -> nn.Module:
    """
    Let `torch.compile` make one fast program for each size of crop, at the first step; names of weights stay.

    Args:
        backbone: changed in place.
        enabled: False leaves it as it is.

    Returns:
        the backbone given.
    """
    if enabled:
        backbone.compile(dynamic=False)
    return backbone


def checkpoint_activations(backbone: nn.Module, enabled: bool = True) -> nn.Module:
    """
    Save memory: keep few activations, and make the others again in the backward pass (about a third more time).

    BatchNorm statistics are held still while activations are made again: they would count each batch twice.

    Args:
        backbone: from `create_backbone`, changed in place.
        enabled: False leaves it as it is.

    Returns:
        the backbone given.

    Raises:
        ValueError: when timm does not support it for this architecture.

    Reference: Chen et al., Training deep nets with sublinear memory cost, 2016, https://arxiv.org/abs/1604.06174.
    """
    if not enabled:
        return backbone
    try:
        backbone.set_grad_checkpointing(True)  # type: ignore[operator]
    except (AssertionError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{type(backbone).__name__} has no gradient checkpointing in timm; leave gradient_checkpointing out"
        ) from error
    # At the first forward pass, since SyncBatchNorm may replace the norms until then.
    backbone.register_forward_pre_hook(_watch_norms)
    return backbone


def _watch_norms(backbone: nn.Module, _: Any) -> None:
    for module in backbone.modules():
        if isinstance(module, _BatchNorm) and not hasattr(module, "momentum_of_batches"):
            module.momentum_of_batches = module.momentum  # type: ignore[assignment]
            module.register_forward_pre_hook(_hold_statistics)


def _hold_statistics(norm: nn.Module, _: Any) -> None:
    again = torch._C._current_graph_task_id() != -1  # a backward pass is under way
    norm.momentum = 0.0 if again else norm.momentum_of_batches  # type: ignore[assignment]
    if again and norm.training and isinstance(norm.num_batches_tracked, torch.Tensor):
        norm.num_batches_tracked -= 1
