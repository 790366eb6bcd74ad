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

import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from monai_ssl.metrics import roc_bands
from monai_ssl.visualize import figure_to_svg, roc_figure, save_svg

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


def test_saved_file_is_whole_equal_each_time_on_white_and_described(tmp_path) -> None:
    [band] = roc_bands(_LABELS, _SCORES, redraws=20)
    for name in ("one.svg", "two.svg"):
        save_svg(roc_figure({"a & <b>": band}, "AUC $5 < 6"), tmp_path / "new folder" / name, "a is above b & <chance>")
    first, second = ((tmp_path / "new folder" / name).read_bytes() for name in ("one.svg", "two.svg"))
    assert first == second
    assert sorted(path.name for path in (tmp_path / "new folder").iterdir()) == ["one.svg", "two.svg"]
    tree = ElementTree.fromstring(first)
    svg = "{http://www.w3.org/2000/svg}"
    assert tree.tag == f"{svg}svg"
    assert [tree.find(f"{svg}{name}").text for name in ("title", "desc")] == ["AUC $5 < 6", "a is above b & <chance>"]
    assert tree.find(f"{svg}rect").attrib["fill"] == "#ffffff"
    assert "a & <b>" in [element.text for element in tree.iter(f"{svg}text")]
    # nothing is fetched, and nothing tells when or where it was made
    assert set(re.findall(rb"https?://[^\"]+", first)) == {
        b"http://www.w3.org/2000/svg",
        b"http://www.w3.org/1999/xlink",
    }
    assert not re.search(rb"<metadata|<!DOCTYPE|20[2-9]\d-", first)


def test_a_file_stays_as_it_was_when_drawing_fails(tmp_path) -> None:
    path = tmp_path / "figure.svg"
    save_svg(matplotlib.figure.Figure(), path)
    before = path.read_bytes()
    broken = matplotlib.figure.Figure()
    broken.text(0.5, 0.5, "$\\nonsense$")
    with pytest.raises(ValueError, match="nonsense"):
        save_svg(broken, path)
    assert path.read_bytes() == before
