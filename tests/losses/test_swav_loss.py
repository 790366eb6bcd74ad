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
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from monai_ssl.losses import SwAVLoss, sinkhorn
from monai_ssl.networks import SwAVNet, SwAVOutput


def slow_codes(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Algorithm 1 of the paper, in float64 and in logarithms, so that nothing can vanish."""
    logits = scores.double() / epsilon
    samples, prototypes = logits.shape
    for _ in range(iterations):
        logits = logits - logits.logsumexp(dim=0, keepdim=True) - math.log(prototypes)
        logits = logits - logits.logsumexp(dim=1, keepdim=True) - math.log(samples)
    return (logits + math.log(samples)).exp()


def slow_loss(output: SwAVOutput, temperature: float, epsilon: float, iterations: int) -> Tensor:
    """The training loop of the paper, pair by pair."""
    crops, total = len(output.scores), torch.zeros((), dtype=torch.float64)
    for i in (0, 1):
        scores = output.scores[i].detach()
        if output.queue_scores is not None:
            scores = torch.cat((output.queue_scores[i], scores))
        codes = slow_codes(scores, epsilon, iterations)[-len(output.scores[i]) :]
        for v in range(crops):
            if v != i:
                log_p = F.log_softmax(output.scores[v].double() / temperature, dim=1)
                total = total - (codes * log_p).sum(dim=1).mean() / (crops - 1)
    return total / 2


def cosines(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1


@pytest.mark.parametrize("epsilon", [0.03, 0.05, 0.5])
@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_codes_equal_the_algorithm_of_the_paper(epsilon: float, iterations: int) -> None:
    torch.manual_seed(0)
    scores = cosines(16, 30)
    codes = sinkhorn(scores, epsilon, iterations)
    assert codes.dtype == torch.float32
    torch.testing.assert_close(codes.double(), slow_codes(scores, epsilon, iterations), rtol=1e-4, atol=1e-7)


def test_marginals_are_uniform() -> None:
    torch.manual_seed(0)
    codes = sinkhorn(cosines(64, 20), iterations=200)
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(64))
    torch.testing.assert_close(codes.sum(dim=0), torch.full((20,), 64 / 20), rtol=1e-3, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("scale", [1.0, 30.0, 1e3])
def test_large_scores_never_give_nan(scale: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    scores = cosines(32, 50) * scale
    scores[0] -= 3 * scale  # a sample far below the others
    scores[:, 1] -= 3 * scale  # a prototype far from all samples
    codes = sinkhorn(scores.to(dtype))
    assert torch.isfinite(codes).all()
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(32), rtol=1e-4, atol=0)


def test_batches_stacked_are_batches_apart() -> None:
    scores = cosines(2, 8, 11)
    torch.testing.assert_close(sinkhorn(scores), torch.stack([sinkhorn(scores[0]), sinkhorn(scores[1])]))


def test_autocast_does_not_touch_the_codes() -> None:
    scores = cosines(8, 11)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = sinkhorn(scores)
    assert torch.equal(codes, sinkhorn(scores))


@pytest.mark.parametrize("queue", [0, 24])
def test_loss_and_gradient_equal_the_loop_of_the_paper(queue: int) -> None:
    torch.manual_seed(0)
    leaves = [cosines(6, 30).requires_grad_() for _ in range(5)]
    output = SwAVOutput(leaves, [cosines(queue, 30), cosines(queue, 30)] if queue else None)
    loss = SwAVLoss(temperature=0.1, epsilon=0.05, iterations=3)(output, None)
    expected = slow_loss(output, 0.1, 0.05, 3)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    gradients = torch.autograd.grad(loss, leaves)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, leaves), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("queue", [0, 24])
def test_codes_loss_and_gradient_equal_lightlys(queue: int) -> None:
    lightly = pytest.importorskip("lightly.loss.swav_loss", reason="lightly is not installed")
    torch.manual_seed(0)
    scores = [cosines(6, 30).requires_grad_() for _ in range(5)]
    queued = [cosines(queue, 30), cosines(queue, 30)] if queue else None
    torch.testing.assert_close(sinkhorn(scores[0]), lightly.sinkhorn(scores[0].detach()), rtol=1e-5, atol=1e-5)
    loss = SwAVLoss()(SwAVOutput(scores, queued))
    expected = lightly.SwaVLoss()(scores[:2], scores[2:], queued).squeeze()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    gradients = torch.autograd.grad(loss, scores)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, scores), rtol=1e-5, atol=1e-5)


def test_a_loss_that_is_scaled_has_scaled_gradients() -> None:
    scores = [cosines(6, 30).requires_grad_() for _ in range(3)]
    loss = SwAVLoss()(SwAVOutput(scores))
    once, scaled = (torch.autograd.grad(loss * scale, scores, retain_graph=True) for scale in (1, 1024))
    torch.testing.assert_close(scaled, [gradient * 1024 for gradient in once])


def test_equal_scores_cost_ln_k() -> None:
    scores = torch.full((4, 300), 0.3)
    assert SwAVLoss()(SwAVOutput([scores] * 4)).item() == pytest.approx(math.log(300), rel=1e-6)


def test_positions_of_assigned_crops_are_respected() -> None:
    torch.manual_seed(0)
    a, b, c = (cosines(6, 10) for _ in range(3))
    loss = SwAVLoss(assign_crops=(2, 1))(SwAVOutput([a, b, c]))
    torch.testing.assert_close(loss, SwAVLoss()(SwAVOutput([c, b, a])))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0}, "temperature"),
        ({"epsilon": 0}, "epsilon"),
        ({"iterations": 0}, "iterations"),
        ({"assign_crops": ()}, "assign_crops"),
        ({"assign_crops": (0, 0)}, "assign_crops"),
    ],
)
def test_wrong_settings_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SwAVLoss(**arguments)


def test_wrong_outputs_are_refused() -> None:
    scores = cosines(4, 5)
    with pytest.raises(ValueError, match="got 1 crops"):
        SwAVLoss()(SwAVOutput([scores]))
    with pytest.raises(ValueError, match="queue_length=0"):
        SwAVLoss(assign_crops=(1, 0))(SwAVOutput([scores, scores], [scores, scores]))


def _network() -> SwAVNet:
    torch.manual_seed(1)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(16, 6))
    backbone.num_features = 6
    return SwAVNet(backbone, hidden_dim=0, output_dim=4, prototypes=7, queue_length=8)


def _one_of_two_processes(rank: int, folder: str, crops: Tensor) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    half = 4 * rank
    network = nn.parallel.DistributedDataParallel(_network())
    for step in crops:
        network.zero_grad()
        output = network(list(step[:, half : half + 4]))
        loss = SwAVLoss()(output)
        loss.backward()
    codes = sinkhorn(output.scores[0].detach())
    gradients = [parameter.grad for parameter in network.parameters()]
    result = {"codes": codes, "loss": loss.detach(), "gradients": gradients, "queue": network.module.queue}
    torch.save(result, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_equal_one_with_twice_the_batch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    crops = torch.rand(4, 3, 8, 1, 4, 4)  # steps, crops, batch; the fourth step uses the queue of either size
    # Forked processes need not import all anew; where a GPU is in use, forking is not possible.
    start = "spawn" if torch.cuda.is_available() else "fork"
    torch.multiprocessing.start_processes(_one_of_two_processes, (str(tmp_path), crops), nprocs=2, start_method=start)
    results = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]

    network = _network()
    network.queue = torch.zeros(2, 16, 4)
    for step in crops:
        network.zero_grad()
        output = network(list(step))
        loss = SwAVLoss()(output)
        loss.backward()
    assert output.queue_scores is not None
    codes = sinkhorn(output.scores[0].detach())
    torch.testing.assert_close(torch.cat([result["codes"] for result in results]), codes)
    torch.testing.assert_close((results[0]["loss"] + results[1]["loss"]) / 2, loss.detach())
    for ours, theirs in zip(results[0]["gradients"], network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.grad)
    queues = torch.stack([result["queue"] for result in results], dim=1).unflatten(2, (2, 4)).transpose(1, 2)
    torch.testing.assert_close(queues.flatten(1, 3), network.queue)
