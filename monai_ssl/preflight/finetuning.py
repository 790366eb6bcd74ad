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

"""The settings of fine-tuning."""

from __future__ import annotations

import logging
from typing import Any

from monai_ssl.data.finetuning_data import TASKS, FinetuningData
from monai_ssl.losses import class_weights
from monai_ssl.preflight.numbers import is_whole

__all__ = ["finetuning_problems", "tell_finetuning"]

logger = logging.getLogger(__name__)

_TOLD = 14  # labels of a split
_CHOICES = ("auc", "accuracy", "loss")  # the metrics that both bundles have


def finetuning_problems(data: FinetuningData, settings: dict[str, Any]) -> list[str]:
    """
    All that is wrong with the settings of a fine-tuning, one line each, but for numbers out of range.

    Args:
        data: what will be trained on.
        settings: of the bundle; those that are there are checked.
    """
    problems = []
    layers = settings.get("trained_layers", "all")
    if layers not in ("all", "head") and not is_whole(layers, 0):
        problems.append(
            f"--trained_layers must be all, head, or how many of the last layers to train besides it, got {layers!r}"
        )
    if (choice := settings.get("select_by", "auc")) not in _CHOICES:
        problems.append(f"--select_by must be {', '.join(_CHOICES[:-1])} or {_CHOICES[-1]}, got {choice!r}")
    if (fold := settings.get("fold", 0)) and settings.get("folds") is None:
        problems.append(f"--fold {fold} is given without --folds; give the number of folds too")
    if not data.problems and settings.get("task") in TASKS:
        try:
            class_weights(data.training_labels, settings["task"], settings["class_weights"])
        except (TypeError, ValueError) as error:
            problems.append(f"--{error} for the labels {', '.join(data.label_names)}")
    return problems


def tell_finetuning(data: FinetuningData, settings: dict[str, Any]) -> None:
    """
    Log what will be trained on, and warn when the backbone would stay frozen to the end.

    Args:
        data: without problems.
        settings: of the bundle, without problems.
    """
    for split, rows in data.table.groupby("split", sort=False):
        patients = rows["patient"].nunique() if (rows["patient"] != "").all() else 0
        counts = [f"{name} {int((rows[name] == 1).sum())}" for name in data.label_names]
        shown = ", ".join(counts[:_TOLD]) + (f" and {len(counts) - _TOLD} labels more" if len(counts) > _TOLD else "")
        logger.info("%s: %d images%s; positives: %s", split, len(rows), f" of {patients} patients" if patients else "",
                    shown)  # fmt: skip
    frozen, epochs = settings.get("freeze_epochs", 0), settings["max_epochs"]
    if frozen >= epochs and settings.get("trained_layers", "all") != "head":
        logger.warning("--freeze_epochs %d is not below --max_epochs %d: the head alone will be trained; lower it, or "
                       "say so by --trained_layers head", frozen, epochs)  # fmt: skip
