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

"""Multi-crop: a few large and several small random views of one image, the input of SwAV."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from monai.config import KeysCollection
from monai.config.type_definitions import NdarrayOrTensor
from monai.data import MetaTensor, get_track_meta
from monai.transforms.traits import MultiSampleTrait
from monai.transforms.transform import MapTransform, Randomizable, Transform
from monai.utils import ImageMetaKey, MetaKeys, TransformBackends, convert_to_numpy

from monai_ssl.transforms.resize_kernel import resize_box

__all__ = ["MultiCrop", "MultiCropD", "MultiCropDict", "MultiCropd"]

_RATIOS = (3 / 4, 4 / 3)
_ATTEMPTS = 10


class MultiCrop(Randomizable, Transform, MultiSampleTrait):
    """
    Draw random views of an image: crop, resize, flip, brightness and contrast, blur, normalisation.

    Every step works in float on the channels that are there: crop and antialiased resize, equal to torch's and
    Pillow's, are one call, brightness, contrast and normalisation one affine map, without clipping. The crop scales,
    jitter and blur are those of "Less is More", made for CT. Flipping is off, since the anatomy has a side; hue and
    saturation are left out, since grey has none; `mean` and `std` leave values as they are, since they belong to a data
    set and a window.

    Args:
        sizes: side of the square views in pixels, one per kind, at least 1.
        counts: how many views of each kind, at least 1.
        scales: (smallest, largest) share of the image's area that a view shows, one pair per kind, in (0, 1].
        flip_prob: probability of mirroring left and right.
        jitter_prob: probability of changing brightness and contrast.
        brightness: largest relative change of brightness, at least 0.
        contrast: largest relative change of contrast about the view's mean, at least 0.
        blur_prob: probability of a Gaussian blur.
        blur_sigma: (smallest, largest) standard deviation of the blur, in pixels of the view, above 0.
        mean: subtracted at the end, one number or one per channel.
        std: divided by at the end, one number or one per channel, above 0.

    Raises:
        ValueError: when an argument is out of range, naming all that are.

    Example:
        >>> import torch
        >>> from monai_ssl.transforms import MultiCrop
        >>> crop = MultiCrop(sizes=(224, 96), counts=(2, 6), scales=((0.9, 1.0), (0.1, 0.33))).set_random_state(0)
        >>> [tuple(view.shape) for view in crop(torch.rand(1, 512, 512))][1:3]
        [(1, 224, 224), (1, 96, 96)]

    Reference: Caron et al., NeurIPS 2020, https://arxiv.org/abs/2006.09882; Wolf et al., Comput. Biol. Med. 183:109242,
    https://arxiv.org/abs/2410.14524.
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012

    def __init__(
        self,
        sizes: Sequence[int] = (224, 96),
        counts: Sequence[int] = (2, 6),
        scales: Sequence[tuple[float, float]] = ((0.9, 1.0), (0.1, 0.33)),
        flip_prob: float = 0.0,
        jitter_prob: float = 0.8,
        brightness: float = 0.4,
        contrast: float = 0.4,
        blur_prob: float = 0.5,
        blur_sigma: tuple[float, float] = (0.1, 2.0),
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
    ) -> None:
        _check_kinds(sizes, counts, scales)
        _check_strengths(
            {"flip_prob": flip_prob, "jitter_prob": jitter_prob, "blur_prob": blur_prob},
            {"brightness": brightness, "contrast": contrast},
            blur_sigma,
            std,
        )
        self.kinds = [
            (size, scale) for size, count, scale in zip(sizes, counts, scales, strict=True) for _ in range(count)
        ]
        self.flip_prob = flip_prob
        self.jitter_prob = jitter_prob
        self.brightness = brightness
        self.contrast = contrast
        self.blur_prob = blur_prob
        self.blur_sigma = blur_sigma
        self.mean = np.reshape(np.asarray(mean, np.float32), (-1, 1, 1))
        self.std = np.reshape(np.asarray(std, np.float32), (-1, 1, 1))
        self._shape: tuple[int, ...] = ()
        self._views: list[_View] = []

    def randomize(self, data: NdarrayOrTensor) -> None:
        """Draw all views for an image of the shape of `data`."""
        self._shape = tuple(data.shape[-2:])
        self._views = [self._draw(size, scale) for size, scale in self.kinds]

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> list[torch.Tensor]:
        """
        Args:
            img: (C, H, W), intensities in [0, 1], see `ScaleWindow`.
            randomize: False repeats the views drawn last.

        Returns:
            one (C, s, s) float32 view per count, kinds in order. A MetaTensor gives MetaTensors, whose affine follows
            the view, anything else plain tensors.

        Raises:
            ValueError: when the shape is not (C, H, W), or not that of the views that are repeated.
        """
        if img.ndim != 3 or 0 in img.shape:
            raise ValueError(f"MultiCrop takes one image (C, H, W), got shape {tuple(img.shape)}; slice volumes first")
        if randomize:
            self.randomize(img)
        if tuple(img.shape[-2:]) != self._shape:
            raise ValueError(f"the views were drawn for an image of {self._shape}, got {tuple(img.shape[-2:])}")
        pixels = np.ascontiguousarray(convert_to_numpy(img, dtype=np.float32))
        views = [torch.from_numpy(self._render(pixels, view)) for view in self._views]
        if get_track_meta() and isinstance(img, MetaTensor):
            return _with_meta(views, self._views, img)
        return views

    def _draw(self, size: int, scale: tuple[float, float]) -> _View:
        top, left, height, width = self._draw_box(*scale)
        flip = self.R.random_sample() < self.flip_prob
        brightness = contrast = 1.0
        if self.R.random_sample() < self.jitter_prob:
            brightness = self.R.uniform(max(0.0, 1 - self.brightness), 1 + self.brightness)
            contrast = self.R.uniform(max(0.0, 1 - self.contrast), 1 + self.contrast)
        sigma = self.R.uniform(*self.blur_sigma) if self.R.random_sample() < self.blur_prob else 0.0
        return _View(size, top, left, height, width, flip, brightness, contrast, sigma)

    def _draw_box(self, smallest: float, largest: float) -> tuple[int, int, int, int]:
        """
        The rule of torchvision's RandomResizedCrop, with the whole image where no box of the drawn shape fits.

        Shapes are about that of the image, which is stretched to a square wherever else it meets the network: about a
        square, large boxes would never fit a coronal slice, and its sides never be seen.
        """
        rows, columns = self._shape
        for _ in range(_ATTEMPTS):
            area = rows * columns * self.R.uniform(smallest, largest)
            ratio = columns / rows * math.exp(self.R.uniform(math.log(_RATIOS[0]), math.log(_RATIOS[1])))
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < width <= columns and 0 < height <= rows:
                return self.R.randint(rows - height + 1), self.R.randint(columns - width + 1), height, width
        return 0, 0, rows, columns

    def _render(self, pixels: np.ndarray, view: _View) -> np.ndarray:
        image = np.empty((len(pixels), view.size, view.size), np.float32)
        for channel, plane in zip(image, pixels, strict=True):
            resize_box(plane, view.top, view.left, view.height, view.width, channel)
            if view.sigma:
                cv2.GaussianBlur(channel, (0, 0), view.sigma, dst=channel)
        if view.flip:
            image = np.ascontiguousarray(image[..., ::-1])
        # Contrast about the mean m, brightness, then normalisation: (b (c x + (1 - c) m) - mean) / std.
        offset = view.brightness * (1 - view.contrast) * (image.mean() if view.contrast != 1 else 0)
        gain, shift = view.brightness * view.contrast / self.std, (offset - self.mean) / self.std
        image *= gain.astype(np.float32)
        image += shift.astype(np.float32)
        return image


