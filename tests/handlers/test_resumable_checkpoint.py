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

import math
import resource
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, ValidationHandler
from torch import nn
from torch.utils.data import DataLoader

from monai_ssl.data.sampling import EpochBatchSampler, SeededDataset
from monai_ssl.handlers import EpochSeeding, MetricsRecorder, ModelSaver, ResumableCheckpoint, better
from monai_ssl.optimizers import warmup_cosine


class StopError(Exception):
    """The machine is gone."""


def run(folder, epochs, stop_at=None, poison_at=None, poison="weights", minutes=10.0, length=10, accumulate=1):
    """Train a network with dropout; the validation metric is a random draw, so that RNG states are tested too."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(1)
    data = [
        {"image": torch.rand(4, generator=generator), "label": torch.rand(2, generator=generator)}
        for _ in range(length)
    ]
    dataset = SeededDataset(data)
    sampler = EpochBatchSampler(length, 3, seed=0)
    scheduler = warmup_cosine(optimizer, total_steps=4 * epochs, warmup_steps=2)
    evaluator = SupervisedEvaluator("cpu", DataLoader(dataset, 5), network, metric_cmp_fn=better, decollate=False)
    evaluator.state.key_metric_name = "auc"
    evaluator.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(auc=float(torch.rand(())))
    )

    @evaluator.on(Events.EPOCH_COMPLETED)
    def compare(engine):
        if better(engine.state.metrics["auc"], engine.state.best_metric):
            engine.state.best_metric, engine.state.best_metric_epoch = engine.state.metrics["auc"], engine.state.epoch

    ModelSaver(folder / "model.pt", network).attach(evaluator)
    trainer = SupervisedTrainer(
        "cpu",
        epochs,
        DataLoader(dataset, batch_sampler=sampler, generator=torch.Generator()),
        network,
        optimizer,
        nn.MSELoss(),
        decollate=False,
        train_handlers=[
            ResumableCheckpoint(folder / "checkpoint.pt", network, optimizer, scheduler, evaluator, minutes),
            EpochSeeding(sampler),
            LrScheduleHandler(scheduler, epoch_level=False, print_lr=False),
            ValidationHandler(1, evaluator),
            MetricsRecorder(folder, optimizer, evaluator),
        ],
        accumulation_steps=accumulate,
    )
    rates = []
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda _: rates.append(optimizer.param_groups[0]["lr"]))

    def maybe_stop(engine):
        if engine.state.iteration == stop_at:
            raise StopError

    def maybe_poison(engine):
        if engine.state.iteration == poison_at:
            what = network[0].weight.data if poison == "weights" else engine.state.output["loss"]
            what.fill_(math.nan)

    trainer.add_event_handler(Events.ITERATION_COMPLETED, maybe_stop)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, maybe_poison)
    trainer.run()
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    return SimpleNamespace(state=state, best=evaluator.state.best_metric, random=torch.get_rng_state(), rates=rates)


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@pytest.mark.parametrize("stop_at", [1, 6, 12, 15, 23])
@pytest.mark.parametrize("minutes", [0, 10])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_stopped_run_ends_as_the_uninterrupted_one(tmp_path, stop_at, minutes, accumulate):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = run(tmp_path / "a", 6, accumulate=accumulate)
    with pytest.raises(StopError):
        run(tmp_path / "b", 6, stop_at, minutes=minutes, accumulate=accumulate)
    resumed = run(tmp_path / "b", 6, minutes=minutes, accumulate=accumulate)
    steps = 4 if minutes else accumulate  # from one checkpoint to the next
    assert len(resumed.rates) == 24 - (stop_at - 1) // steps * steps
    assert equal(whole.state, resumed.state)
    assert whole.best == resumed.best
    assert torch.equal(whole.random, resumed.random)
    assert (tmp_path / "a/metrics.jsonl").read_bytes() == (tmp_path / "b/metrics.jsonl").read_bytes()
    assert equal(*(torch.load(tmp_path / side / "model.pt", weights_only=True) for side in "ab"))


def test_more_epochs_follow_the_longer_schedule(tmp_path):
    run(tmp_path, 3)
    longer = run(tmp_path, 6)
    (tmp_path / "at once").mkdir()
    assert longer.rates == run(tmp_path / "at once", 6).rates[12:]
    assert longer.state["scheduler"]["last_epoch"] == 6 * 4


def test_other_data_are_noticed(tmp_path, caplog):
    run(tmp_path, 2)
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, 3, length=13)
    assert stop.value.code == 2
    assert "an epoch was 4 steps, and is 5 now" in caplog.text


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs limits on file size")
def test_a_full_disk_spares_the_checkpoint(tmp_path, caplog):
    """A limit on the size of files stands in for the full disk: to the writer both are an error of the system."""
    run(tmp_path, 2)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(SystemExit) as stop:
            run(tmp_path, 6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert stop.value.code == 2
    assert "the disk is full; free space; " in caplog.text
    assert "checkpoint.pt keeps the state after iteration 8" in caplog.text
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert not list(tmp_path.glob(".*partial"))


def test_a_damaged_checkpoint_is_named(tmp_path, caplog):
    run(tmp_path, 2)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, 3)
    assert stop.value.code == 2
    assert "checkpoint.pt: not a checkpoint of this run" in caplog.text


def test_a_shorter_training_than_was_done_is_refused(tmp_path, caplog):
    run(tmp_path, 3)
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, 2)
    assert stop.value.code == 2
    assert "trained for 3 epochs, --max_epochs is 2" in caplog.text


@pytest.mark.parametrize(("poison", "what"), [("weights", "weights are not finite"), ("loss", "loss is nan")])
@pytest.mark.parametrize("iteration", [9, 12])
def test_divergence_ends_the_run_and_spares_checkpoint_and_model(tmp_path, caplog, poison, what, iteration):
    run(tmp_path, 2)
    before = [(tmp_path / name).read_bytes() for name in ("model.pt", "metrics.jsonl")]
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, 6, poison_at=iteration, poison=poison, minutes=0)
    assert stop.value.code == 2
    assert f"the {what} in epoch 3, iteration {iteration}: training diverged" in caplog.text
    assert f"checkpoint.pt keeps the state after iteration {iteration - 1}" in caplog.text
    network = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["network"]
    assert all(tensor.isfinite().all() for tensor in network.values())
    assert before == [(tmp_path / name).read_bytes() for name in ("model.pt", "metrics.jsonl")]


@pytest.mark.parametrize(
    ("current", "best", "expected"),
    [(0.6, 0.5, True), (0.5, 0.5, False), (0.1, math.nan, True), (math.nan, 0.5, False), (math.nan, math.nan, True)],
)
def test_nan_never_keeps_a_number_out(current, best, expected):
    assert better(current, best) is expected


def test_a_model_tells_where_it_comes_from_and_loads_as_any_other(tmp_path):
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    provenance = {"settings": {"seed": 3, "crop_sizes": [224, 96], "window": None}, "versions": {"torch": "2"}}
    engine = Engine(lambda engine, batch: None)
    engine.state.key_metric_name = None
    ModelSaver(tmp_path / "model.pt", network, provenance).attach(engine)
    engine.run([0])
    weights = torch.load(tmp_path / "model.pt", weights_only=True)
    assert weights.provenance == provenance
    assert list(weights) == list(network.state_dict())
    other = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    other.load_state_dict(weights, strict=True)
    assert torch.equal(other[0].weight, network[0].weight)
