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
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from monai_ssl.visualize import saliency_figure


def examples(kinds=("true positive", "miss", "false alarm"), labels=("$mass", "nodule")):
    pairs = [(label, kind) for label in labels for kind in kinds]
    saliency = np.zeros((len(pairs), 32, 32), np.float16)
    saliency[0, 4:12, 4:12] = 1
    mask = np.zeros(saliency.shape, bool)
    mask[0, 20:30, 20:30] = True
    return {
        "image": np.full(saliency.shape, 90, np.uint8),
        "saliency": saliency,
        "mask": mask,
        "label": np.array([label for label, _ in pairs]),
        "kind": np.array([kind for _, kind in pairs]),
        "score": np.linspace(0, 1, len(pairs)),
        "threshold": np.array([np.nan, *[0.5] * (len(pairs) - 1)]),
    }


def share_of(figure, colour):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    return float((np.abs(pixels - to_rgb(colour)).max(axis=-1) < 0.08).mean())


def test_lesion_and_map_are_drawn_where_there_are_any():
    shown = saliency_figure(examples())
    bare = saliency_figure(examples() | {"mask": np.zeros((6, 32, 32), bool), "saliency": np.zeros((6, 32, 32))})
    assert share_of(shown, "#ff9d1e") > 1.5 * share_of(bare, "#ff9d1e")  # the legend has it too
    assert share_of(shown, "#6cc7ff") > 0
    assert share_of(bare, "#6cc7ff") == 0


def test_a_row_per_label_a_column_per_kind_that_occurs_and_words_in_each():
    figure = saliency_figure(examples(kinds=("true positive", "false alarm")))
    assert len(figure.subfigs) == 4
    titles = [axes.get_title(loc) for part in figure.subfigs for axes in part.axes for loc in ("left", "right")]
    assert r"\$mass: true positive" in titles
    assert "nodule: false alarm" in titles
    assert "score 0.00" in titles  # no threshold is known
    assert "score 1.00, threshold 0.50" in titles
    said = [text.get_text() for part in figure.subfigs for axes in part.axes for text in axes.texts]
    assert said == ["map is 0: it says nothing"] * 3


def test_no_examples_are_refused():
    with pytest.raises(ValueError, match="no examples"):
        saliency_figure({name: values[:0] for name, values in examples().items()})
