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

"""Tell a sampler which epoch it is, and where in it training goes on."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events

from monai_ssl.data.sampling import EpochBatchSampler

__all__ = ["EpochSeeding"]


class EpochSeeding:
    """
    Set the epoch of an :py:class:`monai_ssl.data.EpochBatchSampler` when it starts; MONAI does so for
    `DistributedSampler` only. In an epoch that was stopped half-way the sampler begins where that stood: ignite counts
    on from there, but would draw from the first batch.

    Args:
        sampler: of the trainer's data loader.
    """

    def __init__(self, sampler: EpochBatchSampler) -> None:
        self.sampler = sampler

    def attach(self, engine: Engine) -> None:
        """Follow `engine`'s epochs."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Any) -> None:
        state = engine.state
        self.sampler.set_epoch(state.epoch, first_batch=state.iteration % state.epoch_length)
