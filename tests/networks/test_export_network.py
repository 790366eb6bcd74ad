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

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from monai.data import load_net_with_metadata
from torch import nn

from monai_ssl.networks import create_backbone
from monai_ssl.networks.export import export_network

# Of each architecture as few layers as show every kind of them.
NETWORKS = {
    "resnet10t": (32, {}),
    "densenet121": (32, {"block_config": (1, 1, 1, 1)}),
    "vit_tiny_patch16_224": (64, {"depth": 2}),
    "vit_small_patch14_reg4_dinov2": (56, {"depth": 2}),
    "convnext_atto": (32, {"depths": (1, 1, 1, 1)}),
}
FACTS = {"mean": [0.25], "label_names": ["a", "ö"], "thresholds": {"a": 0.5}, "window": None}


def of_onnx(path):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"image": images.numpy()})[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_both_files_give_what_torch_gives(tmp_path, name):
    torch.manual_seed(0)
    size, options = NETWORKS[name]
    network = create_backbone(name, 3, num_classes=4, **options).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
    differences = export_network(network, tmp_path, size, 3, facts=FACTS)
    assert network.training
    assert sorted(differences) == sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.ts"]
    images = 3 * torch.rand(7, 3, size, size) - 1
    with torch.no_grad():
        expected = network.eval()(images)
        torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(images), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_onnx(tmp_path / "model.onnx")(images), expected, rtol=1e-3, atol=1e-5)
    # and they tell how to use them
    assert load_net_with_metadata(str(tmp_path / "model.ts"))[1] == FACTS
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {entry.key: json.loads(entry.value) for entry in model.metadata_props}.items() >= FACTS.items()
    assert model.opset_import[0].version == 18
    (image,), (output,) = model.graph.input, model.graph.output
    assert (image.name, output.name) == ("image", "logits")
    batch, *others = image.type.tensor_type.shape.dim
    assert batch.dim_param
    assert [side.dim_value for side in others] == [3, size, size]


class Batched(nn.Module):
    """What tracing cannot see: another result for batches other than of two."""

    def forward(self, images):
        return images.mean((2, 3)) * (1 if int(images.shape[0]) == 2 else 2)


class Drifting(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        return images.mean((2, 3)) + self.calls * 1e-3


class Refusing(nn.Module):
    def forward(self, images):
        raise RuntimeError("not this way")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Batched(), "model.ts: outputs differ from torch's by"),
        (Drifting(), "outputs differ"),
        (Refusing(), "cannot be exported to TorchScript: not this way"),
    ],
)
def test_a_network_that_is_not_the_same_is_refused_and_nothing_is_left(tmp_path, network, message):
    with pytest.raises(ValueError, match=message):
        export_network(network, tmp_path, 16)
    assert not list(tmp_path.iterdir())


def test_where_onnx_fails_there_is_no_torchscript_either(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no such operator\nand much more")

    (tmp_path / "model.ts").write_text("earlier")
    monkeypatch.setattr(torch.onnx, "export", broken)
    with pytest.raises(ValueError, match=r"cannot be exported to ONNX: no such operator$"):
        export_network(create_backbone("resnet10t"), tmp_path, 32)
    assert [path.name for path in tmp_path.iterdir()] == ["model.ts"]
    assert (tmp_path / "model.ts").read_text() == "earlier"


def test_without_onnx_it_is_said_how_to_get_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("monai_ssl.networks.export.find_spec", lambda name: None if name == "onnxruntime" else name)
    (tmp_path / "model.onnx").write_text("of another model")
    assert list(export_network(create_backbone("resnet10t"), tmp_path, 32)) == ["model.ts"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.ts"]
    assert "onnxruntime is not installed: pip install 'monai_ssl[onnx]'" in caplog.text
