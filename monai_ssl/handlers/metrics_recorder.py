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

"""One record of a run's course: JSON lines, TensorBoard and the log say the same."""

from __future__ import annotations

import json
import logging
import math
import os
import statistics
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from torch.utils.tensorboard import SummaryWriter

from monai_ssl.files import atomic_path

__all__ = ["MetricsRecorder"]

logger = logging.getLogger(__name__)


class MetricsRecorder:
    """
    After each epoch append one line to `metrics.jsonl` and the same values to TensorBoard.

    A line holds `epoch`, `iteration`, `loss` (mean over the epoch), `learning_rate` (of the last group, as the epoch
    leaves it), the constants given, the trainer's own metrics, and the evaluator's as `val_<name>` for epochs with
    validation. A run that goes on drops the lines after the epoch it goes on from; the losses of the epoch so far are
    in its checkpoint, as `epoch_losses` of the engine's state. Attach after the handlers that measure.

    Args:
        output_dir: the run folder.
        optimizer: whose learning rate is recorded.
        evaluator: the validation engine, or None.
        constants: named values that every line repeats, such as `chance_loss`.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike,
        optimizer: Any,
        evaluator: Engine | None = None,
        constants: dict[str, float] | None = None,
    ) -> None:
        self.path = Path(output_dir, "metrics.jsonl")
        self.optimizer, self.evaluator, self.constants = optimizer, evaluator, constants or {}
        self.writer: SummaryWriter | None = None

    def attach(self, engine: Any) -> None:
        """Follow `engine`, a trainer; rank 0 alone records."""
        if idist.get_rank() == 0:
            engine.state_dict_user_keys.append("epoch_losses")
            engine.state.epoch_losses = []
            engine.add_event_handler(Events.STARTED, self._start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._record)
            engine.add_event_handler(Events.COMPLETED, lambda _: self.writer.close() if self.writer else None)

    def _start(self, engine: Engine) -> None:
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["epoch"] <= engine.state.epoch]
        with atomic_path(self.path) as partial:
            partial.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self.writer = SummaryWriter(str(self.path.parent), purge_step=engine.state.epoch + 1)

    def _collect(self, engine: Any) -> None:
        output = engine.state.output
        engine.state.epoch_losses.append((output[0] if isinstance(output, list) else output)["loss"].item())

    def _record(self, engine: Any) -> None:
        values = {"loss": statistics.fmean(engine.state.epoch_losses)}
        values["learning_rate"] = self.optimizer.param_groups[-1]["lr"]
        engine.state.epoch_losses = []
        values.update(self.constants | engine.state.metrics)
        if self.evaluator is not None and self.evaluator.state.epoch == engine.state.epoch:
            values.update({f"val_{name}": float(value) for name, value in self.evaluator.state.metrics.items()})
        # JSON has no word for NaN, as the AUC of a label with one class is
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        line = {"epoch": engine.state.epoch, "iteration": engine.state.iteration, **finite}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(name, value, engine.state.epoch)
            self.writer.flush()
        shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        logger.info("epoch %d/%d: %s", engine.state.epoch, engine.state.max_epochs, shown)
