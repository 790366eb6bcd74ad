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

"""What would stop or spoil a SwAV pre-training after hours, found before it starts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import ignite.distributed as idist
import numpy as np
from PIL import Image

from monai_ssl.data.images import ImageData
from monai_ssl.preflight.network import image_problems
from monai_ssl.preflight.numbers import is_whole
from monai_ssl.transforms import MultiCrop

__all__ = ["pretraining_problems", "warn_of_few_images"]

logger = logging.getLogger(__name__)

_SAMPLED = 500  # images whose sizes are looked at


def pretraining_problems(data: ImageData, settings: dict[str, Any]) -> list[str]:
    """
    All that is wrong with the settings of a pre-training, one line each, but for numbers out of range.

    Args:
        data: what will be trained on.
        settings: of the bundle; those that are there are checked.
    """
    problems = []
    if not isinstance(include := settings.get("include_test_patients", False), bool):
        problems.append(f"--include_test_patients must be True or False, got {include!r}")
    if settings.get("compile") and settings.get("gradient_checkpointing"):
        problems.append("--compile and --gradient_checkpointing do not go together; leave one out")
    problems += _blur_problems(settings)
    sizes = settings["crop_sizes"]
    if not (isinstance(sizes, list) and None in sizes):  # else derived from a wrong --image_size
        problems += _crop_problems(settings) or image_problems(
            settings, settings["crop_sizes"], "--crop_sizes"
        ) + _size_problems(data, sizes)
    return problems + _queue_problems(settings)


def warn_of_few_images(settings: dict[str, Any]) -> None:
    """
    Log a warning when batch and queue hold fewer images than there are prototypes.

    Args:
        settings: of a pre-training, without problems.
    """
    queue, prototypes = settings.get("queue_length", 0), settings.get("prototypes", 2)
    batch = settings["batch_size"] * idist.get_world_size()
    start, epochs = settings.get("queue_start_epoch", 0), settings["max_epochs"]
    seen = batch + (queue if start < epochs else 0)
    if seen >= prototypes:
        return
    least = -(-(prototypes - batch) // batch) * batch
    longer = [f"--queue_length {least} or more"] if queue < least else []
    earlier = [f"--queue_start_epoch below {epochs}"] if start >= epochs else []
    logger.warning(
        "%d images are shared out evenly to %d prototypes%s: codes of so few are noise; give %s, fewer --prototypes, "
        "or a larger --batch_size",
        seen,
        prototypes,
        f" (the queue starts after epoch {start}, too late)" if earlier and queue else "",
        " with ".join(longer + earlier),
    )


def _blur_problems(settings: dict[str, Any]) -> list[str]:
    sigma = settings.get("blur_sigma")
    if sigma is None:  # or it follows from a wrong --image_size
        return []
    try:
        MultiCrop(blur_sigma=sigma)
    except (TypeError, ValueError) as error:
        return [f"--blur_sigma: {error}"]
    return []


def _crop_problems(settings: dict[str, Any]) -> list[str]:
    try:
        MultiCrop(settings["crop_sizes"], settings["crop_counts"], settings["crop_scales"])
    except (TypeError, ValueError) as error:
        return [f"--crop_sizes, --crop_counts, --crop_scales: {error}"]
    if sum(settings["crop_counts"]) < 2:
        return [
            f"--crop_counts must give two crops or more, got {settings['crop_counts']}: one is predicted from another"
        ]
    return []


def _size_problems(data: ImageData, crop_sizes: Sequence[int]) -> list[str]:
    files = data.table["file"].drop_duplicates()
    some = files.iloc[np.unique(np.linspace(0, len(files) - 1, _SAMPLED).astype(int))] if len(files) else files
    sides = [side for side in map(_shorter_side, some) if side]
    too_small = [side for side in sides if side < max(crop_sizes)]
    if not too_small:
        return []
    what = f"crops of {max(crop_sizes)} px are larger than {len(too_small)} of {len(sides)} images looked at"
    what += f" (the smallest has {min(too_small)} px): enlarging adds no detail; lower --image_size or --crop_sizes"
    if len(too_small) == len(sides):
        return [what]
    logger.warning("%s", what)
    return []


def _shorter_side(file: str) -> int | None:
    """In pixels, from the file's header; None where that cannot be read, which loading will tell."""
    try:
        if file.endswith(".npy"):
            return min(np.load(file, mmap_mode="r").shape[-2:])
        with Image.open(file) as image:
            return min(image.size)
    except (OSError, ValueError):
        return None


def _queue_problems(settings: dict[str, Any]) -> list[str]:
    queue, batch_size = settings.get("queue_length", 0), settings["batch_size"]
    if not is_whole(queue, 0) or not is_whole(batch_size, 1):
        return []  # said elsewhere
    batch = batch_size * idist.get_world_size()
    if queue % batch:
        near = sorted({queue // batch * batch, -(-queue // batch) * batch} - {0})
        return [
            f"--queue_length {queue} is no multiple of the {batch} images that all processes take at a time; give "
            f"{' or '.join(map(str, near))}, or 0 for none"
        ]
    return []
