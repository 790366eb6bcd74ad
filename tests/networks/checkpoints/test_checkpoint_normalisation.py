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
        (1000, VIT, (0.5,) * 3, (0.5,) * 3, "vit_tiny_patch16_224.augreg_in21k_ft_in1k, its default"),
        (2, VIT, (0.0,) * 3, (1.0,) * 3, "as vit-med"),
        (1000, "vit_small_patch16_224.dino", IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, "timm, for .*dino$"),
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


def _config_beside(folder: Path, **changes: Any) -> Path:
    config = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "architecture": VIT} | changes
    architecture = config.pop("architecture")
    content = {"architecture": architecture, "pretrained_cfg": config}
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    return _save(folder / "model.pt", _vit(1000))


@pytest.mark.parametrize("architecture", [VIT, f"{VIT}.augreg_in21k"])
def test_the_config_beside_a_file_of_hugging_face_comes_before_a_guess(tmp_path: Path, architecture: str) -> None:
    path = _config_beside(tmp_path, architecture=architecture)
    found = expected_normalisation(path, VIT, in_channels=3)
    assert found is not None
    assert (found.mean, found.std, found.guess) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), False)
    assert "config.json" in found.source
    tagged = expected_normalisation(path, f"{VIT}.augreg_in21k", in_channels=3)
    assert tagged is not None
    assert (tagged.mean, tagged.guess) == ((0.5,) * 3, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "swin_tiny_patch4_window7_224"},
        {"architecture": None},
        {"mean": [1, 2, 3]},
        {"mean": [-0.1, 0.2, 0.3]},
        {"std": [0.0, 0.5, 0.5]},
        {"std": [float("nan"), 0.5, 0.5]},
    ],
)
def test_a_config_of_another_network_or_of_odd_numbers_is_left_aside(tmp_path: Path, changes: dict[str, Any]) -> None:
    found = expected_normalisation(_config_beside(tmp_path, **changes), VIT, in_channels=3)
    assert found is not None
    assert (found.mean, found.std, found.guess) == ((0.5,) * 3, (0.5,) * 3, True)


@pytest.mark.parametrize("container", [None, "model_state_dict", "module", "state_dict", "net"])
@pytest.mark.parametrize("classes", [0, 5, 1000])
def test_no_container_overrules_a_tag_and_without_one_it_is_a_guess(
    tmp_path: Path, container: str | None, classes: int
) -> None:
    weights = _vit(classes)
    torch.save(weights if container is None else {container: weights}, tmp_path / "vit.pt")
    for backbone, guess in ((f"{VIT}.augreg_in21k", False), (VIT, True)):
        found = expected_normalisation(tmp_path / "vit.pt", backbone, in_channels=3)
        assert found is not None
        assert found.guess == guess
        assert guess == ("guess" in str(found))
        assert guess or (found.mean, found.std) == ((0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("beside", "weights", "mean"),
    [
        ({"arch": "resnet18", "is_pretrain": True}, "module", IMAGENET_DEFAULT_MEAN),
        ({"loss_state_dict": {}, "model_info": {}, "best_loss": 0.3}, "model_state_dict", (0.0,) * 3),
    ],
)
def test_marks_beside_the_weights_leave_no_guess(tmp_path: Path, beside: dict, weights: str, mean: tuple) -> None:
    state = torchvision.models.resnet18().state_dict() if weights == "module" else _vit(5)
    torch.save({weights: state, **beside}, tmp_path / "weights.pt")
    found = expected_normalisation(tmp_path / "weights.pt", "resnet18" if weights == "module" else VIT, in_channels=3)
    assert found is not None
    assert (found.mean, found.guess) == (mean, False)


def test_dinov2_with_labels_is_no_hub_file(tmp_path: Path) -> None:
    options = {"img_size": 28, "depth": 1, "embed_dim": 48, "num_heads": 3}
    name = "vit_small_patch14_dinov2"
    weights = create_backbone(name, in_channels=3, num_classes=5, **options).state_dict()
    weights["mask_token"] = torch.zeros(1, 48)
    hub = {key: tensor for key, tensor in weights.items() if not key.startswith("head.")}
    for content, layout, mean, guess in (
        (weights, "vit_med", (0.0,) * 3, True),
        ({"model_state_dict": weights}, "vit_med", (0.0,) * 3, True),
        (hub, "dinov2", IMAGENET_DEFAULT_MEAN, False),
    ):
        torch.save(content, tmp_path / "weights.pth")
        found = load_backbone_weights(create_backbone(name, in_channels=3, **options), tmp_path / "weights.pth")
        assert found.normalisation is not None
        assert (found.layout, found.normalisation.mean, found.normalisation.guess) == (layout, mean, guess)


@pytest.mark.parametrize("text", ["{", "[]", '{"mean": "x"}', '{"pretrained_cfg": {"mean": []}}'])
def test_other_json_beside_it_is_left_aside(tmp_path: Path, text: str) -> None:
    path = _save(tmp_path / "model.pt", _vit(1000))
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    found = expected_normalisation(path, VIT)
    assert found is not None
    assert found.mean == (0.5,)


def test_nothing_is_made_up(tmp_path: Path) -> None:
    path = _save(tmp_path / "vit.pt", _vit(1000))
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
