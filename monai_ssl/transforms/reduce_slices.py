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

"""A volume keeps the slices that differ from one another."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor, get_track_meta
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_tensor

from monai_ssl.data.windows import window_limits
from monai_ssl.orientation import array_axis, to_display
from monai_ssl.reduction import STRATEGIES, Embed, check_seed, parse_strategy, reduce_slices
from monai_ssl.reduction.difference_hash import fill_invalid
from monai_ssl.transforms.slice_volume import axis_direction, ras_affine, source_slices

__all__ = ["ReduceSlices", "ReduceSlicesD", "ReduceSlicesDict", "ReduceSlicesd"]


class ReduceSlices(Transform):
    """
    Drop near-duplicate slices of a volume along an axis.

    Slices are compared in display orientation, whatever the axes of the array, so the slices kept are those that
    `monai_ssl.data.slice_volumes` keeps of the same file, but for `random`, which draws by the pseudonym there. The
    first channel decides for all of them; for the comparison its NaN and infinite voxels take the smallest valid value
    of the volume, as they do there.

    Args:
        strategy: as in `monai_ssl.reduction.reduce_slices`.
        axis: "axial", "coronal", "sagittal" or a spatial array axis, as in `SliceVolume`.
        window: of the 8-bit images that are compared, a name as in `ScaleWindow` or (low, high); None for each slice's
            own minimum and maximum.
        embed: makes the features that `embedding` compares, such as `monai_ssl.networks.Embedder`.
        seed: of `random`, 0 or more; each volume draws by it and by its voxels.

    Raises:
        ValueError: for an unknown strategy or axis, or `embedding` without `embed`; when called, for a volume that is
            not (C, X, Y, Z).

    Example:
        >>> volume = MetaTensor(torch.zeros(1, 4, 5, 6), affine=torch.eye(4))
        >>> reduced = ReduceSlices("every_n:4")(volume)
        >>> tuple(reduced.shape), reduced.meta["kept_indices"]
        ((1, 4, 5, 2), array([0, 4]))
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012  (MONAI's convention)

    def __init__(
        self,
        strategy: str = "dhash:6",
        axis: str | int = "axial",
        window: str | tuple[float, float] | None = None,
        embed: Embed | None = None,
        seed: int = 0,
    ) -> None:
        name, _ = parse_strategy(strategy)
        check_seed(seed)
        if STRATEGIES[name].compares == "features" and embed is None:
            raise ValueError(f"{strategy} needs embed=..., such as monai_ssl.networks.Embedder(NAME, CHECKPOINT)")
        array_axis(np.eye(4), axis)
        self.strategy = strategy
        self.axis = axis
        self.window = None if window is None else window_limits(window)
        self.embed = embed
        self.seed = seed

    def __call__(self, img: NdarrayOrTensor) -> torch.Tensor:
        """
        Args:
            img: (C, X, Y, Z). Without an affine the array axes are taken for right, anterior, superior.

        Returns:
            (C, X, Y, Z), shorter along the axis. Kept slices are no longer evenly spaced there: the affine has the
            origin of the first kept slice and the spacing of the source, so along this axis it holds for that slice
            alone. `meta` has the truth: `kept_axis`, its `kept_direction` (3,) in RAS, `kept_indices` (K,) in the
            source and `kept_positions_mm` (K,); `SliceVolume` reads them.
        """
        return self.take(img, self.choose(img))

    def choose(self, img: NdarrayOrTensor) -> np.ndarray:
        """The slices to keep: their places along the axis of `img`, (K,) int64."""
        affine = ras_affine(img)
        first_channel = convert_to_tensor(img, track_meta=False)[0].detach().cpu().numpy()
        images = to_display(fill_invalid(first_channel), affine, self.axis)
        seed = (self.seed, zlib.crc32(images.tobytes()) if self.strategy.startswith("random") else 0)
        reduction = reduce_slices(images, self.strategy, window=self.window, embed=self.embed, seed=seed)
        return np.flatnonzero(reduction.kept)

    def take(self, img: NdarrayOrTensor, places: np.ndarray) -> torch.Tensor:
        """Keep the slices at `places` along the axis, (K,) int64 and ascending."""
        source = ras_affine(img)
        sliced = array_axis(source, self.axis)
        indices, positions = source_slices(img, sliced)
        volume = convert_to_tensor(img, track_meta=get_track_meta())
        kept = volume.index_select(sliced + 1, torch.as_tensor(places, device=volume.device))
        if isinstance(kept, MetaTensor):
            # A new dictionary and a new affine: torch functions leave those of the source in place.
            kept.meta = {
                **kept.meta,
                "kept_axis": sliced,
                "kept_direction": axis_direction(source, sliced),
                "kept_indices": indices[places],
                "kept_positions_mm": positions[places],
            }
            affine = kept.affine.clone()
            affine[:3, 3] += affine[:3, sliced] * int(indices[places[0]] - indices[0])
            kept.affine = affine
        return kept


class ReduceSlicesd(MapTransform):
    """
    Dictionary-based version of `ReduceSlices`. The first key decides, so that an image and its label stay in step.

    Args:
        keys: of the volumes, the one to compare first. All lie alike: the same axis, length and positions.
        strategy: as in `ReduceSlices`.
        axis: as in `ReduceSlices`.
        window: as in `ReduceSlices`.
        embed: as in `ReduceSlices`.
        seed: as in `ReduceSlices`.
        allow_missing_keys: skip absent keys.

    Example:
        >>> reduced = ReduceSlicesd(["image", "label"], "dhash:6")(
        ...     {"image": torch.zeros(1, 8, 8, 6), "label": torch.ones(1, 8, 8, 6)}
        ... )
        >>> tuple(reduced["label"].shape)
        (1, 8, 8, 1)
    """

    backend = ReduceSlices.backend

    def __init__(
        self,
        keys: KeysCollection,
        strategy: str = "dhash:6",
        axis: str | int = "axial",
        window: str | tuple[float, float] | None = None,
        embed: Embed | None = None,
        seed: int = 0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.reducer = ReduceSlices(strategy, axis, window, embed, seed)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        d = dict(data)
        places: np.ndarray | None = None
        reference: tuple[int, np.ndarray] | None = None
        for key in self.key_iterator(d):
            sliced = array_axis(ras_affine(d[key]), self.reducer.axis)
            positions = source_slices(d[key], sliced)[1]
            if places is None or reference is None:
                first, reference, places = key, (sliced, positions), self.reducer.choose(d[key])
            elif sliced != reference[0] or not _alike(positions, reference[1]):
                raise ValueError(
                    f"{key!r} does not lie as {first!r}, whose slices are chosen: axis {sliced} with {len(positions)} "
                    f"slices against axis {reference[0]} with {len(reference[1])}; resample or reorient it to match"
                )
            d[key] = self.reducer.take(d[key], places)
        return d


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    return len(a) == len(b) and np.allclose(a, b, rtol=0, atol=1e-2)


ReduceSlicesD = ReduceSlicesDict = ReduceSlicesd
