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
    Freeze a network, or all of it but a part, at the start of training; then open it, or another part.

    Frozen means frozen: no gradients, so no update, no momentum and no weight decay; and evaluation mode, so that
    BatchNorm statistics stay and dropout is off. Opening changes no learning rate. What is frozen follows from the
    trainer's epoch and iteration alone, so a resumed run goes on right. Under `DistributedDataParallel` give
    `find_unused_parameters=True`.

    Args:
        network: what to freeze.
        trained: a module (or several) inside `network` that stays trained, such as the classifier; None freezes all.
        epochs: frozen while the trainer's epoch, counted from 1, is at most this.
        iterations: frozen while the trainer's iteration, counted from 1 over the whole run, is at most this.
        afterwards: a module (or several) that is trained from then on, the rest staying frozen; None opens all.

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
        afterwards: nn.Module | Sequence[nn.Module] | None = None,
    ) -> None:
        self.network, self.epochs, self.iterations = network, epochs, iterations
        self.trained = () if trained is None else _modules(trained)
        self.afterwards = (network,) if afterwards is None else _modules(afterwards)
        self.parameters: list[nn.Parameter] = []
        self.evaluated: list[nn.Module] = []

    def attach(self, engine: Engine) -> None:
        """Follow `engine`'s iterations. The network must be complete by now (SyncBatchNorm converted)."""
        self.parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        # The trainer calls network.train() in each iteration, after the last event before the forward pass.
        self.network.register_forward_pre_hook(self._keep_evaluating)
        engine.add_event_handler(Events.ITERATION_STARTED, self)
        engine.add_event_handler(Events.COMPLETED, lambda _: self._train((self.network,)))

    def __call__(self, engine: Engine) -> None:
        first = engine.state.epoch <= self.epochs or engine.state.iteration <= self.iterations
        self._train(self.trained if first else self.afterwards)

    def _train(self, kept: Sequence[nn.Module]) -> None:
        parameters = {parameter for module in kept for parameter in module.parameters()}
        modules = {self.network, *(inner for module in kept for inner in module.modules())} if kept else set()
        self.evaluated = [module for module in self.network.modules() if module not in modules]
        for parameter in self.parameters:
            if parameter.requires_grad != (parameter in parameters):
                parameter.requires_grad_(parameter in parameters)
                parameter.grad = None

    def _keep_evaluating(self, network: nn.Module, _: Any) -> None:
        if network.training:
            for module in self.evaluated:
                module.training = False


def _modules(part: nn.Module | Sequence[nn.Module]) -> tuple[nn.Module, ...]:
    # a distilled DeiT has two classifiers
    return (part,) if isinstance(part, nn.Module) else tuple(part)
