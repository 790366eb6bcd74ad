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

"""The learning rate of every step: linear warm-up, then a cosine to the final rate."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

__all__ = ["follow_schedule", "warmup_cosine"]


def warmup_cosine(
    optimizer: Optimizer,
    total_steps: int,
    warmup_steps: float = 0,
    start_factor: float = 0.0625,
    final_factor: float = 0.001,
) -> LambdaLR:
    """
    Warm up linearly, then follow half a cosine down, in closed form from the number of the step alone.

    The schedule counts optimiser steps, not epochs: call `step()` after each. Its state holds that count and each
    group's base rate, never the total: a resumed run with more steps follows the longer schedule. The default factors
    are the original SwAV's (0.3 / 4.8 and 0.0048 / 4.8).

    Args:
        optimizer: each of its groups keeps its own rate as the peak.
        total_steps: optimiser steps of the whole run, at least 1; beyond it the rate stays at the final one.
        warmup_steps: length of the warm-up, 0 to `total_steps`; may be a fraction.
        start_factor: the first step's rate as a share of the peak, 0 to 1.
        final_factor: the rate at `total_steps` as a share of the peak, 0 to 1.

    Returns:
        a scheduler, to be stepped once per optimiser step.

    Raises:
        ValueError: when an argument is out of range.

    Example:
        >>> import torch
        >>> from monai_ssl.optimizers import warmup_cosine
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.8)
        >>> scheduler = warmup_cosine(optimizer, total_steps=100, warmup_steps=4, start_factor=0.5)
        >>> rates = []
        >>> for _ in range(5):
        ...     rates.append(round(scheduler.get_last_lr()[0], 3))
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [0.4, 0.5, 0.6, 0.7, 0.8]

    Reference: Loshchilov and Hutter, SGDR, ICLR 2017, https://arxiv.org/abs/1608.03983.
    """
    if total_steps < 1:
        raise ValueError(
            f"total_steps must be at least 1, got {total_steps}; is the training set smaller than a batch?"
        )
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(
            f"warmup_steps must lie in 0 to total_steps ({total_steps}), got {warmup_steps}; "
            "shorten the warm-up or train longer"
        )
    for name, factor in (("start_factor", start_factor), ("final_factor", final_factor)):
        if not 0 <= factor <= 1:
            raise ValueError(f"{name} must lie in 0 to 1, got {factor}")

    def factor_at(step: int) -> float:
        if step < warmup_steps:
            return start_factor + (1 - start_factor) * step / warmup_steps
        if step >= total_steps:
            return final_factor
        progress = (step - warmup_steps) / (total_steps - warmup_steps)
        return final_factor + (1 - final_factor) * (1 + math.cos(math.pi * progress)) / 2

    # A plain function, since LambdaLR stores the attributes of callable objects in its state.
    return LambdaLR(optimizer, factor_at)


def follow_schedule(scheduler: LambdaLR) -> None:
    """
    Set the rates of the step at which `scheduler` stands, by its own function.

    After loading the state of a shorter training the optimiser holds the rate of the shorter schedule for one step.

    Args:
        scheduler: whose state was loaded, and that of its optimiser.
    """
    rates = [base * at(scheduler.last_epoch) for base, at in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)]
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    scheduler._last_lr = rates