class MultiCropd(Randomizable, MapTransform, MultiSampleTrait):
    """
    Dictionary form of `MultiCrop`: the value of each key becomes the list of its views.

    Unlike MONAI's patches, the views stay together in one dictionary, since SwAV compares them: the `DataLoader` of
    MONAI or torch makes one (B, C, s, s) batch of each. All keys get the same views, and must have one image size.

    Args:
        keys: keys of the images.
        allow_missing_keys: do not raise when a key is absent.
        options: sizes, counts, scales and all else that `MultiCrop` takes.
    """

    backend = MultiCrop.backend

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False, **options: Any) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        self.cropper = MultiCrop(**options)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> MultiCropd:
        """Seed the views."""
        super().set_random_state(seed, state)
        self.cropper.set_random_state(state=self.R)
        return self

    def randomize(self, data: NdarrayOrTensor) -> None:
        """Draw all views for an image of the shape of `data`."""
        self.cropper.randomize(data)

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, Any]:
        d: dict[Hashable, Any] = dict(data)
        for position, key in enumerate(self.key_iterator(d)):
            d[key] = self.cropper(d[key], randomize=position == 0)
        return d


class _View(NamedTuple):
    size: int
    top: int
    left: int
    height: int
    width: int
    flip: bool
    brightness: float
    contrast: float
    sigma: float


