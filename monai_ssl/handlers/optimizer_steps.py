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

"""What follows the steps of the optimiser and the epochs of SwAV: the learning rate and the queue."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events

from monai_ssl.networks import SwAVNet

__all__ = ["OpenQueue", "StepSchedule"]


class StepSchedule:
    """
    Step a learning-rate schedule once for each step of the optimiser.

    Args:
        lr_scheduler: from :py:func:`monai_ssl.optimizers.warmup_cosine`.
        accumulation: iterations for each step of the optimiser, at least 1; an epoch must be a multiple of it.
    """

    def __init__(self, lr_scheduler: Any, accumulation: int = 1) -> None:
        self.lr_scheduler, self.accumulation = lr_scheduler, accumulation

    def attach(self, engine: Engine) -> None:
        """Follow `engine`, a trainer."""
        engine.add_event_handler(Events.ITERATION_COMPLETED(every=self.accumulation), self)

    def __call__(self, engine: Engine) -> None:
        self.lr_scheduler.step()


class OpenQueue:
    """
    Let the queue fill after the first epochs only: features of the beginning change too fast to be kept.

    It follows from the trainer's epoch alone, so a resumed run goes on right.

    Args:
        network: whose queue to open.
        epochs: the queue is closed while the trainer's epoch, counted from 1, is at most this.
    """

    def __init__(self, network: SwAVNet, epochs: int) -> None:
        self.network, self.epochs = network, epochs

    def attach(self, engine: Engine) -> None:
        """Follow `engine`, a trainer."""
        engine.add_event_handler(Events.ITERATION_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        self.network.queue_open = engine.state.epoch > self.epochs
