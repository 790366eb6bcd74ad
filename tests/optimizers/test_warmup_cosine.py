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

from __future__ import annotations

import io
import math

import pytest
import torch
from torch.optim import SGD

from monai_ssl.optimizers import warmup_cosine


def optimizer_of(*rates: float) -> SGD:
    return SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])


def trace(optimizer: SGD, scheduler: torch.optim.lr_scheduler.LambdaLR, steps: int) -> list[tuple[float, ...]]:
    rates = []
    for _ in range(steps):
        rates.append(tuple(group["lr"] for group in optimizer.param_groups))
        optimizer.step()
        scheduler.step()
    return rates


def closed_form(base: float, step: int, total: int, warmup: float, start: float, final: float) -> float:
    if step < warmup:
        return base * (start + (1 - start) * step / warmup)
    progress = min(1.0, (step - warmup) / (total - warmup)) if total > warmup else 1.0
    return base * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress)))


@pytest.mark.parametrize(("total", "warmup"), [(100, 10), (100, 0), (37, 2.5), (5, 5), (1, 0)])
def test_trace_of_a_whole_run_is_the_closed_form_for_each_group(total: int, warmup: float) -> None:
    optimizer = optimizer_of(4.8, 0.15)
    rates = trace(optimizer, warmup_cosine(optimizer, total, warmup, 0.0625, 0.001), total + 3)
    for step, rate in enumerate(rates):
        expected = [closed_form(base, step, total, warmup, 0.0625, 0.001) for base in (4.8, 0.15)]
        assert rate == pytest.approx(expected, rel=1e-12)


def test_ends_of_the_schedule() -> None:
    optimizer = optimizer_of(4.8)
    rates = [rate for (rate,) in trace(optimizer, warmup_cosine(optimizer, 50, 10), 51)]
    assert rates[0] == pytest.approx(0.3)
    assert max(rates) == rates[10] == 4.8
    assert rates[50] == pytest.approx(0.0048)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_warmup_alone_is_torchs_linear_warmup() -> None:
    ours, theirs = optimizer_of(0.2), optimizer_of(0.2)
    peer = torch.optim.lr_scheduler.LinearLR(theirs, start_factor=0.1, total_iters=8)
    assert [rate for (rate,) in trace(ours, warmup_cosine(ours, 20, 8, 0.1), 9)] == pytest.approx(
        [rate for (rate,) in trace(theirs, peer, 9)]
    )


def test_a_resumed_run_follows_the_longer_schedule() -> None:
    optimizer = optimizer_of(1.0)
    scheduler = warmup_cosine(optimizer, 20, 4)
    trace(optimizer, scheduler, 10)
    file = io.BytesIO()
    torch.save({"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=True)

    resumed = optimizer_of(1.0)
    longer = warmup_cosine(resumed, 40, 4)
    resumed.load_state_dict(state["optimizer"])
    longer.load_state_dict(state["scheduler"])
    resumed.step()
    longer.step()  # the rate of a step is known from its number alone
    rates = [rate for (rate,) in trace(resumed, longer, 29)]
    assert rates == pytest.approx([closed_form(1.0, step, 40, 4, 0.0625, 0.001) for step in range(11, 40)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"total_steps": 0}, "total_steps"),
        ({"total_steps": 5, "warmup_steps": 6}, "warmup_steps"),
        ({"total_steps": 5, "warmup_steps": -1}, "warmup_steps"),
        ({"total_steps": 5, "start_factor": 1.5}, "start_factor"),
        ({"total_steps": 5, "final_factor": -0.1}, "final_factor"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        warmup_cosine(optimizer_of(1.0), **arguments)
