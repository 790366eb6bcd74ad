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
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from monai_ssl.cli import app
from monai_ssl.metrics import youden_thresholds
from monai_ssl.report.arguments import run_arguments
from monai_ssl.report.runs import read_run, read_runs


def _write(folder: Path, seed: int = 1, prefix: str = "", **settings: object) -> Path:
    """Validation and test rows of a run; the images and their truth are the same whatever the seed."""
    folder.mkdir(parents=True)
    truth = np.random.default_rng(99).random((80, 2)) < 0.4
    table = pd.DataFrame({"image": [f"{prefix}{i:03d}" for i in range(80)]})
    table["patient"] = [f"p{i // 2}" for i in range(80)]
    table["split"] = np.where(np.arange(80) < 30, "val", "test")
    for column, label in enumerate(("a", "b")):
        table[f"{label}_true"] = truth[:, column].astype(int)
        table[f"{label}_score"] = np.random.default_rng([seed, column]).random(80)
    table.to_csv(folder / "predictions.csv", index=False)
    record = {"settings": {"max_epochs": 2, "folds": None, "fold": 0} | settings, "versions": {}}
    (folder / "settings.json").write_text(json.dumps(record))
    return folder


def _text(content: str, name: str = "predictions.csv") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        folder.mkdir()
        (folder / name).write_text(content)
        return folder / name

    return write


def _folder_with(name: str) -> Callable[[Path], Path]:
    return lambda folder: _text("{}", name)(folder).parent


def _german(folder: Path) -> Path:
    table = pd.read_csv(_write(folder) / "predictions.csv")
    table.to_csv(folder / "german.csv", sep=";", decimal=",", index=False, encoding="utf-8-sig")
    return folder / "german.csv"


OTHER = {
    "metrics": (_text('{"epoch": 1}\n', "metrics.jsonl"), "metrics.jsonl: seems to be the training record of a run"),
    "settings": (_text("{}", "settings.json"), "settings.json: seems to be a record of settings or figures"),
    "model": (_text("PK", "model.pt"), "model.pt: seems to be a model, not predictions; give a run folder or its"),
    "evaluation": (
        _text("split,label,images,auc\ntest,a,9,0.7\n", "e.csv"),
        "e.csv: seems to be the evaluation of a run",
    ),
    "comparison": (_text("model_a,model_b,label\nx,y,a\n", "c.csv"), "c.csv: seems to be the comparison of a report"),
    "labels": (_text("image,patient,a\n1,1,0\n", "labels.csv"), "labels.csv: seems to be a table of labels"),
    "slices": (_text("slice,volume\n1,1\n", "slices.csv"), "slices.csv: seems to be the slices of a store"),
    "unlabelled": (_text("image,split,a_score\n1,test,0.5\n"), "predictions.csv: has scores but no <label>_true, as"),
    "other": (_text("x,y\n1,2\n", "o.csv"), "o.csv: is no table of predictions, which have image, patient, split and"),
    "semicolons": (_german, "german.csv: has semicolons between its cells; write it with commas"),
    "empty": (_text(""), "predictions.csv: not a CSV table with a header line"),
    "header": (_text("image,patient,split,a_true,a_score\n"), "header: the table has no rows; has the run finished?"),
    "twice": (_text("image,split,a_true,a_score,a_score\n1,test,1,0,0\n"), "two columns are called 'a_score'"),
    "thresholds": (
        lambda folder: (_write(folder), (folder / "thresholds.json").write_text("[]"))[0],
        "thresholds.json: not the thresholds of a run",
    ),
    "sweep": (_folder_with("sweep.json"), "predictions.csv: missing; the folder seems to be the folder of a sweep"),
    "store": (_folder_with("store.json"), "predictions.csv: missing; the folder seems to be a slice store"),
    "before": (_folder_with("settings.json"), "a run without predictions; has it finished? a pre-training run goes to"),
    "absent": (lambda folder: folder, "absent: does not exist; give a run folder or a predictions.csv"),
}


