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

"""Which item is drawn when, and with which randomness: a function of (seed, epoch, index) alone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

__all__ = ["Draw", "EpochBatchSampler", "SeededDataset", "one_thread"]

# (epoch, index): what a sampler hands to a dataset, so that no worker holds a random state of its own.
Draw = tuple[int, int]


class EpochBatchSampler(Sampler[list[Draw]]):
    """
    Batches of (epoch, index), shuffled anew each epoch, the same for any number of workers, shared between ranks.

    Args:
        length: number of items, >= 0.
        batch_size: items per batch and process, >= 1.
        seed: of the shuffling.
        shuffle: draw each epoch in a new order; else in the order of the data.
        drop_last: leave out the last, smaller batch. With ranks it also leaves out the rest that does not divide.
        pad: with ranks and without `drop_last`, repeat items so that every rank has equally many batches, as training
            with collective operations needs. Without it each item is drawn exactly once, as evaluation needs.
        rank: of this process, by default that of `torch.distributed` where it runs, else 0.
        world_size: number of processes, likewise.
        multiple: with `drop_last`, an epoch has a multiple of this many batches: whole steps of an optimiser that
            gathers gradients over several.

    Raises:
        ValueError: when batch_size or multiple is below 1.

    Example:
        >>> sampler = EpochBatchSampler(5, batch_size=2, seed=0, shuffle=False)
        >>> list(sampler)
        [[(1, 0), (1, 1)], [(1, 2), (1, 3)], [(1, 4)]]
        >>> sampler.set_epoch(7, first_batch=2)
        >>> list(sampler)
        [[(7, 4)]]
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        pad: bool = True,
        rank: int | None = None,
        world_size: int | None = None,
        multiple: int = 1,
    ) -> None:
        if batch_size < 1 or multiple < 1:
            raise ValueError(f"batch_size and multiple must be at least 1, got {batch_size} and {multiple}")
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.shuffle, self.drop_last, self.pad, self.multiple = shuffle, drop_last, pad, multiple
        self.rank = rank if rank is not None else torch.distributed.get_rank() if distributed else 0
        self.world_size = (
            world_size if world_size is not None else torch.distributed.get_world_size() if distributed else 1
        )
        self.epoch, self.first_batch = 1, 0

    def set_epoch(self, epoch: int, first_batch: int = 0) -> None:
        """
        Choose what the next iteration draws.

        Args:
            epoch: counted from 1.
            first_batch: to begin with, counted from 0. Batches before it are never loaded, so that a run that was
                stopped within an epoch goes on there at no cost. The length stays that of the whole epoch.
        """
        self.epoch, self.first_batch = epoch, first_batch

    def __iter__(self) -> Iterator[list[Draw]]:
        indices = self._indices()
        for start in range(self.first_batch * self.batch_size, len(self) * self.batch_size, self.batch_size):
            yield [(self.epoch, int(index)) for index in indices[start : start + self.batch_size]]

    def __len__(self) -> int:
        if self.drop_last:
            return self.length // self.world_size // self.batch_size // self.multiple * self.multiple
        share = -(-self.length // self.world_size) if self.pad else len(range(self.rank, self.length, self.world_size))
        return -(-share // self.batch_size)

    def _indices(self) -> np.ndarray:
        order = np.arange(self.length)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        if self.drop_last:
            order = order[: self.length // self.world_size * self.world_size]
        elif self.pad and self.length:
            order = np.resize(order, -(-self.length // self.world_size) * self.world_size)
        return order[self.rank :: self.world_size]


class SeededDataset(Dataset):
    """
    Items passed through a transform whose random state is set for each (seed, epoch, index).

    Two runs with one seed see equal items, whatever the number of workers and wherever a run was stopped and resumed.

    Args:
        data: the items, dictionaries as MONAI's dictionary transforms take them.
        transform: called on an item; where it has `set_random_state`, that is called first.
        seed: of all randomness.
    """

    def __init__(self, data: Sequence[dict[str, Any]], transform: Any = None, seed: int = 0) -> None:
        self.data, self.transform, self.seed = data, transform, seed

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, draw: Draw | int) -> Any:
        epoch, index = draw if isinstance(draw, tuple) else (0, draw)
        if self.transform is None:
            return self.data[index]
        if hasattr(self.transform, "set_random_state"):
            state = np.random.SeedSequence([self.seed, epoch, index]).generate_state(1)[0]
            self.transform.set_random_state(seed=int(state))
        return self.transform(dict(self.data[index]))


def one_thread(worker: int) -> None:
    """
    Make a data loader's worker a quiet one, as a `worker_init_fn`: one thread, and deaf to SIGTERM from outside.

    torch keeps to one thread by itself, OpenCV does not. Schedulers send SIGTERM to all processes of a job: the workers
    must live until the training loop has saved. From their parent they take it, as its way to end them.
    """
    cv2.setNumThreads(0)
    if hasattr(signal, "sigwaitinfo"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)
