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

import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from monai_ssl.metrics import roc_bands
from monai_ssl.visualize import figure_to_svg, image_grid, roc_figure

_LABELS = np.random.default_rng(0).random(40) < 0.5
_SCORES = np.random.default_rng(1).random(40)


def test_svg_is_the_same_text_each_time_and_leaves_no_global_state() -> None:
    before = dict(matplotlib.rcParams)
    [band] = roc_bands(_LABELS, _SCORES, redraws=20)
    first, again = (figure_to_svg(roc_figure({"a": band}, "x"), "roc", "what it shows") for _ in range(2))
    assert first == again
    assert dict(matplotlib.rcParams) == before
    assert matplotlib._pylab_helpers.Gcf.figs == {}


def test_svg_is_one_labelled_element_with_prefixed_ids_and_no_addresses() -> None:
    [band] = roc_bands(_LABELS, _SCORES, redraws=20)
    name = 'A & "<b>" $x$ _z'
    svg = figure_to_svg(roc_figure({name: band, "_hidden": band}), "left", f"curve of {name}")
    tree = ElementTree.fromstring(svg)  # well-formed without any namespace
    assert tree.tag == "svg"
    assert tree.attrib["aria-label"] == f"curve of {name}"
    assert "http" not in svg
    ids = [element.attrib["id"] for element in tree.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids)) > 0
    assert all(identifier.startswith("left-") for identifier in ids)
    references = {value[1:] for e in tree.iter() for key, value in e.attrib.items() if key == "href"}
    assert references <= set(ids)
    texts = [element.text for element in tree.iter("text")]
    assert name in texts
    assert any(text and text.endswith("_hidden") for text in texts)


def test_roc_figure_draws_curve_and_band() -> None:
    [band] = roc_bands(_LABELS, _SCORES, redraws=20)
    [axes] = roc_figure({"a": band}).axes
    line = next(line for line in axes.lines if line.get_label() == "a")
    np.testing.assert_array_equal(line.get_xydata(), np.c_[band.fpr, band.tpr])
    drawn = {tuple(point) for point in axes.collections[0].get_paths()[0].vertices}
    assert set(zip(band.grid, band.low, strict=True)) | set(zip(band.grid, band.high, strict=True)) <= drawn
    with pytest.raises(ValueError, match="one curve at least"):
        roc_figure({})


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
