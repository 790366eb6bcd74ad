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
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage import metrics

from monai_ssl.reduction.ssim import keep_by_ssim, structural_similarity


def peer(a, b):
    return metrics.structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )


def noise(seed, *shape, high=256):
    return np.random.default_rng(seed).integers(0, high, shape, dtype=np.uint8)


def neighbours(seed, height, width):
    """Two smooth images that differ a little, as neighbouring slices do."""
    rng = np.random.default_rng(seed)
    volume = gaussian_filter(rng.normal(size=(6, height, width)), (2, height / 15, width / 15))
    volume = (volume - volume.min()) / np.ptp(volume) * 240 + rng.normal(0, 2, volume.shape)
    return volume[2:4].clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("height", "width"), [(512, 512), (301, 640), (11, 11), (11, 300), (300, 12), (70, 4001), (64, 63)]
)
def test_equal_to_skimage(height, width):
    for a, b in (neighbours(0, height, width), noise(0, 2, height, width)):
        assert structural_similarity(a, b) == pytest.approx(peer(a, b), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.integers(11, 70), st.integers(11, 70), st.integers(1, 256), st.integers(0, 2**32 - 1))
def test_equal_to_skimage_at_any_size(height, width, high, seed):
    a, b = noise(seed, 2, height, width, high=high)
    assert structural_similarity(a, b) == pytest.approx(peer(a, b), abs=1e-11)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (0, 255), (200, 255), (128, 129), (255, 255)])
def test_flat_images_differ_by_their_brightness_alone(a, b):
    # Variances are the difference of two moments; here it has to be 0.
    luminance = (2 * a * b + 2.55**2) / (a**2 + b**2 + 2.55**2)
    images = (np.full((64, 64), value, np.uint8) for value in (a, b))
    assert structural_similarity(*images) == pytest.approx(luminance, abs=1e-11)


def test_flat_areas_of_other_brightness_are_equal_to_skimage():
    for seed in range(10):
        a, b = np.kron(noise(seed, 2, 4, 4), np.ones((1, 32, 32), np.uint8)) // 2 * 2 + noise(seed, 2, 128, 128, high=2)
        assert structural_similarity(a, b) == pytest.approx(peer(a, b), abs=1e-11)


def mirrored_peer(a, b):
    """The map of SSIM at every pixel, by a filter that mirrors at the edges, over the places that the rule names."""
    a, b = a.astype(float), b.astype(float)

    def mean(values):
        return gaussian_filter(values, 1.5, mode="reflect", truncate=3.5)

    mean_a, mean_b, covariance = mean(a), mean(b), mean(a * b) - mean(a) * mean(b)
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    similarity = (2 * mean_a * mean_b + 2.55**2) * (2 * covariance + 7.65**2)
    similarity /= (mean_a**2 + mean_b**2 + 2.55**2) * (variances + 7.65**2)
    rows, columns = (slice(None) if side < 11 else slice(5, side - 5) for side in a.shape)
    return similarity[rows, columns].mean()


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 40), (10, 10), (10, 11), (11, 10), (3, 7), (5, 200), (300, 2), (11, 11), (60, 50)]
)
def test_a_side_shorter_than_the_window_is_mirrored(shape):
    a, b = noise(0, 2, *shape)
    expected = mirrored_peer(a, b)
    assert structural_similarity(a, b) == pytest.approx(expected, abs=1e-12)
    assert structural_similarity(a[::-1, ::-1], b[::-1, ::-1]) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 256), st.integers(0, 2**32 - 1))
def test_symmetric_and_exactly_1_for_equal_images(height, width, high, seed):
    a, b = noise(seed, 2, height, width, high=high)
    assert structural_similarity(a, a) == 1.0
    similarity = structural_similarity(a, b)
    assert -1 <= similarity <= 1
    assert structural_similarity(b, a) == similarity
    assert structural_similarity(a.T, b.T) == pytest.approx(similarity, abs=1e-12)


def test_a_negative_is_unlike():
    image = noise(0, 64, 64)
    assert structural_similarity(image, 255 - image) < -0.5


def test_keeps_what_differs_from_the_last_kept_slice():
    # A drift of brightness in small steps: compared with the slice before, only the first would be kept.
    images = np.stack([neighbours(0, 80, 80)[0] // 2 + step for step in range(0, 100, 5)])
    exemplar, distance = keep_by_ssim(images, 0.05)
    expected, last = [], 0
    for index, image in enumerate(images):
        if 1 - peer(images[last], image) > 0.05:
            last = index
        expected.append(last)
    assert exemplar.tolist() == expected
    assert 2 < len(set(expected)) < 10
    for index, own in enumerate(expected):
        assert distance[index] == pytest.approx(1 - peer(images[own], images[index]), abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((5, 5), np.int16), np.zeros((5, 5), np.uint8), r"uint8, got .* int16; convert other values"),
        (np.zeros((1, 5, 5), np.uint8), np.zeros((1, 5, 5), np.uint8), r"shape \(H, W\)"),
        (np.zeros((0, 5), np.uint8), np.zeros((0, 5), np.uint8), "at least 1"),
        (np.zeros((5, 5), np.uint8), np.zeros((5, 6), np.uint8), r"one size, got \(5, 5\) and \(5, 6\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        structural_similarity(a, b)
