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


"""The numbers of a sweep against a plain loop with scikit-learn over the same redraws."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from monai_ssl.metrics import redraw_counts
from monai_ssl.sweep import summarise_sweep
from monai_ssl.visualize import scenario_figure

FOLDS, REDRAWS, SEED = 3, 40, 7
SCENARIOS = ("one_learning_rate=0.1", "one_learning_rate=0.01", "two_learning_rate=0.1", "two_learning_rate=0.01")


def folders_of(plan, scenario):
    return [run.folder for run in plan.all_runs[scenario.name]]


def write_run(folder, seed, fold, strength, labels=("a", "b"), patients=True, truth=None):
    """Validation and test rows; the test rows of a fold are the same whatever the seed."""
    generator = np.random.default_rng([99, fold])
    rows = 45 + 5 * fold
    table = pd.DataFrame({"image": [f"{fold}_{n}" for n in range(rows)]})
    table["patient"] = [f"p{fold}_{n // 3}" for n in range(rows)] if patients else ""
    table["split"] = np.where(np.arange(rows) < rows - 6, "test", "val")
    noise = np.random.default_rng([seed, fold])
    for label in labels:
        table[f"{label}_true"] = generator.integers(0, 2, rows) if truth is None else truth
        table[f"{label}_score"] = (strength * table[f"{label}_true"] + noise.random(rows)).round(2)
    folder.mkdir(parents=True)
    # rows in any order
    table.sample(frac=1, random_state=seed).to_csv(folder / "predictions.csv", index=False)
    settings = {"settings": {"max_epochs": 2}, "finished_epochs": 2}
    (folder / "settings.json").write_text(json.dumps(settings))


@pytest.fixture
def plan(bench):
    plan = bench.plan(folds=FOLDS)
    for number, scenario in enumerate(plan.scenarios):
        for fold, folder in enumerate(folders_of(plan, scenario)):
            if (number, fold) != (3, 1):
                write_run(folder, number, fold, strength=0.2 * number)
    return plan


def plain_loop(plan, members):
    """AUC (S, F) and redraws (R, S, F), one scikit-learn call each."""
    auc = np.empty((len(members), FOLDS))
    samples = np.empty((REDRAWS, len(members), FOLDS))
    for fold in range(FOLDS):
        for place, name in enumerate(members):
            table = pd.read_csv(plan.output / name / f"fold_{fold}/predictions.csv").sort_values("image")
            test = table[table["split"] == "test"]
            auc[place, fold] = np.mean([roc_auc_score(test[f"{x}_true"], test[f"{x}_score"]) for x in "ab"])
            counts = np.concatenate(list(redraw_counts(len(test), REDRAWS, test["patient"].to_numpy(), SEED + fold)), 1)
            for redraw in range(REDRAWS):
                drawn = test.loc[test.index.repeat(counts[:, redraw])]
                samples[redraw, place, fold] = np.mean(
                    [roc_auc_score(drawn[f"{x}_true"], drawn[f"{x}_score"]) for x in "ab"]
                )
    return auc, samples


def test_the_numbers_are_those_of_a_plain_loop(plan):
    summary = summarise_sweep(plan, {SCENARIOS[3]: "failed: it broke"}, REDRAWS, SEED)
    auc, samples = plain_loop(plan, SCENARIOS[:3])
    table = summary.scenarios.set_index("scenario")
    assert table.index.tolist() == list(SCENARIOS)
    whole = table.iloc[:3]
    np.testing.assert_allclose(whole["auc"], auc.mean(1), atol=1e-12)
    np.testing.assert_allclose(whole["sd"], samples.mean(2).std(0, ddof=1), atol=1e-12)
    np.testing.assert_allclose(whole["sd_over_folds"], [np.std(row, ddof=1) for row in auc], atol=1e-12)
    intervals = np.percentile(samples.mean(2), (2.5, 97.5), axis=0)
    np.testing.assert_allclose(whole[["low", "high"]].to_numpy().T, intervals, atol=1e-12)
    assert whole["status"].tolist() == ["complete"] * 3
    totals = summary.totals
    mean = samples.mean(2).mean(1)
    expected = [auc.mean(1).mean(), np.std(auc.mean(1), ddof=1), *np.percentile(mean, (2.5, 97.5))]
    found = [totals[name] for name in ("auc", "sd_over_scenarios", "low", "high")]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert [totals[name] for name in ("scenarios", "of_scenarios", "folds", "unit")] == [3, 4, 3, "patient"]
    one, two = (totals["by"]["network"][name] for name in ("one", "two"))
    np.testing.assert_allclose(one["auc"], auc[:2].mean(), atol=1e-12)
    np.testing.assert_allclose(
        [one["low"], one["high"]], np.percentile(samples[:, :2].mean((1, 2)), (2.5, 97.5)), atol=1e-12
    )
    assert (two["scenarios"], two["sd_over_scenarios"]) == (1, None)
    np.testing.assert_allclose(totals["by"]["learning_rate"]["0.1"]["auc"], auc[[0, 2]].mean(), atol=1e-12)


def test_mixed_views_and_folds_are_those_of_a_plain_loop(plan):
    totals = summarise_sweep(plan, redraws=REDRAWS, seed=SEED).totals
    auc, samples = plain_loop(plan, SCENARIOS[:3])
    scenarios, folds = samples.mean(2), samples.mean(1)
    for found, values, over in ((totals, scenarios, "scenarios"), (totals["over_folds"], folds, "folds")):
        pooled = values.ravel()
        expected = [pooled.std(ddof=1), *np.percentile(pooled, (2.5, 97.5)), values.mean(1).std(ddof=1)]
        mixed = found[f"mixed_over_{over}_and_redraws"]
        np.testing.assert_allclose([*mixed.values(), found["sd_over_redraws"]], expected, atol=1e-12)
    assert totals["over_folds"]["sd_over_folds"] == pytest.approx(auc.mean(0).std(ddof=1), abs=1e-12)
    for fold, row in enumerate(totals["over_folds"]["each"]):
        expected = [auc[:, fold].mean(), auc[:, fold].std(ddof=1)]
        expected += np.percentile(samples[:, :, fold].mean(1), (2.5, 97.5)).tolist()
        found = [row[name] for name in ("auc", "sd_over_scenarios", "low", "high")]
        np.testing.assert_allclose(found, expected, atol=1e-12)
        rows = 45 + 5 * fold - 6
        assert (totals["tested"][fold]["images"], totals["tested"][fold]["patients"]) == (rows, -(-rows // 3))
    # one member mixes nothing
    assert totals["by"]["network"]["two"]["mixed_over_scenarios_and_redraws"] is None


def test_a_scenario_without_all_folds_has_a_row_and_no_part_in_the_mean(plan):
    summary = summarise_sweep(plan, {SCENARIOS[3]: "failed: it broke"}, REDRAWS, SEED)
    partial = summary.scenarios.iloc[3]
    assert (partial["status"], partial["folds_done"], partial["folds"]) == ("partial", 2, 3)
    assert partial["auc"] > 0.6
    assert summary.totals["missing"] == {SCENARIOS[3]: "failed: it broke"}
    # its own row rests on its own folds
    for folder in folders_of(plan, plan.scenarios[0])[:2], folders_of(plan, plan.scenarios[1]):
        for each in folder:
            (each / "settings.json").unlink()
    fewer = summarise_sweep(plan, redraws=REDRAWS, seed=SEED)
    assert fewer.scenarios["status"].tolist() == ["partial", "not run", "complete", "partial"]
    pd.testing.assert_series_equal(fewer.scenarios.iloc[3][["auc", "low", "high"]], partial[["auc", "low", "high"]])
    assert (fewer.totals["scenarios"], fewer.totals["sd_over_scenarios"]) == (1, None)
    assert fewer.totals["missing"][SCENARIOS[0]] == "not finished"


def test_a_perfect_and_a_coin_tossing_model(bench):
    plan = bench.plan({"backbone": ["perfect", "constant"]}, folds=2)
    for scenario in plan.scenarios:
        for fold, folder in enumerate(folders_of(plan, scenario)):
            write_run(folder, 0, fold, 5)
            table = pd.read_csv(folder / "predictions.csv")
            if "constant" in scenario.name:
                table[["a_score", "b_score"]] = 0.5
            table.to_csv(folder / "predictions.csv", index=False)
    summary = summarise_sweep(plan, redraws=20)
    assert summary.scenarios[["auc", "low", "high"]].to_numpy().tolist() == [[1, 1, 1], [0.5, 0.5, 0.5]]
    assert [summary.totals[name] for name in ("auc", "low", "high")] == [0.75, 0.75, 0.75]
    assert summary.totals["sd_over_scenarios"] == pytest.approx(np.sqrt(0.125))


def test_what_cannot_be_computed_is_empty_and_told(bench, caplog):
    plan = bench.plan({"backbone": ["x", "y"]}, folds=2)
    for scenario in plan.scenarios:
        for fold, folder in enumerate(folders_of(plan, scenario)):
            write_run(folder, 1, fold, 0.5, labels=("a",), truth=0 if fold else None)
    # fold 1 has one class only
    summary = summarise_sweep(plan, redraws=30)
    assert "fold_1: no label has both classes" in caplog.text
    assert summary.scenarios["auc"].notna().all()
    assert summary.scenarios["sd_over_folds"].isna().all()
    file = folders_of(plan, plan.scenarios[1])[0] / "predictions.csv"
    table = pd.read_csv(file)
    table["a_score"] = np.nan
    table.to_csv(file, index=False)
    summary = summarise_sweep(plan, redraws=30)
    assert summary.scenarios["status"].tolist() == ["complete", "partial"]
    assert "scores are NaN or infinite" in summary.totals["missing"]["backbone=y"]
    # and with nothing at all
    for scenario in plan.scenarios:
        for folder in folders_of(plan, scenario):
            (folder / "predictions.csv").unlink()
    files = summarise_sweep(plan, redraws=30).write(plan.output)
    assert [file.name for file in files] == ["scenarios.csv", "summary.json", "sweep.html"]
    assert json.loads(files[1].read_text())["auc"] is None
    assert "There is no mean: no complete scenario has an AUC." in files[2].read_text()


def test_unknown_labels_are_left_out_for_that_label(bench):
    plan = bench.plan({"backbone": ["x"]})
    [folder] = folders_of(plan, plan.scenarios[0])
    write_run(folder, 1, 0, 0.5)
    table = pd.read_csv(folder / "predictions.csv").sort_values("image", ignore_index=True)
    table.loc[::5, "b_true"] = np.nan
    table.to_csv(folder / "predictions.csv", index=False)
    test = table[table["split"] == "test"]
    known = test.dropna()
    expected = [roc_auc_score(test["a_true"], test["a_score"]), roc_auc_score(known["b_true"], known["b_score"])]
    assert summarise_sweep(plan, redraws=30).totals["auc"] == pytest.approx(np.mean(expected), abs=1e-12)


def test_one_patient_in_a_fold_gives_no_interval(bench, caplog):
    plan = bench.plan({"backbone": ["x"]})
    [folder] = folders_of(plan, plan.scenarios[0])
    write_run(folder, 1, 0, 0.5)
    table = pd.read_csv(folder / "predictions.csv").assign(patient="same")
    table.to_csv(folder / "predictions.csv", index=False)
    row = summarise_sweep(plan, redraws=30).scenarios.iloc[0]
    assert "no interval" in caplog.text
    assert row["auc"] > 0.5
    assert np.isnan(row["low"])


def test_other_test_images_are_refused(plan):
    file = folders_of(plan, plan.scenarios[1])[0] / "predictions.csv"
    table = pd.read_csv(file)
    table[table["image"] != "0_3"].to_csv(file, index=False)
    with pytest.raises(ValueError, match=r"1 images of one_\S+, two_\S+, two_\S+ are not in one_learning_rate=0\.01"):
        summarise_sweep(plan)


def test_without_patients_images_are_redrawn(bench):
    plan = bench.plan({"backbone": ["x"]})
    write_run(folders_of(plan, plan.scenarios[0])[0], 1, 0, 0.5, patients=False)
    assert summarise_sweep(plan, redraws=30).totals["unit"] == "image"


def test_the_table_and_the_figure(plan):
    summary = summarise_sweep(plan, redraws=30)
    table_file, totals_file, page, picture, drawing = summary.write(plan.output)
    assert [file.name for file in (page, picture, drawing)] == ["sweep.html", "scenarios.png", "scenarios.svg"]
    table = pd.read_csv(table_file)
    assert table.columns.tolist() == [
        *("scenario", "network", "learning_rate", "backbone", "status", "reason", "folds_done", "folds"),
        *("auc", "sd", "sd_over_folds", "low", "high", "left_out"),
    ]
    assert table["backbone"].tolist() == ["one", "one", "two", "two"]
    assert json.loads(totals_file.read_text()) == summary.totals
    [axes] = scenario_figure(summary.scenarios, "network").axes
    dots = np.concatenate([dots.get_offsets() for dots in axes.collections if len(dots.get_offsets()) > 1])
    np.testing.assert_allclose(dots[:, 0], summary.scenarios["auc"])
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"learning_rate={x}" for x in (0.1, 0.01)] * 2
    with pytest.raises(ValueError, match="no scenario has an AUC yet"):
        scenario_figure(summary.scenarios.assign(auc=np.nan))


def test_runs_of_fewer_epochs_than_asked_for_stay_out(plan, bench):
    for folder in folders_of(plan, plan.scenarios[0]):
        (folder / "settings.json").write_text(json.dumps({"settings": {"max_epochs": 9}, "finished_epochs": 9}))
    (plan.output / "sweep.json").write_text(json.dumps(plan.record))
    longer = bench.plan(settings={"max_epochs": 9}, folds=FOLDS, only="one_*0.1")
    summary = summarise_sweep(longer, redraws=REDRAWS)
    assert summary.totals["scenarios"] == 1
    assert summary.scenarios["status"].tolist() == ["complete", *["not run"] * 3]
    assert summary.scenarios["reason"].tolist()[1:3] == ["not finished: 2 of 9 epochs"] * 2
