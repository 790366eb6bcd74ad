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

"""A progress bar over a whole run."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

__all__ = ["RunProgress"]

logger = logging.getLogger(__name__)


class RunProgress:
    """
    Show the steps of a run with the time left, the epoch and what is left of it, images a second of all processes, the
    share of time that waited for data, and the loss: on a terminal, where log lines then stand above the bar.

    Everywhere, a line of the log after each epoch of training says the same of the epoch. A share of waiting above some
    percent asks for more `num_workers`, a faster disk or a smaller reduction of the images on the way.

    Args:
        name: what is running, shown in front.
        key: of the images, or of the list of views, in a batch.
    """

    def __init__(self, name: str, key: str = "image") -> None:
        self.name, self.key = name, key
        self.bar: tqdm | None = None
        self._shown = ExitStack()
        self._begun = self._asked = self._waited = 0.0
        self._steps = self._images = 0

    def attach(self, engine: Engine) -> None:
        """Follow `engine`; rank 0 alone shows a bar."""
        if idist.get_rank() == 0:
            engine.add_event_handler(Events.STARTED, self._start)
            engine.add_event_handler(Events.EPOCH_STARTED, self._begin)
            engine.add_event_handler(Events.GET_BATCH_STARTED, self._ask)
            engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._receive)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._tell)
            engine.add_event_handler(Events.COMPLETED, self._close)

    def _start(self, engine: Any) -> None:
        state = engine.state
        total = state.max_epochs * state.epoch_length
        self.bar = tqdm(total=total, initial=state.iteration, desc=self.name, unit="step", disable=None, leave=False)
        if not self.bar.disable:
            self._shown.enter_context(logging_redirect_tqdm())

    def _begin(self, _: Engine) -> None:
        self._begun, self._waited, self._steps, self._images = time.perf_counter(), 0.0, 0, 0

    def _ask(self, _: Engine) -> None:
        self._asked = time.perf_counter()

    def _receive(self, _: Engine) -> None:
        self._waited += time.perf_counter() - self._asked

    def _step(self, engine: Any) -> None:
        state = engine.state
        self._steps += 1
        self._images += _count(state.batch, self.key) * idist.get_world_size()
        if self.bar is None or self.bar.disable:
            return
        loss = f", loss {_output(state)['loss'].item():.3f}" if "loss" in _output(state) else ""
        left = tqdm.format_interval(self._seconds_for(-state.iteration % state.epoch_length))
        epoch = f"epoch {state.epoch}/{state.max_epochs}, {left} left of it"
        self.bar.set_postfix_str(f"{epoch}, {self._speed()}{loss}", refresh=False)
        self.bar.update()

    def _tell(self, engine: Any) -> None:
        state = engine.state
        if self._steps and "loss" in _output(state):
            left = self._seconds_for(state.max_epochs * state.epoch_length - state.iteration)
            logger.info("epoch %d/%d: %s, %s left", state.epoch, state.max_epochs, self._speed(),
                        tqdm.format_interval(left))  # fmt: skip

    def _close(self, _: Engine) -> None:
        self._shown.close()
        if self.bar is not None:
            self.bar.close()

    def _seconds_for(self, steps: int) -> float:
        return steps * (time.perf_counter() - self._begun) / self._steps

    def _speed(self) -> str:
        seconds = time.perf_counter() - self._begun
        return f"{self._images / seconds:.3g} images/s, {self._waited / seconds:.0%} waiting for data"


def _output(state: Any) -> dict[str, Any]:
    output: dict[str, Any] = state.output[0] if isinstance(state.output, list) else state.output
    return output


def _count(batch: Any, key: str) -> int:
    """The images of a batch: a list of items, or collated, where a list holds the views."""
    if isinstance(batch, list):
        return len(batch)
    images = batch[key]
    return len(images[0] if isinstance(images, list | tuple) else images)
