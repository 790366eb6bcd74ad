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
import os
import sys

import ignite.distributed as idist
import pytest
import torch

from monai_ssl import preflight
from monai_ssl.networks import create_backbone


@pytest.fixture
def command(tmp_path, monkeypatch):
    configs = tmp_path / "my bundle" / "configs"
    configs.mkdir(parents=True)
    (configs / "train.json").write_text(
        json.dumps({"max_epochs": 3, "train": {"trainer": {"_target_": "X", "a": 1}, "handlers": [{}]}})
    )
    (configs / "more.json").write_text(json.dumps({"extra_option": 3}))

    def run_as(*words, module="site-packages/monai/bundle/__main__.py"):
        files = [str(word).replace("CONFIGS", str(configs)) for word in words]
        monkeypatch.setattr(sys, "argv", [f"/somewhere/{module}", *files])

    return run_as


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--config_file", "CONFIGS/train.json", "--max_epochs", "2"),
        ("run", "--config_file=CONFIGS/train.json", "--max-epochs=2", "--train#trainer#max_epochs", "5"),
        ("run", "--config_file", "['CONFIGS/train.json','CONFIGS/more.json']", "--extra_option", "-1"),
        ("run", "--config_file", "CONFIGS/train.json,CONFIGS/more.json", "--extra_option", "1", "--run_id", "run"),
    ],
)
def test_known_overrides_pass_and_the_root_is_found(command, tmp_path, words):
    command(*words)
    preflight.refuse_unknown_overrides()
    assert preflight.bundle_root() == str(tmp_path / "my bundle")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        *[
            ("--max_epoch", "did you mean --max_epochs?"),
            ("--trian::x", "did you mean --train?"),
            ("--zzz", "known names"),
        ],
        *[
            ("-max_epoch", "did you mean --max_epochs?"),
            ("--train::max_epochs", "known names there: handlers, trainer"),
        ],
        *[("--train#trianer", "did you mean --train::trainer?"), ("--train::handlers::1", "known names there: none")],
        *[("--max_epochs::x", "known names there: none"), ("--train::trianer::a", "did you mean --train::trainer?")],
    ],
)
def test_an_unknown_override_is_refused_with_the_nearest_name(command, caplog, word, hint):
    command("run", "--config_file", "CONFIGS/train.json", word, "5")
    with pytest.raises(SystemExit) as stop:
        preflight.refuse_unknown_overrides()
    assert stop.value.code == 2
    assert word.lstrip("-") in caplog.text
    assert hint in caplog.text


def test_overrides_in_an_args_file_are_checked_too(command, tmp_path, caplog):
    args = tmp_path / "args.json"
    args.write_text(json.dumps({"config_file": str(tmp_path / "my bundle/configs/train.json"), "learning_rat": 1}))
    command("run", "--args_file", str(args))
    with pytest.raises(SystemExit):
        preflight.refuse_unknown_overrides()
    assert "--learning_rat" in caplog.text


def test_other_programs_are_left_alone(command):
    command("--config_file", "CONFIGS/train.json", "--max_epoch", "5", module="pytest/__main__.py")
    preflight.refuse_unknown_overrides()
    assert preflight.bundle_root() == os.getcwd()


def test_results_are_not_written_over_a_run(tmp_path, caplog):
    preflight.refuse_run_folder(tmp_path)
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(SystemExit) as stop:
        preflight.refuse_run_folder(tmp_path)
    assert stop.value.code == 2
    assert "give another" in caplog.text


class _Data:
    problems = ("labels.csv: no such label file",)

    def count(self, *_):
        return 0


class _FewImages(_Data):
    problems = ()

    def count(self, split):
        return {"train": 10, "val": 1}[split]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 2.5}, "--batch_size must be a whole number above 0, got 2.5"),
        ({"checkpoint_minutes": -1}, "--checkpoint_minutes must be a number of at least 0, got -1"),
        ({"std": 0}, "--std must be a number above 0"),
        ({"learning_rate": float("nan")}, "--learning_rate must be a number above 0"),
        ({"val_interval": 3, "max_epochs": 2}, "--val_interval 3 is above --max_epochs 2"),
        ({"val_interval": 3, "max_epochs": 9, "patience": 2}, "--patience 2 is below --val_interval 3"),
        ({"window": ["lung", "lungs"]}, "--window: window must be one of lung, mediastinum"),
        ({"backbone": 18}, "--backbone '18' is no model of timm"),
        ({"task": "multiclas"}, "unknown task 'multiclas'; known: multilabel, multiclass"),
        ({"splits": []}, "--splits must be some of train, val, test, got []"),
        ({"splits": "tset"}, "--splits must be some of train, val, test, got 'tset'"),
        ({"label_names": ["a", "a"]}, "--label_names must be names, each once, got ['a', 'a']"),
        ({"checkpoint": "absent.pt"}, "--checkpoint absent.pt: no such file; check the path"),
        ({"batch_size": 6}, "10 images in the split train do not fill one batch of 6 in each of 2 processes"),
        ({}, "1 validation images are too few for 2 processes"),
    ],
)
def test_settings_that_would_fail_or_mislead_later_are_refused(settings, message, caplog, monkeypatch):
    monkeypatch.setattr(idist, "get_world_size", lambda: 2)
    with pytest.raises(SystemExit):
        preflight.check(_FewImages(), {"backbone": "resnet18", "batch_size": 5, **settings}, "train")
    assert message in caplog.text


def test_problems_found_elsewhere_are_named_once(caplog):
    with pytest.raises(SystemExit):
        preflight.check(_Data(), {"backbone": "resnet18"}, problems=["no probes", *_Data.problems])
    assert [record.getMessage() for record in caplog.records] == ["labels.csv: no such label file", "no probes"]


def test_a_start_that_saw_test_patients_is_warned_of(caplog, tmp_path):
    weights = create_backbone("resnet10t").state_dict()
    for seen, warnings in (("left out", 0), ("included", 1)):
        vars(weights)["provenance"] = {"settings": {"test_patients": seen}}
        torch.save(weights, tmp_path / "model.pt")
        preflight.load_start(create_backbone("resnet10t"), tmp_path / "model.pt")
        assert caplog.text.count("was pre-trained on patients of the test split too") == warnings


def test_all_problems_are_named_at_once(caplog, tmp_path):
    settings = {"backbone": "resnet5", "batch_size": 0, "max_epochs": True, "checkpoint": str(tmp_path / "absent.pt")}
    settings |= {"device": "gpu", "crop_sizes": [64, 32], "crop_counts": [2], "crop_scales": [[0.9, 1.0], [0.1, 0.3]]}
    with pytest.raises(SystemExit) as stop:
        preflight.check(_Data(), settings, "train")
    assert stop.value.code == 2
    for part in (
        "no such label file",
        "--batch_size",
        "--max_epochs",
        "resnet5",
        "resnet50",
        "absent.pt",
        "--device 'gpu'",
        "--crop_sizes",
    ):
        assert part in caplog.text
