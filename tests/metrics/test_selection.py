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

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from ignite.engine import Engine
from monai.handlers import IgniteMetricHandler, from_engine
from torch import nn

from monai_ssl.metrics import MeanAccuracy, MeanLoss

_RANDOM = np.random.default_rng(0)
_LOGITS = torch.tensor(_RANDOM.normal(size=(23, 4)), dtype=torch.float32)
_LABELS = torch.tensor(_RANDOM.random((23, 4)) < 0.4).float()
_UNKNOWN = _LABELS.masked_fill(torch.tensor(_RANDOM.random((23, 4)) < 0.3), torch.nan)
_CLASSES = nn.functional.one_hot(torch.tensor(_RANDOM.integers(4, size=23)), 4).float()


def _known_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    known = ~labels.isnan()
    return nn.functional.binary_cross_entropy_with_logits(logits[known], labels[known])


def _run(metric: IgniteMetricHandler, scores: torch.Tensor, labels: torch.Tensor, rows: list[int]) -> float:
    def step(engine: Engine, batch: list[int]) -> list[dict[str, torch.Tensor]]:
        return [{"pred": scores[i], "label": labels[i]} for i in batch]

    engine = Engine(step)
    IgniteMetricHandler(metric_fn=metric, output_transform=from_engine(["pred", "label"]), save_details=False).attach(
        engine, "value"
    )
    engine.run([rows[:5], rows[5:7], rows[7:]])  # batches of unlike sizes
    engine.run([rows[:5], rows[5:7], rows[7:]])
    return engine.state.metrics["value"]


def _loop_accuracy(scores: torch.Tensor, labels: torch.Tensor) -> float:
    shares = []
    for label in range(4):
        right = [
            float((scores[i, label] >= 0.5) == labels[i, label]) for i in range(23) if not labels[i, label].isnan()
        ]
        shares.append(sum(right) / len(right))
    return sum(shares) / 4


def _all(rows: list[int]) -> dict[str, float]:
    scores = _LOGITS.sigmoid()
    return {
        "multilabel": _run(MeanAccuracy(), scores, _UNKNOWN, rows),
        "multiclass": _run(MeanAccuracy("multiclass"), _LOGITS.softmax(1), _CLASSES, rows),
        "loss": _run(MeanLoss(_known_loss), _LOGITS, _UNKNOWN, rows),
        "weighted": _run(MeanLoss(nn.CrossEntropyLoss(weight=torch.arange(1.0, 5.0))), _LOGITS, _CLASSES, rows),
    }


def _expected() -> dict[str, float]:
    right = [float(_LOGITS[i].argmax() == _CLASSES[i].argmax()) for i in range(23)]
    known = [(i, j) for i in range(23) for j in range(4) if not _UNKNOWN[i, j].isnan()]
    losses = [nn.functional.softplus(_LOGITS[i, j] * (1 - 2 * _UNKNOWN[i, j])).item() for i, j in known]
    return {
        "multilabel": _loop_accuracy(_LOGITS.sigmoid(), _UNKNOWN),
        "multiclass": sum(right) / 23,
        "loss": sum(losses) / len(losses),
        "weighted": nn.CrossEntropyLoss(weight=torch.arange(1.0, 5.0))(_LOGITS, _CLASSES).item(),
    }


def test_metrics_equal_plain_loops() -> None:
    assert _all(list(range(23))) == pytest.approx(_expected(), abs=1e-6)


def test_unknown_classes_and_labels_are_left_out() -> None:
    metric = MeanAccuracy("multiclass")
    metric(torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]), torch.tensor([[1, 0], [torch.nan, torch.nan], [1, 0]]))
    assert metric.aggregate() == 0.5
    metric = MeanAccuracy()
    metric(torch.tensor([[0.9, 0.1]]), torch.tensor([[torch.nan, torch.nan]]))
    assert np.isnan(metric.aggregate())
    with pytest.raises(ValueError, match="unknown task 'binary'"):
        MeanAccuracy("binary")


def _one_of_two_processes(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.save(_all(list(range(rank, 23, 2))), Path(folder) / f"{rank}.pt")  # 12 images and 11
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    # Forked processes need not import all anew; where a GPU is in use, forking is not possible.
    start = "spawn" if torch.cuda.is_available() else "fork"
    torch.multiprocessing.start_processes(_one_of_two_processes, (str(tmp_path),), nprocs=2, start_method=start)
    for rank in (0, 1):
        values = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert values == pytest.approx(_expected(), abs=1e-6)
