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


"""Points and differences of a learning curve against plain loops with scikit-learn over the same redraws."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control
from sklearn.metrics import roc_auc_score

from monai_ssl.metrics import redraw_counts
from monai_ssl.sweep import summarise_sweep
from monai_ssl.sweep.curve_groups import curve_groups
from monai_ssl.sweep.grid import Scenario
from monai_ssl.visualize import learning_curve_figure, save_svg

REDRAWS, SEED = 40, 3
SIZES = {"tenth": {"train_fraction": 0.1, "grid": {"subset_seed": [0, 1]}}, "whole": {"train_fraction": 1.0}}
GRID = {"start": {"swav": {"backbone": "swav"}, "scratch": {"backbone": "scratch"}}, "size": SIZES}
STRENGTH = {"swav": 0.6, "scratch": 0.2}


def write_runs(plan):
    """Predictions of each run, and the line of its log that tells what it was trained on."""
    for number, (name, [run]) in enumerate(plan.all_runs.items()):
        noise = np.random.default_rng(number)
        truth = np.random.default_rng(9).integers(0, 2, 60)
        strength = STRENGTH[name.split("_")[0]] + ("whole" in name) * 0.4
        table = pd.DataFrame({"image": [f"{n:02d}" for n in range(60)], "patient": [f"p{n // 2}" for n in range(60)]})
        table = table.assign(split="test", a_true=truth, a_score=(strength * truth + noise.random(60)).round(2))
        run.folder.mkdir(parents=True)
        table.to_csv(run.folder / "predictions.csv", index=False)
        (run.folder / "settings.json").write_text(json.dumps({"settings": {"max_epochs": 2}, "finished_epochs": 2}))
        patients = 300 if "whole" in name else 30 + number % 2
        told = f"2026-01-01 00:00:00,000 INFO train: {2 * patients} images of {patients} patients; positives: a 3\n"
        # of a first attempt, and of the one that finished
        run.log.write_text("INFO train: 9 images of 9 patients; positives: a 1\nsomething\n" + told)


def allow_sizes(bench):
    config = json.loads((bench.root / "train.json").read_text()) | {"train_fraction": 1.0, "subset_seed": 0}
    (bench.root / "train.json").write_text(json.dumps(config))


@pytest.fixture
def plan(bench, monkeypatch):
    allow_sizes(bench)
    plan = bench.plan(GRID)
    write_runs(plan)
    return plan


def plain_loop(plan):
    """AUC and (R,) redrawn AUC by scenario."""
    found = {}
    for name, [run] in plan.all_runs.items():
        table = pd.read_csv(run.folder / "predictions.csv").sort_values("image", ignore_index=True)
        counts = np.concatenate(list(redraw_counts(60, REDRAWS, table["patient"].to_numpy(), SEED)), axis=1)
        drawn = [table.loc[table.index.repeat(column)] for column in counts.T]
        redrawn = np.array([roc_auc_score(rows["a_true"], rows["a_score"]) for rows in drawn])
        found[name] = roc_auc_score(table["a_true"], table["a_score"]), redrawn
    return found


def test_points_and_differences_are_those_of_a_plain_loop(plan):
    curve = summarise_sweep(plan, redraws=REDRAWS, seed=SEED).totals["learning_curve"]
    single = plain_loop(plan)
    means, order = {}, []
    for start in ("swav", "scratch"):
        tenth = [single[f"{start}_tenth_subset_seed={seed}"] for seed in (0, 1)]
        values = [auc for auc, _ in tenth]
        means[start, 0.1] = np.mean(values), np.mean([redrawn for _, redrawn in tenth], axis=0)
        means[start, 1.0] = single[f"{start}_whole"]
        order += [(start, 0.1, 30.5, np.std(values, ddof=1), 2), (start, 1.0, 300.0, None, 1)]
    assert len(curve["points"]) == 4
    for point, (start, fraction, patients, sd, subsets) in zip(curve["points"], order, strict=True):
        auc, redrawn = means[start, fraction]
        assert (point["group"], point["fraction"], point["subsets"]) == (start, fraction, subsets)
        expected = [patients, auc, *np.percentile(redrawn, (2.5, 97.5)), redrawn.std(ddof=1)]
        found = [point[name] for name in ("patients", "auc", "low", "high", "sd_over_redraws")]
        np.testing.assert_allclose(found, expected, atol=1e-12)
        assert point["sd_over_subsets"] == (None if sd is None else pytest.approx(sd, abs=1e-12))
    p_values = []
    for row, fraction in zip(curve["differences"], (0.1, 1.0), strict=True):
        (auc_a, first), (auc_b, second) = means["swav", fraction], means["scratch", fraction]
        difference, redrawn = auc_a - auc_b, first - second
        beyond = sum(abs(each - difference) >= abs(difference) - 1e-12 for each in redrawn)
        p_values.append((beyond + 1) / (REDRAWS + 1))
        assert (row["fraction"], row["group_a"], row["group_b"]) == (fraction, "swav", "scratch")
        expected = [difference, *np.percentile(redrawn, (2.5, 97.5)), redrawn.std(ddof=1), p_values[-1]]
        found = [row[name] for name in ("difference", "low", "high", "sd", "p_value")]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose([row["q_value"] for row in curve["differences"]], false_discovery_control(p_values))


def test_difference_takes_the_subsets_that_both_have(bench):
    allow_sizes(bench)
    sizes = {"train_fraction": [0.1, 1.0], "subset_seed": [0, 1, 2]}
    plan = bench.plan({"start": {"swav": {"backbone": "swav"}, "scratch": {"backbone": "scratch"}}, **sizes})
    write_runs(plan)
    single = plain_loop(plan)
    for name in ("scratch_train_fraction=0.1_subset_seed=2", "scratch_train_fraction=1.0_subset_seed=0"):
        (plan.all_runs[name][0].folder / "predictions.csv").unlink()
        del single[name]
    shared = {0.1: [0, 1], 1.0: None}
    curve = summarise_sweep(plan, redraws=REDRAWS, seed=SEED).totals["learning_curve"]
    assert [point["subsets"] for point in curve["points"]] == [3, 3, 2, 2]
    for row, (fraction, seeds) in zip(curve["differences"], shared.items(), strict=True):
        # all patients are one subset, whatever its seed: there every run counts
        assert row["subsets"] == (1 if seeds is None else len(seeds))
        parts = []
        for start in ("swav", "scratch"):
            names = [f"{start}_train_fraction={fraction}_subset_seed={seed}" for seed in seeds or range(3)]
            found = [single[name] for name in names if name in single]
            parts.append((np.mean([auc for auc, _ in found]), np.mean([redrawn for _, redrawn in found], axis=0)))
        difference, redrawn = parts[0][0] - parts[1][0], parts[0][1] - parts[1][1]
        expected = [difference, *np.percentile(redrawn, (2.5, 97.5)), redrawn.std(ddof=1)]
        np.testing.assert_allclose([row[name] for name in ("difference", "low", "high", "sd")], expected, atol=1e-12)


def test_without_a_shared_subset_there_is_no_difference(bench):
    allow_sizes(bench)
    whole = {"train_fraction": 1.0}
    starts = {
        name: {
            "backbone": name,
            "grid": {"size": {"tenth": {"train_fraction": 0.1, "subset_seed": seed}, "all": whole}},
        }
        for name, seed in (("swav", 1), ("scratch", 2))
    }
    plan = bench.plan({"start": starts})
    write_runs(plan)
    summary = summarise_sweep(plan, redraws=20)
    none, some = summary.totals["learning_curve"]["differences"]
    assert (none["subsets"], some["subsets"]) == (0, 1)
    assert {none[name] for name in ("difference", "low", "high", "sd", "p_value", "q_value")} == {None}
    assert some["q_value"] == some["p_value"]
    assert "sweep.html" in [file.name for file in summary.write(plan.output)]


def test_runs_of_two_networks_are_no_subsets_of_one_size(bench):
    allow_sizes(bench)
    small, whole = {"train_fraction": 0.1}, {"train_fraction": 1.0}
    deep, other = ({"backbone": "swav", "learning_rate": rate} for rate in (0.1, 0.01))
    runs = {"swav_small": small | deep, "swav_whole": whole | deep, "scratch_whole": whole | other}
    plan = bench.plan({"run": runs})
    write_runs(plan)
    curve = summarise_sweep(plan, redraws=20).totals["learning_curve"]
    points = [(point["group"], point["fraction"], point["subsets"]) for point in curve["points"]]
    names = "learning_rate=0.1", "learning_rate=0.01"
    assert points == [(names[0], 0.1, 1), (names[0], 1.0, 1), (names[1], 1.0, 1)]
    [row] = curve["differences"]
    assert (row["group_a"], row["group_b"], row["fraction"]) == (*names, 1.0)
    single = {name: auc for name, (auc, _) in plain_loop(plan).items()}
    assert row["difference"] == pytest.approx(single["swav_whole"] - single["scratch_whole"], abs=1e-12)


def test_curves_are_named_by_what_tells_them_apart():
    given = {"a": {"checkpoint": "/x/jane/swav/model.pt"}, "b": {"checkpoint": "/y/jane/swav/model.pt"}, "c": {}}
    scenarios = [
        Scenario(f"{start}_{name}", {"start": start, "run": name}, {"train_fraction": fraction, "start": start, **more})
        for start in ("one", "two")
        for (name, more), fraction in zip(given.items(), (0.1, 1.0, 1.0), strict=True)
    ]
    cut = "checkpoint=.../swav/model.pt"
    assert curve_groups(scenarios, {}, [0.1, 1.0, 1.0] * 2) == [
        *(f"one, {cut}", f"one, {cut} (2)", "one, checkpoint not given"),
        *(f"two, {cut}", f"two, {cut} (5)", "two, checkpoint not given"),
    ]
    # the settings of every run count where an entry is silent
    runs = [Scenario("a", {"run": "a"}, {"train_fraction": 0.1, "backbone": "x"}), Scenario("b", {"run": "b"}, {})]
    assert curve_groups(runs, {"backbone": "x"}, [0.1, 1.0]) == ["all scenarios"] * 2


def test_one_curve_without_logs_has_points_and_no_patients(bench):
    allow_sizes(bench)
    plan = bench.plan({"train_fraction": [0.5, 1.0]}, {"backbone": "swav"})
    for [run] in plan.all_runs.values():
        run.folder.parent.mkdir(parents=True)
    renamed = dict(zip(("swav_tenth", "swav_whole"), plan.all_runs.values(), strict=True))
    write_runs(type("Plan", (), {"all_runs": renamed}))
    for [run] in plan.all_runs.values():
        run.log.write_text("nothing to read here")
    curve = summarise_sweep(plan, redraws=20).totals["learning_curve"]
    points = [(point["group"], point["fraction"], point["patients"]) for point in curve["points"]]
    assert points == [("all scenarios", 0.5, None), ("all scenarios", 1.0, None)]
    assert curve["differences"] == []


def test_a_sweep_of_one_size_has_no_curve(bench):
    assert summarise_sweep(bench.plan(), redraws=20).totals["learning_curve"] is None


def test_the_figure_has_every_point_and_the_file_the_same_bytes(plan, tmp_path):
    summary = summarise_sweep(plan, redraws=REDRAWS, seed=SEED)
    points = pd.DataFrame(summary.totals["learning_curve"]["points"])
    figure = learning_curve_figure(points)
    lines = [line.get_xydata() for line in figure.axes[0].lines if line.get_marker() != "None"]
    np.testing.assert_allclose(np.concatenate([line[:, 1] for line in lines]), points["auc"])
    np.testing.assert_allclose(np.concatenate([line[:, 0] for line in lines]), points["fraction"], rtol=0.1)
    for name in ("a.svg", "b.svg"):
        save_svg(learning_curve_figure(points), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "learning_curve.svg" in [file.name for file in summary.write(tmp_path)]
    with pytest.raises(ValueError, match="no row has an AUC"):
        learning_curve_figure(points[:0])
