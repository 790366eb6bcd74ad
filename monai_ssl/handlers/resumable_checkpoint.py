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

"""Checkpoints from which a run goes on, and models that other runs start from."""

from __future__ import annotations

import logging
import math
import os
import random
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.engines import Evaluator
from torch import nn

from monai_ssl.files import atomic_path

__all__ = ["ModelSaver", "ResumableCheckpoint", "better"]

logger = logging.getLogger(__name__)


class ResumableCheckpoint:
    """
    Write all of a run's state after each epoch, and restore it when training starts.

    The file holds tensors and plain types only. It is written beside the old one and renamed, so at every moment one
    complete checkpoint exists. With item randomness from :py:class:`monai_ssl.data.SeededDataset`, a run stopped
    between two epochs ends with the weights of the uninterrupted one.

    Args:
        path: of `checkpoint.pt`.
        network, optimizer, lr_scheduler: what is saved; `lr_scheduler` may be None. Give the bare network, not its
            distributed wrapper.
        evaluator: the validation engine, whose best metric is saved too; or None.

    Raises:
        SystemExit: code 2 at the start of training, when the file is there and unreadable, or of a longer training.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        lr_scheduler: Any = None,
        evaluator: Evaluator | None = None,
    ) -> None:
        self.path = Path(path)
        self.parts: dict[str, Any] = {"network": network, "optimizer": optimizer}
        if lr_scheduler is not None:
            self.parts["lr_scheduler"] = lr_scheduler
        self.evaluator = evaluator

    def attach(self, engine: Engine) -> None:
        """Restore when `engine` starts, save when it has completed an epoch. Attach before all other handlers."""
        engine.add_event_handler(Events.STARTED, self.restore)

        # Last of all handlers of this event, so that validation and schedules of the epoch are in it.
        @engine.on(Events.STARTED)
        def save_last(engine: Engine) -> None:
            if not engine.has_event_handler(self.save, Events.EPOCH_COMPLETED):
                engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def save(self, engine: Any) -> None:
        """Write the checkpoint, on rank 0."""
        if idist.get_rank() != 0:
            return
        content = {name: part.state_dict() for name, part in self.parts.items()}
        content["engine"] = {"epoch": engine.state.epoch, "iteration": engine.state.iteration}
        content["random"] = _random_state()
        if getattr(engine, "scaler", None) is not None:
            content["scaler"] = engine.scaler.state_dict()
        if self.evaluator is not None:
            content["best"] = {
                "metric": float(self.evaluator.state.best_metric),
                "epoch": int(self.evaluator.state.best_metric_epoch),
            }
        save_tensors(self.path, content)

    def restore(self, engine: Any) -> None:
        """Restore the state when there is a checkpoint."""
        if not self.path.is_file():
            return
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            self._load(engine, content)
        except Exception as error:  # torch raises a dozen kinds for damaged files
            logger.error("%s: not a checkpoint of this run (%s); remove it to begin again", self.path, error)
            raise SystemExit(2) from error
        done, wanted = engine.state.epoch, engine.state.max_epochs
        if done > wanted:
            logger.error("%s: trained for %d epochs, --max_epochs is %d; give %d or more, or a new folder", self.path,
                         done, wanted, done)  # fmt: skip
            raise SystemExit(2)
        logger.info("%s: going on after epoch %d", self.path, done)

    def _load(self, engine: Any, content: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
        engine.state.epoch = content["engine"]["epoch"]
        engine.state.iteration = content["engine"]["iteration"]
        if "scaler" in content and getattr(engine, "scaler", None) is not None:
            engine.scaler.load_state_dict(content["scaler"])
        if self.evaluator is not None:
            self.evaluator.state.best_metric = content["best"]["metric"]
            self.evaluator.state.best_metric_epoch = content["best"]["epoch"]
        _set_random_state(content["random"])


class ModelSaver:
    """
    Write a network's weights as `model.pt`, a flat dictionary under the network's own (timm's) names.

    Attached to an evaluator with a key metric it writes whenever that metric is the best so far; attached to a trainer
    it writes after every epoch.

    Args:
        path: of `model.pt`.
        network: whose weights to write.
    """

    def __init__(self, path: str | os.PathLike, network: nn.Module) -> None:
        self.path, self.network = Path(path), network

    def attach(self, engine: Engine) -> None:
        """Write after epochs of `engine`."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        chosen = engine.state.key_metric_name is None or engine.state.best_metric_epoch == engine.state.epoch
        if chosen and idist.get_rank() == 0:
            save_tensors(self.path, self.network.state_dict())


def better(current: float, best: float) -> bool:
    """
    Whether a metric is higher than the best so far.

    Anything beats NaN, which no comparison would replace; where validation has no AUC at all, the last model is kept.
    """
    return current > best or math.isnan(best)


def save_tensors(path: str | os.PathLike, content: dict[str, Any]) -> None:
    """Write tensors and plain types with `torch.save`, atomically."""
    with atomic_path(path) as partial:
        torch.save(content, partial)


def _random_state() -> dict[str, Any]:
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002 (MONAI draws from it)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, cached],
        "python": list(random.getstate()[1]),
    }


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate((3, tuple(state["python"]), None))
