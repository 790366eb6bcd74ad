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

import itertools
import json
from pathlib import Path

import pytest

from monai_ssl.cli.sweep import run_settings
from monai_ssl.sweep import plan_sweep, read_sweep, sweep_slots
from monai_ssl.sweep.record import keep_record

CONFIGS = Path(__file__).resolve().parents[2] / "bundles/resnet_finetuning/configs"


def problems_of(bench, **arguments):
    with pytest.raises(ValueError, match=r".") as error:
        bench.plan(**arguments)
    return str(error.value).splitlines()


def test_the_24_scenarios_are_those_of_the_paper():
    found = [
        (s.settings["backbone"], s.settings["trained_layers"], s.settings["learning_rate"], s.settings["checkpoint"])
        for s in read_sweep(CONFIGS / "radimagenet_sweep.json").scenarios
    ]
    networks = {
        **{"resnet50": "ResNet50.pt", "densenet121": "DenseNet121.pt", "inception_v3": "InceptionV3.pt"},
        "inception_resnet_v2": "InceptionResNetV2.pt",
    }
    schemes = [("all", 1e-3), ("all", 1e-4), ("head", 1e-2), ("head", 1e-3), (10, 1e-2), (10, 1e-3)]
    assert found == [(name, *scheme, networks[name]) for name, scheme in itertools.product(networks, schemes)]
    assert len(found) == 24


def test_a_learning_curve_trains_on_everything_once():
    found = [scenario.settings for scenario in read_sweep(CONFIGS / "learning_curve_sweep.json").scenarios]
    expected = [(size, seed) for size in (0.01, 0.05, 0.1, 0.25, 0.5) for seed in range(5)] + [(1, None)]
    assert [(settings["train_fraction"], settings.get("subset_seed")) for settings in found] == expected


def test_the_sweeps_of_the_bundle_are_planned_whole(tmp_path):
    (tmp_path / "ResNet50.pt").touch()
    plan = plan_sweep(CONFIGS / "radimagenet_sweep.json", tmp_path / "out", weights=tmp_path, folds=5)
    assert len(plan.runs) == 30
    assert {run.settings["max_epochs"] for run in plan.runs} == {30}
    assert len(plan.not_run) == 18
    assert len(plan_sweep(CONFIGS / "learning_curve_sweep.json", tmp_path / "curve").runs) == 26


def test_the_grid_is_a_product_with_axes_bound_to_entries(bench):
    grid = {
        "_note": "a comment",
        "scheme": {"all": {"seconds": 0, "_why": "!"}, "head": {"seconds": 1, "grid": {"learning_rate": [0.1, 0.01]}}},
        "backbone": ["a", "b"],
    }
    plan = bench.plan(grid, content={"settings": {"labels": str(bench.root), "max_epochs": 3}}, folds=2)
    names = ["all_backbone=a", "all_backbone=b"]
    names += [f"head_learning_rate={rate}_backbone={name}" for rate in (0.1, 0.01) for name in "ab"]
    assert [scenario.name for scenario in plan.scenarios] == names
    assert plan.scenarios[2].axes == {"scheme": "head", "learning_rate": "0.1", "backbone": "a"}
    assert [str(run) for run in plan.runs] == [f"{name} fold {fold}" for name in names for fold in (0, 1)]
    last = plan.runs[-1]
    assert last.folder == bench.out / "head_learning_rate=0.01_backbone=b/fold_1"
    assert last.settings == {
        **{"config_file": [str(bench.root / "train.json")], "dataset_dir": str(bench.root / "data"), "folds": 2},
        **{"fold": 1, "labels": str(bench.root), "seconds": 1, "learning_rate": 0.01, "backbone": "b", "max_epochs": 3},
    }
    assert "6 scenarios, 2 folds, by patient: 12 runs, of which 0 are finished and 12 are to be done" in plan.lines()


def test_everything_wrong_with_a_command_is_told_at_once(bench):
    settings = {"learning_rat": 1, "learning_rate": 1, "dataset_dir": "absent", "device": "cpu"}
    found = problems_of(bench, settings=settings, folds=1, only="three*", weights="nowhere")
    assert len(found) == 7
    assert "--folds must be 2 or more, got 1" in found[0]
    assert "--device is given to each run by the sweep; use --devices" in found[1]
    assert "--learning_rate is what the sweep varies" in found[2]
    assert "they are called one_learning_rate=0.1, one_learning_rate=0.01, two_" in found[3]
    assert "--learning_rat: no such setting in train.json; did you mean --learning_rate?" in found[4]
    assert found[5].endswith("absent: does not exist")
    assert "--weights nowhere: no such folder" in found[6]
    assert not bench.out.exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"grid": {}}, "grid must be an object of axes"),
        ({"grid": {"a": {"b": 1}}}, "grid::a::b must be an object of settings, got 1"),
        ({"grid": {"seconds": 3}}, "grid::seconds must be a list of values or an object"),
        ({"grid": {"seconds": [1, 1]}}, "two scenarios are called 'seconds=1'"),
        ({"grid": {"x": {"a/b": {"seconds": 1}}}}, "scenario 'a/b' names a folder"),
        ({"grid": {"x": {"..": {"seconds": 1}}}}, "scenario '..' names a folder"),
        ({"grid": {"x": {"a": {"seconds": 1}}, "seconds": [1]}}, "grid::seconds: seconds is given by another axis"),
        ({"grid": {"labels": ["a.csv", "b.csv"]}}, "the grid varies labels"),
        ({"grid": {"fold": [0, 1]}}, "fold is given to each run by the sweep"),
        ({"config_files": ["absent.json"]}, "absent.json does not exist"),
        ({"config_files": "train.json"}, "config_files must be a list"),
        ({"setings": {}}, "unknown name 'setings'; known: config_files, settings, grid"),
        ({"settings": 3}, "settings must be an object"),
    ],
)
def test_a_sweep_file_that_cannot_be_used(bench, content, expected):
    bench.write(**content)
    with pytest.raises(ValueError, match=r"sweep\.json: ") as error:
        read_sweep(bench.root / "sweep.json")
    assert expected in str(error.value)


