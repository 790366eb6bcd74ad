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
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose
from monai.transforms.traits import MultiSampleTrait
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2.functional import gaussian_blur, resized_crop

from monai_ssl.transforms import MultiCrop, MultiCropd, ScaleWindow

PLAIN = {"jitter_prob": 0.0, "blur_prob": 0.0}


@pytest.fixture(scope="module")
def smooth() -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.RandomState(0).rand(512, 480).astype(np.float32), (0, 0), 8)
    return ((noise - noise.min()) / (noise.max() - noise.min()))[None]


@pytest.mark.parametrize("size", [224, 96, 400])
def test_views_are_torchvisions_antialiased_crops(smooth: np.ndarray, size: int) -> None:
    noise = np.random.RandomState(1).rand(*smooth.shape).astype(np.float32)
    image = np.concatenate([smooth, noise])
    crop = MultiCrop((size,), (6,), ((0.05, 1.0),), **PLAIN).set_random_state(0)
    for view, box in zip(crop(image), crop._views, strict=True):
        place = (box.top, box.left, box.height, box.width)
        expected = resized_crop(torch.from_numpy(image), *place, [size, size], antialias=True)
        torch.testing.assert_close(view, expected, rtol=0, atol=1e-4)


def _whole(image: np.ndarray, size: int, **options: object) -> torch.Tensor:
    crop = MultiCrop((size,), (1,), ((1.0, 1.0),), **{**PLAIN, **options}).set_random_state(0)
    crop.randomize(image)
    crop._views = [crop._views[0]._replace(top=0, left=0, height=image.shape[1], width=image.shape[2])]
    return crop(image, randomize=False)[0]


def test_jitter_and_normalisation_are_the_steps_one_after_another(smooth: np.ndarray) -> None:
    mean, std = (0.3, 0.1), (0.2, 0.5)
    image = np.concatenate([smooth, smooth**2])
    options = {"jitter_prob": 1.0, "brightness": 0.5, "contrast": 0.7, "mean": mean, "std": std}
    crop = MultiCrop((96,), (5,), ((0.2, 0.9),), **{**PLAIN, **options}).set_random_state(3)
    jittered = crop(image)
    boxes = list(crop._views)
    crop._views = [box._replace(brightness=1.0, contrast=1.0) for box in boxes]
    crop.mean, crop.std = np.zeros((1, 1, 1)), np.ones((1, 1, 1))
    for view, plain, box in zip(jittered, crop(image, randomize=False), boxes, strict=True):
        assert 0.5 <= box.brightness <= 1.5
        assert 0.3 <= box.contrast <= 1.7
        bright = plain * box.brightness
        contrasted = (bright - bright.mean()) * box.contrast + bright.mean()
        expected = (contrasted - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
        torch.testing.assert_close(view, expected, rtol=1e-4, atol=1e-5)


def test_blur_is_a_gaussian_of_the_drawn_width() -> None:
    noise = np.random.RandomState(0).rand(1, 150, 150).astype(np.float32)
    crop = MultiCrop((96,), (4,), ((0.2, 0.9),), jitter_prob=0, blur_prob=1, blur_sigma=(0.5, 2)).set_random_state(1)
    blurred = crop(noise)
    boxes = list(crop._views)
    crop._views = [box._replace(sigma=0.0) for box in boxes]
    for view, plain, box in zip(blurred, crop(noise, randomize=False), boxes, strict=True):
        assert 0.5 <= box.sigma <= 2
        torch.testing.assert_close(view, gaussian_blur(plain, [17, 17], [box.sigma] * 2), rtol=0, atol=1e-3)


def test_flip_mirrors_left_and_right(smooth: np.ndarray) -> None:
    assert torch.equal(_whole(smooth, 64, flip_prob=1.0), _whole(smooth, 64).flip(-1))


@pytest.mark.parametrize("shape", [(400, 400), (300, 400), (64, 900)])
def test_boxes_follow_torchvisions_distribution_about_the_shape_of_the_image(shape: tuple[int, int]) -> None:
    crop = MultiCrop((8,), (1500,), ((0.1, 0.6),)).set_random_state(0)
    image = torch.zeros(1, *shape)
    crop.randomize(image)
    ours = np.array([(v.top, v.left, v.height, v.width) for v in crop._views])
    torch.manual_seed(0)
    own = shape[1] / shape[0]
    peer = np.array([RandomResizedCrop.get_params(image, [0.1, 0.6], [own * 3 / 4, own * 4 / 3]) for _ in range(1500)])
    assert (ours[:, 0] + ours[:, 2]).max() <= shape[0]
    assert (ours[:, 1] + ours[:, 3]).max() <= shape[1]
    for column in range(4):
        assert ks_2samp(ours[:, column], peer[:, column]).pvalue > 1e-3
    assert ks_2samp(ours[:, 2] / ours[:, 3], peer[:, 2] / peer[:, 3]).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(10, 1000), (300, 200), (1, 1)])
