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

import ignite.distributed as idist
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from PIL import Image

from monai_ssl.handlers import FirstBatchPicture
from monai_ssl.visualize import views_figure


def trainer(path, **options):
    engine = Engine(lambda _, batch: None)
    FirstBatchPicture(path, **options).attach(engine)
    return engine


def batches(count=3):
    generator = torch.Generator().manual_seed(0)
    return [{"image": [torch.rand(2, 1, size, size, generator=generator) for size in (32, 16)]} for _ in range(count)]


def test_the_first_batch_is_saved_as_the_figure_of_its_views(tmp_path):
    trainer(tmp_path / "views.png", window="lung", mean=0.5, std=0.25).run(batches(), max_epochs=2)
    title = "window lung, normalised by mean 0.5 and std 0.25"
    views = [view.numpy() for view in batches()[0]["image"]]
    views_figure(views, 4, 0.5, 0.25, title).savefig(tmp_path / "expected.png")
    saved, expected = (np.asarray(Image.open(tmp_path / name)) for name in ("views.png", "expected.png"))
    assert np.array_equal(saved, expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["expected.png", "views.png"]


def test_a_run_that_goes_on_leaves_the_picture(tmp_path):
    engine = trainer(tmp_path / "views.png")
    engine.load_state_dict({"iteration": 3, "epoch_length": 3, "max_epochs": 2})
    engine.run(batches(), max_epochs=2)
    assert engine.state.iteration == 6
    assert not list(tmp_path.iterdir())


def test_other_ranks_save_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(idist, "get_rank", lambda: 1)
    trainer(tmp_path / "views.png").run(batches())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_of_single_images_is_drawn_as_well(tmp_path, channels):
    trainer(tmp_path / "first_batch.png").run([{"image": torch.rand(2, channels, 24, 24)}])
    assert Image.open(tmp_path / "first_batch.png").format == "PNG"
