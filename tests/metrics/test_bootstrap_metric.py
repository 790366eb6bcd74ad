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

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist
from monai.engines import SupervisedEvaluator
from torch.utils.data import DataLoader

from monai_ssl.metrics import MACRO, BootstrapMetric, bootstrap_auc, redraw_models

_RANDOM = np.random.default_rng(0)
_TRUTH = (_RANDOM.random((90, 3)) < 0.3).astype(np.float32)
_SCORES = np.clip(_RANDOM.random((90, 3)) * 0.7 + 0.3 * _TRUTH, 0, 1).astype(np.float32).round(2)
_TRUTH[_RANDOM.random((90, 3)) < 0.2] = np.nan
_PATIENTS = [f"p{number % 31}" for number in range(90)]
_SPLITS = ["val" if number % 31 < 6 else "test" for number in range(90)]
_THRESHOLDS = [0.3, 0.4, 0.5]
_ENDS = {"percentile": ["low", "high"], "bca": ["low_bca", "high_bca"]}
_METRICS = ("auc", "average_precision", "sensitivity_at_specificity:0.9", "f1", "brier", "accuracy")


def _items(rows, **changed):
    return [
        {"image": torch.tensor(_SCORES[row]), "label": torch.tensor(_TRUTH[row]), "id": f"{row:02d}",
         "patient": _PATIENTS[row], "split": _SPLITS[row], **changed}
        for row in rows
    ]  # fmt: skip


def _run(items, decollate=True, runs=1, **metrics):
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(items, batch_size=16, generator=torch.Generator()),
        network=torch.nn.Identity(),
        key_val_metric=metrics,
        decollate=decollate,
    )
    for _ in range(runs):
        evaluator.run()
    return evaluator.state.metrics


def _table():
    table = pd.DataFrame({"image": [f"{row:02d}" for row in range(90)], "patient": _PATIENTS, "split": _SPLITS})
    for label in range(3):
        table[f"L{label}_true"], table[f"L{label}_score"] = _TRUTH[:, label], _SCORES[:, label].astype(float)
    return table


@pytest.mark.parametrize("decollate", [True, False])
@pytest.mark.parametrize(("interval", "stratify"), [("percentile", False), ("bca", True)])
def test_an_engine_gets_the_numbers_of_compare_in_whatever_order(interval, stratify, decollate):
    options = {"redraws": 200, "seed": 3, "stratify": stratify}
    made = {name: BootstrapMetric(name, interval=interval, thresholds=_THRESHOLDS, split="test", **options)
            for name in _METRICS}  # fmt: skip
    metrics = _run(_items(np.random.default_rng(1).permutation(90)), decollate, runs=2, **made)
    thresholds = {"m": dict(zip(["L0", "L1", "L2"], _THRESHOLDS, strict=True))}
    rows = redraw_models({"m": _table()}, _METRICS, thresholds=thresholds, **options).intervals()
    wanted = rows[rows["label"] == MACRO].set_index("metric")
    for name in _METRICS:
        got = [metrics[name + end] for end in ("", "_low", "_high")]
        assert got == wanted.loc[name, ["value", *_ENDS[interval]]].tolist(), name
    assert len(metrics) == 3 * len(_METRICS)


@pytest.mark.parametrize("patients", [_PATIENTS, None])
def test_one_label_is_that_of_bootstrap_auc(patients):
    metric = BootstrapMetric(redraws=100)
    metric.update((torch.tensor(_SCORES[:50, :1]), torch.tensor(_TRUTH[:50, :1]), patients and patients[:50]))
    metric.update((torch.tensor(_SCORES[50:, :1]), torch.tensor(_TRUTH[50:, :1]), patients and patients[50:]))
    wanted = bootstrap_auc(_TRUTH[:, :1], _SCORES[:, :1], 100, patients)
    got = metric.compute()
    assert [got["value"], got["low"], got["high"]] == [wanted.auc[0], wanted.low[0], wanted.high[0]]
    assert (got["images"], got["patients"], got["labels"]) == (90, 31 if patients else 0, 1)


