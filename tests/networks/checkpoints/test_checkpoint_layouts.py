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

from argparse import Namespace
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import timm
import torch
import torchvision
import upstream
from monai.networks import nets as monai_nets
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from upstream import behind, unlike_new

from monai_ssl.networks import CheckpointMismatchError, create_backbone, load_backbone_weights

SMALL: dict[str, Any] = {"layers": (1, 1, 1, 1)}  # one block a stage of a ResNet
DINOV2 = {"img_size": 28, "depth": 4, "embed_dim": 48, "num_heads": 3}
DINO = {"img_size": 32, "depth": 4, "embed_dim": 48, "num_heads": 3}


class Case(NamedTuple):
    """A file's content, the network whose features it must give, and the backbone to load it into."""

    content: dict[str, Any]
    source: nn.Module
    layout: str
    left_behind: set[str]
    backbone: str = "resnet18"
    options: dict[str, Any] = SMALL
    size: int = 64
    suffix: str = ".pt"


def _less_is_more() -> Case:
    network = unlike_new(upstream.SwAVResNet())
    content = {"epoch": 800, "state_dict": behind("model.", network.state_dict())}
    return Case(content, _without_heads(network), "less_is_more", {"projection head", "prototypes"}, suffix=".ckpt")


def _swav(container: Callable[[dict], dict]) -> Callable[[], Case]:
    def case() -> Case:
        network = unlike_new(upstream.SwAVResNet())
        content = container(behind("module.", network.state_dict()))
        return Case(content, _without_heads(network), "swav", {"projection head", "prototypes"}, suffix=".pth.tar")

    return case


def _without_heads(network: nn.Module) -> nn.Module:
    network.fc = nn.Identity()
    return network


def _moco(prefix: str) -> Callable[[], Case]:
    def case() -> Case:
        network = unlike_new(upstream.MoCo())
        content = {"arch": "resnet18", "state_dict": behind(prefix, network.state_dict()), "optimizer": {"state": {}}}
        reasons = {
            "projection head",
            "queue of negatives",
            "momentum encoder; the encoder trained by gradients is taken",
        }
        return Case(content, _without_heads(network.encoder_q), "moco", reasons)

    return case


def _byol() -> Case:
    network = unlike_new(upstream.BYOL())
    reasons = {"projection head", "target network; the online one is taken"}
    return Case({"state_dict": network.state_dict()}, network.online_network.encoder, "byol", reasons)


def _spark(form: str) -> Callable[[], Case]:
    def case() -> Case:
        encoder = unlike_new(timm.create_model("resnet18", num_classes=0, **SMALL))
        if form == "flat":
            return Case(encoder.state_dict(), encoder, "timm", set())
        if form == "wrapped":
            content = {"arch": "resnet18", "module": encoder.state_dict(), "is_pretrain": True}
            return Case(content, encoder, "spark", set())
        content = {"args": "Namespace(...)", "module": upstream.SparK(encoder).state_dict()}
        return Case(content, encoder, "spark_decoder", {"decoder"})

    return case


def _vissl(container: Callable[[dict], dict]) -> Callable[[], Case]:
    def case() -> Case:
        trunk = upstream.VisslTrunk(unlike_new(upstream.small_resnet()))
        return Case(container(trunk.state_dict()), trunk.eval(), "vissl", set())

    return case


def _dino_release() -> Case:
    network = unlike_new(upstream.DinoViT(16, 2, scale=False))
    return Case(network.state_dict(), network, "dino", set(), "vit_tiny_patch16_224", DINO, 32)


def _dino_training() -> Case:
    teacher = unlike_new(upstream.Wrapped(upstream.DinoViT(16, 2, scale=False), "head"), 1)
    student = unlike_new(upstream.Wrapped(upstream.DinoViT(16, 2, scale=False), "head"), 2)
    content = {
        "student": behind("module.", student.state_dict()),
        "teacher": teacher.state_dict(),
        "args": Namespace(arch="vit_small", lr=0.0005),
    }
    reasons = {"projection head", "student network; the teacher is its average"}
    return Case(content, teacher.backbone, "dino", reasons, "vit_tiny_patch16_224", DINO, 32)


