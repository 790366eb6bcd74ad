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

"""The SwAV network: backbone, projection head, prototypes and queue."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SwAVNet", "SwAVOutput"]

_QUEUED_CROPS = 2


class SwAVOutput(NamedTuple):
    """
    What `SwAVNet` returns: scores of every crop against the prototypes, and what the loss needs beside them.

    Attributes:
        scores: one (B, K) tensor per crop, cosine similarities in [-1, 1].
        queue_scores: one (Q, K) tensor for each of the first two crops once the queue is full, else None. No gradient.
        embeddings: (B, D) unit vectors of the first crop, without gradient, for monitoring.
    """

    scores: list[Tensor]
    queue_scores: list[Tensor] | None = None
    embeddings: Tensor | None = None


class SwAVNet(nn.Module):
    """
    Score the crops of an image against learned prototypes (swapping assignments between views).

    Prototypes stay on the unit sphere: they are normalised in place before each forward pass in training, so that the
    optimiser sees unit vectors as in the original; in evaluation a normalised copy is used and nothing changes. The
    projection is normalised and compared in float32 also under autocast, since scores are divided by small numbers.

    Args:
        backbone: maps (B, C, s, s) to (B, num_features) and has `num_features`, see `create_backbone`.
        hidden_dim: width of the projection head's hidden layer; 0 makes the head a single linear layer.
        output_dim: width D of the projection.
        prototypes: number K of prototypes.
        queue_length: Q, past projections kept per process for each of the first two crops, to make the assignments of
            a small batch meaningful; 0 for none. Used once it is full; each process of a distributed run has its own.

    Attributes:
        queue_open: False keeps the queue as it is, and unused; see `monai_ssl.handlers.OpenQueue`.

    Raises:
        ValueError: when an argument is out of range.

    Example:
        >>> import torch
        >>> from monai_ssl.networks import SwAVNet, create_backbone
        >>> network = SwAVNet(create_backbone("resnet18"), hidden_dim=512, prototypes=30)
        >>> output = network([torch.rand(2, 1, 64, 64), torch.rand(2, 1, 64, 64), torch.rand(2, 1, 32, 32)])
        >>> [tuple(scores.shape) for scores in output.scores]
        [(2, 30), (2, 30), (2, 30)]

    Reference: Caron et al., Unsupervised learning of visual features by contrasting cluster assignments, NeurIPS 2020,
    https://arxiv.org/abs/2006.09882, https://github.com/facebookresearch/swav.
    """

    queue: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        hidden_dim: int = 2048,
        output_dim: int = 128,
        prototypes: int = 500,
        queue_length: int = 0,
    ) -> None:
        super().__init__()
        _check_sizes(hidden_dim, output_dim, prototypes, queue_length)
        self.backbone = backbone
        self.projection_head = _projection_head(_width(backbone), hidden_dim, output_dim)
        self.prototypes = nn.Linear(output_dim, prototypes, bias=False)
        self.register_buffer("queue", torch.zeros(_QUEUED_CROPS, queue_length, output_dim))
        self.queue_open = True
        # DistributedDataParallel copies rank 0's buffers to all before each step, but a queue belongs to its rank.
        self._ddp_params_and_buffers_to_ignore = ["queue"]

    def forward(self, crops: Sequence[Tensor] | Tensor) -> SwAVOutput:
        """
        Args:
            crops: one (B, C, s, s) tensor per crop, or a single tensor. Neighbours of equal size share a backbone call.

        Returns:
            see `SwAVOutput`.
        """
        crops = [crops] if isinstance(crops, Tensor) else list(crops)
        _check_crops(crops, queue_length=self.queue.shape[1] if self.training else 0)
        features = [self.backbone(torch.cat(same)) for same in _runs_of_one_size(crops)]
        projections = self.projection_head(torch.cat(features))
        with torch.autocast(projections.device.type, enabled=False):
            embeddings = F.normalize(projections.float(), dim=1)
            weights = self._unit_prototypes()
            scores = list(F.linear(embeddings, weights).chunk(len(crops)))
            by_crop = embeddings.detach().chunk(len(crops))
            queue_scores = self._advance_queue(by_crop, weights.detach()) if self.training else None
        return SwAVOutput(scores, queue_scores, by_crop[0])

    def _unit_prototypes(self) -> Tensor:
        if not self.training:
            return F.normalize(self.prototypes.weight, dim=1)
        with torch.no_grad():
            self.prototypes.weight.copy_(F.normalize(self.prototypes.weight, dim=1))
        return self.prototypes.weight

    @torch.no_grad()
    def _advance_queue(self, embeddings: Sequence[Tensor], weights: Tensor) -> list[Tensor] | None:
        length = self.queue.shape[1]
        if length == 0 or not self.queue_open:
            return None
        # Embeddings are unit vectors, so a last row that is not zero says that the queue has been filled.
        full = bool(self.queue[:, -1].any())
        scores = list(F.linear(self.queue, weights)) if full else None
        for crop in range(_QUEUED_CROPS):
            self.queue[crop] = torch.cat((embeddings[crop], self.queue[crop]))[:length]
        return scores


def _projection_head(features: int, hidden_dim: int, output_dim: int) -> nn.Module:
    if hidden_dim == 0:
        return nn.Linear(features, output_dim)
    return nn.Sequential(
        nn.Linear(features, hidden_dim),
        nn.BatchNorm1d(hidden_dim),
        nn.ReLU(inplace=True),
        nn.Linear(hidden_dim, output_dim),
    )


def _width(backbone: nn.Module) -> int:
    width = getattr(backbone, "num_features", None)
    if not isinstance(width, int):
        raise ValueError(f"the backbone must have num_features, an integer, got {width!r}; use create_backbone")
    return width


def _runs_of_one_size(crops: list[Tensor]) -> list[list[Tensor]]:
    return [list(run) for _, run in groupby(crops, key=lambda crop: crop.shape[-2:])]


def _check_sizes(hidden_dim: int, output_dim: int, prototypes: int, queue_length: int) -> None:
    wrong = [
        f"{name} must be at least {least}, got {value}"
        for name, value, least in (
            ("hidden_dim", hidden_dim, 0),
            ("output_dim", output_dim, 1),
            ("prototypes", prototypes, 2),
            ("queue_length", queue_length, 0),
        )
        if value < least
    ]
    if wrong:
        raise ValueError("; ".join(wrong))


def _check_crops(crops: list[Tensor], queue_length: int) -> None:
    if not crops:
        raise ValueError("SwAVNet needs at least one crop, got an empty list")
    if len({crop.shape[0] for crop in crops}) > 1:
        sizes = ", ".join(str(crop.shape[0]) for crop in crops)
        raise ValueError(f"all crops must come from the same images, got batches of {sizes} images")
    if queue_length and len(crops) < _QUEUED_CROPS:
        raise ValueError(
            f"a queue needs at least {_QUEUED_CROPS} crops in training, got {len(crops)}; "
            "add crops or set queue_length=0"
        )