def test_redraws_that_lack_a_class_are_counted(caplog):
    caplog.set_level(logging.INFO, "monai_ssl")
    truth, scores, patients = [0.0, 0, 0, 1], [0.1, 0.4, 0.35, 0.3], list("abcd")
    wanted = bootstrap_auc(truth, scores, 100, patients).invalid[0]
    items = [{"image": torch.tensor([score]), "label": torch.tensor([label]), "patient": patient}
             for score, label, patient in zip(scores, truth, patients, strict=True)]  # fmt: skip
    _run(items, ci=BootstrapMetric(redraws=100))
    assert caplog.records[-1].message.endswith(f"100 redraws of 4 patients, {wanted} left out)")
    assert 10 < wanted < 60


def test_the_log_says_what_was_redrawn_and_once_that_patients_are_unknown(caplog):
    caplog.set_level(logging.INFO, "monai_ssl")
    metrics = _run(_items(range(90)), ci=BootstrapMetric(redraws=50, split="test"))
    figures = f"{metrics['ci']:.3f} (95 % interval {metrics['ci_low']:.3f} to {metrics['ci_high']:.3f}"
    assert [record.message for record in caplog.records] == [
        f"test, {_SPLITS.count('test')} images: mean of 3 labels: auc {figures}, 50 redraws of 25 patients)"
    ]
    caplog.clear()
    _run(_items(range(90), patient=""), runs=2, ci=BootstrapMetric(redraws=50))
    said = [record.message for record in caplog.records]
    assert [text.split(":")[0] for text in said] == [said[0], "90 images", "90 images"]
    assert said[0].startswith("the items name no patient, so images are redrawn")
    assert said[1].endswith("50 redraws of images)")


def _warned(caplog):
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"split": "val"}, "test, no images, so auc is NaN"),
        ({"label": torch.ones(3)}, "test, auc is undefined for 3 of 3 labels (number 0, 1, 2), as it is where a class"),
        ({"label": torch.full((3,), torch.nan)}, "test, auc is undefined for 3 of 3 labels"),
        ({"image": torch.full((3,), torch.nan)}, "test, auc is NaN: 216 of 216 scores are NaN or infinite; did the"),
        ({"patient": "p"}, "test, auc is NaN: all 72 images are of one patient"),
    ],
)
def test_what_cannot_be_computed_is_nan_and_said_once(changed, said, caplog):
    metrics = _run(_items(range(90), **changed), runs=2, auc=BootstrapMetric(redraws=20, split="test"))
    assert list(metrics) == ["auc", "auc_low", "auc_high"]
    assert np.isnan(list(metrics.values())).all()
    [warning] = _warned(caplog)
    assert warning.startswith(said)


def test_a_label_of_one_class_is_left_out_of_the_mean_and_named(caplog):
    rows = np.flatnonzero(_TRUTH[:, 1] != 1)
    value = _run(_items(rows), auc=BootstrapMetric(redraws=20))["auc"]
    of_labels = [bootstrap_auc(_TRUTH[rows, label], _SCORES[rows, label], 1).auc[0] for label in (0, 2)]
    assert value == np.mean(of_labels)
    [warning] = _warned(caplog)
    assert warning.startswith("auc is undefined for 1 of 3 labels (number 1)")


def test_settings_that_cannot_be_are_refused_at_once():
    for settings, text in (
        ({"metric": "aucc"}, "unknown metrics: aucc"),
        ({"metric": "calibration_error"}, "calibration_error has no interval"),
        ({"interval": "normal"}, "unknown interval 'normal'"),
        ({"redraws": 0}, "redraws must be at least 1, got 0"),
        ({"metric": "f1"}, "f1 needs thresholds"),
    ):
        with pytest.raises(ValueError, match=text):
            BootstrapMetric(**settings)


def _both(rows):
    return [_run(_items(rows, **changed), ci=BootstrapMetric(redraws=100)) for changed in ({}, {"patient": ""})]


def _one_of_two_processes(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.save(_both([*range(rank, 90, 2), 0]), Path(folder) / f"{rank}.pt")  # 0 again, as a sampler fills up
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path):
    # Forked processes need not import all anew; where a GPU is in use, forking is not possible.
    start = "spawn" if torch.cuda.is_available() else "fork"
    torch.multiprocessing.start_processes(_one_of_two_processes, (str(tmp_path),), nprocs=2, start_method=start)
    expected = _both(range(90))
    assert expected[0]["ci"] == expected[1]["ci"]
    assert expected[0]["ci_low"] != expected[1]["ci_low"]
    for rank in (0, 1):
        assert torch.load(tmp_path / f"{rank}.pt", weights_only=True) == expected
