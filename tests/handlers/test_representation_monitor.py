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
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from monai.engines import SupervisedTrainer
from monai.metrics import compute_embedding_collapse
from torch import nn
from torch.utils.data import DataLoader

from monai_ssl.data.sampling import EpochBatchSampler, SeededDataset
from monai_ssl.engines import PrepareViews
from monai_ssl.handlers import EpochSeeding, MetricsRecorder, RepresentationMonitor, ResumableCheckpoint
from monai_ssl.handlers.representation_advice import representation_advice
from monai_ssl.losses import SwAVLoss, sinkhorn
from monai_ssl.networks import SwAVNet, SwAVOutput

NAMES = {
    *("prototype_entropy", "dead_prototypes", "code_entropy", "embedding_std", "embedding_collapse"),
    *("gradient_norm", "gradient_norm_max"),
}
GOOD = {"loss": 3.0, "embedding_std": 0.8, "embedding_collapse": 0.6, "dead_prototypes": 10}


def leave(_):
    raise SystemExit


def norm(parameters):
    return math.sqrt(sum(float((p.grad.double() ** 2).sum()) for p in parameters if p.grad is not None))


def train(folder, accumulate=1, stop_at=None, constant=False, rate=0.1, watch=None, patience=0):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(16, 6))
    backbone.num_features = 6
    network = SwAVNet(backbone, hidden_dim=0, output_dim=4, prototypes=7)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(1)
    draws = [[torch.rand(1, 4, 4, generator=generator) for _ in range(3)] for _ in range(24)]
    data = [{"image": [torch.ones(1, 4, 4)] * 3 if constant else draw} for draw in draws]
    sampler = EpochBatchSampler(len(data), 4, seed=0, drop_last=True)
    loss = SwAVLoss()
    trainer = SupervisedTrainer(
        "cpu",
        2,
        DataLoader(SeededDataset(data), batch_sampler=sampler, generator=torch.Generator()),
        network,
        optimizer,
        loss,
        prepare_batch=PrepareViews(),
        decollate=False,
        accumulation_steps=accumulate,
        train_handlers=[
            ResumableCheckpoint(folder / "checkpoint.pt", network, optimizer, minutes=0),
            EpochSeeding(sampler),
            RepresentationMonitor(loss, network, patience),
            MetricsRecorder(folder, optimizer),
        ],
    )
    if watch is not None:
        trainer.add_event_handler(Events.ITERATION_COMPLETED, watch, network)
    if stop_at is not None:
        # the start of a step, after the checkpoint of the one before
        trainer.add_event_handler(Events.ITERATION_STARTED(once=stop_at), leave)
    trainer.run()
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_values_are_those_of_a_plain_loop(tmp_path, accumulate):
    seen = []

    def watch(engine, network):
        output = engine.state.output["pred"]
        seen.append(
            SimpleNamespace(
                scores=[scores.detach().numpy() for scores in output.scores[:2]],
                codes=sinkhorn(torch.stack(output.scores[:2]).detach()).numpy(),
                embeddings=output.embeddings.numpy().astype(np.float64),
                norm=norm(network.parameters()),
            )
        )

    lines = train(tmp_path, accumulate, watch=watch)
    for line, steps in zip(lines, (seen[:6], seen[6:]), strict=True):
        counts = np.zeros(7)
        entropies, deviations = [], []
        for step in steps:
            for crop in range(2):
                for row in range(4):
                    counts[np.argmax(step.scores[crop][row])] += 1
                    code = step.codes[crop][row]
                    entropies.append(-sum(p * math.log(p) for p in code if p > 0))
            deviations.append(np.var(step.embeddings, axis=0, ddof=1).sum())
        shares = counts[counts > 0] / counts.sum()
        norms = [step.norm for step in steps[accumulate - 1 :: accumulate]]
        expected = {
            "prototype_entropy": -(shares * np.log(shares)).sum() / math.log(7),
            "dead_prototypes": (counts == 0).sum(),
            "code_entropy": np.mean(entropies) / math.log(7),
            "embedding_std": math.sqrt(np.mean(deviations)),
            "gradient_norm": np.mean(norms),
            "gradient_norm_max": max(norms),
        }
        embeddings = np.concatenate([step.embeddings - step.embeddings.mean(axis=0) for step in steps])
        expected["embedding_collapse"] = float(
            compute_embedding_collapse(torch.from_numpy(embeddings))["effective_rank_score"]
        )
        assert expected.keys() == NAMES
        for name, value in expected.items():
            assert line[name] == pytest.approx(value, abs=1e-5), name


