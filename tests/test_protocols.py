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

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from bundle_runs import SMALL, config, make_images, run, workflow
from ignite.engine import Events
from monai.bundle import ConfigParser

from monai_ssl.data import FinetuningData
from monai_ssl.networks import create_backbone, forward_order

PROTOCOLS = {
    "resnet_finetuning": ("less_is_more", "radimagenet", "linear_probe"),
    "vit_finetuning": ("vit_med", "linear_probe"),
}
QUICK = {**SMALL, "batch_size": 12, "max_epochs": 2, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = make_images(tmp_path_factory.mktemp("images"))
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table["class"] = table["finding"].map({"0": "healthy", "1": "ill"})
    table[["image", "patient", "class"]].to_csv(folder / "classes.csv", index=False)
    return folder


@pytest.mark.parametrize(("bundle", "protocol"), [(b, p) for b, names in PROTOCOLS.items() for p in names])
def test_a_protocol_sets_what_training_knows_and_nothing_else(bundle, protocol):
    known = ConfigParser.load_config_file(config(bundle, "train"))
    given = ConfigParser.load_config_file(config(bundle, protocol))
    given.pop("optimizer::_target_", None)
    assert given.keys() <= known.keys()


class Watch:
    """What a run does: of each step the rate of each group, of each epoch all that the network holds."""

    def __init__(self):
        self.rates, self.states = [], []

    def __call__(self, parser):
        self.parser = parser
        self.network = parser.get_parsed_content("network_def")
        self.optimizer = parser.get_parsed_content("optimizer")
        trainer = parser.get_parsed_content("train::trainer")
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self.note_rates)
        trainer.add_event_handler(Events.STARTED | Events.EPOCH_COMPLETED, self.note_state)

    def note_rates(self, _):
        self.rates.append({group["name"]: group["lr"] for group in self.optimizer.param_groups})

    def note_state(self, _):
        self.states.append({name: value.clone() for name, value in self.network.state_dict().items()})

    def changed(self, before, after):
        return {name for name, value in self.states[before].items() if not torch.equal(value, self.states[after][name])}


def watched_run(bundle, name, images, folder, **settings):
    """Run a fine-tuning into `folder`/run, and what it did."""
    watch = Watch()
    data = {"dataset_dir": images, "labels": images / "labels.csv", "output_dir": folder / "run"}
    run(bundle, name, watch=watch, **data, **settings)
    return watch


def of(modules):
    return lambda names: {name for name in names if name.rpartition(".")[0] in modules}


def test_less_is_more_opens_the_backbone_after_ten_epochs_and_keeps_the_rate(images, tmp_path):
    watch = Watch()
    torch.save(create_backbone("resnet10t").state_dict(), tmp_path / "start.pt")
    run(
        "resnet_finetuning",
        ("train", "less_is_more"),
        watch=watch,
        checkpoint=tmp_path / "start.pt",
        dataset_dir=images,
        labels=images / "classes.csv",
        output_dir=tmp_path / "run",
        **{**SMALL, "max_epochs": 12},
    )
    optimizer, loss = watch.optimizer, watch.parser.get_parsed_content("loss")
    assert type(optimizer) is torch.optim.Adam
    assert type(loss).__mro__[1] is torch.nn.CrossEntropyLoss
    assert loss.weight is None
    (group,) = optimizer.param_groups  # the paper's weight decay holds for all parameters
    assert (group["lr"], group["weight_decay"], len(group["params"])) == (
        0.0001,
        0.0005,
        len(list(watch.network.parameters())),
    )
    names = set(watch.network.state_dict())
    head = {"fc.weight", "fc.bias"}
    assert watch.changed(0, 10) == head
    assert watch.changed(10, 11) == names
    assert {rate for step in watch.rates for rate in step.values()} == {0.0001}
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())["settings"]
    assert (settings["max_epochs"], settings["freeze_epochs"], settings["select_by"]) == (12, 10, "accuracy")