def _dinov2(**options: Any) -> Callable[[], Case]:
    def case() -> Case:
        network = unlike_new(upstream.DinoViT(14, 2, scale=True, **options))
        name = "vit_small_patch14_reg4_dinov2" if "registers" in options else "vit_small_patch14_dinov2"
        reasons = {"mask token of the pre-training"}
        return Case(network.state_dict(), network, "dinov2", reasons, name, DINOV2, 28, ".pth")

    return case


def _dinov2_training() -> Case:
    teacher = unlike_new(upstream.Wrapped(upstream.DinoViT(14, 2, scale=True, registers=4, chunks=2), "dino_head"))
    reasons = {"mask token of the pre-training", "projection head"}
    content = {"teacher": teacher.state_dict()}
    name = "vit_small_patch14_reg4_dinov2"
    return Case(content, teacher.backbone, "dinov2_training", reasons, name, DINOV2, 28)


def _vit_med(container: Callable[[dict], dict]) -> Callable[[], Case]:
    def case() -> Case:
        network = unlike_new(timm.create_model("vit_tiny_patch16_224", num_classes=11, **DINO))
        content = container(network.state_dict())
        source = _without_classifier(network)
        return Case(content, source, "vit_med", {"classifier"}, "vit_tiny_patch16_224", DINO, 32)

    return case


def _vit_med_dinov2() -> Case:
    network = unlike_new(upstream.DinoViT(14, 2, scale=True))
    content = {**network.state_dict(), "head.weight": torch.zeros(11, 48), "head.bias": torch.zeros(11)}
    reasons = {"classifier", "mask token of the pre-training"}
    return Case(content, network, "vit_med", reasons, "vit_small_patch14_dinov2", DINOV2, 28)


def _mae() -> Case:
    network = unlike_new(upstream.DinoViT(16, 2, scale=False))
    decoder = {
        "mask_token": torch.zeros(1, 1, 32),
        "decoder_embed.weight": torch.zeros(32, 48),
        "decoder_blocks.0.norm1.weight": torch.zeros(32),
    }
    content = {"model": {**network.state_dict(), **decoder}, "epoch": 799}
    reasons = {"decoder", "mask token of the pre-training"}
    return Case(content, network, "mae", reasons, "vit_tiny_patch16_224", DINO, 32)


def _mae_encoder() -> Case:
    case = _dino_release()
    return case._replace(content={"model": case.content}, layout="mae")


def _dinov2_giant() -> Case:
    """SwiGLU instead of an MLP."""
    network = unlike_new(upstream.DinoViT(14, 2, scale=True, swiglu=True))
    options = {**DINOV2, "mlp_ratio": 2.66667 * 2}
    reasons = {"mask token of the pre-training"}
    return Case(network.state_dict(), network, "dinov2", reasons, "vit_giant_patch14_dinov2", options, 28)


def _dinov2_both() -> Case:
    """Teacher and student in one dictionary, as the trainer's own files."""
    teacher = unlike_new(upstream.Wrapped(upstream.DinoViT(14, 2, scale=True), "dino_head"), 1)
    student = unlike_new(upstream.Wrapped(upstream.DinoViT(14, 2, scale=True), "dino_head"), 2)
    content = {"model": {**behind("student.", student.state_dict()), **behind("teacher.", teacher.state_dict())}}
    reasons = {"mask token of the pre-training", "projection head", "student network"}
    return Case(content, teacher.backbone, "dinov2_training", reasons, "vit_small_patch14_dinov2", DINOV2, 28)


def _without_classifier(network: nn.Module) -> nn.Module:
    state = dict(network.state_dict())  # the content keeps the classifier, since it holds the tensors already
    network.reset_classifier(0)
    assert len(network.state_dict()) < len(state)
    return network


