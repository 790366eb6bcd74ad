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

"""Changing the few tensors that depend on the image's channels and size."""

from __future__ import annotations

from collections.abc import Mapping

from timm.layers import resample_abs_pos_embed
from timm.models import adapt_input_conv
from torch import Tensor, nn

__all__ = ["adapt", "first_layers"]

_SUMMED = "summed to 1 channel, exact for one mean and std"


def first_layers(backbone: nn.Module) -> tuple[str, ...]:
    """The names of the weights that see the image's channels; empty when timm does not tell."""
    names = (getattr(backbone, "pretrained_cfg", None) or {}).get("first_conv") or ()
    return tuple(f"{name}.weight" for name in ([names] if isinstance(names, str) else names))


def adapt(
    backbone: nn.Module, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """
    Fit the first layer to the channels and the position embedding to the grid; what cannot be fitted stays as it is.

    Args:
        backbone: that the tensors are for.
        tensors: by the backbone's names.
        wanted: the backbone's own.

    Returns:
        the tensors, and one sentence for each change.
    """
    adapted, changes = dict(tensors), []
    for name in first_layers(backbone):
        given, own = tensors.get(name), wanted.get(name)
        if given is not None and own is not None and given.ndim == 4 and {given.shape[1], own.shape[1]} == {1, 3}:
            adapted[name] = adapt_input_conv(own.shape[1], given, base_chans=given.shape[1])
            how = _SUMMED if own.shape[1] == 1 else "repeated to 3 channels and divided by 3"
            changes.append(f"first layer {name} {how}")
    given, own = tensors.get("pos_embed"), wanted.get("pos_embed")
    grid = getattr(getattr(backbone, "patch_embed", None), "grid_size", None)
    if given is not None and own is not None and grid and given.shape != own.shape and given.ndim == 3:
        prefix_tokens = own.shape[1] - grid[0] * grid[1]
        side = max(given.shape[1] - prefix_tokens, 0) ** 0.5
        if side.is_integer():
            adapted["pos_embed"] = resample_abs_pos_embed(given, list(grid), num_prefix_tokens=prefix_tokens)
            changes.append(f"pos_embed resampled from {side:.0f} x {side:.0f} to {grid[0]} x {grid[1]} patches")
    return adapted, tuple(changes)