@pytest.mark.parametrize("stop_at", [3, 7, 10])
def test_a_run_that_goes_on_within_an_epoch_measures_the_same(tmp_path, stop_at):
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    train(tmp_path / "whole")
    with pytest.raises(SystemExit):
        train(tmp_path / "stopped", stop_at=stop_at)
    train(tmp_path / "stopped")
    whole, stopped = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "stopped"))
    assert stopped == whole


def outputs(seed, batch):
    generator = torch.Generator().manual_seed(seed)
    unit = nn.functional.normalize(torch.randn(2, 6, batch, 4, generator=generator), dim=-1)
    prototypes = nn.functional.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    return [(list(crops @ prototypes.T), crops[0]) for crops in unit.unbind(1)]


def measure(steps):
    """What the monitor puts into the metrics for an epoch of these outputs; their codes are the softmax of scores."""
    loss, network = SwAVLoss(), nn.Linear(1, 1)
    network.weight.grad = torch.ones(1, 1)

    def step(engine, batch):
        scores, embeddings = steps[batch]
        loss.codes = torch.stack(scores).softmax(-1)
        return {"pred": SwAVOutput(scores, None, embeddings), "loss": torch.tensor(1.0)}

    engine = Engine(step)
    RepresentationMonitor(loss, network, patience=math.inf).attach(engine)
    engine.run(range(len(steps)))
    return engine.state.metrics


def one_of_two(rank, folder, result):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    result[rank] = measure(outputs(rank, 5))
    dist.destroy_process_group()


def test_processes_measure_together(tmp_path):
    context = torch.multiprocessing.get_context("spawn" if torch.cuda.is_available() else "fork")
    with context.Manager() as manager:
        result = manager.dict()
        workers = [context.Process(target=one_of_two, args=(rank, tmp_path, result)) for rank in (0, 1)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        results = [result[0], result[1]]
    # Each step's batch is that of one process, and deviations are from its mean.
    expected = measure([step for rank in (0, 1) for step in outputs(rank, 5)])
    assert results[0] == results[1]
    assert results[0] == pytest.approx(expected, rel=1e-5)


def test_a_collapsed_run_is_told_of_once(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        lines = train(tmp_path, constant=True, rate=0.01)
    assert lines[1]["embedding_std"] == pytest.approx(0, abs=1e-3)
    assert lines[1]["dead_prototypes"] >= 4
    said = [record.getMessage() for record in caplog.records]
    assert sum("embedding_std 0.000: the representation has collapsed" in text for text in said) == 1
    assert (
        len([text for text in said if re.match(r"epoch 1/2: dead_prototypes \d of 7: most were nearest to no", text)])
        == 1
    )
    assert len([text for text in said if "loss" in text and "does not get below ln(7) = 1.946" in text]) == 1
    assert all("epoch 1/2" in text for text in said)


def test_no_warning_while_training_warms_up(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        train(tmp_path, constant=True, rate=0.01, patience=7)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, []),
        ({"loss": 6.1}, ["loss"]),  # ln 500 is 6.21
        ({"loss": 6.0}, []),
        ({"loss": 7.0}, ["loss"]),
        ({"embedding_std": 0.09}, ["embeddings"]),
        ({"embedding_collapse": 0.99}, ["embeddings"]),
        ({"embedding_std": math.nan, "embedding_collapse": math.nan}, []),
        ({"dead_prototypes": 251}, ["dead_prototypes"]),
        ({"dead_prototypes": 250}, []),
    ],
)
def test_what_is_warned_of(change, named):
    found = representation_advice({**GOOD, **change}, prototypes=500, assigned=1000)
    assert list(found) == named
    assert all("ry " in text and "--" in text for text in found.values())


def test_few_images_leave_prototypes_dead_without_blame():
    assert representation_advice({**GOOD, "dead_prototypes": 480}, prototypes=500, assigned=100) == {}
