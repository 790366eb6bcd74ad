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

from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from tqdm import tqdm

__all__ = ["RunProgress"]


class RunProgress:
    """
    Show the steps of a run with the time left, the epoch and the loss, on a terminal; elsewhere show nothing.

    Args:
        name: what is running, shown in front.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.bar: tqdm | None = None

    def attach(self, engine: Engine) -> None:
        """Follow `engine`; rank 0 alone shows a bar."""
        if idist.get_rank() == 0:
            engine.add_event_handler(Events.STARTED, self._start)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
            engine.add_event_handler(Events.COMPLETED, self._close)

    def _start(self, engine: Any) -> None:
        state = engine.state
        total = state.max_epochs * state.epoch_length
        self.bar = tqdm(total=total, initial=state.iteration, desc=self.name, unit="step", disable=None, leave=False)

    def _step(self, engine: Any) -> None:
        if self.bar is None or self.bar.disable:
            return
        state = engine.state
        output = state.output[0] if isinstance(state.output, list) else state.output
        loss = f", loss {output['loss'].item():.3f}" if "loss" in output else ""
        self.bar.set_postfix_str(f"epoch {state.epoch}/{state.max_epochs}{loss}", refresh=False)
        self.bar.update()

    def _close(self, _: Engine) -> None:
        if self.bar is not None:
            self.bar.close()
