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

"""Ending a training that no longer gets better."""

from __future__ import annotations

import logging

from ignite.engine import Engine, Events
from monai.engines import Evaluator

__all__ = ["EarlyStop"]

logger = logging.getLogger(__name__)


class EarlyStop:
    """
    End training when the evaluator's key metric has had no new best for some epochs.

    It follows from the evaluator's best epoch alone, which a checkpoint holds, so a resumed run ends where an
    uninterrupted one would. Attach it after the handler that validates.

    Args:
        evaluator: the validation engine, with a key metric.
        patience: epochs, at least 1; None never ends.
        interval: epochs from one validation to the next; what was not validated is not judged.

    Raises:
        ValueError: when patience is below 1, or below the interval.
    """

    def __init__(self, evaluator: Evaluator, patience: int | None, interval: int = 1) -> None:
        if patience is not None and patience < max(1, interval):
            raise ValueError(f"patience must be at least {max(1, interval)}, or None, got {patience}")
        self.evaluator, self.patience, self.interval = evaluator, patience, interval

    def attach(self, engine: Engine) -> None:
        """Follow `engine`, a trainer."""
        if self.patience is not None:
            engine.add_event_handler(Events.EPOCH_COMPLETED, self)
            # a run that was killed between its last epoch and its end
            engine.add_event_handler(Events.EPOCH_STARTED, lambda _: self(engine, engine.state.epoch - 1))

    def __call__(self, engine: Engine, epoch: int | None = None) -> None:
        best = self.evaluator.state.best_metric_epoch
        epoch = engine.state.epoch if epoch is None else epoch
        judged = best > 0 and epoch % self.interval == 0
        if self.patience is not None and judged and epoch - best >= self.patience:
            logger.info("stopped early: no better validation since epoch %d, %d epochs ago", best, epoch - best)
            engine.terminate()
