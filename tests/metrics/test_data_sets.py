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

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from monai_ssl.metrics import (
    MACRO,
    MEAN,
    METRICS,
    MICRO,
    compare,
    delong_test,
    mcnemar_test,
    redraw_counts,
    redraw_data_sets,
    redraw_models,
)
from monai_ssl.metrics.redraws import label_strata, leave_out_counts
from monai_ssl.metrics.statistics import Decisions


def _table(model: int, data_set: int = 0, images: int = 90) -> pd.DataFrame:
    truth = (np.random.default_rng(90 + data_set).random((images, 2)) < [0.4, 0.2]).astype(int)
    noise = np.random.default_rng([model, data_set]).random((images, 2))
    scores = np.round((noise + (0.2 + 0.1 * model) * truth) / 2, 2)
    table = pd.DataFrame({"image": [f"{data_set}-{i}" for i in range(images)], "split": "test"})
    table["patient"] = [f"{data_set}-{i // 2}" for i in range(images)]
    for label in range(2):
        table[f"L{label}_true"], table[f"L{label}_score"] = truth[:, label], scores[:, label]
    validation = table.assign(split="val", image="v" + table["image"], patient="v" + table["patient"])
    return pd.concat([validation, table])


TABLES = {name: {"a": _table(1, number), "b": _table(2, number)} for number, name in enumerate(("here", "there"))}


def test_every_metric_mean_and_redraw_is_that_of_a_plain_loop() -> None:
    result = redraw_models(TABLES["here"], METRICS, redraws=6, seed=3, data_set="here")
    assert result.labels == ["L0", "L1", MACRO, MICRO]
    data, first = result.data, result.values[None]
    for samples, counts in (
        (first, [np.ones((90, 1), np.int64)]),
        (result.samples, redraw_counts(90, 6, data.patients, 3)),
        (result.jackknife, leave_out_counts(90, data.patients)),
    ):
        for redraw, count in enumerate(np.concatenate(list(counts), axis=1).T):
            drawn = np.repeat(np.arange(90), count)
            ones = np.ones((2 * len(drawn), 1), np.int32)
            for m in range(2):
                truth, scores, at = data.truth[drawn], data.scores[m][drawn], data.thresholds[m]
                single = [Decisions(truth[:, i], scores[:, i], at[i]).values(METRICS, ones)[:, 0] for i in (0, 1)]
                pooled = Decisions(truth.T.reshape(-1), scores.T.reshape(-1), np.repeat(at, len(drawn)))
                wanted = np.array([*single, np.mean(single, axis=0), pooled.values(METRICS, ones)[:, 0]])
                if samples is not first:
                    wanted[:, METRICS.index("calibration_error")] = np.nan
                np.testing.assert_allclose(samples[redraw, m].T, wanted, atol=1e-12)


