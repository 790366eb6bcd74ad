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

from monai_ssl.transforms import LoadSlice, LoadSliced


def test_a_row_of_a_volume_keeps_its_type_and_values(tmp_path):
    volume = np.random.default_rng(0).integers(-1024, 3000, (4, 5, 6)).astype(np.int16)
    np.save(tmp_path / "a b.npy", volume)
    for row in range(4):
        image = LoadSlice()(tmp_path / "a b.npy", row)
        assert image.dtype == torch.int16
        np.testing.assert_array_equal(image[0], volume[row])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_images_are_read_as_pillow_reads_them(tmp_path, dtype):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (7, 5)).astype(dtype)
    cv2.imwrite(str(tmp_path / "x.png"), pixels)
    image = LoadSliced("image")({"image": str(tmp_path / "x.png"), "row": -1, "other": 3})
    assert image["other"] == 3
    np.testing.assert_array_equal(image["image"][0], np.asarray(Image.open(tmp_path / "x.png")))


def test_colour_becomes_grey(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    grey = np.asarray(Image.fromarray(pixels).convert("L")).astype(int)
    assert np.abs(LoadSlice()(tmp_path / "x.png")[0].numpy().astype(int) - grey).max() <= 1


def test_a_file_that_is_no_image_is_named(tmp_path):
    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(ValueError, match=r"x\.png: not an image"):
        LoadSlice()(tmp_path / "x.png")


def test_a_volume_without_a_row_is_named(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 4), np.int16))
    with pytest.raises(ValueError, match=r"x\.npy: a volume of slices needs the row"):
        LoadSliced("image")({"image": str(tmp_path / "x.npy")})
