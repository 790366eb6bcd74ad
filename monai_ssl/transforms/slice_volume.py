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

"""A volume becomes the list of its slices, each with its place in the patient."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor, get_track_meta
from monai.transforms import MapTransform, Transform
from monai.transforms.traits import MultiSampleTrait
from monai.utils import ImageMetaKey, MetaKeys, SpaceKeys, TransformBackends, convert_to_tensor

from monai_ssl.orientation import array_axis, slice_positions

__all__ = [
    "SliceVolume",
    "SliceVolumeD",
    "SliceVolumeDict",
    "SliceVolumed",
    "axis_direction",
    "ras_affine",
    "source_slices",
]


class SliceVolume(Transform, MultiSampleTrait):
    """
    Cut a volume into its slices along an anatomical or array axis. Slices are views of the volume, as in `SplitDim`.

    Args:
        axis: "axial", "coronal" or "sagittal", the array axis being the closest one by the affine; or an array axis,
            -3 to 2, of the spatial ones.

    Raises:
        ValueError: for another axis; when called, for a volume that is not (C, X, Y, Z).

    Example:
        >>> slices = SliceVolume(axis="axial")(MetaTensor(torch.zeros(1, 4, 5, 6), affine=torch.eye(4)))
        >>> len(slices), tuple(slices[2].shape), slices[2].meta["position_mm"]
        (6, (1, 4, 5), 2.0)
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012  (MONAI's convention)

    def __init__(self, axis: str | int = "axial") -> None:
        array_axis(np.eye(4), axis)
        self.axis = axis

    def __call__(self, img: NdarrayOrTensor) -> list[torch.Tensor]:
        """
        Args:
            img: (C, X, Y, Z). Without an affine the array axes are taken for right, anterior, superior.

        Returns:
            One (C, H, W) per slice in source order; H and W are the two other axes in the order that they had. The
            affine stays 4x4: its columns are H, W and the sliced axis, its origin is that of the slice. `meta` gains
            `patch_index` (place in this list), `index` (in the source, also after `ReduceSlices`) and `position_mm`
            (along the slice normal; superior, posterior or left is positive).
        """
        affine = ras_affine(img)
        volume = convert_to_tensor(img, track_meta=get_track_meta())
        sliced = array_axis(affine, self.axis)
        indices, positions = source_slices(img, sliced)
        pixels = convert_to_tensor(volume, track_meta=False).unbind(sliced + 1)
        if not isinstance(volume, MetaTensor):
            return list(pixels)
        columns = [axis for axis in range(3) if axis != sliced] + [sliced, 3]
        results: list[torch.Tensor] = []
        for place, (index, position) in enumerate(zip(indices.tolist(), positions.tolist(), strict=True)):
            own = volume.affine.clone()
            own[:3, 3] += own[:3, sliced] * (index - int(indices[0]))
            meta = {key: deepcopy(value) for key, value in volume.meta.items() if key not in _NOT_OF_A_SLICE}
            meta |= {ImageMetaKey.PATCH_INDEX: place, "index": index, "position_mm": position}
            operations = deepcopy(volume.applied_operations)
            results.append(MetaTensor(pixels[place], own[:, columns], meta=meta, applied_operations=operations))
        return results


class SliceVolumed(MapTransform, MultiSampleTrait):
    """
    Dictionary-based version of `SliceVolume`: one dictionary per slice, as from `RandSpatialCropSamplesd`.

    Args:
        keys: of the volumes; all have the same number of slices along the axis.
        axis: as in `SliceVolume`.
        allow_missing_keys: skip absent keys.

    Example:
        >>> items = SliceVolumed("image")({"image": torch.zeros(1, 4, 5, 6), "label": 1})
        >>> len(items), items[0]["label"]
        (6, 1)
    """

    backend = SliceVolume.backend

    def __init__(self, keys: KeysCollection, axis: str | int = "axial", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.slicer = SliceVolume(axis)

    def __call__(self, data: Mapping[Hashable, Any]) -> list[dict[Hashable, Any]]:
        d = dict(data)
        slices = {key: self.slicer(d[key]) for key in self.key_iterator(d)}
        counts = {key: len(images) for key, images in slices.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"volumes must have equal numbers of slices along {self.slicer.axis!r}, got {counts}")
        others = {key: value for key, value in d.items() if key not in slices}
        rows = zip(*slices.values(), strict=True)
        return [deepcopy(others) | dict(zip(slices, row, strict=True)) for row in rows]


def ras_affine(img: NdarrayOrTensor) -> np.ndarray:
    """
    The affine of a (C, X, Y, Z) volume in RAS millimetres, whatever space its metadata names; identity without one.

    Args:
        img: MetaTensor, tensor or array.

    Returns:
        (4, 4) float64.

    Raises:
        ValueError: when the volume is not (C, X, Y, Z).
    """
    if img.ndim != 4 or 0 in img.shape:
        raise ValueError(
            f"volume must have shape (C, X, Y, Z), none of them 0, got {tuple(img.shape)}; EnsureChannelFirst adds C"
        )
    if not isinstance(img, MetaTensor):
        return np.eye(4)
    affine = img.affine.detach().cpu().numpy().astype(np.float64)
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine if img.meta.get(MetaKeys.SPACE) == SpaceKeys.LPS else affine


def source_slices(img: NdarrayOrTensor, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Which slices of the source file a volume holds along an array axis: all, or those that `ReduceSlices` has kept.

    Args:
        img: (C, X, Y, Z).
        axis: array axis, 0 to 2.

    Returns:
        Index in the source, (N,) int64, and position along the slice normal in millimetres, (N,) float64.

    Raises:
        ValueError: when a reduced volume was flipped, cropped or resampled along this axis afterwards, or its axes lie
            otherwise than then.
    """
    count = img.shape[axis + 1]
    affine = ras_affine(img)
    positions = slice_positions(affine, tuple(img.shape[1:]), axis)
    meta = img.meta if isinstance(img, MetaTensor) else {}
    if "kept_axis" not in meta:
        return np.arange(count), positions
    if not np.allclose(axis_direction(affine, int(meta["kept_axis"])), meta["kept_direction"], atol=1e-3):
        raise ValueError(
            f"axis {meta['kept_axis']} of the volume runs another way than when ReduceSlices kept slices along it; "
            "flip, crop or resample before ReduceSlices"
        )
    if meta["kept_axis"] != axis:
        return np.arange(count), positions
    indices, kept_positions = np.asarray(meta["kept_indices"]), np.asarray(meta["kept_positions_mm"])
    if len(indices) != count or not np.isclose(kept_positions[0], positions[0], atol=1e-3):
        raise ValueError(
            f"the volume was changed along axis {axis} after ReduceSlices, whose slices are no longer evenly spaced "
            f"({len(indices)} kept, {count} now); flip, crop or resample before ReduceSlices"
        )
    return indices, kept_positions


def axis_direction(affine: np.ndarray, axis: int) -> np.ndarray:
    """The unit vector, (3,), along which the index of an array axis grows."""
    return affine[:3, axis] / np.linalg.norm(affine[:3, axis])


# Each slice has its own affine; the lists of `ReduceSlices` differ in length between volumes and would not collate.
_NOT_OF_A_SLICE = (MetaKeys.AFFINE, "kept_axis", "kept_direction", "kept_indices", "kept_positions_mm")

SliceVolumeD = SliceVolumeDict = SliceVolumed
