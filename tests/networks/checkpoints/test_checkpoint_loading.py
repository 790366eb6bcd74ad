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

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from monai_ssl.networks import (
    CheckpointMismatchError,
    SwAVNet,
    create_backbone,
    load_backbone_weights,
)


def features(network: nn.Module, channels: int = 1, size: int = 64) -> Tensor:
    torch.manual_seed(5)
    with torch.no_grad():
        return network.eval()(torch.rand(2, 1, size, size).expand(-1, channels, -1, -1))


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """A ResNet-18 whose every tensor differs from a new one's, running statistics too."""
    torch.manual_seed(1)
    network = create_backbone("resnet18")
    network.train()(torch.rand(4, 1, 64, 64))
    return network.eval()


@pytest.mark.parametrize(
    ("file", "save", "layout"),
    [
        ("flat.pt", lambda n, p: torch.save(n.state_dict(), p), "timm"),
        ("flat.safetensors", lambda n, p: save_file(n.state_dict(), p), "timm"),
        ("nested.pth", lambda n, p: torch.save({"epoch": 3, "state_dict": n.state_dict()}, p), "timm"),
        ("model.pth", lambda n, p: torch.save({"model": n.state_dict()}, p), "timm"),
        (
            "checkpoint.pt",
            lambda n, p: torch.save(
                {"network": SwAVNet(n, 8, 4, 6, queue_length=2).state_dict(), "trainer": {"epoch": 1}}, p
            ),
            "monai_ssl_swav",
        ),
        ("swav.pt", lambda n, p: torch.save(SwAVNet(n, 8, 4, 6).state_dict(), p), "monai_ssl_swav"),
        ("legacy.pth", lambda n, p: torch.save(n.state_dict(), p, _use_new_zipfile_serialization=False), "timm"),
    ],
)
@pytest.mark.parametrize("explicit", [False, True])
def test_every_layout_gives_the_outputs_of_its_source(
    tmp_path: Path, trained: nn.Module, file: str, save: Callable, layout: str, explicit: bool
) -> None:
    path = tmp_path / file
    save(trained, path)
    backbone = create_backbone("resnet18")
    report = load_backbone_weights(backbone, path, layout if explicit else "auto")
    torch.testing.assert_close(features(backbone), features(trained))
    assert report.layout == layout
    assert (report.missing, report.share, report.adapted) == ({}, 1.0, ())
    assert set(report.matched) == set(trained.state_dict())
    assert report.checksum == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(str(report).splitlines()) == 1


def test_the_report_has_the_provenance_of_our_files(tmp_path: Path, trained: nn.Module) -> None:
    provenance = {"settings": {"test_patients": "included"}}
    weights = trained.state_dict()
    vars(weights)["provenance"] = provenance
    torch.save(weights, tmp_path / "model.pt")
    torch.save({"network": trained.state_dict(), "provenance": provenance}, tmp_path / "checkpoint.pt")
    torch.save(trained.state_dict(), tmp_path / "other.pt")
    found = [load_backbone_weights(create_backbone("resnet18"), path) for path in sorted(tmp_path.glob("*.pt"))]
    assert [report.provenance for report in found] == [provenance, provenance, None]


def test_our_classifier_is_a_start_for_a_classifier_with_other_labels(tmp_path: Path) -> None:
    source = create_backbone("resnet18", num_classes=165)
    torch.save({"network": source.state_dict(), "optimizer": {}}, tmp_path / "checkpoint.pt")
    target = create_backbone("resnet18", num_classes=3)
    head = target.fc.weight.clone()
    report = load_backbone_weights(target, tmp_path / "checkpoint.pt")
    assert report.layout == "monai_ssl_classifier"
    assert torch.equal(target.fc.weight, head)
    source.fc, target.fc = nn.Identity(), nn.Identity()
    torch.testing.assert_close(features(target), features(source))
    assert report.unexpected == {"fc.weight": "classifier", "fc.bias": "classifier"}


def test_torchvision_weights_for_three_channels_serve_one(tmp_path: Path) -> None:
    source = torchvision.models.resnet18()
    torch.save(source.state_dict(), tmp_path / "resnet18.pth")
    target = create_backbone("resnet18")
    report = load_backbone_weights(target, tmp_path / "resnet18.pth")
    source.fc = nn.Identity()
    torch.testing.assert_close(features(target), features(source, channels=3), rtol=1e-3, atol=1e-4)
    assert "first layer conv1.weight summed to 1 channel, exact for one mean and std" in report.adapted


def test_weights_for_one_channel_serve_three(tmp_path: Path, trained: nn.Module) -> None:
    torch.save(trained.state_dict(), tmp_path / "model.pt")
    target = create_backbone("resnet18", in_channels=3)
    report = load_backbone_weights(target, tmp_path / "model.pt")
    torch.testing.assert_close(features(target, channels=3), features(trained), rtol=1e-4, atol=1e-5)
    assert "divided by 3" in report.adapted[0]


def test_position_embeddings_are_resampled_as_timm_does(tmp_path: Path) -> None:
    name = "vit_tiny_patch16_224"
    source = timm.create_model(name, in_chans=1, num_classes=7)
    save_file(source.state_dict(), tmp_path / "vit.safetensors")
    peer = timm.create_model(name, in_chans=1, num_classes=0, img_size=96)
    peer.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(source.state_dict(), peer), strict=False)
    target = create_backbone(name, img_size=96)
    report = load_backbone_weights(target, tmp_path / "vit.safetensors")
    torch.testing.assert_close(features(target, size=96), features(peer, size=96))
    assert "pos_embed resampled from 14 x 14 to 6 x 6 patches" in report.adapted


