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

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn
from upstream import behind, unlike_new

from monai_ssl.networks import create_backbone, load_backbone_weights

SMALL = {"layers": (1, 1, 1, 1)}


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    return unlike_new(create_backbone("resnet18", **SMALL))


def features(network: nn.Module) -> Tensor:
    with torch.no_grad():
        return network.eval()(torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(5)))


@pytest.mark.parametrize(
    "content",
    [
        lambda s: {"epoch": torch.tensor(3), "state_dict": s},
        lambda s: {"model": s, "rng": torch.zeros(5000, dtype=torch.uint8)},
        lambda s: {"net": s},
        lambda s: {"model_state_dict": s, "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}},
        lambda s: {"nets": {"encoder": s, "decoder": {str(number): torch.zeros(1) for number in range(500)}}},
    ],
)
def test_the_container_with_the_backbones_names_is_taken(tmp_path: Path, trained: nn.Module, content: Callable) -> None:
    torch.save(content(trained.state_dict()), tmp_path / "a.pt")
    backbone = create_backbone("resnet18", **SMALL)
    report = load_backbone_weights(backbone, tmp_path / "a.pt")
    torch.testing.assert_close(features(backbone), features(trained))
    assert (report.layout, report.share, report.unexpected) == ("timm", 1.0, {})


@pytest.mark.parametrize(("raw", "average"), [("state_dict", "state_dict_ema"), ("model", "model_ema")])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_average_is_taken_as_timm_does(
    tmp_path: Path, trained: nn.Module, raw: str, average: str, prefix: str
) -> None:
    """Behind a prefix as torchvision's reference scripts save it, with the count of what was averaged."""
    averaged = behind(prefix, trained.state_dict()) | ({"n_averaged": torch.tensor(7)} if prefix else {})
    path = tmp_path / "a.pt"
    torch.save({raw: create_backbone("resnet18", **SMALL).state_dict(), average: averaged}, path)
    backbone, peer = create_backbone("resnet18", **SMALL), create_backbone("resnet18", **SMALL)
    report = load_backbone_weights(backbone, path)
    timm.models.load_checkpoint(peer, str(path), strict=False)
    torch.testing.assert_close(features(backbone), features(peer))
    assert report.unexpected[f"{raw}.conv1.weight"] == f"another set of weights, not averaged; {average} is taken"
