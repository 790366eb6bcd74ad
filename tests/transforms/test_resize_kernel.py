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

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage.transform import resize as skimage_resize

from monai_ssl.transforms.resize_kernel import resize_box

# Height, width, rows, columns: large and mild factors, one side growing, both, whole numbers, odd lane counts.
SHAPES = [
    *((500, 490, 224, 224), (240, 250, 96, 96), (120, 110, 96, 100), (64, 300, 96, 96), (200, 60, 96, 96)),
    *((30, 40, 96, 97), (256, 256, 64, 64), (96, 96, 96, 96), (7, 1, 5, 3), (400, 3, 1, 1)),
]
SHRINKING = SHAPES[:5]


def resized(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    output = np.full((rows, columns), np.nan, np.float32)
    resize_box(np.ascontiguousarray(image), 0, 0, *image.shape, output)
    return output


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_torch_and_pillow(shape: tuple[int, int, int, int]) -> None:
    height, width, rows, columns = shape
    image = np.random.RandomState(0).rand(height + 12, width + 9).astype(np.float32)
    box = image[5 : 5 + height, 7 : 7 + width]
    output = np.empty((rows, columns), np.float32)
    resize_box(image, 5, 7, height, width, output)
    size = {"size": (rows, columns), "mode": "bilinear", "antialias": True}
    expected = torch.nn.functional.interpolate(torch.from_numpy(box)[None, None], **size)[0, 0]
    np.testing.assert_allclose(output, expected, rtol=0, atol=2e-5)
    pillow = Image.fromarray(box).resize((columns, rows), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(output, np.asarray(pillow), rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_flat_stays_flat_and_the_mean_is_kept(shape: tuple[int, int, int, int]) -> None:
    height, width, rows, columns = shape
    np.testing.assert_allclose(resized(np.full((height, width), 0.7, np.float32), rows, columns), 0.7, rtol=1e-6)
    smooth = cv2.GaussianBlur(np.random.RandomState(0).rand(height, width).astype(np.float32), (0, 0), 3)
    assert resized(smooth, rows, columns).mean() == pytest.approx(smooth.mean(), abs=0.01)


@pytest.mark.parametrize("shape", SHAPES[:6])
def test_ramps_are_reproduced_without_a_shift(shape: tuple[int, int, int, int]) -> None:
    height, width, rows, columns = shape
    down, across = np.indices((height, width)).astype(np.float32)
    expected = (np.arange(rows) + 0.5) * height / rows - 0.5
    edge = 2  # there a filter sees one side only
    np.testing.assert_allclose(resized(down, rows, columns)[edge:-edge, 3], expected[edge:-edge], rtol=0, atol=0.07)
    expected = (np.arange(columns) + 0.5) * width / columns - 0.5
    np.testing.assert_allclose(resized(across, rows, columns)[3, edge:-edge], expected[edge:-edge], rtol=0, atol=0.07)


@pytest.mark.parametrize("shape", SHRINKING)
def test_what_the_result_cannot_hold_is_grey_not_a_false_pattern(shape: tuple[int, int, int, int]) -> None:
    height, width, rows, columns = shape
    frequencies = [np.abs(np.arange(n) + 0.5 - n / 2) / n for n in (height, width)]
    plate = 0.5 + 0.5 * np.cos(np.pi * (frequencies[0][:, None] ** 2 * height + frequencies[1][None] ** 2 * width))
    ours = resized(plate.astype(np.float32), rows, columns)
    # Cycles per pixel of the source, at each pixel of the result, beside those that the result can hold.
    beyond = np.zeros((rows, columns), bool)
    for axis, (length, size) in enumerate(((height, rows), (width, columns))):
        at = np.abs((np.arange(size) + 0.5) / size - 0.5)
        beyond |= np.expand_dims(at > 1.3 * 0.5 * min(1, size / length), 1 - axis)
    area = cv2.INTER_AREA if min(height / rows, width / columns) >= 1 else cv2.INTER_LINEAR
    opencv = cv2.resize(plate.astype(np.float32), (columns, rows), interpolation=area)
    if beyond.any():  # a mild factor leaves nothing beyond
        aliased, before = (np.sqrt(np.mean((view[beyond] - 0.5) ** 2)) for view in (ours, opencv))
        assert aliased < 0.03
        assert aliased < before / 2
    board = (np.indices((height, width)).sum(0) % 2).astype(np.float32)
    inner = (slice(4, -4), slice(4, -4))
    assert resized(board, rows, columns)[inner].std() < 0.07
    assert (
        resized(board, rows, columns)[inner].std()
        < 0.6 * cv2.resize(board, (columns, rows), interpolation=area)[inner].std()
    )


@pytest.mark.parametrize("shape", SHRINKING)
def test_smooth_content_is_that_of_scikit_image(shape: tuple[int, int, int, int]) -> None:
    height, width, rows, columns = shape
    noise = cv2.GaussianBlur(np.random.RandomState(0).rand(height, width).astype(np.float32), (0, 0), 8)
    image = (noise - noise.min()) / np.ptp(noise)
    expected = skimage_resize(image, (rows, columns), order=1, mode="edge", anti_aliasing=True)
    assert np.sqrt(np.mean((resized(image, rows, columns) - expected) ** 2)) < 0.01