def test_half_precision_and_absent_step_counts_are_taken(tmp_path: Path, trained: nn.Module) -> None:
    state = {k: v.half() for k, v in trained.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "half.pt")
    backbone = create_backbone("resnet18")
    report = load_backbone_weights(backbone, tmp_path / "half.pt")
    assert (report.share, report.missing) == (1.0, {})
    assert backbone.conv1.weight.dtype == torch.float32
    torch.testing.assert_close(features(backbone), features(trained), rtol=2e-2, atol=2e-3)


def _without(state: dict[str, Tensor], ending: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.endswith(ending)}


def _with(state: dict[str, Tensor], name: str, tensor: Tensor) -> dict[str, Tensor]:
    return {**state, name: tensor}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: {f"my_encoder.{k}": v for k, v in s.items()},
            r"nothing in it fits.*'my_encoder.' stand 120 of the 120",
        ),
        (lambda s: {"a": 1}, "holds no tensors; its keys are a"),
        (lambda s: list(s.values()), "holds a list"),
        (lambda s: _without(s, "running_var"), r"fills 8\d\.\d% of the backbone.*running_var"),
        (
            lambda s: _without(s, "layer4.1.conv2.weight"),
            "all parameters and statistics are needed.*layer4.1.conv2.weight",
        ),
        (
            lambda s: _with(s, "conv1.weight", torch.zeros(64, 1, 3, 3)),
            r"conv1.weight \(64, 1, 3, 3\) for \(64, 1, 7, 7\)",
        ),
        (lambda s: _with(s, "conv1.weight", torch.zeros(64, 2, 7, 7)), r"conv1.weight \(64, 2, 7, 7\)"),
        (lambda s: _with(s, "bn1.weight", torch.full((64,), torch.nan)), "NaN or infinite.*bn1.weight"),
        (lambda s: _with(s, "bn1.running_var", torch.full((64,), torch.inf)), "NaN or infinite.*bn1.running_var"),
        (lambda s: _of("resnet18", 4), r"its images have 4 channels, the backbone's 1: conv1.weight .*Only 1 and 3"),
        (lambda s: _with(s, "conv1.weight", torch.ones(64, 1, 7, 7, dtype=torch.int8)), r"conv1.weight \(torch.int8\)"),
        (
            lambda s: _with(s, "conv1.weight", torch.quantize_per_tensor(s["conv1.weight"], 0.1, 0, torch.qint8)),
            "quantised, such as conv1.weight",
        ),
        (lambda s: {"state_dict": _with(s, "bn1.bias", torch.zeros(64).to_sparse())}, "sparse, such as state_dict.bn1"),
        (lambda s: _with(s, "bn1.bias", torch.zeros(64, device="meta")), "without values, such as bn1.bias"),
        (lambda s: _of("resnet50"), r"seems to be a ResNet-50 \(layout timm.*fits --backbone resnet50\."),
        (lambda s: _of("resnet34"), r"\d+ tensors more of its parts: layer1\.2\..*a ResNet-34.*--backbone resnet34"),
        (lambda s: _of("vit_tiny_patch16_224"), r"nothing in it fits.*a ViT-Ti/16.*--backbone vit_tiny_patch16_224"),
        (lambda s: {"state_dict": _behind("model.", _of("vit_tiny_patch16_224"))}, "such as state_dict.model"),
        (lambda s: {"state_dict": s, "path": Path("x")}, r"Python objects \(.*Path.*\).*run code"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_backbone_left_alone(
    tmp_path: Path, trained: nn.Module, change: Callable, message: str
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(change(trained.state_dict()), path)
    _assert_refused(path, message)


@pytest.mark.parametrize("name", ["conv1.weight", "layer1.0.bn1.bias", "bn1.running_mean", "bn1.running_var"])
def test_one_absent_parameter_or_statistic_is_refused_however_small(tmp_path: Path, name: str) -> None:
    state = timm.create_model("resnet18", in_chans=1, num_classes=0).state_dict()
    del state[name]
    torch.save(state, tmp_path / "weights.pt")
    backbone = create_backbone("resnet18")
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(CheckpointMismatchError, match=rf"fills 9\d\.\d% .*Missing: {name}\."):
        load_backbone_weights(backbone, tmp_path / "weights.pt")
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def _of(name: str, channels: int = 3) -> dict[str, Tensor]:
    return timm.create_model(name, num_classes=3, in_chans=channels).state_dict()


def _behind(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def _assert_refused(path: Path, message: str) -> None:
    backbone = create_backbone("resnet18")
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with pytest.raises(CheckpointMismatchError, match=message) as caught:
        load_backbone_weights(backbone, path)
    assert str(caught.value).startswith(f"{path}:")
    assert "Weights only load failed" not in str(caught.value)
    after = backbone.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_absent_files_and_unknown_layouts_are_named(tmp_path: Path) -> None:
    backbone = create_backbone("resnet18")
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        load_backbone_weights(backbone, tmp_path / "absent.pt")
    with pytest.raises(FileNotFoundError, match="a folder"):
        load_backbone_weights(backbone, tmp_path)
    with pytest.raises(ValueError, match="monai_ssl_swav"):
        load_backbone_weights(backbone, tmp_path / "absent.pt", layout="swag")