def _radimagenet_resnet() -> Case:
    bottleneck = torchvision.models.resnet.Bottleneck
    network = unlike_new(torchvision.models.ResNet(bottleneck, [1, 1, 1, 1]))
    content = upstream.RadImageNet(network, 9).state_dict()
    network.fc = nn.Identity()
    return Case(content, network, "radimagenet", set(), "resnet50")


def _radimagenet_densenet() -> Case:
    network = unlike_new(torchvision.models.densenet121())
    content = upstream.RadImageNet(network, 1).state_dict()
    network.classifier = nn.Identity()
    return Case(content, network, "radimagenet", set(), "densenet121", {})


def _inception(aux_logits: bool) -> nn.Module:
    network = torchvision.models.inception_v3(weights=None, aux_logits=aux_logits, init_weights=False)
    network = unlike_new(network)
    network.transform_input = False
    return network


def _radimagenet_inception(aux_logits: bool) -> Callable[[], Case]:
    def case() -> Case:
        network = _inception(aux_logits)
        content = upstream.RadImageNet(network, -1).state_dict()
        network.fc = nn.Identity()
        reasons = {"auxiliary classifier"} if aux_logits else set()
        return Case(content, network, "radimagenet", reasons, "inception_v3", {}, 96)

    return case


def _torchvision_inception() -> Case:
    network = _inception(True)
    content = network.state_dict()
    network.fc = nn.Identity()
    reasons = {"classifier", "auxiliary classifier"}
    return Case(content, network, "torchvision_inception", reasons, "inception_v3", {}, 96)


def _torchvision_vit() -> Case:
    network = torchvision.models.VisionTransformer(32, 16, 4, 3, 48, 192, num_classes=5)
    network = unlike_new(network)
    content = network.state_dict()
    network.heads = nn.Identity()
    return Case(content, network, "torchvision_vit", {"classifier"}, "vit_tiny_patch16_224", DINO, 32)


def _torchvision_convnext() -> Case:
    widths = (16, 32, 48, 64, None)
    settings = [CNBlockConfig(a, b, 2) for a, b in pairwise(widths)]
    network = unlike_new(ConvNeXt(settings))
    content = network.state_dict()
    network.classifier[2] = nn.Identity()
    options = {"depths": (2, 2, 2, 2), "dims": widths[:-1]}
    return Case(content, network, "torchvision_convnext", {"classifier"}, "convnext_tiny", options)


def _torchvision_old_densenet() -> Case:
    network = unlike_new(torchvision.models.densenet121())
    content = {_old_densenet_name(name): tensor for name, tensor in network.state_dict().items()}
    network.classifier = nn.Identity()
    return Case(content, network, "torchvision_densenet", {"classifier"}, "densenet121", {})


def _old_densenet_name(name: str) -> str:
    """The inverse of torchvision's own `_load_state_dict`, whose pattern tells what old files look like."""
    parts = name.split(".")
    if len(parts) == 5 and parts[2].startswith("denselayer"):
        parts[3] = f"{parts[3][:-1]}.{parts[3][-1]}"
    return ".".join(parts)


def _monai_densenet() -> Case:
    network = unlike_new(monai_nets.DenseNet121(spatial_dims=2, in_channels=3, out_channels=2))
    content = {"model": network.state_dict()}
    network.class_layers.out = nn.Identity()
    return Case(content, network, "monai_densenet", {"classifier"}, "densenet121", {})


def _monai_resnet() -> Case:
    """One with torchvision's shortcut and stride is torchvision's network."""
    shape = ("basic", [1, 1, 1, 1], [64, 128, 256, 512])
    options = {"spatial_dims": 2, "n_input_channels": 3, "conv1_t_stride": 2, "bias_downsample": False}
    network = unlike_new(monai_nets.ResNet(*shape, **options, num_classes=2))
    content = network.state_dict()
    network.fc = nn.Identity()
    return Case(content, network, "timm", {"classifier"})


