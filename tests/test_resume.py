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

"""Runs that are killed, stopped or fail at any moment, and what the same command then makes of them."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from killed_runs import Ticks, ended, start

COMMON = {"image_size": 32, "backbone": "resnet10t", "device": "cpu", "batch_size": 4, "max_epochs": 3}
SWAV = {
    **COMMON,
    **{"hidden_dim": 16, "embedding_dim": 8, "prototypes": 6, "freeze_prototypes_iterations": 2, "queue_length": 8},
}
TUNING = {**COMMON, "dropout": 0.5, "freeze_epochs": 1}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    rows = []
    for number in range(40):
        finding = number // 2 % 2
        image = generator.integers(0, 120, (40, 40))
        image[10:25, 10:25] += 60 * finding
        cv2.imwrite(str(folder / f"{number:02d}.png"), image.astype(np.uint8))
        rows.append({"image": f"{number:02d}.png", "patient": f"p{number // 2}", "finding": finding})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def differences(one, other):
    """Names of what two run folders do not hold alike."""
    found = []
    for name in ("metrics.jsonl", "predictions.csv"):
        if (one / name).exists() or (other / name).exists():
            found += [name] if (one / name).read_bytes() != (other / name).read_bytes() else []
    for name in ("model.pt", "checkpoint.pt"):
        first, second = (torch.load(folder / name, weights_only=True) for folder in (one, other))
        found += [f"{name}: {key}" for key in first.keys() | second.keys() if not equal(first[key], second[key])]
    return found


@pytest.mark.parametrize(("bundle", "settings"), [("swav_pretraining", SWAV), ("resnet_finetuning", TUNING)])
def test_a_run_killed_ten_times_ends_as_the_uninterrupted_one(bundle, settings, images, tmp_path):
    settings = {**settings, "dataset_dir": images}
    if bundle != "swav_pretraining":
        settings["labels"] = images / "labels.csv"
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    count = Ticks()
    assert ended(start(bundle, {**settings, "output_dir": whole, "num_workers": 0}, count)) == [0]
    generator = random.Random(0)
    for _ in range(10):
        ticks = Ticks(at=generator.randrange(1, count.total.value // 6))
        choice = {"num_workers": generator.choice([0, 2]), "checkpoint_minutes": generator.choice([0, 0.001])}
        assert ended(start(bundle, {**settings, **choice, "output_dir": killed}, ticks)) == [-9]
        if (killed / "checkpoint.pt").exists():
            torch.load(killed / "checkpoint.pt", weights_only=True)
    assert ended(start(bundle, {**settings, "output_dir": killed, "num_workers": 1})) == [0]
    assert differences(whole, killed) == []
