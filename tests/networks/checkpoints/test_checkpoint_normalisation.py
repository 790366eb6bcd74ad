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

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor

from monai_ssl.networks import (
    CheckpointMismatchError,
    create_backbone,
    expected_normalisation,
    inspect_checkpoint,
    load_backbone_weights,
)

VIT = "vit_tiny_patch16_224"
SMALL = {"depth": 1, "img_size": 32}


def _vit(classes: int) -> dict[str, Tensor]:
    return create_backbone(VIT, in_channels=3, num_classes=classes, **SMALL).state_dict()


def _save(path: Path, state: dict[str, Tensor], provenance: dict[str, Any] | None = None) -> Path:
    if provenance is not None:
        vars(state)["provenance"] = provenance
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("classes", "backbone", "mean", "std", "source"),
    [
        (2, VIT, (0.5,) * 3, (0.5,) * 3, "vit_tiny_patch16_224.augreg_in21k_ft_in1k, its default"),
        (2, "vit_small_patch16_224.dino", IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, "timm, for .*dino$"),
        (0, VIT, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, "DINO"),
        (0, f"{VIT}.augreg_in21k", (0.5,) * 3, (0.5,) * 3, "augreg_in21k$"),
    ],
)
def test_timms_names_are_told_apart_by_the_tag(
    tmp_path: Path, classes: int, backbone: str, mean: tuple, std: tuple, source: str
) -> None:
    path = _save(tmp_path / "vit.pt", _vit(classes))
    found = expected_normalisation(path, backbone, in_channels=3)
    assert found is not None
    assert (found.mean, found.std, found.window) == (mean, std, None)
    assert re.search(source, found.source)


def test_one_channel_takes_the_mean_over_channels(tmp_path: Path) -> None:
    path = _save(tmp_path / "resnet.pth", torchvision.models.resnet18().state_dict())
    found = expected_normalisation(path, "resnet18")
    assert found is not None
    assert found.mean == pytest.approx((sum(IMAGENET_DEFAULT_MEAN) / 3,))
    assert found.std == pytest.approx((sum(IMAGENET_DEFAULT_STD) / 3,))
    assert load_backbone_weights(create_backbone("resnet18"), path).normalisation == found


def test_our_files_tell_by_the_settings_they_were_trained_with(tmp_path: Path) -> None:
    settings = {"mean": 0.3, "std": 0.2, "window": "lung"}
    weights = create_backbone("resnet18").state_dict()
    model = _save(tmp_path / "model.pt", weights, {"settings": settings})
    torch.save({"network": weights, "provenance": {"settings": settings}}, tmp_path / "checkpoint.pt")
    for path in (model, tmp_path / "checkpoint.pt"):
        found = expected_normalisation(path, "resnet18", in_channels=3)
        assert found is not None
        assert (found.mean, found.std, found.window) == ((0.3,) * 3, (0.2,) * 3, "lung")


def test_our_vit_is_not_taken_for_dino(tmp_path: Path) -> None:
    path = _save(tmp_path / "model.pt", _vit(0), {"settings": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}})
    found = expected_normalisation(path, VIT, in_channels=3)
    assert found is not None
    assert (found.mean, found.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert inspect_checkpoint(path).layout.name == "monai_ssl"


def test_the_config_beside_a_file_of_hugging_face_comes_first(tmp_path: Path) -> None:
    path = _save(tmp_path / "model.pt", _vit(2))
    config = {"architecture": VIT, "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = expected_normalisation(path, f"{VIT}.augreg_in21k", in_channels=3)
    assert found is not None
    assert (found.mean, found.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert "config.json" in found.source


@pytest.mark.parametrize("text", ["{", "[]", '{"mean": "x"}', '{"pretrained_cfg": {"mean": []}}'])
def test_other_json_beside_it_is_left_aside(tmp_path: Path, text: str) -> None:
    path = _save(tmp_path / "model.pt", _vit(2))
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    found = expected_normalisation(path, VIT)
    assert found is not None
    assert found.mean == (0.5,)


def test_nothing_is_made_up(tmp_path: Path) -> None:
    path = _save(tmp_path / "vit.pt", _vit(2))
    assert expected_normalisation(path, "vit_base_patch16_18x2_224") is None  # timm has no weights of it
    assert expected_normalisation(path, f"{VIT}.no_such_tag") is None
    torch.save({"settings": {"mean": 0.3}}, tmp_path / "other.pt")
    assert expected_normalisation(tmp_path / "other.pt", VIT) is None


def test_a_false_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.pt").write_text("<html>", encoding="utf-8")
    with pytest.raises(CheckpointMismatchError, match="web page"):
        expected_normalisation(tmp_path / "page.pt", "resnet18")


def test_old_files_without_zip_are_read_too(tmp_path: Path) -> None:
    state = torchvision.models.resnet18().state_dict()
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert inspect_checkpoint(tmp_path / "old.pth").words == "a ResNet-18"