CASES: dict[str, Callable[[], Case]] = {
    "less_is_more": _less_is_more,
    "swav_release": _swav(dict),
    "swav_training": _swav(lambda s: {"epoch": 1, "state_dict": s, "optimizer": {}, "amp": {}}),
    "moco_facebook": _moco("module."),
    "moco_bolts": _moco(""),
    "byol": _byol,
    "spark_flat": _spark("flat"),
    "spark_wrapped": _spark("wrapped"),
    "spark_decoder": _spark("decoder"),
    "vissl_classy": _vissl(lambda s: {"classy_state_dict": {"base_model": {"model": {"trunk": s, "heads": {}}}}}),
    "vissl_flat": _vissl(lambda s: {"model_state_dict": s}),
    "dino_release": _dino_release,
    "dino_training": _dino_training,
    "dinov2": _dinov2(),
    "dinov2_chunks": _dinov2(chunks=2),
    "dinov2_registers": _dinov2(registers=4),
    "dinov2_training": _dinov2_training,
    "dinov2_giant": _dinov2_giant,
    "dinov2_both": _dinov2_both,
    "mae": _mae,
    "mae_encoder": _mae_encoder,
    "vit_med": _vit_med(lambda s: {"model_state_dict": s, "loss_state_dict": {}, "model_info": {}, "epoch": 3}),
    "vit_med_without_marks": _vit_med(lambda s: {"model_state_dict": s}),
    "vit_med_flat": _vit_med(dict),
    "vit_med_dinov2": _vit_med_dinov2,
    "radimagenet_resnet50": _radimagenet_resnet,
    "radimagenet_densenet121": _radimagenet_densenet,
    "radimagenet_inception_v3": _radimagenet_inception(False),
    "radimagenet_inception_v3_aux": _radimagenet_inception(True),
    "torchvision_inception_v3": _torchvision_inception,
    "torchvision_vit": _torchvision_vit,
    "torchvision_convnext": _torchvision_convnext,
    "torchvision_old_densenet121": _torchvision_old_densenet,
    "monai_densenet121": _monai_densenet,
    "monai_resnet18": _monai_resnet,
}


@pytest.mark.parametrize("name", list(CASES))
def test_features_are_those_of_the_network_it_was_saved_from(tmp_path: Path, name: str) -> None:
    case = CASES[name]()
    path = tmp_path / f"weights{case.suffix}"
    torch.save(case.content, path)
    backbone = create_backbone(case.backbone, in_channels=3, **case.options)
    report = load_backbone_weights(backbone, path)
    image = torch.rand(2, 3, case.size, case.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(backbone.eval()(image), case.source.eval()(image), rtol=1e-4, atol=1e-4)
    assert (report.layout, report.share, report.missing, report.adapted) == (case.layout, 1.0, {}, ())
    assert set(report.unexpected.values()) == case.left_behind
    assert load_backbone_weights(backbone, path, case.layout).unexpected == report.unexpected


def test_the_student_is_named_with_its_reason(tmp_path: Path) -> None:
    torch.save(_dino_training().content, tmp_path / "dino.pth")
    report = load_backbone_weights(
        create_backbone("vit_tiny_patch16_224", in_channels=3, **DINO), tmp_path / "dino.pth"
    )
    assert report.unexpected["student.module.backbone.cls_token"].startswith("student network")


@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize("to", [56, 42])
def test_positions_of_dinov2_are_resampled_as_timm_does(tmp_path: Path, registers: int, to: int) -> None:
    case = _dinov2(**({"registers": registers} if registers else {}))()
    torch.save(case.content, tmp_path / "dinov2.pth")
    options = {**case.options, "img_size": to}
    peer = timm.create_model(case.backbone, num_classes=0, **options)
    peer.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(dict(case.content), peer))
    backbone = create_backbone(case.backbone, in_channels=3, **options)
    report = load_backbone_weights(backbone, tmp_path / "dinov2.pth")
    image = torch.rand(1, 3, to, to)
    with torch.no_grad():
        torch.testing.assert_close(backbone.eval()(image), peer.eval()(image), rtol=1e-4, atol=1e-4)
    assert report.adapted == (f"pos_embed resampled from 2 x 2 to {to // 14} x {to // 14} patches",)


