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

"""Checkpoints from which a run goes on, bit for bit."""

from __future__ import annotations

import logging
import math
import os
import time
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines import Evaluator
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from monai_ssl.handlers.failures import explain
from monai_ssl.handlers.model_saver import save_tensors
from monai_ssl.handlers.random_state import random_state, set_random_state
from monai_ssl.optimizers import follow_schedule
from monai_ssl.processes import agree, gather, leave, leave_at_once
from monai_ssl.stop_on_signal import StopOnSignal

__all__ = ["ResumableCheckpoint"]

logger = logging.getLogger(__name__)

# What a process wants after a step; of all processes' wishes the largest is done.
_GO_ON, _SAVE, _STOP, _DIVERGED = range(4)
# Processes ask each other every so many optimiser steps: each time their GPUs are waited for.
_AGREE_EVERY = 5


class ResumableCheckpoint:
    """
    Write all of a run's state after each epoch and every few minutes, and restore it when training starts.

    The file holds tensors and plain types only. It is written beside the old one and renamed, so from the first on one
    complete checkpoint exists at every moment. A run stopped anywhere ends with the weights of the uninterrupted one,
    where the randomness of its items comes from :py:class:`monai_ssl.data.SeededDataset`, their order from
    :py:class:`monai_ssl.data.EpochBatchSampler` with :py:class:`monai_ssl.handlers.EpochSeeding`, and each data loader
    has a `generator` of its own (else it draws from torch's, each time that it starts). Other handlers keep what they
    gather over an epoch in `engine.state`, under a name in `engine.state_dict_user_keys`, and it is saved too. Of
    each process are saved its random states, what it gathered, and its buffers that `DistributedDataParallel` ignores,
    such as SwAV's queue.

    A loss or weights that are no numbers end the run with code 2 before validation, model or checkpoint see them; a
    full disk or a dead worker of the data loader end it with one line that says so.

    Args:
        path: of `checkpoint.pt`.
        network, optimizer, lr_scheduler: what is saved; `lr_scheduler` may be None. Give the bare network, not its
            distributed wrapper.
        evaluator: the validation engine, whose best metric is saved too; or None.
        minutes: from one checkpoint within an epoch to the next, at least 0, which means each optimiser step.
        stop: a request to save and leave, looked for after each step; or None.
        provenance: plain values that the file keeps, such as :py:attr:`monai_ssl.run_folder.RunFolder.provenance`.

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
        minutes: float = 10.0,
        stop: StopOnSignal | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        self.path = Path(path)
        self.network = network
        self.parts: dict[str, Any] = {"network": network, "optimizer": optimizer}
        if lr_scheduler is not None:
            self.parts["lr_scheduler"] = lr_scheduler
        self.evaluator, self.minutes, self.stop, self.provenance = evaluator, minutes, stop, provenance
        self._kept = "there is no checkpoint yet"
        self._saved_at = 0.0
        self._diverged = False

    def attach(self, engine: Engine) -> None:
        """Restore when `engine` starts, save while it runs. Attach before all other handlers."""
        engine.add_event_handler(Events.STARTED, self.restore)
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.COMPLETED, lambda _: self._wait_for_signal(False))
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def save(self, engine: Any) -> None:
        """
        Write the checkpoint, on rank 0. All ranks must call this.

        Raises:
            SystemExit: code 2, when it cannot be written; the earlier one is kept.
        """
        so_far = {name: _on_cpu(getattr(engine.state, name)) for name in engine.state_dict_user_keys}
        own = {"random": random_state(), "buffers": _own_buffers(self.network), "epoch_so_far": so_far}
        ranks = gather(own)
        failure: Exception | None = None
        if idist.get_rank() == 0:
            try:
                save_tensors(self.path, self._content(engine) | {"ranks": ranks})
            except Exception as error:  # torch raises several kinds; the others must not wait for this process
                failure = error
                logger.error("%s: not written: %s; %s", self.path, explain(error) or error, self._kept)
        if agree(failure is not None):
            leave(2)
        self._note(engine)

    def restore(self, engine: Any) -> None:
        """Restore the state when there is a checkpoint. All ranks must call this."""
        problem = self._try_to_restore(engine) if self.path.is_file() else ""
        if problem:
            logger.error("%s: %s", self.path, problem)
        if agree(bool(problem)):
            leave(2)
        if agree(engine.state.iteration) != -agree(-engine.state.iteration):
            logger.error("%s: not all processes see this file; give an --output_dir on a disk that all machines share",
                         self.path)  # fmt: skip
            leave(2)

    def _begin(self, engine: Any) -> None:
        # Added now, they are the last handlers of their events, and see what all others did.
        if not engine.has_event_handler(self._after_epoch, Events.EPOCH_COMPLETED):
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._after_iteration)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._after_epoch)
        self._saved_at = time.monotonic()
        self._wait_for_signal(True)

    def _after_iteration(self, engine: Any) -> None:
        state, accumulated = engine.state, getattr(engine, "accumulation_steps", 1)
        self._look_at_loss(state)
        within = state.iteration % state.epoch_length
        asked = within // accumulated % (_AGREE_EVERY if idist.get_world_size() > 1 else 1) == 0
        if within % accumulated or not asked:
            return  # gradients gathered so far are in no checkpoint
        # The epoch's last step leaves saving and stopping to its end, after validation.
        wish = self._wish() if within else _GO_ON
        if (wish or not within) and not self._diverged and not _finite(self.network):
            self._tell_divergence(state, "weights are not finite")
        wish = agree(_DIVERGED if self._diverged else wish)
        if wish == _DIVERGED:
            leave(2)
        self._do(engine, wish)

    def _after_epoch(self, engine: Any) -> None:
        self._do(engine, agree(max(_SAVE, self._wish())))

    def _wish(self) -> int:
        if self.stop is not None and self.stop.requested:
            return _STOP
        due = idist.get_rank() == 0 and time.monotonic() - self._saved_at >= 60 * self.minutes
        return _SAVE if due else _GO_ON

    def _do(self, engine: Any, wish: int) -> None:
        if wish >= _SAVE:
            self.save(engine)
        if wish == _STOP and self.stop is not None:
            self.stop.leave(f"after iteration {engine.state.iteration}, epoch {engine.state.epoch}")

    def _look_at_loss(self, state: Any) -> None:
        output = state.output[0] if isinstance(state.output, list) else state.output
        loss = output["loss"].item()
        if not math.isfinite(loss) and not self._diverged:
            self._tell_divergence(state, f"loss is {loss}")

    def _tell_divergence(self, state: Any, what: str) -> None:
        self._diverged = True
        logger.error("the %s in epoch %d, iteration %d: training diverged; %s; lower --learning_rate and give a new "
                     "--output_dir", what, state.epoch, state.iteration, self._kept)  # fmt: skip

    def _fail(self, engine: Any, error: BaseException) -> None:
        said = explain(error)
        if not said:
            raise error
        logger.error("epoch %d, iteration %d: %s; %s; then the same command goes on", engine.state.epoch,
                     engine.state.iteration, said, self._kept)  # fmt: skip
        if idist.get_world_size() > 1:
            leave_at_once(2)  # the others do not know, and torchrun ends them
        raise SystemExit(2) from error

    def _wait_for_signal(self, waits: bool) -> None:
        if self.stop is not None:
            self.stop.waits = waits

    def _note(self, engine: Any) -> None:
        self._saved_at = time.monotonic()
        self._kept = f"{self.path} keeps the state after iteration {engine.state.iteration}"

    def _content(self, engine: Any) -> dict[str, Any]:
        state = engine.state
        content = {name: part.state_dict() for name, part in self.parts.items()}
        content["engine"] = {"iteration": state.iteration, "epoch_length": state.epoch_length}
        if self.provenance is not None:
            content["provenance"] = self.provenance
        if getattr(engine, "scaler", None) is not None:
            content["scaler"] = engine.scaler.state_dict()
        if self.evaluator is not None:
            best = self.evaluator.state
            content["best"] = {"metric": float(best.best_metric), "epoch": int(best.best_metric_epoch)}
        return content

    def _try_to_restore(self, engine: Any) -> str:
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            done, epoch_length = content["engine"]["iteration"], content["engine"]["epoch_length"]
            if epoch_length != engine.state.epoch_length:
                return (
                    f"an epoch was {epoch_length} steps, and is {engine.state.epoch_length} now, so the data have "
                    "changed; restore them or give a new --output_dir"
                )
            if done > engine.state.max_epochs * epoch_length:
                epochs = -(-done // epoch_length)
                return (
                    f"trained for {epochs} epochs, --max_epochs is {engine.state.max_epochs}; give {epochs} or more, "
                    "or a new folder"
                )
            self._load(engine, content)
        except Exception as error:  # torch raises a dozen kinds for damaged files
            return f"not a checkpoint of this run ({error}); remove it to begin again"
        logger.info("%s: going on after epoch %d, iteration %d", self.path, engine.state.epoch, done)
        self._note(engine)
        return ""

    def _load(self, engine: Any, content: dict[str, Any]) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
        if isinstance(schedule := self.parts.get("lr_scheduler"), LambdaLR):
            follow_schedule(schedule)  # training may have become longer
        engine.state.iteration = content["engine"]["iteration"]
        engine.state.epoch = engine.state.iteration // engine.state.epoch_length
        if "scaler" in content and getattr(engine, "scaler", None) is not None:
            engine.scaler.load_state_dict(content["scaler"])
        if self.evaluator is not None:
            self.evaluator.state.best_metric = content["best"]["metric"]
            self.evaluator.state.best_metric_epoch = content["best"]["epoch"]
        own = content["ranks"][idist.get_rank()]
        for name in engine.state_dict_user_keys:
            setattr(engine.state, name, own["epoch_so_far"][name])
        for name, buffer in own["buffers"].items():
            self.network.get_buffer(name).copy_(buffer)
        set_random_state(own["random"])


def _own_buffers(network: nn.Module) -> dict[str, torch.Tensor]:
    """What differs between the processes of `DistributedDataParallel`, and so is in no state of rank 0."""
    names = getattr(network, "_ddp_params_and_buffers_to_ignore", ())
    return {name: network.get_buffer(name).cpu() for name in names}


def _on_cpu(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _on_cpu(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_on_cpu(entry) for entry in value]
    return value.cpu() if isinstance(value, torch.Tensor) else value


def _finite(network: nn.Module) -> bool:
    return bool(torch.stack([parameter.detach().isfinite().all() for parameter in network.parameters()]).all())