def test_large_views_see_the_whole_of_any_image(shape: tuple[int, int]) -> None:
    crop = MultiCrop((8,), (200,), ((0.9, 1.0),)).set_random_state(0)
    crop.randomize(torch.zeros(1, *shape))
    seen = np.zeros(shape)
    for view in crop._views:
        seen[view.top : view.top + view.height, view.left : view.left + view.width] += 1
        assert view.height * view.width >= 0.85 * seen.size or seen.size < 100
    assert seen.min() > 0


def test_one_seed_gives_one_set_of_views(smooth: np.ndarray) -> None:
    first, second = (MultiCrop(counts=(2, 2)).set_random_state(7)(smooth) for _ in range(2))
    crop = MultiCrop(counts=(2, 2)).set_random_state(7)
    assert [tuple(view.shape) for view in first] == [(1, 224, 224)] * 2 + [(1, 96, 96)] * 2
    again, other = crop(torch.from_numpy(smooth)), crop(smooth)
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(first, second, again, strict=True))
    assert not torch.equal(other[0], first[0])
    shared = np.random.get_state()[1].copy()  # noqa: NPY002 (the state that must not be drawn from)
    crop(smooth)
    assert np.array_equal(shared, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_affine_follows_the_view(flip: float) -> None:
    affine = torch.tensor([[0.7, 0, 0, -100], [0, 0.8, 0, 50], [0, 0, 2, 9], [0, 0, 0, 1]], dtype=torch.float64)
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(160.0), indexing="ij")
    image = MetaTensor(torch.stack([rows, columns]), affine=affine, meta={"index": 4})
    crop = MultiCrop((32,), (3,), ((0.3, 0.9),), flip_prob=flip, **PLAIN).set_random_state(0)
    for position, view in enumerate(crop(image)):
        assert view.meta["patch_index"] == position
        assert view.meta["index"] == 4
        inner = torch.tensor([[8.0, 20.0, 0, 1]], dtype=torch.float64)
        source = torch.tensor([[*view[:, 8, 20].tolist(), 0, 1]], dtype=torch.float64)
        torch.testing.assert_close(inner @ view.affine.T, source @ affine.T, rtol=0, atol=0.05)  # mm
    assert torch.equal(image.affine, affine)


def test_dictionary_form_gives_every_key_the_same_views_and_collates(smooth: np.ndarray) -> None:
    data = [{"image": smooth, "copy": torch.from_numpy(smooth), "slice": f"s{i}"} for i in range(2)]
    transform = MultiCropd(["image", "copy"], sizes=(32, 16), counts=(2, 3), scales=((0.9, 1), (0.1, 0.3)))
    result = transform.set_random_state(5)(data[0])
    expected = MultiCrop((32, 16), (2, 3), ((0.9, 1), (0.1, 0.3))).set_random_state(5)(smooth)
    for image, copy, view in zip(result["image"], result["copy"], expected, strict=True):
        assert torch.equal(image, view)
        assert torch.equal(copy, view)
    assert isinstance(transform, MultiSampleTrait)
    assert data[0]["image"] is smooth
    chain = Compose([ScaleToOne(), transform]).set_random_state(0)
    batch = next(iter(DataLoader(Dataset(data, chain), batch_size=2)))
    assert [tuple(views.shape) for views in batch["image"]] == [(2, 1, 32, 32)] * 2 + [(2, 1, 16, 16)] * 3
    assert batch["slice"] == ["s0", "s1"]


