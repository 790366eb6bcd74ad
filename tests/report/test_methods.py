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
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report_runs import write_run

from monai_ssl.report import compare_runs
from monai_ssl.report.methods import _models


def _methods(tmp_path: Path, models: str = "ab", labels: tuple[str, ...] = ("nodule",), **options: Any) -> str:
    val = options.pop("val", False)
    runs = [write_run(tmp_path / name, seed, labels, val=val) for seed, name in enumerate(models)]
    if options.pop("unrecorded", False):
        for run in runs:
            (run / "settings.json").unlink()
    without = ["patient"] if options.pop("no_patients", False) else []
    for run in runs:
        table = pd.read_csv(run / "predictions.csv").drop(columns=without)
        scores = [name for name in table.columns if name.endswith("_score")]
        table[scores] /= 1.2  # to be probabilities
        table.to_csv(run / "predictions.csv", index=False)
    for run in runs[: options.pop("recorded_thresholds", 0)]:
        (run / "thresholds.json").write_text(json.dumps({"thresholds": dict.fromkeys(labels, 0.5)}))
    path = compare_runs(runs, tmp_path / "out", redraws=20, **options)
    text = (path.parent / "methods.txt").read_text()
    assert text == json.loads((path.parent / "report.json").read_text())["methods"] + "\n"
    return text


def test_one_model_is_compared_with_none(tmp_path: Path) -> None:
    text = _methods(tmp_path, "a")
    assert "The model was evaluated on 80 images from 40 patients of the test split" in text
    for absent in ("compared", "p-value", "all models", "DeLong", "Holm", "micro", "average of", "Data sets"):
        assert absent not in text


def test_one_test_of_each_metric_is_not_corrected(tmp_path: Path) -> None:
    text = _methods(tmp_path)
    assert "Models were compared on the same 80 images from 40 patients" in text
    assert "There is one test of each metric, so no p-value was corrected." in text
    assert "DeLong's test for AUC (for clustered data, after Obuchowski)" in text
    assert "Holm" not in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"interval": "bca"}, "bias-corrected and accelerated (BCa) bootstrap"),
        ({"interval": "percentile"}, "those of the percentile bootstrap with 20 redraws of patients with all their"),
        ({"stratify": True}, "within strata of the rarest label of each"),
        ({"unrecorded": True}, "Model a: its training is not recorded. Model b: its training is not recorded."),
        ({"no_patients": True}, "redraws of images, seed 0"),
        ({"labels": ("nodule", "mass")}, "a family of its own: 4 tests (2 labels and their means, 1 pair of models"),
        ({"metrics": ("brier",)}, "Performance was measured by the Brier score."),
        (
            {"val": True},
            "The threshold of a and b is the one that has the highest Youden index on the validation images of",
        ),
        (
            {"recorded_thresholds": 2},
            "The threshold of a and b is the one that its training run recorded (thresholds.json;",
        ),
        (
            {"val": True, "recorded_thresholds": 1},
            "The threshold of b is the one that has the highest Youden index on the validation",
        ),
    ],
)
def test_what_was_done_is_said(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    text = _methods(tmp_path, **options)
    assert words in text
    assert ("strata" in text) == bool(options.get("stratify"))
    assert ("BCa" in text) == (options.get("interval") == "bca")
    assert ("patient" in text) != bool(options.get("no_patients"))


def test_what_had_no_value_was_not_measured(tmp_path: Path) -> None:
    text = _methods(tmp_path)
    assert "the expected calibration error (10 bins" in text
    for absent in ("F1", "accuracy", "Youden", "McNemar"):
        assert absent not in text


def test_each_training_of_a_model_on_several_data_sets_is_told() -> None:
    runs = [
        {"name": "m", "data_set": "x", "settings": {"backbone": "resnet18", "learning_rate": 0.001}},
        {"name": "m", "data_set": "y", "settings": {"backbone": "resnet18", "learning_rate": 0.002}},
        {"name": "n", "data_set": "x", "settings": {}},
    ]
    said = list(_models({"pretraining": None, "runs": runs}))
    assert [text.split(":")[0] for text in said] == ["Model m on x", "Model m on y", "Model n"]
    assert "learning rate 0.002" in said[1]