@pytest.mark.parametrize("protocol", ["less_is_more", "radimagenet", "vit_med"])
def test_protocols_have_the_numbers_of_their_papers(protocol, images):
    bundle = next(name for name, protocols in PROTOCOLS.items() if protocol in protocols)
    start = {"checkpoint": images / "start.pt"}  # read when the run starts, which this one does not
    flow = workflow(bundle, ("train", protocol), dataset_dir=images, labels=images / "classes.csv", **start)
    settings = flow.parser.get_parsed_content("settings")
    shared = {"trained_layers": "all", "patience": None, "layer_decay": None, "folds": None, "train_fraction": 1.0}
    expected = {
        "less_is_more": {
            **{"backbone": "resnet50", "image_size": 224, "batch_size": 64, "max_epochs": 70, "freeze_epochs": 10},
            **{"learning_rate": 1e-4, "weight_decay": 5e-4, "class_weights": "none", "select_by": "accuracy"},
        },
        "radimagenet": {
            **{"backbone": "resnet50", "image_size": 256, "dropout": 0.5, "max_epochs": 30, "select_by": "loss"},
            **{"freeze_epochs": 0},
        },
        "vit_med": {
            **{"backbone": "vit_base_patch16_224", "image_size": 224, "batch_size": 32, "learning_rate": 1e-5},
            **{"flip_prob": 0.5, "rotation": pytest.approx(7 * torch.pi / 180, abs=1e-5), "zoom": 0.0},
            **{"class_weights": "balanced", "in_channels": 3},
        },
    }[protocol]
    assert {name: settings[name] for name in shared | expected} == shared | expected
    optimizer = {"less_is_more": "Adam", "radimagenet": "Adam", "vit_med": "AdamW"}[protocol]
    assert flow.parser["optimizer"]["_target_"] == f"torch.optim.{optimizer}"


@pytest.mark.parametrize(("layers", "rate"), [("head", 0.01), (10, 0.01), ("all", 0.001)])
def test_the_schemes_of_radimagenet_train_what_they_say(images, tmp_path, layers, rate):
    watch = watched_run(
        "resnet_finetuning",
        ("train", "radimagenet"),
        images,
        tmp_path,
        label_names=["finding"],
        **{**QUICK, "learning_rate": rate, "trained_layers": layers},
    )
    owners = [
        name
        for name in forward_order(create_backbone("resnet10t", 3, num_classes=1), (3, 32, 32))
        if any(True for _ in watch.network.get_submodule(name).parameters(recurse=False))
    ]
    assert owners[-1] == "fc"
    trained = {"head": owners[-1:], 10: owners[-11:], "all": owners}[layers]
    assert watch.changed(0, 2) == of(trained)(watch.network.state_dict())
    assert {value for step in watch.rates for value in step.values()} == {rate}


def test_a_linear_probe_leaves_the_backbone_as_it_is(images, tmp_path):
    overrides = {**QUICK, "backbone": "vit_tiny_patch16_224", "amp": True, "accumulation": 2, "batch_size": 6}
    watch = watched_run(
        "vit_finetuning",
        ("train", "linear_probe"),
        images,
        tmp_path,
        **overrides,
    )
    assert watch.changed(0, 2) == {"head.weight", "head.bias"}


def test_layers_and_head_have_rates_of_their_own_until_the_end(images, tmp_path):
    watch = watched_run(
        "resnet_finetuning",
        "train",
        images,
        tmp_path,
        **QUICK,
        layer_decay=0.5,
        head_learning_rate=0.1,
        freeze_epochs=1,
    )
    assert all(step == watch.rates[0] for step in watch.rates)
    first = watch.rates[0]
    layers = sorted({int(name.split("_")[1]) for name in first if name.startswith("layer_")})
    rates = [first[f"layer_{layer}_no_decay"] for layer in layers]
    assert rates == pytest.approx([0.01 * 0.5 ** (len(layers) - layer) for layer in layers])
    assert first["head_decay"] == first["head_no_decay"] == 0.1
    assert watch.changed(0, 1) == {"fc.weight", "fc.bias"}


