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

"""Runs that are killed, stopped or fail at any moment, and what the same command then makes of them."""

from __future__ import annotations

import random
import re
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from killed_runs import BUNDLES, AtIteration, Ticks, ended, kill_worker, start, stop_while_predicting, terminate

COMMON = {"image_size": 32, "backbone": "test_resnet", "device": "cpu", "batch_size": 4, "max_epochs": 3}
SWAV = {
    **COMMON,
    **{"hidden_dim": 16, "embedding_dim": 8, "prototypes": 6, "freeze_prototypes_iterations": 2},
    **{"queue_length": 8, "queue_start_epoch": 0, "probe_every": 2},
}
TUNING = {
    **COMMON,
    **{"dropout": 0.5, "freeze_epochs": 1, "trained_layers": 4, "flip_prob": 0.5, "amp": True, "accumulation": 2},
    **{"layer_decay": 0.75, "head_learning_rate": 0.001, "select_by": "loss", "patience": 2},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    rows = []
    for number in range(40):
        finding = number // 2 % 2
        image = generator.integers(0, 120, (40, 40))
        image[10:25, 10:25] += 60 * finding
        cv2.imwrite(str(folder / f"{number:02d}.png"), image.astype(np.uint8))
        rows.append({"image": f"{number:02d}.png", "patient": f"p{number // 2}", "finding": finding})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def swav(images, tmp_path_factory):
    """The uninterrupted run that others are compared with."""
    folder, settings = tmp_path_factory.mktemp("swav") / "run", {"dataset_dir": images, "labels": images / "labels.csv"}
    assert ended(start("swav_pretraining", {**SWAV, **settings, "output_dir": folder, "num_workers": 0})) == [0]
    return SimpleNamespace(folder=folder, settings=settings)


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def differences(one, other):
    """Names of what two run folders do not hold alike."""
    found = []
    for name in ("metrics.jsonl", "predictions.csv", "evaluation.csv", "thresholds.json"):
        if (one / name).exists() or (other / name).exists():
            found += [name] if (one / name).read_bytes() != (other / name).read_bytes() else []
    for name in ("model.pt", "checkpoint.pt"):
        first, second = (torch.load(folder / name, weights_only=True) for folder in (one, other))
        found += [f"{name}: {key}" for key in first.keys() | second.keys() if not equal(first[key], second[key])]
    return found


@pytest.mark.parametrize(
    ("bundle", "settings", "kills"), [("swav_pretraining", SWAV, 10), ("resnet_finetuning", TUNING, 4)]
)
def test_a_run_killed_many_times_ends_as_the_uninterrupted_one(bundle, settings, kills, images, tmp_path):
    settings = {**settings, "dataset_dir": images, "labels": images / "labels.csv"}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    count = Ticks()
    assert ended(start(bundle, {**settings, "output_dir": whole, "num_workers": 0}, count)) == [0]
    generator = random.Random(0)
    for _ in range(kills):
        # never so late that all of them together could reach the end
        ticks = Ticks(at=generator.randrange(1, count.total.value // kills))
        choice = {"num_workers": generator.choice([0, 2]), "checkpoint_minutes": generator.choice([0, 0.001])}
        assert ended(start(bundle, {**settings, **choice, "output_dir": killed}, ticks)) == [-9]
        if (killed / "checkpoint.pt").exists():
            torch.load(killed / "checkpoint.pt", weights_only=True)
    assert ended(start(bundle, {**settings, "output_dir": killed, "num_workers": 1})) == [0]
    assert differences(whole, killed) == []


def test_sigterm_saves_and_the_same_command_goes_on(swav, tmp_path):
    stopped, settings = tmp_path / "stopped", {**SWAV, **swav.settings, "num_workers": 2}
    assert ended(start("swav_pretraining", {**settings, "output_dir": stopped}, AtIteration(10, terminate))) == [75]
    assert (stopped / "REQUEUE").read_text() == (
        "stopped by SIGTERM after iteration 10, epoch 2; the same command goes on from there\n"
    )
    assert torch.load(stopped / "checkpoint.pt", weights_only=True)["engine"]["iteration"] == 10
    assert ended(start("swav_pretraining", {**settings, "output_dir": stopped})) == [0]
    assert not (stopped / "REQUEUE").exists()
    assert differences(swav.folder, stopped) == []


def test_sigterm_after_training_asks_for_the_rest(images, tmp_path):
    settings = {**TUNING, "max_epochs": 1, "dataset_dir": images, "labels": images / "labels.csv", "num_workers": 1}
    settings["output_dir"] = tmp_path / "run"
    assert ended(start("resnet_finetuning", settings, stop_while_predicting)) == [75]
    assert "outside of training" in (tmp_path / "run/REQUEUE").read_text()
    assert ended(start("resnet_finetuning", settings)) == [0]
    assert (tmp_path / "run/predictions.csv").exists()
    assert not (tmp_path / "run/REQUEUE").exists()


def test_a_dead_worker_is_named_and_the_run_goes_on(swav, tmp_path):
    settings = {**SWAV, **swav.settings, "num_workers": 1, "checkpoint_minutes": 0, "output_dir": tmp_path / "run"}
    assert ended(start("swav_pretraining", settings, AtIteration(10, kill_worker))) == [2]
    said = (tmp_path / "run.log").read_text()
    assert "a process that loads data died (DataLoader worker (pid" in said
    assert re.search(r"checkpoint\.pt keeps the state after iteration (9|10)", said)  # as soon as it is noticed
    assert ended(start("swav_pretraining", settings)) == [0]
    assert differences(swav.folder, tmp_path / "run") == []


def wait_for(path, running):
    while running() and not path.exists():
        time.sleep(0.05)


def test_a_second_run_in_the_folder_is_refused(swav, tmp_path):
    settings = {**SWAV, **swav.settings, "output_dir": tmp_path / "run"}
    first = start("swav_pretraining", {**settings, "max_epochs": 1000})
    try:
        wait_for(tmp_path / "run/checkpoint.pt", first.is_alive)
        assert ended(start("swav_pretraining", settings)) == [2]
        assert "in use by another process" in (tmp_path / "run.log").read_text()
        first.terminate()
        assert ended(first) == [75]
    finally:
        first.kill()


def test_processes_stop_together_and_keep_a_queue_each(swav, tmp_path):
    """One of two gets SIGTERM; both leave, and end as two that were never stopped."""
    settings = {**SWAV, **swav.settings, "num_workers": 0, "batch_size": 2}

    def both(folder, prepare):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        overrides = {**settings, "output_dir": folder}
        configs = ("train", "multi_gpu_train")
        prepared = (None, prepare)
        return ended(*(start("swav_pretraining", overrides, prepared[r], (r, 2, port), configs) for r in (0, 1)))

    assert both(tmp_path / "whole", None) == [0, 0]
    assert both(tmp_path / "stopped", AtIteration(10, terminate)) == [75, 75]
    # they ask each other every five steps
    assert "after iteration 12, epoch 2" in (tmp_path / "stopped/REQUEUE").read_text()
    assert both(tmp_path / "stopped", None) == [0, 0]
    assert differences(tmp_path / "whole", tmp_path / "stopped") == []
    queues = [rank["buffers"]["queue"] for rank in torch.load(tmp_path / "whole/checkpoint.pt")["ranks"]]
    assert not torch.equal(*queues)


def test_torchrun_leaves_a_file_that_tells_of_sigterm(swav, tmp_path):
    settings = {**SWAV, **swav.settings, "max_epochs": 1000, "output_dir": tmp_path / "run"}
    configs = [str(BUNDLES / "swav_pretraining/configs" / f"{name}.json") for name in ("train", "multi_gpu_train")]
    words = ["--config_file", str(configs), *(str(word) for pair in settings.items() for word in pair)]
    words = [f"--{word}" if word in settings else word for word in words]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "monai.bundle", "run"]
    with open(tmp_path / "log", "w") as log:
        job = subprocess.Popen([sys.executable, "-W", "ignore", *launcher, *words], stdout=log, stderr=log)
    try:
        wait_for(tmp_path / "run/checkpoint.pt", lambda: job.poll() is None)
        job.send_signal(signal.SIGTERM)
        assert job.wait(60) != 0
    finally:
        job.kill()
    assert "stopped by SIGTERM after iteration" in (tmp_path / "run/REQUEUE").read_text(), (
        tmp_path / "log"
    ).read_text()
    torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)
