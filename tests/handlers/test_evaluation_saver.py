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
import logging

import numpy as np
import pandas as pd
import pytest
from ignite.engine import Engine

from monai_ssl.handlers import EvaluationSaver
from monai_ssl.metrics import evaluate_predictions, youden_thresholds
from monai_ssl.run_folder import recorded_thresholds


def _evaluate(folder, table, **arguments):
    table.to_csv(folder / "predictions.csv", index=False)
    engine = Engine(lambda engine, batch: None)
    EvaluationSaver(folder / "predictions.csv", **arguments).attach(engine)
    engine.run([0])
    return pd.read_csv(folder / "evaluation.csv")


def _table():
    random = np.random.default_rng(0)
    table = pd.DataFrame({"image": range(60), "patient": "", "split": ["val", "test"] * 30})
    for name in ("a", "b"):
        table[f"{name}_true"] = pd.array(random.random(60) < 0.4).astype("Int64")
        table[f"{name}_score"] = random.random(60).astype(np.float32).astype(float)
    table.loc[3, "b_true"] = pd.NA
    return table


def test_a_run_writes_its_thresholds_and_another_set_is_judged_by_them(tmp_path, caplog):
    table = _table()
    caplog.set_level(logging.INFO)
    rows = _evaluate(tmp_path, table)
    pd.testing.assert_frame_equal(rows, evaluate_predictions(table))
    row = rows.iloc[-1]
    assert (
        f"test, 30 images: mean of 2 labels: AUC {row['auc']:.3f}, average precision {row['average_precision']:.3f}, "
        f"sensitivity {row['sensitivity']:.3f} and specificity {row['specificity']:.3f} at the thresholds of validation"
    ) in caplog.messages
    val = table[table["split"] == "val"]
    thresholds = recorded_thresholds(tmp_path / "model.pt")
    assert thresholds == {name: youden_thresholds(val[f"{name}_true"], val[f"{name}_score"])[0] for name in "ab"}

    (tmp_path / "external").mkdir()
    external = table.assign(a_score=1 - table["a_score"])
    rows = _evaluate(tmp_path / "external", external, thresholds=thresholds)
    assert rows.loc[rows["label"] == "a", "threshold"].tolist() == [thresholds["a"]] * 2
    assert recorded_thresholds(tmp_path / "external/model.pt") == thresholds
    with pytest.warns(UserWarning, match="one class only"):
        _evaluate(tmp_path / "external", external.assign(a_true=1), thresholds={})
    assert not (tmp_path / "external/thresholds.json").exists()


def test_a_label_that_validation_lacks_has_no_threshold_and_ends_nothing(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    table = _table()[["image", "patient", "split", "a_true", "a_score"]]
    with pytest.warns(UserWarning, match="one class only"):
        _evaluate(tmp_path, table.assign(a_true=1))
    assert json.loads((tmp_path / "thresholds.json").read_text())["thresholds"] == {"a": None}
    assert np.isnan(recorded_thresholds(tmp_path / "model.pt")["a"])
    assert any("AUC undefined" in message for message in caplog.messages)


def test_unusable_scores_leave_with_code_2(tmp_path, caplog):
    with pytest.raises(SystemExit) as stop:
        _evaluate(tmp_path, _table().assign(a_score=np.nan))
    assert stop.value.code == 2
    assert "predictions.csv: cannot be evaluated: 30 of 60 scores are NaN" in caplog.text


def test_classes_are_told_by_their_accuracy(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    table = _table()
    table["a_true"], table["b_true"] = [0, 1, 1] * 20, [1, 0, 0] * 20
    row = _evaluate(tmp_path, table, task="multiclass").iloc[-1]
    assert any(f", accuracy {row['class_accuracy']:.3f}, balanced accuracy" in message for message in caplog.messages)


def test_broken_thresholds_leave_with_code_2(tmp_path, caplog):
    for content in ("{", '{"thresholds": [1]}', '{"thresholds": {"a": "x"}}', "[]"):
        (tmp_path / "thresholds.json").write_text(content)
        with pytest.raises(SystemExit) as stop:
            recorded_thresholds(tmp_path / "model.pt")
        assert stop.value.code == 2
    assert "thresholds.json: not the thresholds of a run" in caplog.text
    (tmp_path / "thresholds.json").unlink()
    (tmp_path / "model.pt").touch()
    assert recorded_thresholds(tmp_path / "model.pt") == {}
    assert "no thresholds.json beside it" in caplog.text
