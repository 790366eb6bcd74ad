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

"""All that is wrong with the data and the settings of a bundle, named at once, before any work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from monai.utils import ensure_tuple

from monai_ssl.data.finetuning_data import FinetuningData
from monai_ssl.data.images import ImageData
from monai_ssl.data.label_problems import TASKS, task_problems
from monai_ssl.data.splits import FRACTIONS, SPLITS, check_fractions
from monai_ssl.preflight.finetuning import finetuning_problems, tell_finetuning
from monai_ssl.preflight.network import backbone_problems, device_problems, image_problems, precision_problems
from monai_ssl.preflight.numbers import number_problems
from monai_ssl.preflight.pretraining import pretraining_problems, warn_of_few_images
from monai_ssl.preflight.refusal import refuse
from monai_ssl.preflight.values import scaling_problems
from monai_ssl.transforms import RandScaleWindow

__all__ = ["check", "setting_problems"]


def check(data: ImageData, settings: dict[str, Any], *splits: str, problems: Sequence[str] = ()) -> None:
    """
    Leave, naming all problems at once, when the data or the settings cannot be worked with.

    Args:
        data: what will be trained on or predicted.
        settings: of the bundle; those that are there are checked.
        splits: that must hold at least one batch; none for inference.
        problems: found elsewhere, to be named with the others.

    Raises:
        SystemExit: code 2.
    """
    problems = [*data.problems, *problems, *_fraction_problems(settings), *setting_problems(settings)]
    if not data.problems:
        problems += _count_problems(data, settings, splits)
    if "window" in settings and not _window_problems(settings):
        problems += scaling_problems(data, settings["window"])
    if "crop_sizes" in settings:
        problems += pretraining_problems(data, settings)
    else:
        problems += image_problems(settings, [settings.get("image_size", 0)], "--image_size")
    if isinstance(data, FinetuningData) and "class_weights" in settings:
        problems += finetuning_problems(data, settings)
    checkpoint = settings.get("checkpoint")
    if checkpoint is not None and not Path(checkpoint).is_file():
        advice = "leave it out to start from random weights" if "max_epochs" in settings else "check the path"
        problems.append(f"--checkpoint {checkpoint}: no such file; {advice}")
    refuse(list(dict.fromkeys(problems)))
    if "crop_sizes" in settings:
        warn_of_few_images(settings)
    if isinstance(data, FinetuningData) and "class_weights" in settings:
        tell_finetuning(data, settings)


def setting_problems(settings: dict[str, Any]) -> list[str]:
    """
    All that is wrong with settings whatever the data, one line each.

    Args:
        settings: of a bundle, with `backbone`; of the others those that are there are checked.
    """
    problems = number_problems(settings) + _epoch_problems(settings)
    problems += device_problems(settings) + precision_problems(settings) + backbone_problems(settings)
    problems += _window_problems(settings) + task_problems(settings.get("task", TASKS[0]))
    splits = ensure_tuple(settings.get("splits", SPLITS))
    if not splits or not set(splits) <= set(SPLITS):
        problems.append(f"--splits must be some of {', '.join(SPLITS)}, got {settings['splits']!r}")
    names = ensure_tuple(settings.get("label_names", ()))
    if not all(name and isinstance(name, str) for name in names) or len(set(names)) < len(names):
        problems.append(f"--label_names must be names, each once, got {settings['label_names']!r}")
    return problems


def _epoch_problems(settings: dict[str, Any]) -> list[str]:
    interval, epochs = settings.get("val_interval", 1), settings.get("max_epochs", 1)
    patience = settings.get("patience")
    if number_problems({"val_interval": interval, "max_epochs": epochs, "patience": patience}):
        return []
    if interval <= epochs and (patience is None or patience >= interval):
        return []
    if interval <= epochs:
        return [f"--patience {patience} is below --val_interval {interval}: it would end before a second validation"]
    return [
        f"--val_interval {interval} is above --max_epochs {epochs}: none would be validated, so none could be chosen"
    ]


def _fraction_problems(settings: dict[str, Any]) -> list[str]:
    try:
        check_fractions(settings.get("fractions", FRACTIONS))
    except (TypeError, ValueError) as error:
        return [str(error)]
    return []


def _window_problems(settings: dict[str, Any]) -> list[str]:
    try:
        RandScaleWindow(settings.get("window"))
    except (TypeError, ValueError) as error:
        return [f"--window: {error}"]
    return []


def _count_problems(data: ImageData, settings: dict[str, Any], splits: tuple[str, ...]) -> list[str]:
    if number_problems({name: settings.get(name, 1) for name in ("batch_size", "accumulation")}):
        return []
    problems, processes, batch = [], idist.get_world_size(), settings["batch_size"] * settings.get("accumulation", 1)
    each = "" if processes == 1 else f" in each of {processes} processes"
    each += (
        "" if batch == settings["batch_size"] else f" (--batch_size times --accumulation {settings['accumulation']})"
    )
    for split in splits:
        count = data.count(split)
        if count < batch * processes:
            problems.append(
                f"{count} images in the split {split} do not fill one batch of {batch}{each}; lower --batch_size"
            )
    if 0 < data.count("val") < processes:
        problems.append(f"{data.count('val')} validation images are too few for {processes} processes; start fewer")
    return problems
