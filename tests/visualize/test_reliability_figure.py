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
from matplotlib.colors import to_hex

from monai_ssl.metrics import reliability_bands
from monai_ssl.visualize import reliability_figure
from monai_ssl.visualize.figures import MODEL_COLORS, PAPER


def test_points_whiskers_and_counts_are_those_of_the_table() -> None:
    random = np.random.default_rng(0)
    scores = random.random(300)
    labels = (random.random(300) < 0.8 * scores) & (scores > 0.1)
    [table] = reliability_bands(labels, scores, redraws=50)
    upper, lower = reliability_figure({"a": table}).axes
    whiskers, points = upper.collections
    np.testing.assert_array_equal(points.get_offsets(), table[["mean_score", "positive_share"]])
    ends = np.array([path.vertices for path in whiskers.get_paths()])
    np.testing.assert_array_equal(ends[..., 0], table[["mean_score", "mean_score"]])
    np.testing.assert_array_equal(ends[..., 1], table[["share_low", "share_high"]])
    # the first bin has no positive, so no interval: hollow, and no line leads there
    assert [to_hex(color) for color in points.get_facecolors()] == [PAPER] + [MODEL_COLORS[0]] * 9
    line = next(line for line in upper.lines if line.get_label() == "a")
    np.testing.assert_array_equal(line.get_xydata(), table[["mean_score", "positive_share"]][1:])
    values, edges, _ = lower.patches[0].get_data()
    np.testing.assert_array_equal(values, table["images"])
    np.testing.assert_array_equal(edges, np.arange(11) / 10)


def test_empty_bins_have_no_point_and_no_curves_are_refused() -> None:
    [table] = reliability_bands([0, 1, 0, 1], [0.1, 0.1, 0.9, 0.9], redraws=20)
    upper, _ = reliability_figure({"a": table, "b": table}).axes
    assert [len(points.get_offsets()) for points in upper.collections[1::2]] == [2, 2]
    with pytest.raises(ValueError, match="one curve at least"):
        reliability_figure({})
