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
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from monai_ssl.sweep import plan_sweep

CONFIG = {
    **{"dataset_dir": "data", "output_dir": "out", "labels": None, "backbone": "resnet18", "checkpoint": None},
    **{"learning_rate": 0.001, "max_epochs": 2, "folds": None, "fold": 0, "seconds": 0, "device": "cpu"},
}
GRID = {
    "network": {"one": {"backbone": "one"}, "two": {"backbone": "two"}},
    "learning_rate": [0.1, 0.01],
}


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A sweep of a stand-in for the bundle, in a folder with an awkward name."""
    root = tmp_path / "a sweep, 100%s"
    root.mkdir()
    (root / "data").mkdir()
    (root / "train.json").write_text(json.dumps(CONFIG))
    monkeypatch.setattr("monai_ssl.sweep.runs.PROGRAM", (sys.executable, str(Path(__file__).with_name("fake_run.py"))))
    monkeypatch.setattr("monai_ssl.sweep.conduct._POLL_SECONDS", 0.01)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def write(grid=GRID, **content):
        (root / "sweep.json").write_text(json.dumps({"config_files": ["train.json"], "grid": grid, **content}))

    def plan(grid=GRID, settings=None, content=None, **options):
        write(grid, **(content or {}))
        settings = {"dataset_dir": str(root / "data"), **(settings or {})}
        return plan_sweep(root / "sweep.json", root / "out", settings, **options)

    def events(what="begin"):
        file = root / "data/events.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
        return [line for line in lines if what in (None, line["what"])]

    return SimpleNamespace(root=root, out=root / "out", write=write, plan=plan, events=events)
