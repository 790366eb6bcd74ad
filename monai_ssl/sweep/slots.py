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

"""Where the runs of a sweep run: one at a time on each device, or several on the processor."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

__all__ = ["Slot", "sweep_slots"]

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_CUDA = re.compile(r"cuda:(\d+)")


@dataclass(frozen=True)
class Slot:
    """
    A place for one run at a time.

    Attributes:
        name: shown, and remembered for the next sweep.
        device: the `--device` of its runs, None for the bundle's choice.
        environment: of its runs, on top of this process's.
    """

    name: str
    device: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def sweep_slots(devices: Sequence[str] = (), jobs: int | None = None) -> list[Slot]:
    """
    The places of a sweep.

    Args:
        devices: such as `("cuda:0", "cuda:1")`, a run at a time on each; none leaves the device to the bundle.
        jobs: runs at once on the processor, which share its threads; not together with devices. By default 1.

    Raises:
        ValueError: for both, a device twice, a CUDA device without number or that is not there, jobs below 1.

    Example:
        >>> [slot.device for slot in sweep_slots(jobs=2)]
        ['cpu', 'cpu']
    """
    problems = []
    if devices and jobs is not None:
        problems.append("give --devices or --jobs, not both; --jobs counts runs on the processor")
    problems += [f"--devices: {device} is named twice" for device, count in Counter(devices).items() if count > 1]
    problems += [f"--devices: {device!r} has no number; write cuda:0" for device in devices if device == "cuda"]
    numbers = [int(number[1]) for device in devices if (number := _CUDA.fullmatch(device))]
    there = torch.cuda.device_count() if numbers else 0
    problems += [f"--devices: no cuda:{number}, torch can use {there} here" for number in numbers if number >= there]
    if jobs is not None and jobs < 1:
        problems.append(f"--jobs must be at least 1, got {jobs}")
    if problems:
        raise ValueError("\n".join(problems))
    if jobs is not None:
        return [Slot(f"cpu {number + 1}", "cpu", _threads(jobs)) for number in range(jobs)]
    return [_slot(device, len(devices)) for device in devices] or [Slot("")]


def _slot(device: str, devices: int) -> Slot:
    number = _CUDA.fullmatch(device)
    if number is None:
        return Slot(device, device, _threads(devices))
    # A process that sees several GPUs takes memory of the first one, whichever it trains on.
    visible = [name for name in os.environ.get(_VISIBLE, "").split(",") if name.strip()]
    own = visible[int(number[1])] if visible else number[1]
    return Slot(device, "cuda:0", {_VISIBLE: own, **_threads(devices)})


def _threads(runs: int) -> dict[str, str]:
    """As many threads for each of several runs as there are processors for it."""
    if runs == 1 or "OMP_NUM_THREADS" in os.environ:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // runs))}
