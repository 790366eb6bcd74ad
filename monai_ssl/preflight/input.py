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

"""How images are scaled before the network sees them: as asked for, else as the start expects it."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai.utils import ensure_tuple

from monai_ssl.data.images import ImageData
from monai_ssl.networks import CheckpointMismatchError, Normalisation, expected_normalisation
from monai_ssl.networks.checkpoints.files import read_checkpoint
from monai_ssl.networks.checkpoints.layout import provenance
from monai_ssl.preflight.values import window_for

__all__ = ["ExpectedInput", "expected_input", "per_channel"]

logger = logging.getLogger(__name__)

# For a start from random weights: grey images fill the range that a window gives them.
_MEAN, _STD = 0.5, 0.25


@dataclass(frozen=True)
class ExpectedInput:
    """
    How images are scaled and normalised.

    Attributes:
        mean, std: one number per channel, of images scaled to [0, 1]; what was asked for where that is no number.
        window: as :py:class:`monai_ssl.transforms.ScaleWindow` takes it.
        problems: what is wrong with the checkpoint, one line each.
    """

    mean: Any
    std: Any
    window: Any
    problems: list[str] = field(default_factory=list)


def expected_input(
    checkpoint: str | os.PathLike | None,
    backbone: str,
    in_channels: int,
    data: ImageData,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    window: Any = "auto",
) -> ExpectedInput:
    """
    Resolve `mean`, `std` and `window` where they are left to the checkpoint.

    Args:
        checkpoint: that training starts from, or None.
        backbone: name in timm.
        in_channels: of the images.
        data: the images; a window of our own checkpoint holds for those whose values mean the same, such as HU.
        mean, std: None takes the checkpoint's, and 0.5 and 0.25 where there is none.
        window: "auto" takes the checkpoint's for those; anything else is taken as it is.

    Example:
        >>> from monai_ssl.preflight import expected_input
        >>> from monai_ssl.data import ImageData
        >>> found = expected_input(None, "resnet18", 1, ImageData("images"))
        >>> found.mean, found.std, found.window
        ([0.5], [0.25], None)
    """
    expected, problems = None, []
    if checkpoint is not None and Path(checkpoint).is_file():
        try:
            expected = expected_normalisation(checkpoint, backbone, in_channels)
        except CheckpointMismatchError as error:
            problems.append(f"--checkpoint {error}")
        if expected is None and not problems and (mean is None or std is None):
            logger.warning("%s: nothing tells how its images were normalised; mean %s and std %s are taken, give "
                           "--mean and --std if others are known", checkpoint, _MEAN if mean is None else mean,
                           _STD if std is None else std)  # fmt: skip
    _compare(expected, mean, std, in_channels, checkpoint)
    known = None if expected is None else expected.window
    window = window_for(data, window, known, _trained_on(checkpoint) if known is not None else None)
    return ExpectedInput(
        per_channel(mean if mean is not None else expected.mean if expected else _MEAN, in_channels),
        per_channel(std if std is not None else expected.std if expected else _STD, in_channels),
        window,
        problems,
    )


def per_channel(numbers: Any, channels: int) -> Any:
    """
    One number for each channel, from one for all; what is neither stays as it is, for `check` to name.

    Example:
        >>> per_channel(0.5, 3)
        [0.5, 0.5, 0.5]
    """
    if isinstance(numbers, int | float) and not isinstance(numbers, bool) and isinstance(channels, int):
        return [numbers] * max(channels, 1)
    return list(ensure_tuple(numbers)) if isinstance(numbers, tuple) else numbers


def _trained_on(checkpoint: Any) -> str | None:
    """What `values_of` told of the images of a checkpoint of ours."""
    return ((provenance(read_checkpoint(Path(checkpoint), mapped=True)) or {}).get("settings") or {}).get("values")


def _compare(expected: Normalisation | None, mean: Any, std: Any, channels: int, checkpoint: Any) -> None:
    if expected is None:
        return
    if expected.guess:
        if mean is None or std is None:
            logger.warning(
                "%s does not tell how its images were normalised; taken: %s. If others are known, give --mean and "
                "--std, or in --backbone the tag of the weights",
                *(checkpoint, expected),
            )
        return
    given = [per_channel(numbers, channels) for numbers in (mean, std)]
    wanted = [list(numbers) for numbers in (expected.mean, expected.std)]
    if any(have is not None and have != want for have, want in zip(given, wanted, strict=True)):
        logger.warning("%s expects %s; --mean %s and --std %s are taken as asked for", checkpoint, expected, mean, std)
    elif mean is None and std is None:
        logger.info("images are normalised as %s expects it: %s", checkpoint, expected)
