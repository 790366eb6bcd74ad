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

import statistics

import numpy as np
import pytest

from monai_ssl.metrics.spread import spread

RANDOM = np.random.default_rng(4)


def plain_percentile(values: list[float], share: float) -> float:
    """Linear between the two nearest ranks."""
    ranked = sorted(values)
    place = share * (len(ranked) - 1)
    below = int(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (place - below) * (ranked[above] - ranked[below])


def test_every_number_is_that_of_a_plain_loop() -> None:
    values, samples = RANDOM.random(5), RANDOM.random((60, 5))
    samples[7, 2] = samples[30, 0] = samples[30, 1] = np.nan
    found = spread(values, samples)
    means, pooled, left_out = [], [], 0
    for row in samples.tolist():
        if any(value != value for value in row):
            left_out += 1
            continue
        means.append(sum(row) / len(row))
        pooled += row
    expected = {
        "mean": sum(values) / 5,
        "sd_between": statistics.stdev(values),
        "low": plain_percentile(means, 0.025),
        "high": plain_percentile(means, 0.975),
        "sd_over_redraws": statistics.stdev(means),
        "left_out": left_out,
        "sd_mixed": statistics.stdev(pooled),
        "low_mixed": plain_percentile(pooled, 0.025),
        "high_mixed": plain_percentile(pooled, 0.975),
    }
    assert vars(found) == pytest.approx(expected, abs=1e-12)
    assert left_out == 2


def test_the_mixed_square_is_what_lies_within_members_plus_what_lies_between_them() -> None:
    samples = RANDOM.normal(0.8, 0.03, (400, 6)) + np.linspace(-0.1, 0.1, 6)
    found = spread(samples.mean(axis=0), samples)
    within, between = samples.var(axis=0).mean(), samples.mean(axis=0).var()
    assert found.sd_mixed**2 * (samples.size - 1) / samples.size == pytest.approx(within + between, rel=1e-12)
    # and it is wider than what it must not be taken for
    assert found.high_mixed - found.low_mixed > 2 * (found.high - found.low)


def test_one_member_has_nothing_between_and_mixes_nothing() -> None:
    samples = RANDOM.random((50, 1))
    found = spread([0.5], samples)
    assert np.isnan(found.sd_between)
    assert (found.low, found.high, found.sd_over_redraws) == (found.low_mixed, found.high_mixed, found.sd_mixed)


def test_no_usable_redraw_leaves_the_mean_and_no_interval() -> None:
    found = spread([0.5, 0.7], [[0.5, np.nan], [np.nan, 0.6]])
    assert (found.mean, found.left_out) == (0.6, 2)
    assert np.isnan([found.low, found.high, found.sd_over_redraws, found.sd_mixed, found.low_mixed]).all()


@pytest.mark.parametrize(
    ("values", "samples", "message"),
    [
        ([], np.zeros((3, 0)), "one at least"),
        ([0.5, np.nan], np.zeros((3, 2)), "leave out what has none"),
        ([0.5, 0.6], np.zeros((3, 3)), r"must be \(redraws, 2\)"),
    ],
)
def test_what_cannot_be_used_is_refused(values: list[float], samples: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spread(values, samples)
