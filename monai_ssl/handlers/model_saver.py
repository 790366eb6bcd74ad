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

"""Models that other runs start from."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from torch import nn

from monai_ssl.files import atomic_path

__all__ = ["ModelSaver", "better", "lower", "save_tensors"]


class ModelSaver:
    """
    Write a network's weights as `model.pt`, a flat dictionary under the network's own (timm's) names.

    Where the weights come from travels with them as an attribute `provenance` of that dictionary: torch keeps it, also
    with `weights_only=True`, and whoever loads weights by name does not see it.

    Attached to an evaluator with a key metric it writes whenever that metric is the best so far; attached to a trainer
    it writes after every epoch.

    Args:
        path: of `model.pt`.
        network: whose weights to write.
        provenance: plain values, such as :py:attr:`monai_ssl.run_folder.RunFolder.provenance`, or None.
    """

    def __init__(self, path: str | os.PathLike, network: nn.Module, provenance: dict[str, Any] | None = None) -> None:
        self.path, self.network, self.provenance = Path(path), network, provenance

    def attach(self, engine: Engine) -> None:
        """Write after epochs of `engine`."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        chosen = engine.state.key_metric_name is None or engine.state.best_metric_epoch == engine.state.epoch
        if chosen and idist.get_rank() == 0:
            weights = self.network.state_dict()
            if self.provenance is not None:
                vars(weights)["provenance"] = self.provenance
            save_tensors(self.path, weights)


def better(current: float, best: float) -> bool:
    """
    Whether a metric is higher than the best so far.

    Anything beats NaN, which no comparison would replace; where validation has no AUC at all, the last model is kept.
    """
    return current > best or math.isnan(best)


def lower(current: float, best: float) -> bool:
    """Whether a metric is lower than the best so far, for a loss; anything beats NaN."""
    return current < best or math.isnan(best)


def save_tensors(path: str | os.PathLike, content: dict[str, Any]) -> None:
    """Write tensors and plain types with `torch.save`, atomically."""
    with atomic_path(path) as partial:
        torch.save(content, partial)
