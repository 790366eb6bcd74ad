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
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from monai_ssl.cli import app
from monai_ssl.networks import inspect_checkpoint
from monai_ssl.networks.checkpoints import CATALOGUE
from monai_ssl.networks.checkpoints.architectures import _CANDIDATES, architecture_of
from monai_ssl.networks.checkpoints.known_layouts import LAYOUT_NAMES

KNOWN = [name for candidates in _CANDIDATES.values() for name in candidates]


@pytest.mark.parametrize("name", KNOWN)
def test_every_architecture_is_told_from_its_shapes(name: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(name, in_chans=1, num_classes=3)
    found = architecture_of(network.state_dict())
    assert found is not None
    assert found.backbone == name


def test_an_unknown_one_is_not_given_a_name() -> None:
    with torch.device("meta"):
        assert architecture_of(timm.create_model("resnet10t").state_dict()) is None
        assert architecture_of(timm.create_model("vit_tiny_patch16_224", depth=13).state_dict()) is None


def test_a_file_is_inspected_without_a_backbone(tmp_path: Path) -> None:
    network = timm.create_model("resnet18", in_chans=1, num_classes=2)
    network.bn1.weight.data[3] = torch.nan
    path = tmp_path / "resnet18.safetensors"
    save_file(network.state_dict(), path)
    found = inspect_checkpoint(path)
    assert (found.layout.name, found.backbone, found.words, found.channels) == ("timm", "resnet18", "a ResNet-18", 1)
    assert found.broken == ("bn1.weight",)
    assert found.left_behind == {"fc.weight": "classifier", "fc.bias": "classifier"}
    names = dict(network.named_parameters())
    own = [name for name in network.state_dict() if not name.startswith("fc.") and "num_batches" not in name]
    assert found.tensors == len(own)
    assert found.elements == sum(network.state_dict()[name].numel() for name in own) > len(names)
    assert found.checksum == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.normalisation is not None
    assert len(found.normalisation.mean) == 1


def test_the_catalogue_has_every_layout() -> None:
    assert set(CATALOGUE) == set(LAYOUT_NAMES)


@pytest.mark.parametrize("columns", [80, 160])
def test_the_command_lists_what_is_known_within_the_terminal(columns: int) -> None:
    result = CliRunner().invoke(app, ["checkpoints"], env={"COLUMNS": str(columns)})
    assert result.exit_code == 0
    assert all(len(line) <= columns for line in result.output.splitlines())
    assert all(name in result.output and entry.url in result.output for name, entry in CATALOGUE.items())


def test_the_command_inspects_files_and_goes_on_after_a_false_one(tmp_path: Path) -> None:
    (tmp_path / "page.pt").write_text("<html>", encoding="utf-8")
    torch.save(timm.create_model("resnet18", num_classes=0).state_dict(), tmp_path / "resnet18.pt")
    files = [str(tmp_path / name) for name in ("page.pt", "resnet18.pt", "absent.pt")]
    result = CliRunner().invoke(app, ["checkpoints", *files], env={"COLUMNS": "80"})
    assert result.exit_code == 2
    assert "--backbone resnet18" in result.stdout
    assert [line.partition(": ")[2].split(":")[0] for line in result.stderr.splitlines()] == [files[0], files[2]]
