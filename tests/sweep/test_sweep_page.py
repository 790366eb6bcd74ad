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


"""The page of a sweep: its numbers are those of the files, it names nobody, and it holds in a real browser."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from chromium import BROWSER, chromium

from monai_ssl.report.sweep_words import short_reason, sweep_caveats, sweep_sentences
from monai_ssl.sweep import summarise_sweep

SIZES = {"train_fraction": [0.1, 1.0]}
STARTS = {"swav": {"backbone": "swav"}, "scratch": {"backbone": "scratch", "checkpoint": "absent.pt"}}


class Tables(HTMLParser):
    """Exact values by table and row, all text, and the addresses that the page names."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.table, self.text, self.addresses, self.tags = {}, None, "", [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.addresses += [found[name] for name in ("src", "href", "srcset") if found.get(name)]
        if tag == "table":
            self.table = found.get("id", "")
            self.rows[self.table] = []
        elif tag == "tr" and self.table is not None:
            self.rows[self.table].append([])
        elif tag == "data" and self.rows.get(self.table):
            self.rows[self.table][-1].append(float(found["value"]))

    def handle_endtag(self, tag):
        self.table = None if tag == "table" else self.table

    def handle_data(self, data):
        self.text += data

    def values(self, table):
        return [row for row in self.rows[table] if row]


def write_runs(plan, skip=(), patients=30):
    for number, (name, runs) in enumerate(plan.all_runs.items()):
        for fold, run in enumerate(runs):
            if (name, fold) in skip:
                continue
            rows = 2 * patients
            truth = np.random.default_rng(fold).integers(0, 2, rows)
            noise = np.random.default_rng([number, fold]).random(rows)
            table = pd.DataFrame({"image": [f"secret-{fold}-{n}" for n in range(rows)], "split": "test"})
            table["patient"] = [f"jane-{fold}-{n // 2}" for n in range(rows)]
            table = table.assign(**{"mass <b>_true": truth, "mass <b>_score": 0.2 * number * truth + noise})
            run.folder.mkdir(parents=True)
            table.to_csv(run.folder / "predictions.csv", index=False)
            record = {"settings": {"max_epochs": 2}, "finished_epochs": 2, "versions": {"torch": "2.9"}}
            (run.folder / "settings.json").write_text(json.dumps(record))
            run.log.write_text(f" INFO train: {20 * number} images of {10 * number + 10} patients; positives: x 1\n")


def page_of(plan, **options):
    summary = summarise_sweep(plan, redraws=30, **options)
    summary.write(plan.output)
    return summary, Tables((plan.output / "sweep.html").read_text(encoding="utf-8"))


def test_page_and_files_say_the_same(bench):
    plan = bench.plan(folds=3)
    write_runs(plan, skip=[("two_learning_rate=0.01", 2)])
    summary, page = page_of(plan)
    table = pd.read_csv(plan.output / "scenarios.csv")
    totals = json.loads((plan.output / "summary.json").read_text())
    wanted = table[["learning_rate", "folds_done", "auc", "low", "high", "sd", "sd_over_folds"]].to_numpy()
    np.testing.assert_array_equal([row[:7] for row in page.values("scenario-table")], wanted)
    by = [[row["scenarios"], row["auc"], row["low"], row["high"], row["sd_over_scenarios"], row["sd_over_redraws"]]
          for row in totals["by"]["network"].values()]  # fmt: skip
    assert page.values("by-1") == [[value for value in row if value is not None] for row in by]
    folds = [
        [test["images"], test["patients"], *(row[name] for name in ("auc", "low", "high", "sd_over_scenarios"))]
        for test, row in zip(totals["tested"], totals["over_folds"]["each"], strict=True)
    ]
    assert [row[:6] for row in page.values("fold-table")] == folds
    mixed = [totals["mixed_over_scenarios_and_redraws"], totals["over_folds"]["mixed_over_folds_and_redraws"]]
    assert [row[-3:] for row in page.values("mixed-table")] == [list(each.values()) for each in mixed]
    for sentence in ("not an interval of the mean", "1 of 4 scenarios are not complete (1 partial)", "SHA-256"):
        assert sentence in page.text
    assert "confidence" not in page.text
    assert "torch2.9" in re.sub(r"\s", "", page.text)
    assert summary.totals == totals


def test_page_is_self_contained_escaped_and_names_nobody(bench):
    weights = bench.root / "jane doe" / "study" / "weights"
    weights.mkdir(parents=True)
    plan = bench.plan({"start": {**STARTS, "there": {"backbone": "one"}}, "rate": {"a": {}}}, weights=weights)
    write_runs(plan, skip=[("scratch_a", 0)])
    _, page = page_of(plan)
    text = (plan.output / "sweep.html").read_text(encoding="utf-8")
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not re.search(r"https?:|@import|secret-|jane|/tmp/|url\((?!#)", text)
    assert "absent.pt is not in .../study/weights" in page.text
    assert "b" not in page.tags
    assert "mass <b> is positive in" in page.text
    assert page.tags.count("table") == page.tags.count("caption")
    before = text
    page_of(plan)
    assert (plan.output / "sweep.html").read_text(encoding="utf-8") == before