def _refused(*arguments: object) -> str:
    with pytest.raises(ValueError, match="the runs cannot be compared") as caught:
        read_runs([str(argument) for argument in arguments])
    return str(caught.value)


@pytest.mark.parametrize("case", OTHER)
def test_what_is_no_predictions_table_is_told(case: str, tmp_path: Path) -> None:
    write, told = OTHER[case]
    assert told in _refused(_write(tmp_path / "good"), write(tmp_path / case))


def test_everything_is_told_at_once_and_ends_with_code_2(tmp_path: Path) -> None:
    folder = tmp_path / "a folder 100%"
    folder.mkdir()
    given, expected = [_write(folder / "good"), _write(folder / "alien", prefix="x")], []
    for case, (write, told) in OTHER.items():
        given.append(write(folder / case))
        expected.append(told)
    dead = _write(folder / "dead")
    pd.read_csv(dead / "predictions.csv", dtype=str).assign(b_score=0.5).to_csv(dead / "predictions.csv", index=False)
    given += [dead, f"good={dead}", f"good={dead}", "=x"]
    expected += [
        "dead: label b: all 50 scores in split 'test' are 0.5",
        f"two runs are called good: {folder / 'good'} and {dead}; name one as MODEL=PATH",
        "=x: write PATH, MODEL=PATH or MODEL@DATASET=PATH, with no part empty",
        "predictions of 2 data sets seem to be mixed, since they share no images or hardly any: ",
        "alien (50 images, such as x030); say which go together: ",
        "alien@SET_2=PATH",
    ]
    text = _refused(*given)
    for told in expected:
        assert told in text
    result = CliRunner().invoke(app, ["compare", *map(str, given), "--output", str(folder / "out")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "".join(f"error: {line}\n" for line in text.splitlines())
    assert not (folder / "out").exists()


def test_a_test_set_without_any_result_is_refused(tmp_path: Path) -> None:
    runs = [_write(tmp_path / name, seed) for seed, name in enumerate("xy")]
    for run in runs:
        table = pd.read_csv(run / "predictions.csv", dtype={"image": str})
        table.assign(a_true=0, b_true=np.nan).to_csv(run / "predictions.csv", index=False)
    assert (
        "no label has positives and negatives in 50 images of split 'test' (such as a 0 and 50, b 0 and 0)"
        in _refused(*runs)
    )


def test_folds_are_compared_fold_by_fold(tmp_path: Path) -> None:
    runs = {
        (model, fold): _write(tmp_path / model / f"fold_{fold}", fold, prefix=f"{fold}_", folds=5, fold=fold)
        for model in ("swav", "scratch")
        for fold in (0, 1)
    }
    text = _refused(*runs.values(), _write(tmp_path / "whole"))
    [line] = text.splitlines()[1:]
    assert "swav/fold_0, scratch/fold_0 (fold 0 of 5); swav/fold_1, scratch/fold_1 (fold 1 of 5)" in line
    assert "`python -m monai_ssl sweep`" in line
    assert "MODEL@fold_0=PATH MODEL@fold_1=PATH" in line
    read = read_runs([f"{model}@fold_{fold}={path}" for (model, fold), path in runs.items()])
    assert [(run.name, run.data_set) for run in read] == [(model, f"fold_{fold}") for model, fold in runs]
    assert len(read_runs([runs["swav", 0], runs["scratch", 0]])) == 2


def test_data_sets_are_looked_at_one_by_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runs = [_write(tmp_path / name, prefix=name[0]) for name in ("1a", "1b", "2a", "2c")]
    named = [f"{run.name[1]}@set {run.name[0]}={run}" for run in runs]
    read = read_runs(named)
    assert [(run.name, run.data_set) for run in read] == [
        ("a", "set 1"),
        ("b", "set 1"),
        ("a", "set 2"),
        ("c", "set 2"),
    ]
    assert "model b has no predictions on set 2 and is compared on the others" in caplog.text
    assert "model a has" not in caplog.text
    table = pd.read_csv(runs[3] / "predictions.csv", dtype=str)
    table.assign(a_score="0.5").drop(index=60).to_csv(runs[3] / "predictions.csv", index=False)
    text = _refused(*named, f"b@set 1={runs[1]}", runs[1])
    for told in (
        f"two runs are called b on data set set 1: {runs[1]} and {runs[1]}; name one",
        f"no data set named for 1b ({runs[1]}); write MODEL@DATASET=PATH for all runs, or for none",
        "data set set 2: c: label a: all 49 scores",
    ):
        assert told in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runs/swav", ("runs/swav", "swav", "")),
        ("swav=x/predictions.csv", ("x/predictions.csv", "swav", "")),
        ("swav 50%@VinDr-CXR=x=y", ("x=y", "swav 50%", "VinDr-CXR")),
        ("vit@384@nih=x", ("x", "vit@384", "nih")),
    ],
)
def test_arguments(text: str, expected: tuple[str, str, str]) -> None:
    [(path, name, data_set)], problems = run_arguments([text])
    assert (str(path), name, data_set, problems) == (*expected, [])


