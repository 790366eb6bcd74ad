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

"""What a checkpoint file is, without a backbone to load it into."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from monai_ssl.files import file_checksum
from monai_ssl.networks.checkpoints.architectures import STEP_COUNT, architecture_of, reason_left_behind
from monai_ssl.networks.checkpoints.files import CheckpointMismatchError, describe, read_checkpoint
from monai_ssl.networks.checkpoints.known_layouts import LAYOUTS
from monai_ssl.networks.checkpoints.layout import Layout, provenance, recognise
from monai_ssl.networks.checkpoints.normalisation import Normalisation, normalisation_of

__all__ = ["Inspection", "inspect_checkpoint"]


@dataclass(frozen=True)
class Inspection:
    """
    What `inspect_checkpoint` found.

    Attributes:
        path: the file.
        layout: how its names are laid out.
        words: its architecture in words, None when unknown.
        backbone: the name of that in timm, None when unknown or when the layout is refused.
        channels: of the images that its first layer takes, None when unknown.
        tensors: of the backbone, classifier aside.
        elements: numbers in them.
        broken: names of tensors with NaN or infinite values.
        left_behind: names in the file that a backbone has no use for, and why.
        normalisation: of images in [0, 1], per channel of the file; None when nothing tells.
        checksum: SHA-256 of the file.
        provenance: what a file of ours keeps of its origin; None in others.
    """

    path: str
    layout: Layout
    words: str | None
    backbone: str | None
    channels: int | None
    tensors: int
    elements: int
    broken: tuple[str, ...]
    left_behind: Mapping[str, str]
    normalisation: Normalisation | None
    checksum: str
    provenance: Mapping[str, Any] | None


def inspect_checkpoint(path: str | os.PathLike) -> Inspection:
    """
    Say what a checkpoint file is.

    Args:
        path: see `load_backbone_weights`.

    Returns:
        layout, architecture, expected normalisation, checksum, and what is left behind and why.

    Raises:
        FileNotFoundError: when the file is absent.
        CheckpointMismatchError: when it is damaged, is no checkpoint or holds more than tensors and plain types.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from monai_ssl.networks import create_backbone, inspect_checkpoint
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.pt")
        >>> torch.save(create_backbone("resnet18").state_dict(), path)
        >>> inspect_checkpoint(path).words
        'a ResNet-18'
    """
    path = Path(path)
    content = read_checkpoint(path, mapped=True)
    reading = recognise(content, LAYOUTS)
    if reading is None:
        raise CheckpointMismatchError(f"{path}: of no known layout. {describe(content, {})}")
    found = architecture_of(reading.tensors)
    backbone = found.backbone if found is not None and reading.layout.refusal is None else None
    heads = () if found is None else found.classifier
    reasons = {name: reason_left_behind(name, heads) for name in reading.tensors if not name.endswith(STEP_COUNT)}
    own = {name: reading.tensors[name] for name, reason in reasons.items() if reason is None}
    channels = own[found.first_layers[0]].shape[1] if found is not None else None
    return Inspection(
        path=str(path),
        layout=reading.layout,
        words=None if found is None else found.words,
        backbone=backbone,
        channels=channels,
        tensors=len(own),
        elements=sum(tensor.numel() for tensor in own.values()),
        broken=tuple(name for name, tensor in own.items() if not torch.isfinite(tensor).all()),
        left_behind=reading.left_behind | {reading.names[name]: reason for name, reason in reasons.items() if reason},
        normalisation=normalisation_of(path, content, reading.layout, backbone, channels or 3),
        checksum=file_checksum(path),
        provenance=provenance(content),
    )
