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

"""A kNN and a linear probe of a backbone, every few epochs of its pre-training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from torch import nn

from monai_ssl.metrics import knn_auc, linear_auc
from monai_ssl.processes import gather

__all__ = ["Probes"]


class Probes:
    """
    Put `knn_auc` and `linear_auc` into the trainer's metrics, every few epochs: how well the backbone's features, as
    they are, tell the labels of validation images from those of training images.

    The backbone is left as it was, BatchNorm's statistics too, and no random state is used, so that a run with probes
    learns the same as one without. The processes share the images, and rank 0 fits.
    Attach before :py:class:`monai_ssl.handlers.MetricsRecorder`.

    Args:
        network: the bare backbone, (B, C, s, s) to (B, D).
        data_loader: batches with `image`, `id`, `split` (`train` or `val`) and `label` (B, L), prepared as for
            inference, other ones on each rank; it needs a `generator` of its own.
        every: epochs from one probe to the next; 0 for none.

    Example:
        >>> handler = Probes(nn.Flatten(), data_loader=[], every=0)
    """

    def __init__(self, network: nn.Module, data_loader: Iterable[dict[str, Any]], every: int) -> None:
        self.network, self.data_loader, self.every = network, data_loader, every

    def attach(self, engine: Engine) -> None:
        """Follow `engine`, a trainer, on every rank."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        """Probe, where the epoch is one of those."""
        metrics = engine.state.metrics
        for name in ("knn_auc", "linear_auc"):
            metrics.pop(name, None)
        if self.every and engine.state.epoch % self.every == 0:
            with _evaluating(self.network), torch.no_grad():
                rows = [row for batch in self.data_loader for row in self._rows(batch, engine.state.device)]
            shares = gather(rows)
            if shares:
                # Sorted, since the number of processes decides who has which.
                rows = sorted((row for share in shares for row in share), key=lambda row: row[0])
                sides = [_side(rows, split) for split in ("train", "val")]
                metrics["knn_auc"] = knn_auc(*sides[0], *sides[1])
                metrics["linear_auc"] = linear_auc(*sides[0], *sides[1])

    def _rows(self, batch: dict[str, Any], device: torch.device) -> Iterator[tuple]:
        images = batch["image"].to(device, non_blocking=True)
        features = self.network(images).float().numpy(force=True)
        yield from zip(batch["id"], batch["split"], features, batch["label"].numpy(), strict=True)


def _side(rows: list[tuple], split: str) -> tuple[np.ndarray, np.ndarray]:
    chosen = [row for row in rows if row[1] == split]
    return np.stack([row[2] for row in chosen]), np.stack([row[3] for row in chosen])


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode within; parts that were in it before stay so after, as frozen ones are."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