def test_caveats_come_only_where_the_data_demand_them(bench):
    plan = bench.plan({"backbone": ["x", "y"]}, folds=3)
    write_runs(plan, patients=150)
    _, page = page_of(plan)
    for word in ("not complete", "one split", "Only 1", "Few images", "no patients", "one score", "Two folds"):
        assert word not in page.text
    assert "The highest of 2 scenarios was found on the test patients themselves" in page.text
    assert "The SD over scenarios is no standard error" in page.text
    assert "training sets overlap" in page.text


def test_one_split_few_patients_and_constant_scores_are_said(bench):
    plan = bench.plan({"backbone": ["x", "y"]})
    write_runs(plan, patients=12)
    [run] = plan.all_runs["backbone=y"]
    table = pd.read_csv(run.folder / "predictions.csv")
    table.assign(**{"mass <b>_score": 0.5}).to_csv(run.folder / "predictions.csv", index=False)
    _, page = page_of(plan)
    for sentence in (
        "There is one split",
        "Only 12 test patients",
        "one score: backbone=y.",
        "Few images of the rarer",
    ):
        assert sentence in page.text
    assert "fold-table" not in page.rows


def test_a_learning_curve_has_its_view(bench):
    config = json.loads((bench.root / "train.json").read_text()) | {"train_fraction": 1.0}
    (bench.root / "train.json").write_text(json.dumps(config))
    plan = bench.plan({"start": {"swav": {"backbone": "swav"}, "scratch": {"backbone": "no"}}, **SIZES})
    write_runs(plan)
    summary, page = page_of(plan)
    curve = summary.totals["learning_curve"]
    shown = [row[:5] for row in page.values("points")]
    names = ("fraction", "patients", "auc", "low", "high")
    assert shown == [[point[name] for name in names] for point in curve["points"]]
    names = ("fraction", "subsets", "difference", "low", "high", "sd", "p_value", "q_value")
    assert page.values("differences") == [[row[name] for name in names] for row in curve["differences"]]
    assert "with 10 % of the training patients" in page.text
    assert (plan.output / "learning_curve.svg").is_file()


def test_nothing_finished_is_still_a_page(bench):
    plan = bench.plan()
    plan.output.mkdir()
    _, page = page_of(plan)
    assert "0 of 4 scenarios are complete" in page.text
    assert "There is no mean" in page.text
    assert not (plan.output / "scenarios.svg").exists()


def test_words_of_nothing_are_none(bench):
    totals = summarise_sweep(bench.plan(), redraws=5).totals
    numbers = {"totals": totals, "scenarios": [], "one_split": True}
    assert len(sweep_sentences(numbers)) == 2
    assert sweep_caveats(numbers) == [
        "There is one split: nothing here shows how the result varies with the choice of the training patients."
    ]


@pytest.mark.parametrize(
    ("text", "folders", "shown"),
    [
        ("in /a b/c d/weights", ["/a b/c d/weights"], "in .../c d/weights"),
        ("/scratch/jane/x/y.pt: bad, /home/jane/z.pt too", [], ".../x/y.pt: bad, .../jane/z.pt too"),
        ("1/2 of and/or", [], "1/2 of and/or"),
    ],
)
def test_reasons_are_cut_to_what_may_be_shared(text, folders, shown):
    assert short_reason(text, folders) == shown


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_page_in_chromium(bench, tmp_path):
    config = json.loads((bench.root / "train.json").read_text()) | {"train_fraction": 1.0}
    (bench.root / "train.json").write_text(json.dumps(config))
    long_name = "a_start_with_a_name_that_is_longer_than_a_telephone_is_wide_and_has_no_place_to_break"
    starts = {long_name: {"backbone": "swav"}, "scratch": {"backbone": "no"}}
    plan = bench.plan({"start": starts, **SIZES}, folds=2)
    write_runs(plan, skip=[("scratch_train_fraction=1.0", 1)])
    summary, _ = page_of(plan)
    with chromium(tmp_path / "profile") as page:
        for width in (360, 768, 1280):
            page.size(width)
            page.open(plan.output / "sweep.html")
            assert page.value("document.documentElement.scrollWidth") <= width
        page.click("#scenario-table th:nth-child(5) button")
        cells = "document.querySelectorAll('#scenario-table tbody td:nth-child(5) > data')"
        assert page.value(f"[...{cells}].map(cell => Number(cell.value))") == sorted(summary.scenarios["auc"])
        assert page.complaints == []
