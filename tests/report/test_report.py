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

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_runs import ReadPage, write_run

import monai_ssl.report.build as build
from monai_ssl.metrics import METRICS, compare
from monai_ssl.report import compare_runs


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    labels = ("nodule", "mass <b>&", "empty")
    return [
        write_run(tmp_path / "swav <i>", 1, labels, "runs/swav/model.pt"),
        write_run(tmp_path / "scratch $x$_", 2, labels),
    ]


@pytest.mark.filterwarnings("ignore:label empty")
def test_page_json_and_csv_say_the_same(runs: list[Path], tmp_path: Path) -> None:
    page = ReadPage(compare_runs(runs, tmp_path / "out", redraws=60, seed=3).read_text())
    table = pd.read_csv(tmp_path / "out" / "comparison.csv")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    frames = {path.name: pd.read_csv(path / "predictions.csv") for path in runs}
    wanted = compare(frames, METRICS, redraws=60, seed=3).replace({"data_set": {"": np.nan}})
    pd.testing.assert_frame_equal(table, wanted, check_dtype=False)
    told = pd.DataFrame(report["comparisons"]).fillna(np.nan)
    pd.testing.assert_frame_equal(table[told.columns].drop(columns="data_set"), told.drop(columns="data_set"),
                                  check_dtype=False)  # fmt: skip

    def shown(name: str) -> list[list[float]]:
        return [[float(value) for value in row] for row in page.values[name] if row]

    columns = ["value_a", "value_b", "difference", "low", "high", "p_value", "q_value", "p_holm"]
    auc = table[table["metric"] == "auc"].set_index("label").loc[["macro", "micro", "nodule", "mass <b>&"]]
    with_delong = auc[[*columns, "p_delong"]].to_numpy().tolist()
    assert shown("comparisons") == [[value for value in row if value == value] for row in with_delong]
    means = table[(table["metric"] != "auc") & table["label"].isin(["macro", "micro"])].dropna(subset="value_a")
    with_mcnemar = means[[*columns, "p_mcnemar"]].to_numpy().tolist()
    assert shown("other-metrics") == [[value for value in row if value == value] for row in with_mcnemar]

    models = pd.DataFrame(report["models"]).set_index(["label", "model", "metric"]).sort_index()
    expected = []
    for label in ("macro", "micro", "nodule", "mass <b>&"):
        for path in runs:
            rows = models.loc[(label, path.name)].loc[list(METRICS)]
            values = [float(rows.loc["auc", "sd"]), *rows["value"].astype(float)]
            values[:2] = values[1::-1]
            expected.append([value for value in values if value == value])
    assert shown("models") == expected
    for sentence in report["summary"] + report["caveats"]:
        assert sentence in page.texts


@pytest.mark.filterwarnings("ignore:label empty")
def test_equal_runs_give_equal_bytes(runs: list[Path], tmp_path: Path) -> None:
    pages = [compare_runs(runs, tmp_path / name, redraws=20).parent for name in ("x", "y")]
    files = [
        {file.relative_to(page): file.read_bytes() for file in page.rglob("*") if file.is_file()} for page in pages
    ]
    assert files[0] == files[1]
    assert {"report.html", "report.json", "comparison.csv", "methods.txt", "figures/roc_macro.svg"} <= set(
        map(str, files[0])
    )


@pytest.mark.filterwarnings("ignore:label empty")
def test_page_is_self_contained_escaped_and_names_nobody(runs: list[Path], tmp_path: Path) -> None:
    path = compare_runs(runs, tmp_path / "out", redraws=20)
    page = ReadPage(path.read_text())
    for tag, name, value in page.attributes:
        if name in ("src", "href", "srcset", "action", "xlink:href"):
            assert value.startswith(("data:", "#")), (tag, name, value)
        assert not name.startswith("on")
    text = path.read_text()
    assert not re.search(r"https?:|@import|url\((?!#)", text)
    [script] = re.findall("<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    assert not {"i", "b"} & set(page.open_tags)
    assert "swav <i>" in "".join(page.texts)
    for file in (tmp_path / "out").rglob("*.*"):
        assert not re.search("secret|jane|/home", file.read_text())
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    anchors = {value[1:] for tag, name, value in page.attributes if tag == "a" and name == "href"}
    assert anchors <= set(ids)
    pictures = [value for tag, name, value in page.attributes if (tag, name) in (("svg", "role"), ("img", "alt"))]
    # ROC and precision-recall: the mean and two labels; forest: 5 of 9 metrics, as no threshold is known; training: 2
    assert len(pictures) == 3 + 3 + 3 + 2
    assert sum(tag == "figure" for tag in page.open_tags) == len(pictures)
    assert page.open_tags.count("table") == page.open_tags.count("caption")


def test_one_run_has_intervals_and_no_comparison(tmp_path: Path) -> None:
    run = write_run(tmp_path / "alone", 1, ("nodule",))
    (run / "metrics.jsonl").unlink()
    (run / "settings.json").unlink()
    path = compare_runs([run / "predictions.csv"], tmp_path / "out", redraws=20)
    page = ReadPage(path.read_text())
    assert "comparisons" not in page.values
    alone = pd.read_csv(tmp_path / "out" / "models.csv").query("metric == 'auc'")
    assert alone[["model", "images", "redraws"]].to_numpy().tolist() == [["alone", 80, 20]]
    assert alone[["value", "sd", "low", "high", "low_bca", "high_bca"]].notna().all(axis=None)
    assert len([row for row in page.values["models"] if row]) == 1
    assert pd.read_csv(tmp_path / "out" / "comparison.csv").empty


class _Store:
    def __init__(self) -> None:
        self.table = pd.DataFrame(
            {"slice": [f"v_{i}" for i in range(6)], "volume": "v", "index": range(6), "kept": [True, False] * 3}
            | {"exemplar": ["v_0", "v_0", "v_2", "v_2", "v_4", "v_4"], "distance": [0, 4] * 3}
        )
        self.settings = {"arguments": {"reduce": "dhash:6"}}

    def read(self, name: str) -> np.ndarray:
        return np.random.default_rng(int(name[-1])).random((16, 16))


@pytest.mark.filterwarnings("ignore:label empty")
def test_slices_and_pretraining_have_their_sections(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build.SliceStore, "open", lambda path: _Store())
    path = compare_runs(runs, tmp_path / "out", redraws=20, store="store", pretraining=runs[0])
    page = ReadPage(path.read_text())
    text = "".join(page.texts)
    assert "3 of 6 slices were kept (50\u00a0%)" in text
    assert [v for tag, name, v in page.attributes if (tag, name) == ("img", "alt")] == [
        f"Kept slice {i} stands for 1 more ({i} to {i + 1}), distance 4" for i in (0, 2, 4)
    ]
    assert "arguments.reduce" in text
    assert json.loads((tmp_path / "out" / "report.json").read_text())["reduction"]["exemplars"][1]["index"] == 2


def test_nothing_is_written_when_runs_cannot_be_compared(runs: list[Path], tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", 1, ("nodule",))
    with pytest.raises(ValueError, match=r"2 labels of swav <i>, scratch .* are not in other, such as empty, mass"):
        compare_runs([*runs, other], tmp_path / "out")
    assert not (tmp_path / "out").exists()