class ScaleToOne:
    def __call__(self, data: dict) -> dict:
        return {**data, "image": ScaleWindow((0, 1))(data["image"])}


@pytest.mark.parametrize("dtype", ["float16", "int16", "uint8", "float64", "float32"])
@pytest.mark.parametrize("kind", ["array", "tensor", "metatensor", "turned"])
def test_every_type_gives_the_views_of_its_values_in_float32(dtype: str, kind: str) -> None:
    image = (np.random.RandomState(0).rand(3, 70, 130) * 100).astype(dtype)
    given = {
        "array": lambda: image,
        "tensor": lambda: torch.from_numpy(image),
        "metatensor": lambda: MetaTensor(torch.from_numpy(image)),
        "turned": lambda: torch.from_numpy(np.ascontiguousarray(image.transpose(2, 1, 0))).permute(2, 1, 0),
    }[kind]()
    views = MultiCrop((32, 16), (1, 2), ((0.5, 1), (0.1, 0.3))).set_random_state(4)(given)
    expected = MultiCrop((32, 16), (1, 2), ((0.5, 1), (0.1, 0.3))).set_random_state(4)(image.astype(np.float32))
    for view, reference in zip(views, expected, strict=True):
        assert view.dtype == torch.float32
        assert isinstance(view, MetaTensor) == (kind == "metatensor")
        assert torch.equal(torch.as_tensor(view).as_subclass(torch.Tensor), reference)


@pytest.mark.parametrize("shape", [(1, 20, 33), (3, 512, 40), (1, 1, 1)])
def test_small_and_narrow_images_stay_within_their_values(shape: tuple[int, ...]) -> None:
    image = np.random.RandomState(0).rand(*shape).astype(np.float32)
    for view in MultiCrop(jitter_prob=0).set_random_state(0)(image):
        assert view.shape[0] == shape[0]
        assert image.min() - 1e-6 <= view.min() <= view.max() <= image.max() + 1e-6


def test_a_constant_image_gives_constant_views_of_the_jittered_brightness() -> None:
    crop = MultiCrop(jitter_prob=1, blur_prob=1, mean=0.5, std=0.25).set_random_state(0)
    for view, box in zip(crop(np.full((1, 90, 80), 0.3, np.float32)), crop._views, strict=True):
        torch.testing.assert_close(view, torch.full_like(view, (0.3 * box.brightness - 0.5) / 0.25), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"counts": (2, 6, 1)}, r"equal length.*2 sizes \(224, 96\).*3 counts \(2, 6, 1\)"),
        ({"sizes": (0, 96), "counts": (0, 1)}, r"sizes must be.*counts must be"),
        ({"scales": ((0.5, 0.1), (0.1, 0.2))}, "scales"),
        ({"scales": ((0.5, 1.1), (0.1, 0.2))}, "scales"),
        ({"jitter_prob": 1.5}, "jitter_prob"),
        ({"contrast": -0.1}, "contrast"),
        ({"blur_sigma": (0, 2)}, "blur_sigma"),
        ({"std": 0}, "std"),
    ],
)
def test_wrong_settings_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultiCrop(**arguments)


def test_wrong_images_are_refused(smooth: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(C, H, W\)"):
        MultiCrop()(smooth[0])
    crop = MultiCrop()
    crop.randomize(smooth)
    with pytest.raises(ValueError, match="drawn for an image"):
        crop(smooth[:, :100], randomize=False)
