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

import numpy as np
import pytest

from monai_ssl.visualize import image_grid
from monai_ssl.visualize.figures import MODEL_COLORS, model_style


def test_image_grid_shows_every_image_in_order() -> None:
    images = [np.full((4 + i, 5), i) for i in range(7)]
    figure = image_grid([images[0][None], *images[1:]], columns=3, titles=[f"view {i}" for i in range(7)])
    for number, (axes, image) in enumerate(zip(figure.axes, images, strict=True)):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
        assert axes.get_title() == f"view {number}"
        assert axes.get_subplotspec().num1 == number
    with pytest.raises(ValueError, match="2 images, columns=3, 1 titles"):
        image_grid(images[:2], 3, ["one"])
    with pytest.raises(ValueError, match=r"got \(3, 4, 5\)"):
        image_grid([np.zeros((3, 4, 5))])


def test_two_dozen_models_each_have_a_style_of_their_own() -> None:
    styles = [model_style(position) for position in range(4 * len(MODEL_COLORS))]
    assert len({str(style) for style in styles}) == len(styles)
    assert [style["color"] for style in styles[: len(MODEL_COLORS)]] == list(MODEL_COLORS)
