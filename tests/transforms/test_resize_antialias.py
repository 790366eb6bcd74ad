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
import torch
from monai.data import MetaTensor
from PIL import Image

from monai_ssl.transforms import ResizeAntialias, ResizeAntialiasd


@pytest.mark.parametrize("shape", [(1, 40, 60), (3, 300, 17), (2, 1, 1), (1, 64, 64)])
@pytest.mark.parametrize("size", [(32, 32), (7, 100), (64, 64), (1, 1)])
def test_it_is_torch_s_antialiased_resize(shape, size):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 3000 - 1000
    expected = torch.nn.functional.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
    torch.testing.assert_close(ResizeAntialias(size)(image), expected, rtol=1e-5, atol=4e-3)


def test_it_is_pillow_s_up_to_its_rounding():
    image = np.random.default_rng(0).integers(0, 256, (90, 121)).astype(np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((48, 32), Image.Resampling.BILINEAR), dtype=float)
    assert np.abs(ResizeAntialias((32, 48))(image[None])[0].numpy() - expected).max() <= 1


@pytest.mark.parametrize("make", [torch.from_numpy, MetaTensor, np.array, lambda x: torch.from_numpy(x)[:, ::2, 1:]])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_any_kind_of_image_gives_plain_float32_and_stays_as_it_is(make, dtype):
    pixels = (np.random.default_rng(1).random((1, 30, 40)) * 100).astype(dtype)
    image = make(pixels.copy())
    before = np.array(image)
    resized = ResizeAntialiasd(["image"], (16, 16))({"image": image, "id": "a"})
    assert type(resized["image"]) is torch.Tensor
    assert resized["image"].dtype == torch.float32
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(before.astype(np.float32))[None], (16, 16), mode="bilinear", antialias=True
    )
    torch.testing.assert_close(resized["image"], expected[0], rtol=1e-5, atol=1e-4)
    assert np.array_equal(np.array(image), before)
    assert resized["id"] == "a"


@pytest.mark.parametrize("size", [(32,), (0, 32), (32.0, 32), (1, 2, 3)])
def test_another_size_is_refused(size):
    with pytest.raises(ValueError, match="two whole numbers above 0"):
        ResizeAntialias(size)
