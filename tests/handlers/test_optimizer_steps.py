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

import copy
import math

import pytest
import torch
from ignite.engine import Engine
from monai.engines import SupervisedTrainer
from torch import nn

from monai_ssl.engines import AutocastInferer, PrepareViews
from monai_ssl.handlers import OpenQueue, StepSchedule
from monai_ssl.losses import SwAVLoss
from monai_ssl.networks import SwAVNet
from monai_ssl.optimizers import warmup_cosine


def network(queue_length=0):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(16, 6))
    backbone.num_features = 6
    return SwAVNet(backbone, hidden_dim=0, output_dim=4, prototypes=7, queue_length=queue_length)


def batches(count):
    generator = torch.Generator().manual_seed(1)
    return [{"image": [torch.rand(4, 1, 4, 4, generator=generator) for _ in range(3)]} for _ in range(count)]


def trainer(net, optimizer, data, handlers=(), **options):
    return SupervisedTrainer(
        device="cpu",
        max_epochs=options.pop("max_epochs", 1),
        train_data_loader=data,
        network=net,
        optimizer=optimizer,
        loss_function=SwAVLoss(),
        prepare_batch=PrepareViews(),
        train_handlers=list(handlers),
        decollate=False,
        **options,
    )


def test_accumulation_is_the_mean_of_losses_with_codes_of_their_own():
    net, data = network(), batches(3)
    slow = copy.deepcopy(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    trainer(net, optimizer, data, accumulation_steps=3).run()
    weights = list(slow.parameters())
    separate = [torch.autograd.grad(SwAVLoss()(slow(batch["image"])), weights) for batch in data]
    for ours, theirs, *gradients in zip(net.parameters(), weights, *separate, strict=True):
        mean = torch.stack(gradients).mean(dim=0)
        torch.testing.assert_close(ours.grad, mean)
        torch.testing.assert_close(ours, theirs - 0.5 * mean)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_rates_of_a_whole_run_are_the_closed_form_of_the_optimisers_steps(accumulation):
    net, rates, peak, epochs, steps = network(), [], 4.8, 5, 6 // accumulation
    optimizer = torch.optim.SGD(net.parameters(), lr=peak)
    optimizer.register_step_pre_hook(lambda *_: rates.append(optimizer.param_groups[0]["lr"]))
    schedule = warmup_cosine(optimizer, steps * epochs, steps, 0.3 / peak, 0.0048 / peak)
    handlers = [StepSchedule(schedule, accumulation)]
    trainer(net, optimizer, batches(6), handlers, accumulation_steps=accumulation, max_epochs=epochs).run()
    cosine = steps * (epochs - 1)
    expected = [0.3 + (peak - 0.3) * step / steps for step in range(steps)]
    expected += [0.0048 + 0.5 * (peak - 0.0048) * (1 + math.cos(math.pi * step / cosine)) for step in range(cosine)]
    assert rates == pytest.approx(expected, rel=1e-12)


def test_the_queue_fills_after_its_epochs_only():
    net = network(queue_length=8)
    filled = []

    def step(engine, batch):
        output = net.train()(batch["image"])
        filled.append((int(net.queue[0].any(dim=1).sum()), output.queue_scores is not None))

    engine = Engine(step)
    OpenQueue(net, epochs=2).attach(engine)
    engine.run(batches(2), max_epochs=4)
    assert filled == [(0, False)] * 4 + [(4, False), (8, False), (8, True), (8, True)]


def test_bfloat16_on_a_cpu_is_torchs_autocast():
    net, crops = network().eval(), batches(1)[0]["image"]
    ours = AutocastInferer("cpu", "bfloat16")(crops, net).scores[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ours, net(crops).scores[0])
    assert not torch.equal(ours, net(crops).scores[0])
    assert torch.equal(AutocastInferer("cpu", "bfloat16", enabled=False)(crops, net).scores[0], net(crops).scores[0])
