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

"""Whether tensors fill a backbone, and nothing of another network's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from monai_ssl.networks.backbones import classifier_names
from monai_ssl.networks.checkpoints.adapting import first_layers
from monai_ssl.networks.checkpoints.architectures import COMPUTED, STEP_COUNT, left_over
from monai_ssl.networks.checkpoints.files import CheckpointMismatchError, some
from monai_ssl.networks.checkpoints.layout import Reading
from monai_ssl.networks.checkpoints.reading import seems

__all__ = ["check_fit", "share_of"]


def check_fit(
    path: Path, reading: Reading, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], backbone: nn.Module
) -> None:
    """
    Refuse tensors that do not fill the backbone, or that are parts of another network.

    Args:
        path: where they are from.
        reading: as they are in the file.
        tensors: the same, adapted to the backbone.
        wanted: the backbone's own, without its classifier.
        backbone: that would be filled.

    Raises:
        CheckpointMismatchError: saying what the file seems to be, and what would fit.
    """
    read = f"{path}: read as layout {reading.layout.name}"
    matched = [name for name in wanted if name in tensors]
    # One random layer in front, or one BatchNorm's statistics, spoils all behind it, however small its share.
    missing = [name for name in wanted if name not in tensors and not name.endswith(COMPUTED)]
    if missing:
        raise CheckpointMismatchError(
            f"{read}, it fills {share_of(matched, wanted):.1%} of the backbone; all parameters and statistics are "
            f"needed. Missing: {some(missing)}. {seems(reading)}"
        )
    wrong = [name for name in matched if tensors[name].shape != wanted[name].shape]
    if wrong:
        shapes = ", ".join(f"{n} {tuple(tensors[n].shape)} for {tuple(wanted[n].shape)}" for n in wrong[:3])
        if all(
            n in first_layers(backbone) and _without_channels(tensors[n]) == _without_channels(wanted[n]) for n in wrong
        ):
            raise CheckpointMismatchError(
                f"{read}, its images have {tensors[wrong[0]].shape[1]} channels, the backbone's "
                f"{wanted[wrong[0]].shape[1]}: {shapes}. Only 1 and 3 are made of each other; create the backbone with "
                "the channels of the file"
            )
        raise CheckpointMismatchError(
            f"{read}, {len(wrong)} tensors have other shapes than the backbone's: {shapes}. {seems(reading)}"
        )
    parts = [name for name, _ in backbone.named_children()]
    more = left_over(tensors, wanted, parts, classifier_names(backbone))
    if more:
        raise CheckpointMismatchError(
            f"{read}, it fills the backbone and has {len(more)} tensors more of its parts: {some(more)}. Without them "
            f"it would give other features. {seems(reading)}"
        )
    broken = [name for name in matched if not torch.isfinite(tensors[name].to(wanted[name].dtype)).all()]
    if broken:
        raise CheckpointMismatchError(
            f"{read}, {len(broken)} tensors hold NaN or infinite values: {some(broken)}. The training behind it "
            "diverged; take an earlier checkpoint"
        )


def _without_channels(tensor: Tensor) -> tuple[int, ...]:
    return (tensor.ndim, *tensor.shape[:1], *tensor.shape[2:])


def share_of(matched: Iterable[str], wanted: Mapping[str, Tensor]) -> float:
    """The share of `wanted` that is matched, by tensors and by their elements: the smaller."""
    needed = {name: tensor.numel() for name, tensor in wanted.items() if not name.endswith(STEP_COUNT)}
    found = [needed[name] for name in matched if name in needed]
    return min(len(found) / len(needed), sum(found) / sum(needed.values()))
