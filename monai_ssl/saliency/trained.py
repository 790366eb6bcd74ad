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

"""A trained classifier, rebuilt from its run folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from monai.transforms import Compose, NormalizeIntensity, RepeatChannel
from torch import nn

from monai_ssl.data.images import list_images
from monai_ssl.data.label_problems import with_images
from monai_ssl.files import read_table
from monai_ssl.metrics import validation_thresholds
from monai_ssl.metrics.predictions import label_names
from monai_ssl.networks import create_backbone
from monai_ssl.preflight import load_trained, per_channel
from monai_ssl.run_folder import recorded_settings, recorded_thresholds
from monai_ssl.transforms import LoadSlice, ResizeAntialias, ScaleWindow

__all__ = ["TrainedRun", "open_run"]

_NEEDED = ("backbone", "in_channels", "image_size", "mean", "std", "task", "label_names", "dataset_dir")
_FILES = ("settings.json", "model.pt", "predictions.csv")


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """
    What a run of fine-tuning left.

    Attributes:
        settings: as recorded.
        labels: in the order of the network's outputs.
        thresholds: of the decisions, chosen on validation; NaN where there is none.
        table: the predictions of one split, a row per image and label: `image, patient, label, truth, score, file` and
            `row`.
    """

    settings: dict[str, Any]
    labels: list[str]
    thresholds: dict[str, float]
    table: pd.DataFrame

    def network(self, model: Path, device: torch.device) -> nn.Module:
        """The trained classifier, in evaluation mode."""
        network = create_backbone(self.settings["backbone"], self.settings["in_channels"], num_classes=len(self.labels))
        load_trained(network, model)
        return network.to(device).eval()

    def load(self, file: str, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        """An image as stored, (1, h, w), and as the network takes it, (C, s, s): as the bundles prepare it."""
        settings = self.settings
        image, channels = LoadSlice()(file, row), settings["in_channels"]
        mean, std = (per_channel(settings[name], channels) for name in ("mean", "std"))
        prepare = Compose(
            [
                ScaleWindow(settings["window"]),
                ResizeAntialias((settings["image_size"], settings["image_size"])),
                RepeatChannel(channels),
                NormalizeIntensity(subtrahend=mean, divisor=std, channel_wise=True),
            ]
        )
        return image, torch.as_tensor(prepare(image), dtype=torch.float32)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """(B, L), as in predictions.csv."""
        return logits.softmax(dim=1) if self.settings["task"] == "multiclass" else logits.sigmoid()


def open_run(run: Path, split: str, dataset_dir: str | os.PathLike | None) -> TrainedRun:
    """
    Read the run folder of a fine-tuning.

    Args:
        run: with `settings.json`, `model.pt` and `predictions.csv`.
        split: whose predictions are taken.
        dataset_dir: where the images lie now; None where the run says.

    Raises:
        ValueError: naming all that keeps the run from being looked into.
    """
    problems = [
        f"{run / name}: not there; give the run folder of a fine-tuning"
        for name in _FILES
        if not (run / name).is_file()
    ]
    if problems:
        raise ValueError("\n".join(problems))
    settings = recorded_settings(run / "model.pt", dict.fromkeys((*_NEEDED, "window")))
    problems += [f"{run / 'settings.json'}: does not tell {name}" for name in _NEEDED if settings[name] is None]
    table = read_table(run / "predictions.csv", text=("image", "patient", "split"))
    labels = [str(name) for name in settings["label_names"] or []]
    if (found := label_names(table)) and labels and set(found) != set(labels):
        problems.append(f"{run / 'predictions.csv'}: has the labels {found}, the model {labels}")
    absent = [
        name for name in ("image", "patient", "split", *(f"{label}_score" for label in found)) if name not in table
    ]
    if absent or not found:
        problems.append(f"{run / 'predictions.csv'}: no columns {absent or '<label>_true'}; predict again")
    elif split not in set(table["split"]):
        problems.append(f"{run / 'predictions.csv'}: no rows of split {split!r}, only of {sorted(set(table['split']))}")
    if problems:
        raise ValueError("\n".join(problems))
    recorded = recorded_thresholds(run / "model.pt") or validation_thresholds(table)
    place = settings["dataset_dir"] if dataset_dir is None else dataset_dir
    settings["dataset_dir"] = os.fspath(place)
    rows = table[table["split"] == split].reset_index(drop=True)
    rows = with_images(rows, list_images(place), run / "predictions.csv", place)
    thresholds = {label: recorded.get(label, float("nan")) for label in labels}
    return TrainedRun(settings, labels, thresholds, _long(rows, labels))


def _long(rows: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    keys = rows[["image", "patient", "file", "row"]]
    parts = [keys.assign(label=label, truth=rows[f"{label}_true"], score=rows[f"{label}_score"]) for label in labels]
    return pd.concat(parts, ignore_index=True)
