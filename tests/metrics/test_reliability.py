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

from monai_ssl.metrics import redraw_counts, reliability_bands, reliability_curve
from monai_ssl.metrics.redraws import label_strata

_RANDOM = np.random.default_rng(0)
_LABELS = np.where(_RANDOM.random((90, 2)) < 0.1, np.nan, _RANDOM.random((90, 2)) < 0.4)
_SCORES = _RANDOM.integers(0, 21, (90, 2)) / 20  # on edges too


@pytest.mark.parametrize("stratify", [False, True])
def test_bands_are_the_percentiles_of_a_plain_loop_over_the_same_redraws(stratify: bool) -> None:
    groups = np.arange(90) // 3
    tables = reliability_bands(_LABELS, _SCORES, redraws=60, groups=groups, seed=2, bins=5, stratify=stratify)
    strata = label_strata(_LABELS, groups) if stratify else None
    for label, table in enumerate(tables):
        shares = [[] for _ in range(5)]
        for count in np.concatenate(list(redraw_counts(90, 60, groups, 2, strata)), axis=1).T:
            drawn = np.repeat(np.arange(90), count)
            truth, scores = _LABELS[drawn, label], _SCORES[drawn, label]
            for bin_, share in enumerate(shares):
                upper = scores < (bin_ + 1) / 5 if bin_ < 4 else scores <= 1
                inside = truth[(scores >= bin_ / 5) & upper & np.isfinite(truth)]
                if len(inside):
                    share.append(inside.mean())
        expected = np.array([np.percentile(share, (2.5, 97.5)) for share in shares])
        np.testing.assert_allclose(table[["share_low", "share_high"]], expected, atol=1e-12)


def test_table_is_the_reliability_curve_and_an_empty_bin_has_no_interval() -> None:
    scores = np.where(_SCORES[:, 0] < 0.3, 0.3, _SCORES[:, 0])
    [table] = reliability_bands(_LABELS[:, 0], scores, redraws=10)
    curve = reliability_curve(_LABELS[:, 0], scores)
    np.testing.assert_array_equal(table[curve.columns], curve)
    empty = table["images"] == 0
    assert empty.tolist() == [True] * 3 + [False] * 7
    assert table.loc[empty, ["share_low", "share_high"]].isna().all(axis=None)
    assert table.loc[~empty, ["share_low", "share_high"]].notna().all(axis=None)


def test_a_score_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="must be probabilities"):
        reliability_bands([0, 1], [0.5, 1.5], redraws=5)
