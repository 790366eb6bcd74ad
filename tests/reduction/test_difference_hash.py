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

import cv2
import imagehash
import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from monai_ssl.reduction import difference_hash, hash_slices, to_uint8

TALL_AS_PILLOW_13 = int(PIL.__version__.split(".")[0]) >= 13


def peer_hash(image):
    return int(str(imagehash.dhash(Image.fromarray(image))), 16)


def assert_equal_hashes(images):
    np.testing.assert_array_equal(difference_hash(images), np.array([peer_hash(image) for image in images], np.uint64))


def smooth_images(rng, count, height, width):
    images = gaussian_filter(rng.normal(size=(count, height, width)), (0, height / 12, width / 12))
    return to_uint8(images + rng.normal(0, images.std() / 20, images.shape))


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (512, 512),
        (513, 511),
        (300, 512),
        (640, 512),
        (64, 64),
        (8, 9),
        (9, 8),
        (7, 9),
        (8, 10),
        (1, 1),
        (1, 40),
        (2, 3),
    ],
)
def test_equal_to_imagehash(height, width):
    rng = np.random.default_rng(height * 1000 + width)
    for _ in range(3):
        assert_equal_hashes(rng.integers(0, 256, (4, height, width), dtype=np.uint8))
        assert_equal_hashes(rng.integers(0, 2, (4, height, width), dtype=np.uint8) * 255)
        assert_equal_hashes(smooth_images(rng, 4, height, width))


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_equal_to_imagehash_at_any_size(height, width, seed):
    if height > 2 * width - 10 and height > 8 and width != 9 and not TALL_AS_PILLOW_13:
        return
    rng = np.random.default_rng(seed)
    assert_equal_hashes(rng.integers(0, 256, (2, height, width), dtype=np.uint8))


@pytest.mark.skipif(not TALL_AS_PILLOW_13, reason="Pillow 13 is the first to resample tall images vertically first")
def test_equal_to_imagehash_around_the_change_of_order():
    rng = np.random.default_rng(0)
    for width in (*range(1, 30), 100, 257):
        for height in range(max(2 * width - 13, 1), max(2 * width - 7, 12)):
            assert_equal_hashes(rng.integers(0, 256, (1, height, width), dtype=np.uint8))


def test_strides_and_order_of_memory_do_not_matter():
    images = np.random.default_rng(0).integers(0, 256, (40, 70, 60), dtype=np.uint8)
    turned = np.ascontiguousarray(images[:, ::-1, ::-1].transpose(2, 1, 0)).transpose(2, 1, 0)[:, ::-1, ::-1]
    np.testing.assert_array_equal(difference_hash(turned), difference_hash(images))
    np.testing.assert_array_equal(hash_slices(turned), difference_hash(to_uint8(images)))


def test_constant_images_hash_to_zero_and_none_to_none():
    assert difference_hash(np.full((2, 30, 30), 200, np.uint8)).tolist() == [0, 0]
    assert difference_hash(np.empty((0, 30, 30), np.uint8)).shape == (0,)
    assert hash_slices(np.empty((0, 30, 30))).dtype == np.uint64


@pytest.mark.parametrize("shape", [(5, 5), (1, 0, 5), (1, 5, 0), (1, 1, 5, 5)])
@pytest.mark.parametrize("function", [difference_hash, to_uint8, hash_slices])
def test_other_shapes_are_refused(function, shape):
    with pytest.raises(ValueError, match=r"\(N, H, W\)"):
        function(np.zeros(shape, np.uint8))


def test_other_dtypes_are_refused():
    with pytest.raises(ValueError, match="must be uint8, got int16; convert them with to_uint8"):
        difference_hash(np.zeros((1, 5, 5), np.int16))
    with pytest.raises(ValueError, match="real numbers, got complex128"):
        to_uint8(np.zeros((1, 5, 5), complex))


def reference_png(image, path):
    """What the reference writes for a slice: `interval_mapping`, then `cv2.imwrite` of the float image."""
    image = image.astype(float)  # as `get_fdata` of nibabel, which it reads with
    low, high = image.min(), image.max()
    cv2.imwrite(str(path), (image - low) / (high - low) * 255)
    return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.float32, np.float64, np.uint8])
def test_8_bit_image_is_the_reference_png(tmp_path, dtype):
    rng = np.random.default_rng(0)
    # A range of 510 makes every second value a tie between two levels.
    for spread in (510, 250, 3071):
        images = np.minimum(
            rng.integers(0, spread + 1, (3, 64, 64)), np.iinfo(np.uint8).max if dtype == np.uint8 else spread
        )
        images = images.astype(dtype)
        expected = [reference_png(image, tmp_path / "slice.png") for image in images]
        np.testing.assert_array_equal(to_uint8(images), expected)


def test_few_pixels_and_many_values_go_the_other_way_to_the_same_image():
    image = np.random.default_rng(0).integers(-2000, 3000, (1, 100, 100)).astype(np.int16)
    image[0, 0, :2] = (-2000, 3000)
    corner = image[:, :20, :20]  # fewer pixels than levels
    np.testing.assert_array_equal(to_uint8(corner), to_uint8(image)[:, :20, :20])
    np.testing.assert_array_equal(to_uint8(image.astype(np.float32)), to_uint8(image))


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_window_clips_and_scales(dtype):
    image = np.array([[[-3000, -1000, -500, 0, 500, 4000]]], dtype=dtype)
    expected = np.rint((np.clip(image.astype(float), -1000, 500) + 1000) / 1500 * 255)
    np.testing.assert_array_equal(to_uint8(image, window=(-1000, 500)), expected)


def test_invalid_pixels_take_the_smallest_valid_value():
    image = np.array([[[5.0, np.nan, 10.0, np.inf, 15.0, -np.inf]]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(to_uint8(image), to_uint8(np.array([[[5.0, 5.0, 10.0, 5.0, 15.0, 5.0]]])))
        assert to_uint8(np.full((1, 3, 3), np.nan)).tolist() == [[[0] * 3] * 3]
        assert to_uint8(np.full((1, 3, 3), 7, np.int16)).tolist() == [[[0] * 3] * 3]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint64, np.int64, np.float32, np.float64, bool])
def test_the_whole_range_of_a_dtype_does_not_overflow(dtype):
    info = (False, True) if dtype is bool else np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    low, high = info if dtype is bool else (info.min, info.max)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_uint8(np.array([[[low, high]]], dtype=dtype)).tolist() == [[[0, 255]]]
        assert to_uint8(np.array([[[low, high] * 200]], dtype=dtype)).tolist() == [[[0, 255] * 200]]


@pytest.mark.parametrize("window", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1)])
def test_empty_windows_are_refused(window):
    with pytest.raises(ValueError, match="low < high"):
        to_uint8(np.zeros((1, 4, 4)), window=window)
