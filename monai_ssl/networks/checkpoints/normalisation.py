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

"""The mean and standard deviation of the images that a checkpoint was trained on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monai.utils import ensure_tuple
from timm.models import get_pretrained_cfg

from monai_ssl.networks.checkpoints.files import read_checkpoint
from monai_ssl.networks.checkpoints.known_layouts import LAYOUTS
from monai_ssl.networks.checkpoints.layout import Layout, provenance, recognise

__all__ = ["Normalisation", "expected_normalisation", "normalisation_of"]


@dataclass(frozen=True)
class Normalisation:
    """
    How images are to be normalised, `(image - mean) / std`.

    Attributes:
        mean: one number per channel, of images scaled to [0, 1].
        std: one number per channel, above 0.
        source: where they are known from.
        window: the intensity window that a file of ours was trained with, as its setting was; None when there is none.
        guess: files of others look the same, so that it is no more than likely.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    window: Any = None
    guess: bool = False

    def __str__(self) -> str:
        window = "" if self.window is None else f", window {self.window}"
        guess = "a guess: " if self.guess else ""
        return f"mean {_text(self.mean)}, std {_text(self.std)}{window} ({guess}{self.source})"


def expected_normalisation(path: str | os.PathLike, backbone: str, in_channels: int = 1) -> Normalisation | None:
    """
    What a checkpoint expects of its images, from the file alone.

    Args:
        path: of the checkpoint, see `load_backbone_weights`.
        backbone: name in timm; where the file has timm's names, the tag after the dot says whose weights it has.
            Without a tag a `config.json` of this architecture beside the file says it, else it is a guess.
        in_channels: channels of the image, at least 1. For one, the mean over the channels is taken.

    Returns:
        mean and std, one number per channel; None when nothing tells.

    Raises:
        FileNotFoundError: when the file is absent.
        CheckpointMismatchError: when it is damaged, is no checkpoint or holds more than tensors and plain types.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from monai_ssl.networks import create_backbone, expected_normalisation
        >>> path = pathlib.Path(tempfile.mkdtemp(), "vit.pt")
        >>> torch.save(create_backbone("vit_tiny_patch16_224", num_classes=2).state_dict(), path)
        >>> expected_normalisation(path, "vit_tiny_patch16_224.augreg_in21k").mean
        (0.5,)
    """
    path = Path(path)
    content = read_checkpoint(path, mapped=True)
    reading = recognise(content, LAYOUTS)
    return None if reading is None else normalisation_of(path, content, reading.layout, backbone, in_channels)


def normalisation_of(
    path: Path, content: Mapping[str, Any], layout: Layout, backbone: str | None, in_channels: int
) -> Normalisation | None:
    """`expected_normalisation` of a file that was read; `backbone` None where it is not known."""
    found = _ours(content) or _known(path, layout, backbone)
    if found is None:
        return None
    mean, std = _per_channel(found.mean, in_channels), _per_channel(found.std, in_channels)
    return replace(found, mean=mean, std=std)


def _ours(content: Mapping[str, Any]) -> Normalisation | None:
    settings = (provenance(content) or {}).get("settings")
    if not isinstance(settings, Mapping) or not _are_numbers(settings.get("mean"), settings.get("std")):
        return None
    mean, std = ensure_tuple(settings["mean"]), ensure_tuple(settings["std"])
    return Normalisation(mean, std, "the settings it was trained with", settings.get("window"))


def _known(path: Path, layout: Layout, backbone: str | None) -> Normalisation | None:
    """From the layout; where the names are timm's, which tell nothing, first from what says whose weights they are."""
    of_layout = None
    if layout.mean is not None and layout.std is not None:
        of_layout = Normalisation(tuple(layout.mean), tuple(layout.std), layout.told_by, guess=layout.guess)
    if not layout.like_timm or backbone is None:
        return of_layout
    if "." in backbone:
        return _of_tag(backbone) or of_layout
    if of_layout is not None and not of_layout.guess:
        return of_layout
    return _config_beside(path, backbone) or of_layout or _of_tag(backbone)


def _config_beside(path: Path, backbone: str) -> Normalisation | None:
    """The `config.json` of a model from huggingface.co, where it is of this architecture."""
    try:
        config = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict) or str(config.get("architecture")).partition(".")[0] != backbone:
        return None
    config = config.get("pretrained_cfg", config)
    if not isinstance(config, dict) or not _are_numbers(config.get("mean"), config.get("std")):
        return None
    mean, std = ensure_tuple(config["mean"]), ensure_tuple(config["std"])
    if not all(0 <= number <= 1 for number in (*mean, *std)) or 0 in std:
        return None
    return Normalisation(mean, std, "the config.json beside it")


def _of_tag(backbone: str) -> Normalisation | None:
    name, _, tag = backbone.partition(".")
    try:
        config = get_pretrained_cfg(backbone, allow_unregistered=True)
    except RuntimeError:  # an unknown tag, which `create_backbone` refuses in words
        return None
    if config is None or not config.has_weights:
        return None
    source = f"timm, for {name}.{config.tag}{'' if tag else ', its default'}"
    return Normalisation(tuple(config.mean), tuple(config.std), source, guess=not tag)


def _per_channel(numbers: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(numbers) == channels:
        return tuple(map(float, numbers))
    return (sum(numbers) / len(numbers),) * channels


def _are_numbers(*values: Any) -> bool:
    return all(
        value not in (None, [], ()) and all(isinstance(number, int | float) for number in ensure_tuple(value))
        for value in values
    )


def _text(numbers: tuple[float, ...]) -> str:
    return " ".join(f"{number:.4g}" for number in dict.fromkeys(numbers))
