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

"""SwAV: the loss against facebookresearch's and lightly's, and a whole step against its bare backbone and lightly's."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from lightly.loss import SwaVLoss
from peers import lightly_swav_step, swav_paper_loss
from timm.optim import Lars
from torch import Tensor, nn

from monai_ssl.losses import SwAVLoss
from monai_ssl.networks import SwAVNet, SwAVOutput, create_backbone
from monai_ssl.optimizers import parameter_groups

BATCH, PROTOTYPES, SIZES = 8, 3000, (224,) * 2 + (96,) * 6
HIDDEN, WIDTH = 2048, 128
LOSS_TURNS, STEP_TURNS = 40, 5
Step = Callable[[], object]


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    _compare_losses()
    _compare_steps()


def _compare_losses() -> None:
    # Each gets its scores as its own network leaves them: one tensor of all crops, or one for each crop.
    scores = F.linear(F.normalize(torch.randn(len(SIZES) * BATCH, WIDTH)), F.normalize(torch.randn(PROTOTYPES, WIDTH)))
    whole = [scores.clone().requires_grad_()]
    crops = [crop.clone().requires_grad_() for crop in scores.chunk(len(SIZES))]
    ours, lightlys = SwAVLoss(), SwaVLoss()
    results: dict[str, tuple[Tensor, Tensor]] = {}  # loss and gradient

    def step_of(name: str, loss: Callable[[], Tensor], leaves: list[Tensor]) -> Step:
        value = loss()
        results[name] = (value.detach(), torch.cat(torch.autograd.grad(value, leaves)))
        return lambda: torch.autograd.grad(loss(), leaves)

    medians = _in_turn(
        {
            "ours": step_of("ours", lambda: ours(SwAVOutput(list(whole[0].chunk(len(SIZES))))), whole),
            "facebookresearch": step_of("facebookresearch", lambda: swav_paper_loss(whole[0], len(SIZES)), whole),
            "lightly": step_of("lightly", lambda: lightlys(crops[:2], crops[2:]), crops),
        },
        LOSS_TURNS,
        steps_a_turn=10,
    )
    print(f"loss, Sinkhorn and gradient: batch {BATCH}, {PROTOTYPES} prototypes, {len(SIZES)} crops, one thread")
    print(f"  ours             {medians['ours'] * 1e3:6.2f} ms   median CPU time of {LOSS_TURNS} turns of 10")
    for peer, reach in (("facebookresearch", 2), ("lightly", 1.5)):
        loss, gradient = (
            float((one - other).abs().max()) for one, other in zip(results["ours"], results[peer], strict=True)
        )
        print(
            f"  {peer:16} {medians[peer] * 1e3:6.2f} ms   {medians[peer] / medians['ours']:.2f}x (reach >= {reach}x); "
            f"difference in loss {loss:.1e}, in gradient {gradient:.1e} (reach <= 1e-5)"
        )


def _compare_steps() -> None:
    crops = [torch.randn(BATCH, 1, size, size) for size in SIZES]
    backbone = create_backbone("resnet18")
    steps: dict[str, Step] = {
        "bare": _bare_step(copy.deepcopy(backbone), crops),
        "ours": _our_step(copy.deepcopy(backbone), crops),
        "lightly": partial(lightly_swav_step(copy.deepcopy(backbone), HIDDEN, WIDTH, PROTOTYPES, 0.1), crops),
    }
    medians = _in_turn(steps, STEP_TURNS)
    print(f"ResNet-18, batch {BATCH}, crops {SIZES}, one channel: median CPU time of {STEP_TURNS} turns")
    print(f"  bare backbone, forward and backward  {medians['bare']:6.3f} s")
    print(
        f"  ours, with head, loss and LARS       {medians['ours']:6.3f} s   "
        f"{medians['ours'] / medians['bare']:.3f} of bare (reach <= 1.10)"
    )
    print(
        f"  lightly's, with the same optimiser   {medians['lightly']:6.3f} s   "
        f"ours is {medians['ours'] / medians['lightly']:.3f} of it (reach <= 0.85)"
    )


def _bare_step(backbone: nn.Module, crops: list[Tensor]) -> Step:
    # Neighbours of one size in one call, the least work that the crops allow.
    inputs = [torch.cat(crops[:2]), torch.cat(crops[2:])]

    def step() -> None:
        backbone.zero_grad()
        features = torch.cat([backbone(images) for images in inputs])
        features.backward(torch.ones_like(features))

    return step


def _our_step(backbone: nn.Module, crops: list[Tensor]) -> Step:
    network, loss = SwAVNet(backbone, HIDDEN, WIDTH, PROTOTYPES), SwAVLoss()
    network.to(memory_format=torch.channels_last)  # the bundle's default
    optimizer = Lars(parameter_groups(network, 1e-6), lr=0.1, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        value = loss(network(crops))
        value.backward()
        optimizer.step()

    return step


def _in_turn(steps: dict[str, Step], turns: int, steps_a_turn: int = 1) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, step in steps.items():
            step()  # finds caches and memory as the others left them
            for _ in range(steps_a_turn):
                start = time.process_time()
                step()
                times[name].append(time.process_time() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


if __name__ == "__main__":
    main()
