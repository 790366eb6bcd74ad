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

import logging

import numpy as np
import pytest
import torch
from monai.data import MetaTensor, set_track_meta
from monai.transforms import ScaleIntensityRange
from scipy.stats import chisquare

from monai_ssl.transforms import WINDOWS, RandScaleWindow, RandScaleWindowd, ScaleWindow, ScaleWindowd


@pytest.mark.parametrize("window", [*WINDOWS, (-160, 240)])
def test_equals_monais_intensity_range_with_the_window_spelt_out(window: str | tuple[float, float]) -> None:
    image = np.linspace(-2000, 3000, 400, dtype=np.float32).reshape(1, 20, 20)
    low, high = WINDOWS[window] if isinstance(window, str) else window
    expected = ScaleIntensityRange(low, high, 0, 1, clip=True)(image)
    torch.testing.assert_close(ScaleWindow(window)(image), expected, rtol=0, atol=1e-6)


def test_names_hold_the_level_and_width_of_practice() -> None:
    practice = {
        "lung": (1500, -600),
        "mediastinum": (350, 50),
        "abdomen": (400, 50),
        "bone": (1800, 400),
        "brain": (80, 40),
    }
    assert {name: (high - low, (high + low) / 2) for name, (low, high) in WINDOWS.items()} == practice


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("uint8", 0, 255), ("uint16", 0, 65535), ("int16", -1000, 1000), ("float32", -1000, 1000), ("int32", -1000, 1000)],
)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_without_a_window_the_type_decides(dtype: str, low: int, high: int, as_tensor: bool) -> None:
    image = np.array([[[low, high, (low + high) // 2]]]).astype(dtype)
    scaled = ScaleWindow()(torch.from_numpy(image) if as_tensor else image)
    assert scaled.dtype == torch.float32
    assert scaled[0, 0, :2].tolist() == [0, 1]
    assert scaled[0, 0, 2].item() == pytest.approx(0.5, abs=0.01)


def test_values_outside_are_clipped_and_the_input_left_alone() -> None:
    image = torch.tensor([[[-3000.0, 5000.0]]])
    assert ScaleWindow("lung")(image).flatten().tolist() == [0, 1]
    assert image.flatten().tolist() == [-3000, 5000]


def test_metadata_is_kept_and_tracking_can_be_off() -> None:
    image = MetaTensor(torch.zeros(1, 2, 2), affine=torch.diag(torch.tensor([2.0, 3, 4, 1])), meta={"index": 7})
    scaled = ScaleWindow()(image)
    assert torch.equal(scaled.affine, image.affine)
    assert scaled.meta["index"] == 7
    set_track_meta(False)
    try:
        assert not isinstance(ScaleWindow()(image), MetaTensor)
    finally:
        set_track_meta(True)


def test_dictionary_form_equals_array_form() -> None:
    data = {"image": np.float32([[[-600, 0]]]), "label": 1}
    result = ScaleWindowd(["image", "absent"], "lung", allow_missing_keys=True)(data)
    torch.testing.assert_close(result["image"], ScaleWindow("lung")(data["image"]))
    assert result["label"] == 1
    assert isinstance(data["image"], np.ndarray)
    with pytest.raises(KeyError, match="absent"):
        ScaleWindowd(["absent"])(data)


@pytest.mark.parametrize("window", ["lungs", (1, 1), (2, 1), (0, float("inf")), (1, 2, 3), [], [5, "lung"]])
def test_wrong_windows_are_refused(window: str | tuple | list) -> None:
    for transform in (ScaleWindow, RandScaleWindow):
        with pytest.raises(ValueError, match="window must be"):
            transform(window)


CHOICES = ["lung", (-160, 240), None]


def test_each_listed_window_is_drawn_equally_often_and_is_that_window() -> None:
    image = torch.arange(-2000.0, 2000.0, 7).reshape(1, 1, -1)
    expected = [ScaleWindow(window)(image) for window in CHOICES]
    scale = RandScaleWindow(CHOICES).set_random_state(0)
    shown = [scale(image) for _ in range(600)]
    drawn = [[torch.equal(one, window) for window in expected].index(True) for one in shown]
    assert chisquare(np.bincount(drawn, minlength=3)).pvalue > 1e-3
    assert torch.equal(scale(image, randomize=False), expected[drawn[-1]])


@pytest.mark.parametrize("window", [None, "bone", [-100, 100], ["bone"]])
def test_one_window_is_no_choice(window: str | list | None) -> None:
    image = np.random.RandomState(0).randint(-1000, 1000, (1, 8, 8)).astype(np.int16)
    one = window[0] if window == ["bone"] else window
    for _ in range(3):
        assert torch.equal(RandScaleWindow(window)(image), ScaleWindow(one)(image))


def test_keys_share_the_window_and_a_seed_repeats_the_choices() -> None:
    image = np.linspace(-1000, 1000, 64, dtype=np.float32).reshape(1, 8, 8)
    data = {"a": image, "b": torch.from_numpy(image)}
    scales = [RandScaleWindowd(["a", "b", "absent"], CHOICES, allow_missing_keys=True) for _ in range(2)]
    first, second = ([scale(data) for _ in range(20)] for scale in scales if scale.set_random_state(3))
    assert all(torch.equal(item["a"], item["b"]) for item in first)
    assert all(torch.equal(x["a"], y["a"]) for x, y in zip(first, second, strict=True))
    assert len({item["a"].sum().item() for item in first}) == 3


def test_what_was_trained_on_drawn_windows_is_applied_in_the_first(caplog: pytest.LogCaptureFixture) -> None:
    image = np.linspace(-1000, 1000, 64, dtype=np.float32).reshape(1, 8, 8)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(ScaleWindow(["lung", "bone"])(image), ScaleWindow("lung")(image))
    assert "first is used" in caplog.text
