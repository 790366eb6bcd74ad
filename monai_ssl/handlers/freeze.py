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

"""Keep a part of a network as it is for the first epochs or iterations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ignite.engine import Engine, Events
from torch import nn

__all__ = ["Freeze"]


class Freeze:
    """
    Freeze a network, or all of it but one part, at the start of training; then open it.

    Frozen means frozen: no gradients, so no update, no momentum and no weight decay; and evaluation mode, so that
    BatchNorm statistics stay and dropout is off. Opening changes no learning rate. What is frozen follows from the
    trainer's epoch and iteration alone, so a resumed run goes on right. Under `DistributedDataParallel` give
    `find_unused_parameters=True`.

    Args:
        network: what to freeze.
        trained: a module (or several) inside `network` that stays trained, such as the classifier; None freezes all.
        epochs: frozen while the trainer's epoch, counted from 1, is at most this.
        iterations: frozen while the trainer's iteration, counted from 1 over the whole run, is at most this.

    Example:
        >>> from torch import nn
        >>> network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1))
        >>> handler = Freeze(network, trained=network[1], epochs=10)
    """

    def __init__(
        self,
        network: nn.Module,
        trained: nn.Module | Sequence[nn.Module] | None = None,
        epochs: int = 0,
        iterations: int = 0,
    ) -> None:
        # a distilled DeiT has two classifiers
        self.trained = trained if trained is None or isinstance(trained, nn.Module) else nn.ModuleList(trained)
        self.network = network
        self.epochs, self.iterations = epochs, iterations
        self.frozen = False
        self.parameters: list[nn.Parameter] = []
        self.modules: list[nn.Module] = []

    def attach(self, engine: Engine) -> None:
        """Follow `engine`'s iterations. The network must be complete by now (SyncBatchNorm converted)."""
        kept_parameters = set() if self.trained is None else set(self.trained.parameters())
        kept_modules = set() if self.trained is None else {self.network, *self.trained.modules()}
        self.parameters = [p for p in self.network.parameters() if p.requires_grad and p not in kept_parameters]
        self.modules = [module for module in self.network.modules() if module not in kept_modules]
        # The trainer calls network.train() in each iteration, after the last event before the forward pass.
        self.network.register_forward_pre_hook(self._keep_evaluating)
        engine.add_event_handler(Events.ITERATION_STARTED, self)
        engine.add_event_handler(Events.COMPLETED, lambda _: self._set(False))

    def __call__(self, engine: Engine) -> None:
        self._set(engine.state.epoch <= self.epochs or engine.state.iteration <= self.iterations)

    def _set(self, frozen: bool) -> None:
        if frozen != self.frozen:
            self.frozen = frozen
            for parameter in self.parameters:
                parameter.requires_grad_(not frozen)
                parameter.grad = None

    def _keep_evaluating(self, network: nn.Module, _: Any) -> None:
        if self.frozen and network.training:
            for module in self.modules:
                module.training = False
