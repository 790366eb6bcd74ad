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

from collections import Counter

import numpy as np
import pytest
import torch
from monai.transforms import Compose, RandGaussianNoised
from torch.utils.data import DataLoader

from monai_ssl.data.sampling import EpochBatchSampler, SeededDataset


def drawn(sampler, epoch):
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert all(draw[0] == epoch for batch in batches for draw in batch)
    return [[index for _, index in batch] for batch in batches]


@pytest.mark.parametrize("length", [0, 1, 7, 16])
@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize(("drop_last", "pad"), [(True, True), (False, True), (False, False)])
def test_ranks_share_an_epoch(length, world_size, drop_last, pad):
    samplers = [
        EpochBatchSampler(length, 3, seed=1, drop_last=drop_last, pad=pad, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    shares = [drawn(sampler, 2) for sampler in samplers]
    counts = Counter(index for share in shares for batch in share for index in batch)
    if pad:
        assert len({len(share) for share in shares}) == 1
    if drop_last:
        assert all(len(batch) == 3 for share in shares for batch in share)
        assert max(counts.values(), default=1) == 1
    else:
        assert set(counts) == set(range(length))
        assert sum(counts.values()) == (-(-length // world_size) * world_size if pad else length)


def test_epochs_differ_and_repeat():
    sampler = EpochBatchSampler(50, 50, seed=0)
    assert drawn(sampler, 1) != drawn(sampler, 2)
    assert drawn(sampler, 1) == drawn(EpochBatchSampler(50, 50, seed=0), 1)
    assert drawn(sampler, 1) != drawn(EpochBatchSampler(50, 50, seed=1), 1)


@pytest.mark.parametrize("first", [0, 1, 6, 7])
def test_an_epoch_goes_on_at_any_batch(first):
    sampler = EpochBatchSampler(20, 3, seed=0)
    whole = drawn(sampler, 4)
    sampler.set_epoch(4, first_batch=first)
    assert list(sampler) == [[(4, index) for index in batch] for batch in whole[first:]]
    assert len(sampler) == 7


def test_batch_size_is_checked():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        EpochBatchSampler(5, 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_items_do_not_depend_on_the_workers(workers):
    transform = Compose([RandGaussianNoised("image", prob=1.0)])
    data = [{"image": torch.zeros(1, 4)} for _ in range(6)]

    def epoch(number, num_workers):
        sampler = EpochBatchSampler(6, 2, seed=3)
        sampler.set_epoch(number)
        loader = DataLoader(SeededDataset(data, transform, seed=5), batch_sampler=sampler, num_workers=num_workers)
        return np.concatenate([np.asarray(batch["image"]) for batch in loader])

    alone = epoch(1, 0)
    np.testing.assert_array_equal(alone, epoch(1, workers))
    assert not np.array_equal(alone, epoch(2, 0))
    assert len(np.unique(alone)) == alone.size


@pytest.mark.parametrize("world_size", [1, 2])
def test_an_epoch_is_a_multiple_of_the_batches_of_a_step(world_size):
    samplers = [
        EpochBatchSampler(47, 4, drop_last=True, multiple=3, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    batches = [list(sampler) for sampler in samplers]
    assert [len(shared) for shared in batches] == [9 if world_size == 1 else 3] * world_size
    drawn = [index for shared in batches for batch in shared for _, index in batch]
    assert len(set(drawn)) == len(drawn) == 36 - 12 * (world_size - 1)
