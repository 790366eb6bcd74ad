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


from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from monai_ssl.data import ImageData
from monai_ssl.networks import create_backbone
from monai_ssl.preflight import expected_input

VIT = "vit_tiny_patch16_224"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    network = create_backbone(VIT, in_channels=3, num_classes=5, depth=1, img_size=32)
    torch.save({"model_state_dict": network.state_dict()}, tmp_path / "vit.pt")
    return tmp_path / "vit.pt"


def test_a_guess_is_warned_of_and_a_tag_is_not(checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    found = expected_input(checkpoint, VIT, 3, ImageData("images"))
    assert (found.mean, found.std) == ([0.0] * 3, [1.0] * 3)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "does not tell how its images were normalised; taken: mean 0, std 1 (a guess" in caplog.text
    caplog.clear()
    assert expected_input(checkpoint, f"{VIT}.augreg_in21k", 3, ImageData("images")).mean == [0.5] * 3
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_numbers_that_are_given_end_all_guessing(checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = expected_input(checkpoint, VIT, 3, ImageData("images"), mean=0.0, std=0.5)
    assert (found.mean, found.std) == ([0.0] * 3, [0.5] * 3)
    assert not caplog.records


def test_a_mean_of_zero_is_said_as_it_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save({"network": create_backbone("resnet18").state_dict()}, tmp_path / "checkpoint.pt")
    found = expected_input(tmp_path / "checkpoint.pt", "resnet18", 1, ImageData("images"), mean=0.0)
    assert (found.mean, found.std) == ([0.0], [0.25])
    assert "mean 0.0 and std 0.25 are taken" in caplog.text
