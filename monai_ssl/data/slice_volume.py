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


"""One volume into its slices, reduced and stored: what a worker process does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from monai_ssl.data.volume import Volume
from monai_ssl.data.voxels import RejectedVolumeError, Rejection, Voxels
from monai_ssl.files import atomic_path
from monai_ssl.orientation import array_axis, slice_positions, to_display
from monai_ssl.reduction import hash_slices, reduce_slices

__all__ = ["VOLUME_FOLDER", "SliceTask", "SlicedVolume", "store_volume"]

VOLUME_FOLDER = "volumes"


@dataclass(frozen=True)
class SliceTask:
    """A volume, its pseudonyms and what to do with it; `output` is the folder of the store."""

    volume: Volume
    name: str
    patient: str
    output: Path
    axis: str
    reduce: str
    resize: int | None


@dataclass(frozen=True, eq=False)
class SlicedVolume:
    """What became of a task: the rows of `slices.csv`, or None and the rejection."""

    name: str
    table: pd.DataFrame | None
    warnings: tuple[str, ...] = ()
    rejections: list[Rejection] = field(default_factory=list)


def store_volume(task: SliceTask) -> SlicedVolume:
    """
    Read, slice, reduce and write one volume.

    A volume that cannot be read is refused, not raised; failing to write is raised, since it concerns them all.

    Raises:
        OSError: when the store cannot be written, such as on a full disk.
    """
    try:
        voxels = task.volume.read()
        table, images = _sliced(task, voxels)
    except RejectedVolumeError as error:
        return SlicedVolume(task.name, None, rejections=[error.rejection])
    except Exception as error:  # one odd volume must not end a run over thousands
        reason = f"cannot be sliced ({type(error).__name__}: {str(error)[:200]})"
        return SlicedVolume(task.name, None, rejections=[Rejection(task.volume.name, reason)])
    with atomic_path(task.output / VOLUME_FOLDER / f"{task.name}.npy") as partial, open(partial, "wb") as file:
        np.save(file, images, allow_pickle=False)
    return SlicedVolume(task.name, table, voxels.warnings)


def _sliced(task: SliceTask, voxels: Voxels) -> tuple[pd.DataFrame, np.ndarray]:
    images = np.ascontiguousarray(to_display(voxels.array, voxels.affine, task.axis))
    valid = None if voxels.valid is None else to_display(voxels.valid, voxels.affine, task.axis)
    hashes = hash_slices(images)
    reduction = reduce_slices(images, task.reduce, hashes=hashes)
    kept = reduction.kept
    names = np.array([f"{task.name}_{index:04d}" for index in range(len(images))])
    table = pd.DataFrame(
        {
            "slice": names,
            "volume": task.name,
            "patient": task.patient,
            "index": np.arange(len(images)),
            "position_mm": _positions(voxels, task.axis).round(6),
            "kept": kept,
            "exemplar": names[reduction.exemplar],
            "distance": reduction.distance,
            "hash": [f"{int(value):016x}" for value in hashes],
            "file": f"{VOLUME_FOLDER}/{task.name}.npy",
            "row": pd.array(np.cumsum(kept) - 1, dtype="Int64"),
            "dtype": str(images.dtype),
            **_statistics(images, valid),
        }
    )
    table.loc[~kept, "row"] = pd.NA
    stored = images[kept]
    return table, stored if task.resize is None else _resized(stored, task.resize)


def _positions(voxels: Voxels, axis: str) -> np.ndarray:
    shape = voxels.array.shape
    if array_axis(voxels.affine, axis) != 2:
        return slice_positions(voxels.affine, shape, axis)
    # Along the stack of a DICOM series each slice lies where its header says, evenly spaced or not.
    first, second = slice_positions(voxels.affine, (*shape[:2], 2), axis)
    return first + voxels.offsets * (second - first)


def _statistics(images: np.ndarray, valid: np.ndarray | None) -> dict[str, np.ndarray]:
    columns = np.empty((4, len(images)))
    for k, image in enumerate(images):
        values = image if valid is None else image[valid[k]]
        if values.size:
            columns[:, k] = image.size - values.size, values.min(), values.max(), values.mean(dtype=np.float64)
        else:
            columns[:, k] = image.size, np.nan, np.nan, np.nan
    invalid, low, high, mean = columns
    return {"invalid": invalid.astype(np.int64), "min": low, "max": high, "mean": mean.round(4)}


def _resized(images: np.ndarray, size: int) -> np.ndarray:
    shrinks = size <= min(images.shape[1:])
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = np.empty((len(images), size, size), dtype=images.dtype)
    for image, target in zip(images, resized, strict=True):
        cv2.resize(image, (size, size), dst=target, interpolation=method)
    return resized
