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

"""Runs to report on, and what a report's page says, for the tests."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd


def write_run(
    folder: Path, seed: int, labels: tuple[str, ...], checkpoint: str | None = None, val: bool = False
) -> Path:
    """A finished run on 80 images of 40 patients, the same for all seeds; with `val` half of them are of that split."""
    folder.mkdir(parents=True)
    truth = np.random.default_rng(3).random((80, len(labels))) < 0.4
    scores = np.random.default_rng(seed).random(truth.shape) + 0.2 * truth
    table = pd.DataFrame({"image": [f"secret-image-{i}" for i in range(80)], "split": "test"})
    if val:
        table["split"] = np.where(np.arange(80) // 2 % 2, "val", "test")
    table.insert(1, "patient", [f"secret-patient-{i // 2}" for i in range(80)])
    for i, label in enumerate(labels):
        table[f"{label}_true"] = 0 if label == "empty" else truth[:, i].astype(int)
        table[f"{label}_score"] = scores[:, i]
    table.to_csv(folder / "predictions.csv", index=False)
    rows = [{"epoch": e, "iteration": 9 * e, "loss": 1 / e, "val_auc": 0.5 + e / 20} for e in range(1, 6)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"max_epochs": 5, "checkpoint": checkpoint, "dataset_dir": "/home/jane/study/slices", "seed": 0}
    record = {"settings": settings, "versions": {"torch": "2.9"}, "finished_epochs": 5}
    (folder / "settings.json").write_text(json.dumps(record))
    return folder


class ReadPage(HTMLParser):
    """Cells of each table as lists of texts and exact values; attributes of all elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: dict[str, list[list[str]]] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self.table, self.open_tags, self.texts = "", [], []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        self.open_tags.append(tag)
        found = dict(attributes)
        if tag == "table":
            self.table = found.get("id") or ""
            self.values[self.table] = []
        elif tag == "tr" and self.table in self.values:
            self.values[self.table].append([])
        elif tag == "data" and self.values.get(self.table):
            self.values[self.table][-1].append(str(found["value"]))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