def test_each_data_set_is_as_alone_and_their_mean_comes_last() -> None:
    frame = compare(TABLES, metrics=("auc", "brier"), redraws=60, seed=5)
    assert frame["data_set"].unique().tolist() == ["here", "there", MEAN]
    for number, name in enumerate(TABLES):
        alone = compare(TABLES[name], metrics=("auc", "brier"), redraws=60, seed=5 + number)
        same = ["difference", "sd", "low", "high", "low_bca", "high_bca", "p_value", "p_delong", "images", "positives"]
        rows = frame[frame["data_set"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows[same], alone[same])
    results = redraw_data_sets(TABLES, ("auc",), 60, seed=5)
    mean = frame[(frame["data_set"] == MEAN) & (frame["metric"] == "auc")].set_index("label")
    differences = np.mean([each.samples[:, 0, 0] - each.samples[:, 1, 0] for each in results[:2]], axis=0)
    np.testing.assert_allclose(mean["low"], np.quantile(differences, 0.025, axis=0))
    np.testing.assert_allclose(mean["sd"], differences.std(axis=0, ddof=1))
    assert mean.loc["L0", "images"] == 180
    assert mean["p_delong"].isna().all()


def test_the_jackknife_of_the_mean_leaves_a_patient_of_one_data_set_out() -> None:
    here, there, mean = redraw_data_sets(TABLES, ("auc",), 5)
    wanted = np.concatenate([(here.jackknife + there.values) / 2, (here.values + there.jackknife) / 2])
    np.testing.assert_allclose(mean.jackknife, wanted)


def test_models_and_labels_that_not_all_data_sets_have_are_no_part_of_the_mean() -> None:
    other = {name: table.drop(columns=["L1_true", "L1_score"]) for name, table in TABLES["there"].items()}
    results = redraw_data_sets({"here": TABLES["here"] | {"c": _table(3)}, "there": other}, redraws=5)
    assert (results[2].models, results[2].labels) == (["a", "b"], ["L0"])
    assert len(redraw_data_sets({"here": TABLES["here"], "there": {"d": _table(4, 1)}}, redraws=5)) == 2


def test_macro_is_that_of_the_common_labels_where_data_sets_differ_in_them() -> None:
    more = {"L2_true": lambda table: table["L1_true"], "L2_score": lambda table: table["L0_score"]}
    three = {name: table.assign(**more) for name, table in TABLES["there"].items()}
    here, there, mean = redraw_data_sets({"here": TABLES["here"], "there": three}, redraws=8)
    assert mean.labels == ["L0", "L1", MACRO]
    common = (here.samples[..., :2] + there.samples[..., :2]) / 2
    np.testing.assert_allclose(mean.samples[..., 2], common.mean(axis=-1))
    np.testing.assert_allclose(mean.values[..., 2], mean.values[..., :2].mean(axis=-1))
    assert mean.counts[2]["images"] == 180


def test_a_model_that_lacks_a_metric_takes_it_from_no_other() -> None:
    logits = _table(3)
    logits[["L0_score", "L1_score"]] = logits[["L0_score", "L1_score"]] * 20 - 9
    two = redraw_models(TABLES["here"], ("brier",), redraws=4)
    three = redraw_models(TABLES["here"] | {"c": logits}, ("brier",), redraws=4)
    np.testing.assert_array_equal(three.values[:2], two.values)
    np.testing.assert_array_equal(three.samples[:, :2], two.samples)
    assert np.isnan(three.values[2]).all()


def test_a_label_known_in_one_patient_has_no_test_that_needs_two() -> None:
    tables = {name: table.copy() for name, table in TABLES["here"].items()}
    for table in tables.values():
        table["L1_true"] = table["L1_true"].astype(float).where(table["patient"].isin(["0-0", "v0-0"]))
        table.loc[table["image"] == "0-0", "L1_true"], table.loc[table["image"] == "0-1", "L1_true"] = 1, 0
    frame = compare(tables, metrics=("auc", "accuracy"), redraws=10).set_index(["metric", "label"])
    assert frame.loc[("auc", "L1"), ["images", "patients"]].tolist() == [2, 1]
    assert np.isnan(frame.loc[("auc", "L1"), "p_delong"])
    assert frame.loc[("auc", "L0"), "p_delong"] > 0


def test_stratified_redraws_hold_the_patients_of_the_rarest_label() -> None:
    result = redraw_models(TABLES["here"], ("accuracy", "sensitivity"), redraws=40, seed=2, stratify=True)
    data = result.data
    strata = label_strata(data.truth, data.patients)
    counts = np.concatenate(list(redraw_counts(90, 40, data.patients, 2, strata)), axis=1)
    column = Decisions(data.truth[:, 1], data.scores[0][:, 1], data.thresholds[0, 1])
    np.testing.assert_array_equal(result.samples[:, 0, :, 1].T, column.values(("accuracy", "sensitivity"), counts))
    plain = redraw_models(TABLES["here"], ("accuracy",), redraws=40, seed=2)
    assert (plain.samples[:, 0, 0, 1] != result.samples[:, 0, 0, 1]).any()


def test_names_that_stand_for_means_and_mixtures_of_both_forms_are_refused() -> None:
    with pytest.raises(ValueError, match="a data set is called 'mean', which stands for the mean over data sets"):
        compare({MEAN: TABLES["here"], "there": TABLES["there"]})
    with pytest.raises(ValueError, match="tables by model, or such tables by data set, got both"):
        compare({"a": TABLES["here"]["a"], "there": TABLES["there"]})


def test_calibration_error_has_a_value_and_no_interval() -> None:
    frame = compare(TABLES["here"], metrics=("calibration_error", "auc"), redraws=10)
    rows = frame[frame["metric"] == "calibration_error"]
    assert rows[["value_a", "difference"]].notna().all(axis=None)
    assert rows[["low", "high", "low_bca", "sd", "p_value", "q_value"]].isna().all(axis=None)
    assert rows["family"].unique().tolist() == ["calibration_error: no test"]


def test_the_family_is_named_and_corrected_metric_by_metric() -> None:
    frame = compare(TABLES, metrics=("auc", "f1"), redraws=60)
    for metric, rows in frame.groupby("metric"):
        p = rows["p_value"].to_numpy()
        np.testing.assert_allclose(rows["q_value"], false_discovery_control(p))
        order = np.argsort(p)
        stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]).clip(max=1)
        np.testing.assert_allclose(rows["p_holm"].to_numpy()[order], stepped)
        assert rows["family"].unique().tolist() == [
            f"{metric}: 12 tests (2 labels and their means, 1 pair of models, 2 data sets and their mean)"
        ]


def test_delong_and_mcnemar_stand_beside_what_they_test() -> None:
    frame = compare(TABLES["here"], metrics=("auc", "accuracy"), redraws=20).set_index(["metric", "label"])
    data = redraw_models(TABLES["here"], redraws=1).data
    auc = delong_test(data.truth[:, 0], data.scores[0, :, 0], data.scores[1, :, 0], data.patients)
    assert frame.loc[("auc", "L0"), "p_delong"] == auc
    right = [(data.scores[m] >= data.thresholds[m]) == (data.truth == 1) for m in (0, 1)]
    assert frame.loc[("accuracy", "L1"), "p_mcnemar"] == mcnemar_test(right[0][:, 1], right[1][:, 1], data.patients)
    pooled = mcnemar_test(right[0].ravel(), right[1].ravel(), np.repeat(data.patients, 2))
    assert frame.loc[("accuracy", MICRO), "p_mcnemar"] == pooled
    assert frame[["p_delong", "p_mcnemar"]].notna().sum().tolist() == [3, 3]


def test_what_is_wrong_with_any_data_set_is_named() -> None:
    broken = {name: {model: table.drop(columns="L0_score") for model, table in TABLES[name].items()} for name in TABLES}
    with pytest.raises(ValueError, match=r"data set here: .*\n.*a: .*L0_score(.*\n)*data set there: "):
        compare(broken)