def test_a_file_that_is_no_json_is_named(tmp_path):
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(ValueError, match=r"sweep\.json: not JSON"):
        read_sweep(tmp_path / "sweep.json")


def test_scenarios_without_their_weights_are_no_runs(bench):
    weights = bench.root / "weights"
    weights.mkdir()
    (weights / "a.pt").touch()
    network = {"a": {"checkpoint": "a.pt"}, "b": {"checkpoint": "b.pt"}, "scratch": {"checkpoint": None}}
    plan = bench.plan({"network": network}, weights=weights)
    assert [run.scenario for run in plan.runs] == ["a", "scratch"]
    assert [run.settings["checkpoint"] for run in plan.runs] == [str(weights / "a.pt"), None]
    assert plan.lines()[1] == f"not run: b.pt is not in {weights}: b"
    # not one start of those asked for: something is wrong with the folder
    del network["a"], network["scratch"]
    assert problems_of(bench, grid={"network": network}, weights=weights)[0].endswith("scenarios start from: b.pt")
    assert "give --weights" in problems_of(bench, grid={"network": network})[0]


def test_one_checkpoint_for_all_comes_from_the_command_line(bench):
    (bench.root / "model.pt").touch()
    plan = bench.plan(settings={"checkpoint": str(bench.root / "model.pt")})
    assert {run.settings["checkpoint"] for run in plan.runs} == {str(bench.root / "model.pt")}
    assert problems_of(bench, settings={"checkpoint": "absent.pt"})[0].endswith("absent.pt: does not exist")


def test_another_sweep_in_the_folder_is_refused(bench):
    plan = bench.plan()
    keep_record(plan.output, plan.record)
    keep_record(plan.output, bench.plan(only="one*").record)
    keep_record(plan.output, bench.plan(settings={"max_epochs": 9}).record)
    differing = problems_of(bench, settings={"seconds": 2}, folds=5)
    assert len(differing) == 1
    assert "folds was None, now 5; settings::seconds was None, now 2" in differing[0]
    fewer = problems_of(bench, grid={"learning_rate": [0.1]})
    assert "scenarios::one_learning_rate=0.1 was" in fewer[0]
    assert "scenarios::learning_rate=0.1" not in fewer[0]  # what is new is no difference
    config = json.loads((bench.root / "train.json").read_text())
    (bench.root / "train.json").write_text(json.dumps({**config, "learning_rate": 3}))
    assert "config_files::1 train.json was" in problems_of(bench)[0]


def test_a_sweep_may_get_more_scenarios(bench):
    grid = {"learning_rate": [0.1, 0.01]}
    plan = bench.plan(grid)
    keep_record(plan.output, plan.record)
    more = bench.plan({"learning_rate": [0.1, 0.01, 0.001]})
    keep_record(more.output, more.record)
    assert "scenarios::learning_rate=0.001 was" in problems_of(bench, grid=grid)[0]


def test_a_folder_of_something_else_is_refused(bench):
    bench.out.mkdir()
    (bench.out / "thesis.tex").touch()
    assert "holds thesis.tex but no sweep.json" in problems_of(bench)[0]
    (bench.out / "sweep.json").write_text("{")
    assert "not the record of a sweep" in problems_of(bench)[0]


def test_slots(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [(s.device, dict(s.environment)) for s in sweep_slots(jobs=3)] == [("cpu", {"OMP_NUM_THREADS": "2"})] * 3
    assert [(s.device, dict(s.environment)) for s in sweep_slots()] == [(None, {})]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-55")
    first, second = sweep_slots(["cuda:0", "cuda:1"])
    assert (first.name, first.device, first.environment) == ("cuda:0", "cuda:0", {"CUDA_VISIBLE_DEVICES": "4"})
    assert (second.name, second.device, second.environment) == ("cuda:1", "cuda:0", {"CUDA_VISIBLE_DEVICES": "GPU-55"})
    for devices, jobs, expected in [
        (["cuda:2"], None, "no cuda:2, torch can use 2 here"),
        (["cpu"], 2, "not both"),
        (["cuda:0", "cuda:0"], None, "twice"),
        (["cuda"], None, "write cuda:0"),
        ((), 0, "at least 1"),
    ]:
        with pytest.raises(ValueError, match=expected):
            sweep_slots(devices, jobs)


def test_settings_on_the_command_line():
    words = ["--label_names", "['A','B']", "--labels-layout=csv", "--split_seed", "-1", "--window", "None"]
    expected = {"label_names": ["A", "B"], "labels_layout": "csv", "split_seed": -1, "window": None}
    assert run_settings(words) == expected
    with pytest.raises(ValueError, match=r"(?s)more: is no option.*--amp: has no value"):
        run_settings(["more", "--amp", "--seed", "1"])
