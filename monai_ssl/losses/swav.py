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

"""The SwAV loss: predict the cluster assignment of one crop from all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from monai_ssl.networks.swav import SwAVOutput

__all__ = ["SwAVLoss", "sinkhorn"]

_LEAST_MASS = 1e-25  # of a prototype far from all samples: keeps factors and their sums finite in float32


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """
    Soft assignments of samples to prototypes that use every prototype equally (Sinkhorn-Knopp).

    The matrix exp(scores / epsilon) is never rescaled itself: one factor per prototype and one per sample are updated
    in turn, which costs two matrix-vector products an iteration. Each sample's largest score is subtracted first and
    given back through the sample's first factor, so that no sample vanishes, however large or small its scores are.

    Args:
        scores: (B, K), or (..., B, K) for several batches at once. When torch.distributed is initialised these are the
            rows of this process, and the prototypes are balanced over all processes.
        epsilon: smoothness, greater than 0; smaller gives harder assignments.
        iterations: rounds of normalising prototypes, then samples; at least 1.

    Returns:
        codes of the shape of `scores`, float32, without gradient: each row sums to 1.

    Raises:
        ValueError: when `epsilon` or `iterations` is out of range.

    Example:
        >>> import torch
        >>> from monai_ssl.losses import sinkhorn
        >>> sinkhorn(torch.eye(2)).round()
        tensor([[1., 0.],
                [0., 1.]])

    Reference: Cuturi, Sinkhorn distances, NeurIPS 2013, https://arxiv.org/abs/1306.0895.
    """
    _check_sinkhorn(epsilon, iterations)
    with torch.autocast(scores.device.type, enabled=False):
        logits = scores.float() / epsilon
        peaks = logits.amax(dim=-1, keepdim=True)
        kernel = logits.sub_(peaks).exp_()
        sample_factors = torch.exp(peaks - _over_all_processes(peaks.amax(dim=-2, keepdim=True), "MAX"))
        for _ in range(iterations):
            mass = _over_all_processes(sample_factors.mT @ kernel, "SUM")
            # Relative to the mean mass, factors keep their size over many iterations (the scale is free).
            prototype_factors = mass.mean(dim=-1, keepdim=True) / mass.clamp_min(_LEAST_MASS)
            sample_factors = (kernel @ prototype_factors.mT).reciprocal_()
        return kernel.mul_(sample_factors).mul_(prototype_factors)


class SwAVLoss(nn.Module):
    """
    Cross-entropy between the assignment of each of two crops and the predictions from all other crops.

    A value near ln(number of prototypes) means that nothing has been learned yet.

    Args:
        temperature: divides the scores before the softmax, greater than 0.
        epsilon: smoothness of the assignments, greater than 0, see `sinkhorn`.
        iterations: rounds of `sinkhorn`, at least 1.
        assign_crops: positions of the crops whose assignments are predicted. A queue holds the first two crops, and
            goes with the default only.

    Attributes:
        codes: of the last call, (assigned crops, B, K), for monitoring.

    Raises:
        ValueError: when an argument is out of range.

    Example:
        >>> import torch
        >>> from monai_ssl.losses import SwAVLoss
        >>> from monai_ssl.networks import SwAVOutput
        >>> scores = torch.zeros(4, 100)
        >>> SwAVLoss()(SwAVOutput([scores, scores, scores]))  # ln(100)
        tensor(4.6052)

    Reference: Caron et al., NeurIPS 2020, https://arxiv.org/abs/2006.09882.
    """

    def __init__(
        self,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        assign_crops: Sequence[int] = (0, 1),
    ) -> None:
        super().__init__()
        _check_sinkhorn(epsilon, iterations)
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        if not assign_crops or min(assign_crops) < 0 or len(set(assign_crops)) < len(assign_crops):
            raise ValueError(f"assign_crops must be different positions from 0, got {tuple(assign_crops)}")
        self.temperature = temperature
        self.epsilon = epsilon
        self.iterations = iterations
        self.assign_crops = tuple(assign_crops)
        self.codes: Tensor | None = None

    def forward(self, output: SwAVOutput, target: Any = None) -> Tensor:
        """
        Args:
            output: what `SwAVNet` returns for at least two crops.
            target: not used; there for MONAI's trainers, which call `loss(prediction, label)`.

        Returns:
            a scalar, float32.
        """
        self._check(output)
        with torch.autocast(output.scores[0].device.type, enabled=False):
            codes = self._codes(output.scores, output.queue_scores)
            wanted = self._wanted(codes, len(output.scores))
            loss: Tensor = _CrossEntropy.apply(self.temperature, wanted, *output.scores)
        return loss

    @torch.no_grad()
    def _wanted(self, codes: Tensor, crops: int) -> list[Tensor]:
        """What each crop has to predict: the codes of all assigned crops but its own, summed and weighted."""
        codes = codes * (1 / (len(codes) * codes.shape[1] * (crops - 1)))
        everyones = codes.sum(dim=0)
        own = dict(zip(self.assign_crops, codes, strict=True))
        return [everyones - own[crop] if crop in own else everyones for crop in range(crops)]

    @torch.no_grad()
    def _codes(self, scores: list[Tensor], queue_scores: list[Tensor] | None) -> Tensor:
        assigned = torch.stack([scores[crop] for crop in self.assign_crops]).float()
        batch = assigned.shape[1]
        if queue_scores is not None:
            assigned = torch.cat((torch.stack(queue_scores).float(), assigned), dim=1)
        self.codes = sinkhorn(assigned, self.epsilon, self.iterations)[:, -batch:]
        return self.codes

    def _check(self, output: SwAVOutput) -> None:
        crops = len(output.scores)
        if crops < 2 or max(self.assign_crops) >= crops:
            raise ValueError(
                f"assign_crops {self.assign_crops} need two crops and all of their positions, got {crops} crops"
            )
        if output.queue_scores is not None and self.assign_crops != tuple(range(len(output.queue_scores))):
            raise ValueError(f"the queue holds crops (0, 1), got assign_crops {self.assign_crops}; set queue_length=0")


class _CrossEntropy(torch.autograd.Function):
    """
    Sum over crops of -wanted . log_softmax(scores / temperature).

    Crop by crop, so that a crop stays in the processor's cache, and with the gradient by hand, in fewer passes.
    """

    @staticmethod
    def forward(ctx: Any, temperature: float, wanted: list[Tensor], *scores: Tensor) -> Tensor:
        log_p = [F.log_softmax(crop.float() / temperature, dim=1) for crop in scores]
        ctx.save_for_backward(*log_p, *wanted)
        ctx.temperature, ctx.dtype = temperature, scores[0].dtype
        agreement = [torch.dot(log_q.flatten(), codes.flatten()) for log_q, codes in zip(log_p, wanted, strict=True)]
        return -torch.stack(agreement).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        scale, crops = grad_output / ctx.temperature, len(ctx.saved_tensors) // 2
        gradients = [
            log_q.exp().mul_(codes.sum(dim=1, keepdim=True)).sub_(codes).mul_(scale).to(ctx.dtype)
            for log_q, codes in zip(ctx.saved_tensors[:crops], ctx.saved_tensors[crops:], strict=True)
        ]
        return None, None, *gradients


def _over_all_processes(values: Tensor, operation: Literal["MAX", "SUM"]) -> Tensor:
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        values = values.contiguous()
        dist.all_reduce(values, op=getattr(dist.ReduceOp, operation))
    return values


def _check_sinkhorn(epsilon: float, iterations: int) -> None:
    if epsilon <= 0:
        raise ValueError(f"epsilon must be above 0, got {epsilon}")
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
