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

import pytest

from monai_ssl.report.arguments import run_names
from monai_ssl.report.runs import read_run, read_runs, without_folders


def test_names_are_short_and_unique() -> None:
    assert run_names(["a/swav", "a/scratch/predictions.csv", "mine.csv"]) == ["swav", "scratch", "mine"]
    assert run_names(["a/run", "b/run/", "c/other"]) == ["a/run", "b/run", "other"]
    assert run_names(["a/run", "a/run", "a/run"]) == ["a/run", "a/run (2)", "a/run (3)"]


def test_absolute_paths_lose_the_folders_that_name_people() -> None:
    settings = {"a": "/home/jane/study/slices", "b": ["C:\\Users\\jane\\runs\\x", "relative/path"], "c": 0.5, "d": None}
    assert without_folders(settings) == {
        "a": ".../study/slices",
        "b": [".../runs/x", "relative/path"],
        "c": 0.5,
        "d": None,
    }


def test_ids_stay_text(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("image,patient,split,x_true,x_score\n007,NA,test,1,0.5\n")
    table = read_run(tmp_path, "a").predictions
    assert table is not None
    assert table.loc[0, ["image", "patient"]].tolist() == ["007", "NA"]


def test_finished_is_read_from_the_epochs(tmp_path: Path) -> None:
    for epochs, finished in ((None, False), (2, False), (5, True)):
        record = {"settings": {"max_epochs": 5}, "versions": {}} | (
            {} if epochs is None else {"finished_epochs": epochs}
        )
        (tmp_path / "settings.json").write_text(json.dumps(record))
        assert read_run(tmp_path, "a", predictions=False).finished is finished
    (tmp_path / "settings.json").unlink()
    assert read_run(tmp_path, "a", predictions=False).finished is None


def test_all_unreadable_runs_are_named(tmp_path: Path) -> None:
    for name in ("empty", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "predictions.csv").write_text("image,split,x_true,x_score\n1,test,1,0.5\n")
    (tmp_path / "broken" / "settings.json").write_text("{")
    with pytest.raises(ValueError, match="the runs cannot be compared") as caught:
        read_runs([tmp_path / "absent", tmp_path / "empty", tmp_path / "broken"])
    text = str(caught.value)
    assert "absent: does not exist" in text
    assert "predictions.csv: missing; has the run finished?" in text
    assert "settings.json: not JSON" in text
    with pytest.raises(ValueError, match="no runs to compare"):
        read_runs([])
