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
import pandas as pd
import pytest
from PIL import Image

from monai_ssl.visualize import embedding_figure, embedding_plane


def groups(each=30):
    generator = np.random.default_rng(0)
    centres = generator.normal(scale=20, size=(3, 16))
    return np.concatenate([centre + generator.normal(size=(each, 16)) for centre in centres])


def test_neighbours_stay_neighbours_and_the_map_the_same():
    embeddings = groups()
    places = embedding_plane(embeddings)
    assert np.array_equal(places, embedding_plane(embeddings))
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    nearest = np.argsort(distances, axis=1)[:, 1:6]
    assert (nearest // 30 == np.arange(90)[:, None] // 30).all()


@pytest.mark.parametrize("embeddings", [np.ones((1, 4)), np.eye(5), np.ones((40, 3)), groups(3)[:, :1]])
def test_few_and_equal_points_have_places(embeddings):
    places = embedding_plane(embeddings)
    assert places.shape == (len(embeddings), 2)
    assert np.isfinite(places).all()


def test_points_have_the_colours_of_their_values():
    labels = ["", *"aaabbbccddeeffgh", *[""] * 70, *[None] * 3]
    table = pd.DataFrame({"position": np.linspace(0, 1, 90), "label": labels})
    table.loc[5, "position"] = np.nan
    figure = embedding_figure(groups(), table)
    position, _, label = figure.axes
    assert position.get_title("left") == "position"
    unknown, known = position.collections
    assert (len(unknown.get_offsets()), len(known.get_offsets())) == (1, 89)
    np.testing.assert_array_equal(known.get_array(), table["position"].dropna())
    names = [text.get_text() for text in label.get_legend().get_texts()]
    assert names == [
        "not labelled (3)",
        "none (71)",
        "2 rarer ones (2)",
        "a (3)",
        "b (3)",
        "c (2)",
        "d (2)",
        "e (2)",
        "f (2)",
    ]
    assert sum(len(points.get_offsets()) for points in label.collections) == 90


def test_many_points_are_drawn_from(monkeypatch):
    monkeypatch.setattr("monai_ssl.visualize.embedding_map._MOST", 20)
    figure = embedding_figure(groups(), pd.DataFrame(index=range(90)))
    assert figure.get_suptitle().startswith("20 of 90 images")
    assert sum(len(points.get_offsets()) for points in figure.axes[0].collections) == 20
    figure.savefig(stream := io.BytesIO(), format="png")
    assert Image.open(stream).size[0] > 500


def test_a_table_of_another_length_is_refused():
    with pytest.raises(ValueError, match="got 5 and 4 rows"):
        embedding_figure(np.eye(5), pd.DataFrame({"a": [1, 2, 3, 4]}))
