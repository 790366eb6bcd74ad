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

import pandas as pd
import pytest
from report_runs import ReadPage, write_run
from sklearn.metrics import roc_auc_score

from monai_ssl.report import compare_runs


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """Three data sets, of which the last lacks a model and has other labels."""
    given = []
    for number, (data_set, labels) in enumerate((("NIH", "ab"), ("here", "ab"), ("there", "bc"))):
        for seed, model in enumerate(("swav", "scratch")):
            if (data_set, model) != ("there", "scratch"):
                folder = write_run(tmp_path / data_set / model, 2 * number + seed, tuple(labels))
                given.append(f"{model}@{data_set}={folder}")
    return given


def test_what_the_mean_lacks_is_said_and_told_by_data_set(runs: list[str], tmp_path: Path) -> None:
    page = ReadPage(compare_runs(runs, tmp_path / "out", redraws=40, metrics=("auc",)).read_text())
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    rows = pd.DataFrame(report["models"]).set_index(["data_set", "model", "label"])["value"]
    tables = {given.partition("=")[0]: pd.read_csv(Path(given.partition("=")[2]) / "predictions.csv") for given in runs}
    for name, table in tables.items():
        model, data_set = name.split("@")
        for label in set("abc") & {column[0] for column in table.columns if column.endswith("_true")}:
            wanted = roc_auc_score(table[f"{label}_true"], table[f"{label}_score"])
            assert rows[data_set, model, label] == pytest.approx(wanted, abs=1e-12)
    each = [rows[data_set, "swav", "b"] for data_set in ("NIH", "here", "there")]
    assert rows["mean", "swav", "b"] == pytest.approx(sum(each) / 3, abs=1e-12)
    assert ("mean", "scratch", "b") not in rows.index
    told = " ".join(report["summary"])
    assert "The AUC for b, averaged over 3 data sets, is" in told
    assert "swav minus scratch on NIH: " in told
    assert "swav minus scratch on here: " in told
    warned = " ".join(report["caveats"])
    assert "scratch has no predictions on there, so it is in no mean over data sets." in warned
    assert "The data sets differ in their labels: the average over them is of b alone" in warned
    assert "40 patients occur in several data sets" in warned
    assert len([row for row in page.values["spread"] if row]) == 1


def test_data_sets_with_nothing_in_common_have_no_mean(tmp_path: Path) -> None:
    folders = {name: write_run(tmp_path / name, seed, (name,)) for seed, name in enumerate("ab")}
    compare_runs([f"swav@of_{name}={folder}" for name, folder in folders.items()], tmp_path / "out", redraws=20)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["summary"][2].startswith("The AUC for b on of_b is ")
    assert "so there is no mean over them: the summary is of of_b alone." in " ".join(report["caveats"])
    assert report["spread"] == []
