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
from monai_ssl.metrics.redraws import leave_out_counts
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
    data = result.data
    for samples, counts in (
        (result.values[None], [np.ones((90, 1), np.int64)]),
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
                wanted = [*single, np.mean(single, axis=0), pooled.values(METRICS, ones)[:, 0]]
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


def test_the_family_is_named_and_corrected_metric_by_metric() -> None:
    frame = compare(TABLES, metrics=("auc", "f1"), redraws=60)
    for metric, rows in frame.groupby("metric"):
        p = rows["p_value"].to_numpy()
        np.testing.assert_allclose(rows["q_value"], false_discovery_control(p))
        order = np.argsort(p)
        stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]).clip(max=1)
        np.testing.assert_allclose(rows["p_holm"].to_numpy()[order], stepped)
        assert rows["family"].unique().tolist() == [
            f"{metric}: 12 tests (2 labels and their means, 1 pair of models, 3 data sets)"
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
