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
from sklearn import metrics

from monai_ssl.metrics import MACRO, calibration_error, evaluate_predictions, validation_thresholds, youden_thresholds


def _table(labels: int = 3, images: int = 120, unknown: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(labels)
    table = pd.DataFrame({"split": random.permutation(["val", "test"] * (images // 2))})
    for label in range(labels):
        truth = random.random(images) < 0.4
        table[f"L{label}_true"] = np.where(random.random(images) < unknown, np.nan, truth)
        table[f"L{label}_score"] = np.round(np.clip(random.random(images) * 0.7 + 0.3 * truth, 0, 1), 2)
    return table


@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_every_figure_equals_scikit_learn(unknown: float) -> None:
    table = _table(unknown=unknown)
    rows = evaluate_predictions(table).set_index(["split", "label"])
    assert rows.index.tolist() == [(split, label) for split in ("val", "test") for label in ("L0", "L1", "L2", MACRO)]
    for label in ("L0", "L1", "L2"):
        known = table[table[f"{label}_true"].notna()]
        val = known[known["split"] == "val"]
        threshold = youden_thresholds(val[f"{label}_true"], val[f"{label}_score"])[0]
        for split in ("val", "test"):
            part = known[known["split"] == split]
            truth, scores = part[f"{label}_true"].astype(int), part[f"{label}_score"]
            called = (scores >= threshold).astype(int)
            expected = {
                "images": len(part),
                "positives": truth.sum(),
                "prevalence": truth.mean(),
                "threshold": threshold,
                "auc": metrics.roc_auc_score(truth, scores),
                "average_precision": metrics.average_precision_score(truth, scores),
                "sensitivity": metrics.recall_score(truth, called),
                "specificity": metrics.recall_score(truth, called, pos_label=0),
                "ppv": metrics.precision_score(truth, called),
                "npv": metrics.precision_score(truth, called, pos_label=0),
                "f1": metrics.f1_score(truth, called),
                "accuracy": metrics.accuracy_score(truth, called),
                "brier": metrics.brier_score_loss(truth, scores),
                "calibration_error": calibration_error(truth, scores)[0],
            }
            assert rows.loc[(split, label)][list(expected)].to_dict() == pytest.approx(expected)
    test = rows.loc["test"]
    means = ["auc", "average_precision", "sensitivity", "specificity", "f1", "brier", "calibration_slope"]
    np.testing.assert_allclose(test.loc[MACRO, means].astype(float), test.loc[["L0", "L1", "L2"], means].mean())
    assert np.isnan(test.loc[MACRO, "threshold"])
    parts = table[table["split"] == "test"].filter(like="_true")
    assert test.loc[MACRO, "images"] == parts.notna().any(axis=1).sum()
    assert test.loc[MACRO, "positives"] == parts.sum().sum()


def test_average_precision_equals_a_plain_loop() -> None:
    table = _table(1)
    part = table[table["split"] == "test"]
    area = recall = 0.0
    for threshold in sorted(set(part["L0_score"]), reverse=True):
        called = part.loc[part["L0_score"] >= threshold, "L0_true"]
        area += (called.sum() / part["L0_true"].sum() - recall) * called.mean()
        recall = called.sum() / part["L0_true"].sum()
    rows = evaluate_predictions(table)
    assert rows["label"].tolist() == ["L0", "L0"]  # of one label there is no mean
    assert rows["average_precision"][1] == pytest.approx(area)


def test_classes_are_each_against_the_others_and_the_task_has_the_highest_score() -> None:
    random = np.random.default_rng(0)
    true, scores = random.integers(3, size=90), random.dirichlet([1, 1, 1], 90)
    scores[np.arange(90), true] += 0.3
    scores /= scores.sum(axis=1, keepdims=True)
    table = pd.DataFrame({"split": ["val", "test"] * 45})
    for number in range(3):
        table[f"C{number}_true"], table[f"C{number}_score"] = (true == number).astype(int), scores[:, number]
    rows = evaluate_predictions(table, task="multiclass").set_index(["split", "label"])
    test = (table["split"] == "test").to_numpy()
    taken = scores.argmax(axis=1)
    row = rows.loc[("test", MACRO)]
    assert row["class_accuracy"] == pytest.approx(metrics.accuracy_score(true[test], taken[test]))
    assert row["class_balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(true[test], taken[test]))
    assert row["auc"] == pytest.approx(metrics.roc_auc_score(true[test], scores[test], multi_class="ovr"))
    assert rows.drop(index=MACRO, level="label")["class_accuracy"].isna().all()


def test_given_thresholds_are_kept_and_none_is_chosen_on_test() -> None:
    table = _table(2)
    external = table[table["split"] == "test"]
    rows = evaluate_predictions(external, {"L0": 0.9, "L1": np.nan}).set_index("label")
    truth, called = external["L0_true"], external["L0_score"] >= 0.9
    assert rows.loc["L0", "sensitivity"] == pytest.approx(called[truth == 1].mean())
    assert rows.loc["L1", ["sensitivity", "specificity", "accuracy", "f1"]].isna().all()
    assert rows.loc["L1", "auc"] > 0
    with pytest.warns(UserWarning, match="no rows of split 'val'"):
        assert np.isnan(list(validation_thresholds(external).values())).all()


def test_what_cannot_be_computed_is_empty_with_one_warning(recwarn: pytest.WarningsRecorder) -> None:
    table = _table()
    table["L1_true"] = 0
    table["L2_true"] = np.where(table["split"] == "test", np.nan, table["L2_true"])
    rows = evaluate_predictions(table).set_index(["split", "label"])
    assert [str(entry.message) for entry in recwarn] == [
        "one class only, so what needs both is empty: L1 in val, L1 in test, L2 in test"
    ]
    assert rows.loc[("test", "L1"), ["auc", "average_precision", "sensitivity", "f1", "calibration_slope"]].isna().all()
    assert rows.loc[("test", "L1"), "brier"] > 0
    assert rows.loc[("test", "L2"), "images"] == 0
    assert rows.loc[("test", "L2"), ["auc", "sensitivity", "accuracy", "brier", "calibration_error"]].isna().all()
    assert rows.loc[("test", MACRO), "auc"] == rows.loc[("test", "L0"), "auc"]


def test_unfit_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="missing: split, L0_score"):
        evaluate_predictions(_table(1).drop(columns=["split", "L0_score"]))
    with pytest.raises(ValueError, match="named 'macro'"):
        evaluate_predictions(_table(2).rename(columns={"L0_true": "macro_true", "L0_score": "macro_score"}))
    with pytest.raises(ValueError, match="unknown task 'binary'"):
        evaluate_predictions(_table(1), task="binary")
    with pytest.raises(ValueError, match="60 of 60 scores are NaN"):
        evaluate_predictions(_table(1).assign(L0_score=np.nan))