def _with_meta(images: list[torch.Tensor], views: list[_View], source: MetaTensor) -> list[torch.Tensor]:
    affine = source.affine.numpy(force=True)
    tracked: list[torch.Tensor] = []
    for index, (image, view) in enumerate(zip(images, views, strict=True)):
        changed = torch.from_numpy(affine @ _view_to_source(view, len(affine)))
        meta = source.meta | {MetaKeys.AFFINE: changed, ImageMetaKey.PATCH_INDEX: index}
        tracked.append(MetaTensor(image, meta=meta, applied_operations=list(source.applied_operations)))
    return tracked


def _view_to_source(view: _View, rank: int) -> np.ndarray:
    # Pixel centres: row i of the view lies at top + (i + 0.5) * step - 0.5 of the source.
    steps = np.array([view.height, view.width]) / view.size
    origin = np.array([view.top, view.left]) + steps / 2 - 0.5
    if view.flip:
        origin[1] += steps[1] * (view.size - 1)
        steps[1] *= -1
    matrix = np.eye(rank)
    matrix[[0, 1], [0, 1]] = steps
    matrix[:2, -1] = origin
    return matrix


def _check_kinds(sizes: Sequence[int], counts: Sequence[int], scales: Sequence[tuple[float, float]]) -> None:
    if not len(sizes) == len(counts) == len(scales) > 0:
        raise ValueError(
            f"sizes, counts and scales must have equal length, at least 1, got {len(sizes)} sizes {tuple(sizes)}, "
            f"{len(counts)} counts {tuple(counts)} and {len(scales)} scales {tuple(scales)}"
        )
    wrong = []
    if min(sizes) < 1:
        wrong.append(f"sizes must be at least 1 pixel, got {tuple(sizes)}")
    if min(counts) < 1:
        wrong.append(f"counts must be at least 1, got {tuple(counts)}; leave out sizes that are not wanted")
    if not all(len(scale) == 2 and 0 < scale[0] <= scale[1] <= 1 for scale in scales):
        wrong.append(f"scales must be pairs 0 < smallest <= largest <= 1, got {tuple(scales)}")
    if wrong:
        raise ValueError("; ".join(wrong))


def _check_strengths(
    probabilities: dict[str, float],
    strengths: dict[str, float],
    blur_sigma: tuple[float, float],
    std: float | Sequence[float],
) -> None:
    wrong = [f"{name} must lie in 0 to 1, got {value}" for name, value in probabilities.items() if not 0 <= value <= 1]
    wrong += [f"{name} must be at least 0, got {value}" for name, value in strengths.items() if value < 0]
    if len(blur_sigma) != 2 or not 0 < blur_sigma[0] <= blur_sigma[1]:
        wrong.append(f"blur_sigma must be a pair 0 < smallest <= largest, got {blur_sigma}")
    if np.min(std) <= 0:
        wrong.append(f"std must be above 0, got {std}; a constant data set cannot be normalised")
    if wrong:
        raise ValueError("; ".join(wrong))


MultiCropD = MultiCropDict = MultiCropd
