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

"""Whether a self-supervised run learns: how its prototypes are used, and whether its embeddings collapse."""

from __future__ import annotations

import logging
import math
from typing import Any, cast

import ignite.distributed as idist
import torch
from ignite.engine import Events
from monai.metrics import EmbeddingCollapseMetric
from torch import Tensor, nn

from monai_ssl.handlers.representation_advice import representation_advice
from monai_ssl.losses import SwAVLoss

__all__ = ["RepresentationMonitor"]

logger = logging.getLogger(__name__)

_RECENT = 1024  # embeddings, of the last steps of an epoch, whose rank is judged


class RepresentationMonitor:
    """
    Measure each epoch of SwAV training, and warn in words when it does not learn.

    Into the trainer's metrics go, of all processes and steps together:

    - `prototype_entropy`, of how often each prototype is the nearest to an assigned crop, 0 (one takes all) to 1;
    - `dead_prototypes`, the number of those that were nearest to no assigned crop in the whole epoch;
    - `code_entropy`, the mean of the codes' entropies, 0 (one prototype each) to 1 (no preference);
    - `embedding_std`, the root of the summed variances of the unit embeddings within a batch, 0 (all alike) to 1;
    - `embedding_collapse`, MONAI's effective rank score of the epoch's last 1024 embeddings less their batch's
      mean, 1 being collapsed;
    - `gradient_norm` and `gradient_norm_max`, the mean and the largest over the optimiser's steps, without clipping.

    Each step costs a few small kernels and does not wait for the GPU. What was gathered so far is in the checkpoint, as
    `representation` of the engine's state. Attach before :py:class:`monai_ssl.handlers.MetricsRecorder`.

    Args:
        loss: of the trainer, which keeps the codes of its last call.
        network: whose gradients are measured.
        patience: iterations before the first epoch that is judged: warm-up, and prototypes frozen.

    See https://monai.readthedocs.io/en/latest/metrics.html for `EmbeddingCollapseMetric`.
    """

    def __init__(self, loss: SwAVLoss, network: nn.Module, patience: float = 0) -> None:
        self.loss, self.network, self.patience = loss, network, patience
        self.collapse = EmbeddingCollapseMetric(include_indicators=["effective_rank"])
        self._told: set[str] = set()

    def attach(self, engine: Any) -> None:
        """Follow `engine`, a trainer, on every rank."""
        engine.state_dict_user_keys.append("representation")
        engine.state.representation = {}
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._gather)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._conclude)

    @torch.no_grad()
    def _gather(self, engine: Any) -> None:
        state, output = engine.state, engine.state.output["pred"]
        nearest = torch.stack([output.scores[crop] for crop in self.loss.assign_crops]).argmax(dim=-1).flatten()
        so_far = state.representation or _nothing(output.scores[0].shape[1])
        so_far = {name: _to(value, nearest.device) for name, value in so_far.items()}
        so_far["usage"].index_add_(0, nearest, torch.ones_like(nearest))
        embeddings = output.embeddings
        code_entropy = torch.special.entr(self.loss.codes).sum(dim=-1).mean()
        # From the batch's own mean: the network moves on from step to step, also one that maps all images to one point.
        deviations = embeddings - embeddings.mean(dim=0)
        so_far["sums"] += torch.stack([state.output["loss"].detach(), code_entropy, deviations.square().sum()])
        so_far["steps"] += 1
        so_far["freedom"] += len(embeddings) - 1
        keep = -(-_RECENT // (len(embeddings) * idist.get_world_size()))
        so_far["recent"] = [*so_far["recent"], deviations][-keep:]
        if state.iteration % state.epoch_length % getattr(engine, "accumulation_steps", 1) == 0:
            self._add_gradient(so_far["gradient"])
        state.representation = so_far

    def _add_gradient(self, gradient: Tensor) -> None:
        parts = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        norm = torch.stack(torch._foreach_norm(parts)).norm().to(gradient.dtype)
        counts = norm.isfinite()  # with float16 a step whose gradients overflow is not taken
        norm = torch.where(counts, norm, 0)
        gradient.copy_(torch.stack([gradient[0] + norm, gradient[1] + counts, torch.maximum(gradient[2], norm)]))

    def _conclude(self, engine: Any) -> None:
        state = engine.state
        so_far, state.representation = state.representation, {}
        usage = cast(Tensor, idist.all_reduce(so_far["usage"]))
        sums = (cast(Tensor, idist.all_reduce(so_far["sums"])) / idist.get_world_size()).tolist()
        recent = cast(Tensor, idist.all_gather(torch.cat(so_far["recent"]))).cpu()
        # Gradients are the same on all processes.
        gradient_sum, gradient_steps, gradient_max = so_far["gradient"].tolist()
        collapse = self.collapse(recent)["effective_rank_score"] if len(recent) > 1 else None
        scale, freedom = math.log(len(usage)), so_far["freedom"]
        values = {
            "prototype_entropy": float(torch.special.entr(usage.double().cpu() / usage.sum().cpu()).sum()) / scale,
            "dead_prototypes": int((usage == 0).sum()),
            "code_entropy": sums[1] / so_far["steps"] / scale,
            "embedding_std": math.sqrt(sums[2] / freedom) if freedom else math.nan,
            "embedding_collapse": float(collapse) if freedom and collapse is not None else math.nan,
            "gradient_norm": gradient_sum / gradient_steps if gradient_steps else math.nan,
            "gradient_norm_max": gradient_max,
        }
        state.metrics.update(values)
        if state.iteration - state.epoch_length >= self.patience and idist.get_rank() == 0:
            self._warn(state, {"loss": sums[0] / so_far["steps"], **values}, len(usage), int(usage.sum()))

    def _warn(self, state: Any, values: dict[str, float], prototypes: int, assigned: int) -> None:
        found = representation_advice(values, prototypes, assigned)
        for name, text in found.items():
            if name not in self._told:
                logger.warning("epoch %d/%d: %s", state.epoch, state.max_epochs, text)
        self._told |= set(found)


def _nothing(prototypes: int) -> dict[str, Any]:
    return {
        "usage": torch.zeros(prototypes, dtype=torch.int64),
        "sums": torch.zeros(3),  # loss, code entropy, squared deviation of embeddings
        "gradient": torch.zeros(3),  # sum, count, largest
        **{"steps": 0, "freedom": 0, "recent": []},
    }


def _to(value: Any, device: torch.device) -> Any:
    """What a checkpoint restored is on the CPU."""
    if isinstance(value, list):
        return [_to(entry, device) for entry in value]
    return value.to(device) if isinstance(value, Tensor) else value
