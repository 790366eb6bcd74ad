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

from monai_ssl.visualize import forest_figure
from monai_ssl.visualize.figures import INK, PAPER


def _table(labels, **columns) -> pd.DataFrame:
    difference = np.linspace(-0.03, 0.05, len(labels))
    fixed = {"difference": difference, "low": difference - 0.02, "high": difference + 0.03}
    tested = {"p_value": np.linspace(0.0004, 0.2, len(labels)), "q_value": np.linspace(0.0008, 0.4, len(labels))}
    return pd.DataFrame({"label": labels, **fixed, **tested, **columns})


def _texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_rows_show_the_table_with_means_last_and_findings_filled() -> None:
    table = _table(["macro", "nodule", "effusion"])
    [axes] = forest_figure(table).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["nodule", "effusion", "mean over labels"]
    points = axes.lines[1:]
    order = table.iloc[[1, 2, 0]]
    assert [line.get_xdata()[0] for line in points] == order["difference"].tolist()
    assert [line.get_marker() for line in points] == ["o", "o", "D"]
    assert [line.get_markerfacecolor() for line in points] == [INK if q < 0.05 else PAPER for q in order["q_value"]]
    heights = [line.get_ydata()[0] for line in points]
    assert heights == sorted(heights) == axes.get_yticks().tolist()
    assert heights[2] - heights[1] > heights[1] - heights[0]
    ends = [collection.get_segments()[0][:, 0].tolist() for collection in axes.collections]
    assert ends == order[["low", "high"]].to_numpy().tolist()
    assert "\u22120.030 (\u22120.050 to 0.000)" in _texts(axes)
    assert "<0.001" in _texts(axes)


@pytest.mark.parametrize(("metric", "left"), [("auc", "scratch"), ("brier", "swav"), ("calibration_error", "swav")])
def test_words_say_which_side_favours_whom(metric, left) -> None:
    table = _table(["nodule"], model_a="swav", model_b="scratch", metric=metric)
    right = {"swav": "scratch", "scratch": "swav"}[left]
    [axes] = forest_figure(table).axes
    words = axes.get_xlabel()
    assert f"\u2190 {left} better" in words
    assert f"{right} better \u2192" in words
    assert words.index(left) < words.index(right)
    assert "filled: q < 0.05" in words
    assert "filled: p < 0.05" in forest_figure(table.drop(columns="q_value")).axes[0].get_xlabel()


def test_several_pairs_and_data_sets_get_headings_and_a_missing_value_is_said() -> None:
    parts = [
        _table(["nodule", "macro"], data_set=name, model_a="a", model_b=b)
        for name in ("inside", "outside", "mean")
        for b in ("b", "c")
    ]
    table = pd.concat(parts)
    table.iloc[0, table.columns.get_loc("difference")] = np.nan
    [axes] = forest_figure(table).axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows[::3] == [f"{name}, a \u2212 {b}" for name in ("inside", "outside", "mean over data sets") for b in "bc"]
    assert [line.get_marker() for line in axes.lines[1:]] == ["D"] + ["o", "D"] * 3 + ["D"] * 4
    assert _texts(axes).count("no value") == 1
    assert "\u2190 second better" in axes.get_xlabel()


def test_what_cannot_be_shown_is_refused() -> None:
    table = _table(["a", "b"], metric=["auc", "brier"])
    with pytest.raises(ValueError, match="one metric, got auc, brier"):
        forest_figure(table)
    with pytest.raises(ValueError, match="no row has a difference"):
        forest_figure(table.assign(difference=np.nan))


@pytest.mark.parametrize("labels", [["nodule"], [f"a label of a rather long name {i}" for i in range(40)]])
def test_numbers_and_names_are_inside_the_figure_and_apart(labels) -> None:
    figure = forest_figure(_table(labels, model_a="a" * 40, model_b="b" * 40), "Differences")
    figure.savefig(io.BytesIO(), dpi=100)
    [axes] = figure.axes
    assert axes.get_tightbbox().x0 >= -1
    assert max(text.get_window_extent().x1 for text in axes.texts) <= figure.bbox.x1 + 1
    panel = axes.get_window_extent()
    assert min(text.get_window_extent().x0 for text in axes.texts) > panel.x1
    assert panel.width > 150
    heights = sorted(label.get_window_extent().y0 for label in axes.get_yticklabels())
    assert not len(heights) > 1 or np.diff(heights).min() > 9
