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

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from sklearn.metrics import normalized_mutual_info_score

from monai_ssl.reduction import mutual_information
from monai_ssl.reduction.mutual_information import keep_by_mutual_information, normalized_mutual_information


def peer(a, b, levels=64):
    bins = ((image.astype(int) * levels // 256).ravel() for image in (a, b))
    return normalized_mutual_info_score(*bins, average_method="arithmetic")


def noise(seed, *shape, high=256):
    return np.random.default_rng(seed).integers(0, high, shape, dtype=np.uint8)


def neighbours(seed, height, width):
    """Two smooth images that differ a little, as neighbouring slices do."""
    volume = gaussian_filter(np.random.default_rng(seed).normal(size=(6, height, width)), (2, 8, 8))
    return ((volume - volume.min()) / np.ptp(volume) * 255).astype(np.uint8)[2:4]


@pytest.mark.parametrize(("height", "width"), [(512, 512), (301, 640), (1, 1), (1, 300), (7, 5)])
def test_equal_to_sklearn(height, width):
    for a, b in (neighbours(0, height, width), noise(0, 2, height, width)):
        assert normalized_mutual_information(a, b) == pytest.approx(peer(a, b), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(2, 256), st.sampled_from([2, 5, 256]), st.integers(0, 2**32 - 1)
)
def test_equal_to_sklearn_at_any_number_of_levels(height, width, levels, high, seed):
    a, b = noise(seed, 2, height, width, high=high)
    assert normalized_mutual_information(a, b, levels) == pytest.approx(peer(a, b, levels), abs=1e-12)


def test_every_value_falls_into_its_bin():
    values = np.arange(256, dtype=np.uint8)[None]
    for levels in range(2, 257):
        joint = mutual_information._joint_histogram(values, values, levels)
        counts = np.bincount(np.arange(256) * levels // 256, minlength=levels)
        np.testing.assert_array_equal(joint, np.diag(counts))


def test_more_pixels_than_float32_counts_are_counted(monkeypatch):
    a, b = noise(0, 2, 10_001, high=64)
    whole = mutual_information._joint_histogram(a, b, 64)
    monkeypatch.setattr(mutual_information, "_BLOCK", 1000)
    np.testing.assert_array_equal(mutual_information._joint_histogram(a, b, 64), whole)
    assert whole.sum() == 10_001


def test_an_image_without_information():
    dark, bright, image = np.zeros((20, 20), np.uint8), np.full((20, 20), 200, np.uint8), noise(0, 20, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert normalized_mutual_information(dark, dark) == 1.0
        assert normalized_mutual_information(dark, bright) == 1.0 == peer(dark, bright)
        assert normalized_mutual_information(dark, image) == 0.0
        assert normalized_mutual_information(image, bright) == 0.0


def test_nearly_constant_images_are_told_apart():
    # One pixel of 250,000 differs: entropies of 5e-5, which a difference of larger ones would blur. By hand, they share
    # nothing but the 249,998 pixels where both are dark.
    a, b = np.zeros((2, 500, 500), np.uint8)
    a[0, 0] = b[0, 1] = 255
    share = 1 / 250_000
    entropy = -share * np.log(share) - (1 - share) * np.log1p(-share)
    joint = -2 * share * np.log(share) - (1 - 2 * share) * np.log1p(-2 * share)
    assert normalized_mutual_information(a, b) == pytest.approx((2 * entropy - joint) / entropy, abs=1e-10)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 256), st.integers(0, 2**32 - 1))
def test_symmetric_and_exactly_1_for_equal_images(height, width, high, seed):
    a, b = noise(seed, 2, height, width, high=high)
    similarity = normalized_mutual_information(a, b)
    assert 0 <= similarity <= 1
    assert normalized_mutual_information(b, a) == pytest.approx(similarity, abs=1e-14)
    assert normalized_mutual_information(a.T, b.T) == similarity
    assert normalized_mutual_information(a, a) == 1.0
    # Other names for the same levels: a negative, and a shift by two whole levels.
    assert normalized_mutual_information(a, 255 - a) == 1.0
    assert normalized_mutual_information(a // 2, a // 2 + 8) == 1.0


def test_independent_images_share_almost_nothing():
    assert normalized_mutual_information(*noise(0, 2, 1000, 1000)) < 0.001


def test_keeps_what_differs_from_the_last_kept_slice():
    images = gaussian_filter(np.random.default_rng(0).normal(size=(30, 60, 60)), (3, 6, 6))
    images = ((images - images.min()) / np.ptp(images) * 255).astype(np.uint8)
    exemplar, distance = keep_by_mutual_information(images, 0.6)
    expected, last = [], 0
    for index, image in enumerate(images):
        if 1 - peer(images[last], image) > 0.6:
            last = index
        expected.append(last)
    assert exemplar.tolist() == expected
    assert 2 < len(set(expected)) < 25
    for index, own in enumerate(expected):
        assert distance[index] == pytest.approx(1 - peer(images[own], images[index]), abs=1e-12)


@pytest.mark.parametrize("levels", [1, 257, 6.5, "64", None, True])
def test_levels_outside_their_range_are_refused(levels):
    with pytest.raises(ValueError, match="from 2 to 256, got"):
        normalized_mutual_information(*noise(0, 2, 5, 5), levels)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match=r"got .* float64; convert other values with to_uint8"):
        normalized_mutual_information(np.zeros((5, 5)), np.zeros((5, 5)))
    with pytest.raises(ValueError, match=r"one size, got \(5, 5\) and \(5, 6\)"):
        normalized_mutual_information(noise(0, 5, 5), noise(0, 5, 6))
