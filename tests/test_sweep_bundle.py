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


"""A sweep of the real bundle: cross-validated, from weight files that fit, do not fit, and are absent."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from killed_runs import BUNDLES, CONTEXT
from sklearn.metrics import roc_auc_score

from monai_ssl.networks import create_backbone
from monai_ssl.sweep import plan_sweep, run_sweep, summarise_sweep, sweep_slots

TRAIN = BUNDLES / "resnet_finetuning/configs/train.json"
SMALL = {"backbone": "resnet10t", "image_size": 32, "batch_size": 8, "num_workers": 0, "max_epochs": 1}


class Forked:
    """`subprocess.Popen` of a `python -m MODULE` from a server that has imported it all, which saves seconds a run."""

    def __init__(self, command, stdout, env, **_):
        log = stdout.name
        self.process = CONTEXT.Process(target=_execute, args=(command[2:], log, dict(env)))
        self.process.start()
        self.pid = self.process.pid

    def poll(self):
        return self.process.exitcode

    @property
    def returncode(self):
        return self.process.exitcode


def _execute(words, log, environment):
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """48 images of 16 patients; those with the finding have a bright square."""
    folder = tmp_path_factory.mktemp("data set 100%")
    generator = np.random.default_rng(0)
    rows = []
    for number in range(48):
        finding = (number // 3) % 2
        image = generator.integers(0, 120, (40, 40))
        image[10:25, 10:25] += 120 * finding
        cv2.imwrite(str(folder / f"{number:02d}.png"), image.astype(np.uint8))
        rows.append({"image": f"{number:02d}.png", "patient": f"{number // 3:03d}", "finding": finding})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder


def test_a_cross_validated_sweep_of_the_bundle(images, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("subprocess.Popen", Forked)
    weights = tmp_path / "weights"
    weights.mkdir()
    for name, backbone in (("fits", "resnet10t"), ("other", "resnet18")):
        torch.save(create_backbone(backbone).state_dict(), weights / f"{name}.pt")
    start = {
        "fits": {"checkpoint": "fits.pt", "freeze_epochs": 0, "grid": {"learning_rate": [0.003, 0.001]}},
        "other": {"checkpoint": "other.pt"},
        "absent": {"checkpoint": "absent.pt"},
    }
    sweep = {"config_files": [str(TRAIN)], "settings": SMALL, "grid": {"start": start}}
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))
    given = {"dataset_dir": str(images), "labels": str(images / "labels.csv"), "split_seed": 1}
    plan = plan_sweep(tmp_path / "sweep.json", tmp_path / "out", given, weights=weights, folds=2)
    outcome = run_sweep(plan, sweep_slots(jobs=2))
    # refused by load_backbone_weights, with its reason
    assert outcome.failed.keys() == {"other fold 0", "other fold 1"}
    assert all("other.pt" in lines[1] and "ERROR" in lines[1] for lines in outcome.failed.values())
    names = ["fits_learning_rate=0.003", "fits_learning_rate=0.001"]
    tested = {}
    for name in names:
        tables = [_test_rows(plan.output / name / f"fold_{fold}") for fold in range(2)]
        tested[name] = [roc_auc_score(table["finding_true"], table["finding_score"]) for table in tables]
        # each patient is tested once
        patients = [set(table["patient"]) for table in tables]
        assert not patients[0] & patients[1]
        assert len(patients[0] | patients[1]) == 16
        # what the log tells is what the predictions leave
        for run in plan.all_runs[name]:
            assert run.training_patients() == 16 - pd.read_csv(run.folder / "predictions.csv")["patient"].nunique()
    summary = summarise_sweep(plan, redraws=50)
    table = summary.scenarios.set_index("scenario")
    assert table["status"].to_dict() == dict.fromkeys(names, "complete") | {"other": "not run", "absent": "not run"}
    np.testing.assert_allclose(table.loc[names, "auc"], [np.mean(tested[name]) for name in names])
    assert summary.totals["scenarios"] == 2
    assert summary.totals["missing"]["absent"] == f"absent.pt is not in {weights}"
    assert "fits_learning_rate=0.003 fold 1: finished, test AUC" in capsys.readouterr().out


def _test_rows(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "predictions.csv")
    return table[table["split"] == "test"]
