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

"""Views are a function of (seed, epoch, image): not of workers, batch size, or where a run was resumed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import DataLoader
from monai.transforms import Compose

from monai_ssl.data import EpochBatchSampler, SeededDataset
from monai_ssl.data.sampling import one_thread
from monai_ssl.transforms import LoadSliced, MultiCropd, RandScaleWindowd


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    path = tmp_path_factory.mktemp("volume") / "volume.npy"
    np.save(path, np.random.RandomState(0).randint(-1000, 1000, (12, 40, 48)).astype(np.int16))
    return [{"id": f"{row:02d}", "image": str(path), "row": row} for row in range(12)]


def views(items: list[dict], epochs: list[int], workers: int = 0, batch_size: int = 4, seed: int = 3) -> dict:
    crop = MultiCropd("image", sizes=(16, 8), counts=(2, 3), scales=((0.5, 1), (0.1, 0.3)), flip_prob=0.5)
    windows = RandScaleWindowd("image", ["lung", "bone", None])
    dataset = SeededDataset(items, Compose([LoadSliced("image"), windows, crop]), seed)
    sampler = EpochBatchSampler(len(items), batch_size, seed)
    options = {"worker_init_fn": one_thread, "persistent_workers": workers > 0, "num_workers": workers}
    loader = DataLoader(dataset, batch_sampler=sampler, **options)
    seen = {}
    for epoch in epochs:
        sampler.set_epoch(epoch)
        for batch in loader:
            for position, name in enumerate(batch["id"]):
                seen[epoch, name] = torch.cat([view[position].flatten() for view in batch["image"]])
    return seen


@pytest.fixture(scope="module")
def expected(items: list[dict]) -> dict:
    return views(items, [1, 2])


@pytest.mark.parametrize(
    "options", [{"workers": 1}, {"workers": 3}, {"batch_size": 3}, {"workers": 3, "batch_size": 1}]
)
def test_views_do_not_depend_on_workers_or_batch_size(items: list[dict], expected: dict, options: dict) -> None:
    torch.rand(3), np.random.rand(3)  # noqa: NPY002 (no global state may matter)
    again = views(items, [1, 2], **options)
    assert again.keys() == expected.keys()
    assert all(torch.equal(again[key], view) for key, view in expected.items())


def test_a_later_epoch_drawn_alone_is_what_it_was(items: list[dict], expected: dict) -> None:
    resumed = views(items, [2], workers=1)
    assert all(torch.equal(view, expected[key]) for key, view in resumed.items())
    assert len(resumed) == len(items)


def test_epochs_images_and_seeds_differ(items: list[dict], expected: dict) -> None:
    assert len({tuple(view.tolist()) for view in expected.values()}) == 2 * len(items)
    other = views(items, [1], seed=4)
    assert not any(torch.equal(view, expected[key]) for key, view in other.items())
