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

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, ValidationHandler
from torch import nn
from torch.utils.data import DataLoader

from monai_ssl.data.sampling import EpochBatchSampler, SeededDataset
from monai_ssl.handlers import EpochSeeding, MetricsRecorder, ModelSaver, ResumableCheckpoint, better
from monai_ssl.optimizers import warmup_cosine


class StopError(Exception):
    """The machine is gone."""


def run(folder, epochs, stop_at=None, poison_at=None):
    """Train a network with dropout; the validation metric is a random draw, so that RNG states are tested too."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(1)
    data = [
        {"image": torch.rand(4, generator=generator), "label": torch.rand(2, generator=generator)} for _ in range(10)
    ]
    dataset = SeededDataset(data)
    sampler = EpochBatchSampler(10, 3, seed=0)
    scheduler = warmup_cosine(optimizer, total_steps=4 * 6, warmup_steps=2)
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
        DataLoader(dataset, batch_sampler=sampler),
        network,
        optimizer,
        nn.MSELoss(),
        decollate=False,
        train_handlers=[
            ResumableCheckpoint(folder / "checkpoint.pt", network, optimizer, scheduler, evaluator),
            EpochSeeding(sampler),
            LrScheduleHandler(scheduler, epoch_level=False, print_lr=False),
            ValidationHandler(1, evaluator),
            MetricsRecorder(folder, optimizer, evaluator),
        ],
    )

    def maybe_stop(engine):
        if engine.state.iteration == stop_at:
            raise StopError

    def maybe_poison(engine):
        if engine.state.iteration == poison_at:
            network[0].weight.data.fill_(math.nan)

    trainer.add_event_handler(Events.ITERATION_COMPLETED, maybe_stop)
    trainer.add_event_handler(Events.ITERATION_STARTED, maybe_poison)
    trainer.run()
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    return state, evaluator.state.best_metric, torch.get_rng_state()


def equal(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


@pytest.mark.parametrize("stop_at", [1, 6, 12, 23])
def test_a_stopped_run_ends_as_the_uninterrupted_one(tmp_path, stop_at):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = run(tmp_path / "a", 6)
    with pytest.raises(StopError):
        run(tmp_path / "b", 6, stop_at=stop_at)
    resumed = run(tmp_path / "b", 6)
    assert equal(whole[0], resumed[0])
    assert whole[1] == resumed[1]
    assert torch.equal(whole[2], resumed[2])
    assert (tmp_path / "a/metrics.jsonl").read_bytes() == (tmp_path / "b/metrics.jsonl").read_bytes()
    assert equal(*(torch.load(tmp_path / side / "model.pt", weights_only=True) for side in "ab"))


def test_more_epochs_go_on_from_the_end(tmp_path):
    run(tmp_path, 3)
    assert run(tmp_path, 6)[0]["scheduler"]["last_epoch"] == 6 * 4


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


def test_a_diverged_loss_ends_the_run_and_spares_the_checkpoint(tmp_path, caplog):
    run(tmp_path, 2)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(SystemExit) as stop:
        run(tmp_path, 6, poison_at=9)
    assert stop.value.code == 2
    assert "epoch 3, iteration 9" in caplog.text
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("current", "best", "expected"),
    [(0.6, 0.5, True), (0.5, 0.5, False), (0.1, math.nan, True), (math.nan, 0.5, False), (math.nan, math.nan, True)],
)
def test_nan_never_keeps_a_number_out(current, best, expected):
    assert better(current, best) is expected
