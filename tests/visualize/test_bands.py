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

from monai_ssl.metrics import precision_recall_bands, roc_bands
from monai_ssl.visualize import precision_recall_figure, roc_figure

_LABELS = np.random.default_rng(0).random(40) < 0.5
_SCORES = np.random.default_rng(1).random(40)


def _named(axes, name):
    return next(line for line in axes.lines if line.get_label() == name)


def test_roc_figure_draws_curve_and_band() -> None:
    [band] = roc_bands(_LABELS, _SCORES, redraws=20)
    [axes] = roc_figure({"a": band}).axes
    np.testing.assert_array_equal(_named(axes, "a").get_xydata(), np.c_[band.x, band.y])
    drawn = {tuple(point) for point in axes.collections[0].get_paths()[0].vertices}
    assert set(zip(band.grid, band.low, strict=True)) | set(zip(band.grid, band.high, strict=True)) <= drawn
    with pytest.raises(ValueError, match="one curve at least"):
        roc_figure({})


def test_precision_recall_figure_draws_steps_band_and_prevalence() -> None:
    [band] = precision_recall_bands(_LABELS, _SCORES, redraws=20)
    figure = precision_recall_figure({"a": band}, _LABELS.mean())
    [axes] = figure.axes
    line = _named(axes, "a")
    np.testing.assert_array_equal(line.get_xydata(), np.c_[band.x, band.y])
    assert line.get_drawstyle() == "steps-pre"
    drawn = {tuple(point) for point in axes.collections[0].get_paths()[0].vertices}
    assert set(zip(band.grid, band.low, strict=True)) | set(zip(band.grid, band.high, strict=True)) <= drawn
    percent = f"chance: prevalence {100 * _LABELS.mean():.3g} %"
    assert set(_named(axes, percent).get_ydata()) == {_LABELS.mean()}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", percent]
    with pytest.raises(ValueError, match="one curve at least"):
        precision_recall_figure({}, 0.5)


def test_a_curve_of_many_images_is_thinned_by_less_than_can_be_seen() -> None:
    random = np.random.default_rng(0)
    labels = random.random(20_000) < 0.3
    [band] = roc_bands(labels, random.random(20_000) + 0.3 * labels, redraws=5)
    x, y = _named(roc_figure({"a": band}).axes[0], "a").get_data()
    assert len(band.x) > 5000
    assert len(x) < 1100
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    # of a rising line, x + y names the place
    along = band.x + band.y
    assert np.abs(np.interp(along, x + y, x) - band.x).max() < 1 / 500
    assert np.abs(np.interp(along, x + y, y) - band.y).max() < 1 / 500


@pytest.mark.parametrize("width", [2.8, 4.0])
def test_nothing_overlaps_or_is_cut_off_with_many_models_of_long_names(width) -> None:
    [band] = roc_bands(_LABELS, _SCORES, redraws=20)
    names = [f"resnet50 from a checkpoint of a long name, seed {seed}" for seed in range(8)]
    figure = roc_figure(dict.fromkeys(names, band), "A title that needs more than one line of the panel", width)
    figure.savefig(io.BytesIO(), dpi=100)
    # of Agg, as the layout was made
    whole, panel, legend = figure.bbox, figure.axes[0].get_tightbbox(), figure.legends[0].get_window_extent()
    assert panel.y0 >= legend.y1 - 1
    for box in (panel, legend):
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= whole.x1 + 1
        assert box.y1 <= whole.y1 + 1
    shown = [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]
    assert shown == [*names, "chance"]