@pytest.mark.parametrize("text", ["=x", "@d=x", "m@=x", "m=", "m@d=", " =x"])
def test_arguments_without_a_part_are_refused(text: str) -> None:
    assert run_arguments([text, "ok"])[1] == [
        f"{text}: write PATH, MODEL=PATH or MODEL@DATASET=PATH, with no part empty"
    ]


def test_a_path_that_exists_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path / "rate=0.1")
    monkeypatch.chdir(tmp_path)
    assert [run.name for run in read_runs(["rate=0.1", "other=rate=0.1"])] == ["rate=0.1", "other"]


def test_thresholds_are_recorded_or_chosen_in_validation(tmp_path: Path) -> None:
    run = _write(tmp_path / "run")
    table = pd.read_csv(run / "predictions.csv", dtype={"image": str})
    val = table[table["split"] == "val"]
    chosen = youden_thresholds(val[["a_true", "b_true"]], val[["a_score", "b_score"]])
    assert read_runs([run])[0].thresholds == dict(zip("ab", chosen, strict=True))
    (run / "thresholds.json").write_text('{"thresholds": {"a": 0.25, "b": null}}')
    recorded = read_runs([run])[0].thresholds
    assert recorded is not None
    assert recorded["a"] == 0.25
    assert np.isnan(recorded["b"])
    # of another file in the folder it is not known whose thresholds they are
    table[table["split"] == "test"].to_csv(run / "mine.csv", index=False)
    assert read_runs([run / "mine.csv"])[0].thresholds is None
    assert read_run(run, "x").thresholds == pytest.approx(recorded, nan_ok=True)


def test_logits_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = _write(tmp_path / "run")
    table = pd.read_csv(run / "predictions.csv", dtype={"image": str})
    table.loc[40:41, "a_score"] = [-3.5, 7]
    table.to_csv(run / "predictions.csv", index=False)
    caplog.set_level(logging.WARNING)
    assert len(read_runs([run, f"same={run}"])) == 2
    assert "run: 2 of 100 scores lie outside 0 to 1, so they rank images but are no probabilities" in caplog.text


def test_a_byte_order_mark_and_ids_of_digits_are_read_to_the_letter(tmp_path: Path) -> None:
    run = _write(tmp_path / "run")
    text = (run / "predictions.csv").read_text()
    (run / "predictions.csv").write_text("\ufeff" + text, encoding="utf-8")
    [read] = read_runs([run])
    assert read.predictions is not None
    assert read.predictions["image"].tolist() == [f"{i:03d}" for i in range(80)]
    plain = _write(tmp_path / "plain")
    (plain / "predictions.csv").write_text(text.replace("\n0", "\n").replace("\n0", "\n"))
    assert "they agree but for leading zeros, which spreadsheets drop" in _refused(run, plain)
