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
import pandas as pd
import pytest

from monai_ssl.visualize import learning_curve_figure

_TABLE = pd.DataFrame(
    {
        "group": np.repeat(["swav", "scratch"], 3),
        "fraction": [1.0, 0.1, 0.01] * 2,
        "auc": [0.9, 0.8, 0.7, 0.85, np.nan, 0.6],
        "low": [0.85, 0.75, 0.6, 0.8, np.nan, 0.45],
        "high": [0.95, 0.85, 0.8, 0.9, np.nan, 0.7],
        "patients": [200, 20, 2] * 2,
    }
)


def test_a_line_per_group_over_rising_shares_with_whiskers() -> None:
    figure = learning_curve_figure(_TABLE)
    [axes] = figure.axes
    swav, scratch = axes.lines[:2]
    np.testing.assert_array_equal(swav.get_ydata(), [0.7, 0.8, 0.9])
    np.testing.assert_array_equal(scratch.get_ydata(), [0.6, 0.85])
    np.testing.assert_allclose(swav.get_xdata(), [0.01, 0.1, 1], rtol=0.06)
    assert (swav.get_xdata()[[0, 2]] < scratch.get_xdata()).all()
    ends = [[path.vertices[:, 1].tolist() for path in whiskers.get_paths()] for whiskers in axes.collections]
    assert ends == [[[0.6, 0.8], [0.75, 0.85], [0.85, 0.95]], [[0.45, 0.7], [0.8, 0.9]]]
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2\n1 %", "20\n10 %", "200\n100 %"]
    assert swav.get_marker() != scratch.get_marker()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["swav", "scratch"]


def test_patients_may_differ_between_groups_or_be_unknown() -> None:
    other = _TABLE.assign(patients=[200, 20, 2, 210, 21, 2])
    ticks = learning_curve_figure(other).axes[0].get_xticklabels()
    assert [label.get_text() for label in ticks] == ["2\n1 %", "20\n10 %", "200-210\n100 %"]
    ticks = learning_curve_figure(other.drop(columns="patients")).axes[0].get_xticklabels()
    assert [label.get_text() for label in ticks] == ["1 %", "10 %", "100 %"]


def test_groups_of_one_share_stay_nearer_than_the_next_share() -> None:
    table = pd.DataFrame([{"group": g, "fraction": f, "auc": 0.7, "low": 0.6, "high": 0.8}
                          for g in range(9) for f in (0.9, 1.0)])  # fmt: skip
    x = np.array([line.get_xdata() for line in learning_curve_figure(table).axes[0].lines[:9]])
    assert x[:, 0].max() < x[:, 1].min()


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(ValueError, match="no row has an AUC"):
        learning_curve_figure(_TABLE.assign(auc=np.nan))
    with pytest.raises(ValueError, match="at most 1, got 0"):
        learning_curve_figure(_TABLE.assign(fraction=0))
    with pytest.raises(ValueError, match=r"group 'swav' has fraction 1\.0 twice"):
        learning_curve_figure(pd.concat([_TABLE, _TABLE[:1]]))
