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

"""The slices of a volume, or of many, as the strategies see them: each thing is worked out when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import groupby, islice

import numpy as np

from monai_ssl.orientation import few_at_a_time
from monai_ssl.reduction.difference_hash import hash_slices, to_uint8

__all__ = ["Embed", "Slices", "embed_slices"]

# From 8-bit images (N, H, W) to their features (N, D) float32.
Embed = Callable[[np.ndarray], np.ndarray]
_BATCH = 64


class Slices:
    """
    Slices in order, and what they can be compared by.

    Args:
        images: (N, H, W), any real dtype, in display orientation.
        window: (low, high) of the 8-bit images that are compared; None for each slice's own minimum and maximum. See
            `to_uint8`.
        hashes: (N,) uint64 where they are known already; the pixels are not read for them then.
        embed: makes features of 8-bit images.
        seed: of what is random, as `numpy.random.default_rng` takes it.

    Raises:
        ValueError: when there are more or fewer hashes than slices.
    """

    def __init__(
        self,
        images: np.ndarray,
        *,
        window: tuple[float, float] | None = None,
        hashes: np.ndarray | None = None,
        embed: Embed | None = None,
        seed: int | Sequence[int] = 0,
    ) -> None:
        if hashes is not None and len(hashes) != len(images):
            raise ValueError(f"hashes must have one entry per slice, got {len(hashes)} for {len(images)} slices")
        self._images = images
        self._window = window
        self._known = hashes
        self._embed = embed
        self.seed = seed

    def __len__(self) -> int:
        """How many there are."""
        return len(self._images)

    @cached_property
    def hashes(self) -> np.ndarray:
        """(N,) uint64, see `hash_slices`."""
        return hash_slices(self._images, self._window) if self._known is None else self._known

    @cached_property
    def features(self) -> np.ndarray:
        """
        (N, D) float32.

        Raises:
            ValueError: when nothing makes features.
        """
        if self._embed is None:
            raise ValueError(
                "features need a network: give a backbone and a checkpoint (--backbone, --checkpoint), or embed=... in "
                "Python"
            )
        return embed_slices(self.eight_bit(), self._embed)

    def eight_bit(self) -> Iterator[np.ndarray]:
        """The 8-bit image of each slice, (H, W) uint8, one at a time."""
        for _, block in few_at_a_time(self._images):
            for image in block:
                yield to_uint8(image[None], self._window)[0]

    def in_order(self, order: np.ndarray) -> Slices:
        """The same slices in another order, (N,) int; nothing is copied or worked out twice."""
        return _Reordered(self, order)


class _Reordered(Slices):
    def __init__(self, slices: Slices, order: np.ndarray) -> None:
        super().__init__(slices._images, window=slices._window, seed=slices.seed)
        self._slices = slices
        self._order = order

    @cached_property
    def hashes(self) -> np.ndarray:
        return self._slices.hashes[self._order]

    @cached_property
    def features(self) -> np.ndarray:
        return self._slices.features[self._order]

    def eight_bit(self) -> Iterator[np.ndarray]:
        for place in self._order:
            yield to_uint8(self._images[place][None], self._window)[0]


def embed_slices(images: Iterable[np.ndarray], embed: Embed) -> np.ndarray:
    """
    Features of 8-bit images, a batch at a time.

    Args:
        images: (H, W) uint8 each; batches end where the size changes.
        embed: see `Embed`.

    Returns:
        (N, D) float32.

    Raises:
        ValueError: when `embed` makes more or fewer features than it gets images.
    """
    parts = []
    for _, same in groupby(images, key=lambda image: image.shape):
        while batch := list(islice(same, _BATCH)):
            features = np.asarray(embed(np.stack(batch)), dtype=np.float32)
            if features.ndim != 2 or len(features) != len(batch):
                raise ValueError(
                    f"embed must make features of shape ({len(batch)}, D) of {len(batch)} images, got {features.shape}"
                )
            parts.append(features)
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
