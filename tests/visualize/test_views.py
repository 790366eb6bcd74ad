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

import numpy as np
import pytest
from PIL import Image

from monai_ssl.visualize import views_figure


def pixels(figure) -> np.ndarray:
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return np.asarray(Image.open(stream).convert("L")).astype(int)


def test_every_view_is_shown_pixel_by_pixel_at_the_grey_it_had_before_normalisation():
    levels = np.arange(2 * 8).reshape(8, 2) / 20 + 0.1  # of 8 views of 2 images
    sizes = [64, 64, *[28] * 6]
    views = [np.full((2, 1, size, size), 0.0) for size in sizes]
    for view, level in zip(views, levels, strict=True):
        view[:] = ((level - 0.5) / 0.25)[:, None, None, None]
    shown = pixels(views_figure(views, mean=0.5, std=0.25))
    for size, level in zip(sizes, levels, strict=True):
        for one in level:
            assert abs((np.abs(shown - 255 * one) < 1).sum() - size**2) < 60  # letters of the title have greys too


def test_no_more_images_than_wanted_and_channels_are_averaged():
    channels = np.stack([np.full((5, 32, 32), value) for value in (0.0, 0.3, 0.6)], axis=1)
    shown = pixels(views_figure([channels], images=3))
    assert abs((np.abs(shown - 255 * 0.3) < 1).sum() - 3 * 32**2) < 60


def test_jitter_beyond_the_range_is_shown_not_clipped():
    views = np.full((1, 1, 32, 32), 0.5)
    views[..., :16] = 1.5
    figure = views_figure([views], title="window lung")
    assert "window lung\nblack 0.00, white 1.50; values 0.50 to 1.50, mean 1.000" in figure.texts[0].get_text()
    assert abs((np.abs(pixels(figure) - 255 / 3) < 1).sum() - 16 * 32) < 60


@pytest.mark.parametrize("views", [[], [np.zeros((3, 8, 8))], [np.zeros((0, 1, 8, 8))]])
def test_what_is_no_batch_is_refused(views):
    with pytest.raises(ValueError, match=r"\(B, C, h, w\)"):
        views_figure(views)