def test_training_ends_early_and_a_part_of_the_patients_is_enough(images, tmp_path):
    settings = {**QUICK, "max_epochs": 30, "patience": 2, "train_fraction": 0.5, "learning_rate": 1e-9}
    data = FinetuningData(images, images / "labels.csv", train_fraction=0.5)
    watched_run(
        "resnet_finetuning",
        "train",
        images,
        tmp_path,
        **{**settings, "batch_size": data.count("train")},
    )
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    scores = [line["val_auc"] for line in lines]
    best = scores.index(max(scores)) + 1
    assert len(lines) == best + 2 < 30
    record = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert (record["finished_epochs"], record["trained_epochs"]) == (30, len(lines))
    assert lines[-1]["iteration"] == len(lines)
    # the same command finds a finished run
    with pytest.raises(SystemExit) as stop:
        run(
            "resnet_finetuning",
            "train",
            dataset_dir=images,
            labels=images / "labels.csv",
            output_dir=tmp_path / "run",
            **{**settings, "batch_size": data.count("train")},
        )
    assert stop.value.code == 0


@pytest.mark.parametrize(
    ("bundle", "backbone"), [("resnet_finetuning", "resnet10t"), ("vit_finetuning", "vit_tiny_patch16_224")]
)
def test_a_model_of_165_classes_is_a_start_for_another_data_set(tmp_path, images, bundle, backbone, capsys):
    folder = tmp_path / "many classes"
    folder.mkdir()
    generator = np.random.default_rng(0)
    rows = [(f"{number:03d}.png", number % 165, "train" if number < 165 else "val") for number in range(180)]
    rows += [(f"{number:03d}.png", number % 165, "test") for number in range(180, 200)]
    for name, *_ in rows:
        cv2.imwrite(str(folder / name), generator.integers(0, 255, (36, 36)).astype(np.uint8))
    table = pd.DataFrame(rows, columns=["image", "class", "split"])
    table.assign(patient=table["image"], **{"class": table["class"].map("finding {:03d}".format)}).to_csv(
        folder / "labels.csv", index=False
    )
    settings = {**QUICK, "backbone": backbone, "max_epochs": 1, "task": "multiclass", "mean": 0.4, "std": 0.3}
    run(bundle, "train", dataset_dir=folder, labels=folder / "labels.csv", output_dir=tmp_path / "many", **settings)
    many = torch.load(tmp_path / "many" / "model.pt", weights_only=True)
    head = create_backbone(backbone, num_classes=1).pretrained_cfg["classifier"]
    assert len(many[f"{head}.bias"]) == 165
    columns = pd.read_csv(tmp_path / "many" / "predictions.csv").columns
    assert sum(column.endswith("_score") for column in columns) == 165

    watch = Watch()
    few = {"dataset_dir": images, "labels": images / "labels.csv", "output_dir": tmp_path / "few"}
    quick = {**QUICK, "backbone": backbone, "max_epochs": 1, "freeze_epochs": 0}
    run(bundle, "train", watch=watch, **few, **quick, checkpoint=tmp_path / "many" / "model.pt")
    body = {name for name in many if not name.startswith(f"{head}.")}
    assert body == {name for name in watch.states[0] if not name.startswith(f"{head}.")}
    assert all(torch.equal(watch.states[0][name], many[name]) for name in body)
    recorded = json.loads((tmp_path / "few" / "settings.json").read_text())["settings"]
    assert (recorded["mean"], recorded["std"]) == ([0.4], [0.3])
    assert "left behind: classifier (2)" in capsys.readouterr().out


def test_wrong_settings_are_named_together(images, tmp_path, capsys):
    wrong = {"trained_layers": "top", "fold": 2, "class_weights": [1, 2, 3], "layer_decay": 1.5, "patience": 0}
    with pytest.raises(SystemExit):
        run(
            "resnet_finetuning",
            "train",
            dataset_dir=images,
            labels=images / "labels.csv",
            output_dir=tmp_path / "run",
            **{**QUICK, **wrong, "dropout": 1.0, "amp_dtype": "int8", "backbone": "vit_tiny_patch16_224"},
            zoom=-1,
        )
    told = capsys.readouterr().out
    for part in (
        *("--trained_layers must be", "--fold 2 is given without --folds", "--class_weights must be", "--layer_decay"),
        *("--patience", "--dropout", "--amp_dtype", "--zoom"),
    ):
        assert part in told
    assert not (tmp_path / "run").exists()
