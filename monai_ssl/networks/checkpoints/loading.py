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

"""Weights from a file into a backbone: every tensor accounted for, or a refusal that says why."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from monai_ssl.files import file_checksum
from monai_ssl.networks.backbones import classifier_names
from monai_ssl.networks.checkpoints.adapting import adapt, first_layers
from monai_ssl.networks.checkpoints.architectures import STEP_COUNT, reason_left_behind
from monai_ssl.networks.checkpoints.checks import check_fit, share_of
from monai_ssl.networks.checkpoints.files import read_checkpoint, some
from monai_ssl.networks.checkpoints.known_layouts import LAYOUT_NAMES
from monai_ssl.networks.checkpoints.layout import Reading, provenance
from monai_ssl.networks.checkpoints.normalisation import Normalisation, normalisation_of
from monai_ssl.networks.checkpoints.reading import read_layout

__all__ = ["LoadReport", "load_backbone_weights"]


@dataclass(frozen=True)
class LoadReport:
    """
    What `load_backbone_weights` did.

    Attributes:
        layout: name of the layout that was recognised.
        path: the file.
        matched: names in the backbone that were filled from the file.
        missing: names of buffers in the backbone that the file has not, which keep their values, and why.
        unexpected: names in the file, as they stand there, that were left behind, and why.
        share: share of the backbone that was filled, 0 to 1, counted by tensors and by their elements: the smaller.
        adapted: what was changed on the way in, one sentence each.
        normalisation: what the weights expect of images; None when nothing tells.
        checksum: SHA-256 of the file.
        provenance: what a file of ours keeps of its origin, its `settings` and `versions`; None in others.
    """

    layout: str
    path: str
    matched: tuple[str, ...]
    missing: Mapping[str, str]
    unexpected: Mapping[str, str]
    share: float
    adapted: tuple[str, ...]
    normalisation: Normalisation | None
    checksum: str
    provenance: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        parts = [f"{len(self.matched)} tensors matched ({self.share:.2%})"]
        if self.missing:
            parts.append(f"{len(self.missing)} missing ({some(self.missing)})")
        if self.unexpected:
            reasons = Counter(self.unexpected.values())
            parts.append("left behind: " + ", ".join(f"{reason} ({count})" for reason, count in reasons.items()))
        parts += [*self.adapted, f"expects {self.normalisation or 'unknown normalisation'}"]
        return f"{self.path}: layout {self.layout}, {'; '.join(parts)}; sha256 {self.checksum[:12]}"


def load_backbone_weights(backbone: nn.Module, path: str | os.PathLike, layout: str = "auto") -> LoadReport:
    """
    Fill a backbone from a checkpoint file, all of it or nothing.

    Names are mapped by their leading part only. A first layer made for three channels is summed for one, one made for
    one channel is repeated and divided by three: both give the same output on a grey image whose channels have one
    mean and std. ImageNet's differ by channel and one channel takes their mean, so features differ (by 3 to 4 % in a
    ResNet-18). Position embeddings are resampled to the backbone's grid. Classifier heads are left behind, and a head
    of the backbone keeps its values. Of two networks in a file, MoCo's and BYOL's is taken that was trained by
    gradients, DINO's and DINOv2's teacher, and the average (EMA) beside the weights that it is of, as timm does.

    Args:
        backbone: from `create_backbone`.
        path: `.pt`, `.pth`, `.ckpt`, `.tar` (tensors and plain types only) or `.safetensors`.
        layout: `auto` recognises it; or a name that `python -m monai_ssl checkpoints` lists.

    Returns:
        what was matched, missing, unexpected and adapted, and how images are to be normalised.

    Raises:
        FileNotFoundError: when the file is absent.
        ValueError: when `layout` is unknown.
        CheckpointMismatchError: when the file is damaged, is no checkpoint or holds more than tensors and plain types;
            when its network cannot be one of timm's; when shapes differ, a parameter or a statistic is missing, the
            file has more of the backbone's parts, or a weight is NaN, infinite or no floating-point number.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from monai_ssl.networks import create_backbone, load_backbone_weights
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.pt")
        >>> torch.save(create_backbone("resnet18", in_channels=3, num_classes=9).state_dict(), path)
        >>> report = load_backbone_weights(create_backbone("resnet18"), path)
        >>> report.adapted, tuple(report.unexpected)
        (('first layer conv1.weight summed to 1 channel, exact for one mean and std',), ('fc.weight', 'fc.bias'))
    """
    if layout not in ("auto", *LAYOUT_NAMES):
        raise ValueError(f"layout must be one of auto, {', '.join(LAYOUT_NAMES)}, got {layout!r}")
    path = Path(path)
    content = read_checkpoint(path)
    heads = classifier_names(backbone)
    wanted = {name: tensor for name, tensor in backbone.state_dict().items() if not name.startswith(heads)}
    reading = read_layout(path, content, layout, wanted)
    tensors, adapted = adapt(backbone, reading.tensors, wanted)
    check_fit(path, reading, tensors, wanted, backbone)

    matched = tuple(name for name in wanted if name in tensors)
    backbone.load_state_dict(backbone.state_dict() | {name: tensors[name] for name in matched})
    return LoadReport(
        layout=reading.layout.name,
        path=str(path),
        matched=matched,
        missing=dict.fromkeys(
            (name for name in wanted if name not in tensors and not name.endswith(STEP_COUNT)),
            "a buffer that timm computes itself",
        ),
        unexpected=_unexpected(reading, wanted, heads),
        share=share_of(matched, wanted),
        adapted=adapted,
        normalisation=normalisation_of(path, content, reading.layout, _name(backbone), _channels(backbone, wanted)),
        checksum=file_checksum(path),
        provenance=provenance(content),
    )


def _unexpected(reading: Reading, wanted: Iterable[str], heads: tuple[str, ...]) -> dict[str, str]:
    others = [name for name in reading.tensors if name not in set(wanted)]
    reasons = {reading.names[name]: reason_left_behind(name, heads) or "no part of the backbone" for name in others}
    return reading.left_behind | reasons


def _name(backbone: nn.Module) -> str | None:
    """Its name in timm, with the tag where that is not the default one."""
    config = getattr(backbone, "pretrained_cfg", None) or {}
    name, tag = config.get("architecture"), config.get("tag")
    if not name:
        return None
    default = get_pretrained_cfg(name, allow_unregistered=True)
    return name if default is None or default.tag == tag or not tag else f"{name}.{tag}"


def _channels(backbone: nn.Module, wanted: Mapping[str, Tensor]) -> int:
    return next((wanted[name].shape[1] for name in first_layers(backbone) if name in wanted), 1)