def test_patches_of_three_channels_are_summed_for_one(tmp_path: Path) -> None:
    case = _dinov2()()
    save_file({name: tensor.contiguous() for name, tensor in case.content.items()}, tmp_path / "dinov2.safetensors")
    backbone = create_backbone(case.backbone, in_channels=1, **case.options)
    report = load_backbone_weights(backbone, tmp_path / "dinov2.safetensors")
    grey = torch.rand(2, 1, 28, 28)
    with torch.no_grad():
        expected = case.source.eval()(grey.expand(-1, 3, -1, -1))
        torch.testing.assert_close(backbone.eval()(grey), expected, rtol=1e-4, atol=1e-4)
    assert report.adapted == ("first layer patch_embed.proj.weight summed to 1 channel, exact for one mean and std",)


def _keras_port(prefix: str = "") -> dict[str, Tensor]:
    network = torchvision.models.resnet50()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
    if prefix == "backbone.0.":
        return upstream.RadImageNet(network, 9).state_dict()
    return behind(prefix, network.state_dict())


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "backbone.0.", "model.encoder."])
def test_the_port_from_keras_is_told_behind_any_name(tmp_path: Path, prefix: str) -> None:
    with torch.device("meta"):
        _save_hollow(_keras_port(prefix), tmp_path / "weights.pth")
    with pytest.raises(CheckpointMismatchError, match=r"radimagenet_keras.*convolutions have biases"):
        load_backbone_weights(create_backbone("resnet50"), tmp_path / "weights.pth")


def _save_hollow(content: dict[str, Tensor], path: Path) -> None:
    """Names and shapes, and a single number behind each."""
    number = torch.zeros((), device="cpu")
    torch.save({name: number.expand(tensor.shape) for name, tensor in content.items()}, path)


@pytest.mark.parametrize(
    ("content", "backbone", "message"),
    [
        (
            _keras_port,
            "resnet50",
            r"radimagenet_keras.*stride sits in the first convolution.*eps is 1\.001e-5.*ResNet50.pt",
        ),
        (
            lambda: monai_nets.resnet18(spatial_dims=2, n_input_channels=3).state_dict(),
            "resnet18",
            "monai_resnet.*shortcut convolutions have biases.*bias_downsample=False",
        ),
        (
            lambda: monai_nets.SEResNet50(spatial_dims=2, in_channels=3).state_dict(),
            "seresnet50",
            "monai_senet.*legacy_seresnet50",
        ),
        (
            lambda: {"patch_embedding.position_embeddings": torch.zeros(1, 4, 48), "cls_token": torch.zeros(1, 1, 48)},
            "vit_tiny_patch16_224",
            "monai_vit.*LayerNorm eps",
        ),
        (
            lambda: {"vit.embeddings.patch_embeddings.projection.weight": torch.zeros(48, 3, 16, 16)},
            "vit_tiny_patch16_224",
            "transformers.*timm/ in front",
        ),
        (
            lambda: monai_nets.DenseNet121(spatial_dims=3, in_channels=1, out_channels=2).state_dict(),
            "densenet121",
            "3-D network.*monai_densenet",
        ),
    ],
)
def test_networks_that_timm_has_not_are_refused_with_the_reason(
    tmp_path: Path, content: Callable, backbone: str, message: str
) -> None:
    with torch.device("meta"):  # names and shapes are enough
        _save_hollow(content(), tmp_path / "weights.pth")
    with pytest.raises(CheckpointMismatchError, match=message):
        load_backbone_weights(create_backbone(backbone), tmp_path / "weights.pth")


def test_a_layout_that_the_file_has_not_is_refused_and_the_right_one_named(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(CheckpointMismatchError, match=r"has not the names of layout swav.*a ResNet-18 \(layout timm"):
        load_backbone_weights(create_backbone("resnet18"), tmp_path / "resnet18.pth", "swav")
