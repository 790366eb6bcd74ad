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
import onnxruntime
import pytest
import torch
from monai.bundle import onnx_export
from monai.data import load_net_with_metadata
from test_bundles import BUNDLES, config, run

from monai_ssl.networks import create_backbone

SETTINGS = {
    "backbone": "resnet10t",
    "in_channels": 3,
    "image_size": 32,
    "window": "bone",
    "mean": [0.4, 0.5, 0.6],
    "std": [0.2, 0.25, 0.3],
    "task": "multilabel",
    "label_names": ["finding", "odd"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What a run of fine-tuning leaves."""
    folder = tmp_path_factory.mktemp("run")
    torch.save(create_backbone("resnet10t", 3, num_classes=2).state_dict(), folder / "model.pt")
    (folder / "settings.json").write_text(json.dumps({"settings": SETTINGS}))
    (folder / "thresholds.json").write_text('{"thresholds": {"finding": 0.4, "odd": null}}')
    return folder


def resized(image, size):
    image = torch.as_tensor(image, dtype=torch.float32)[None]
    return torch.nn.functional.interpolate(image, (size, size), mode="bilinear", antialias=True)[0]


def test_the_files_tell_all_that_scores_need(trained, tmp_path):
    run("resnet_finetuning", "export", "infer", checkpoint=trained / "model.pt", output_dir=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.ts"]
    network, facts, _ = load_net_with_metadata(str(tmp_path / "model.ts"))
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    told = {name: json.loads(value) for name, value in session.get_modelmeta().custom_metadata_map.items()}
    assert told.items() >= facts.items() >= (SETTINGS | {"window": [-500, 1300]}).items()
    assert (facts["output"], facts["activation"]) == ("logits", "sigmoid")
    assert facts["thresholds"] == {"finding": 0.4, "odd": None}

    # by what the files tell, against the preprocessing and the network of the bundle
    hu = torch.from_numpy(np.random.default_rng(0).integers(-900, 2000, (1, 48, 40)).astype(np.float32))
    low, high = facts["window"]
    image = resized(((hu - low) / (high - low)).clip(0, 1), facts["image_size"]).repeat(facts["in_channels"], 1, 1)
    image = (image - torch.tensor(facts["mean"])[:, None, None]) / torch.tensor(facts["std"])[:, None, None]
    ours = create_backbone("resnet10t", 3, num_classes=2).eval()
    ours.load_state_dict(torch.load(trained / "model.pt", weights_only=True))
    with torch.no_grad():
        expected = ours(image[None])
    torch.testing.assert_close(network(image[None]).detach(), expected, rtol=1e-4, atol=1e-5)
    (logits,) = session.run(None, {"image": image[None].numpy()})
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-5)


def test_pretraining_exports_features(tmp_path):
    network = create_backbone("resnet10t").eval()
    torch.save(network.state_dict(), tmp_path / "model.pt")
    settings = {"backbone": "resnet10t", "image_size": 32, "window": ["lung", "bone"]}
    run(
        "swav_pretraining", "export", "infer", checkpoint=tmp_path / "model.pt", output_dir=tmp_path / "out", **settings
    )
    loaded, facts, _ = load_net_with_metadata(str(tmp_path / "out/model.ts"))
    assert (facts["output"], facts["activation"], facts["window"]) == ("features", None, [-1350, 150])
    images = torch.randn(3, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded(images), network(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "resnet18"}, "not the weights of this classifier"),
        (
            {"label_names": "['a']"},
            "not the weights of this classifier (2 tensors are of another shape: fc.weight, fc.bias)",
        ),
        ({"label_names": "Pneumonia"}, "not the weights of this classifier (2 tensors are of another shape"),
        ({"task": "multiclas"}, "unknown task 'multiclas'; known: multilabel, multiclass"),
        ({"mean": "x", "window": "foo"}, "--mean must be a number"),
        ({"backbone": "resnet10"}, "'resnet10' is no model of timm; nearest: resnet10t"),
        ({"checkpoint": "absent.pt"}, "absent.pt: no such checkpoint"),
    ],
)
def test_what_cannot_be_exported_is_said_in_words(trained, tmp_path, capsys, settings, message):
    settings = {"checkpoint": trained / "model.pt", "output_dir": tmp_path / "out", **settings}
    with pytest.raises(SystemExit) as stop:
        run("resnet_finetuning", "export", "infer", **settings)
    assert stop.value.code == 2
    assert message in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize("bundle", ["swav_pretraining", "vit_finetuning"])
def test_monai_exports_to_onnx(bundle, tmp_path):
    backbone = "vit_tiny_patch16_224" if bundle.startswith("vit") else "resnet10t"
    labels = {} if bundle.startswith("swav") else {"label_names": ["a", "b"]}
    network = create_backbone(backbone, **({"num_classes": 2} if labels else {})).eval()
    torch.save(network.state_dict(), tmp_path / "model.pt")
    onnx_export(
        "network_def",
        filepath=str(tmp_path / "model.onnx"),
        ckpt_file=str(tmp_path / "model.pt"),
        config_file=config(bundle, "inference"),
        use_trace=True,
        input_shape=[2, 1, 64, 64],
        backbone=backbone,
        bundle_root=str(BUNDLES / bundle),
        checkpoint=str(tmp_path / "model.pt"),
        device="cpu",
        **labels,
    )
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    images = torch.randn(2, 1, 64, 64)
    (output,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    np.testing.assert_allclose(output, network(images).detach(), rtol=1e-3, atol=1e-4)
