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

"""Images that lie in arrays: `.npy` volumes of slices, and the `.npz` files of MedMNIST."""

from __future__ import annotations

import os
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

__all__ = ["npz_images", "read_npz_image", "with_slices"]

_SPLITS = ("train", "val", "test")
_DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, TypeError, AttributeError)


def with_slices(images: pd.DataFrame) -> pd.DataFrame:
    """
    Replace the row of each `.npy` volume (N, H, W) by one row per slice, called `volume.npy#row`.

    Args:
        images: columns `image`, `patient`, `file` and `row`.

    Raises:
        ValueError: naming a `.npy` that is no volume.
    """
    counts = np.array([_slices(file) if file.endswith(".npy") else 0 for file in images["file"]], int)
    if not counts.any():
        return images[["image", "patient", "file", "row"]]
    table = images.loc[images.index.repeat(np.maximum(counts, 1))].reset_index()
    sliced = counts[table["index"]] > 0
    table.loc[sliced, "row"] = table.groupby("index").cumcount()[sliced]
    table["image"] = table["image"].where(~sliced, table["image"] + "#" + table["row"].astype(str))
    return table[["image", "patient", "file", "row"]]


def npz_images(path: Path) -> pd.DataFrame:
    """
    The images of a `.npz` with `train_images`, `val_images`, `test_images`, each (N, H, W) or (N, H, W, 3).

    Returns:
        Columns `image` (`train/0`), `patient` (empty), `file` and `row`, counted through all splits.
    """
    names = [f"{split}/{row}" for split, shape in _shapes(path) for row in range(shape[0])]
    return pd.DataFrame({"image": names, "patient": "", "file": str(path), "row": range(len(names))})


def read_npz_image(file: str | os.PathLike, row: int) -> np.ndarray:
    """
    One image (H, W) of a `.npz` of MedMNIST; colour becomes grey.

    The arrays are compressed as a whole, so each process reads the array of a split once and keeps it: N * H * W bytes,
    70 MiB for the largest at 28 px, 4 GiB at 224 px, three times that for colour.

    Args:
        file: the `.npz`.
        row: as :py:func:`npz_images` counts.
    """
    first = 0
    for split, shape in _shapes(Path(file)):
        if first <= row < first + shape[0]:
            image = _array(os.fspath(file), split, os.stat(file).st_mtime_ns)[row - first]
            return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
        first += shape[0]
    raise ValueError(f"{file}: has {first} images, no row {row}")


def _slices(file: str) -> int:
    try:
        volume = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{file}: not a .npy array that can be read ({error})") from error
    if volume.ndim != 3 or not len(volume):
        raise ValueError(f"{file}: a .npy must be a volume of slices (N, H, W), got {volume.shape}")
    return len(volume)


@lru_cache(maxsize=4)
def _array(file: str, split: str, _changed: int) -> np.ndarray:
    with np.load(file, allow_pickle=False) as arrays:
        return arrays[f"{split}_images"]


def _shapes(path: Path) -> list[tuple[str, tuple[int, ...]]]:
    return _shapes_of(os.fspath(path), path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _shapes_of(file: str, _changed: int) -> list[tuple[str, tuple[int, ...]]]:
    try:
        with zipfile.ZipFile(file) as archive:
            held = [split for split in _SPLITS if f"{split}_images.npy" in archive.namelist()]
            shapes = [(split, _shape(archive, f"{split}_images.npy")) for split in held]
    except _DAMAGED as error:
        raise ValueError(f"{file}: not a .npz of MedMNIST ({error}); give the file as downloaded") from error
    wrong = [shape for _, shape in shapes if len(shape) != 3 and (len(shape) != 4 or shape[3] != 3)]
    if wrong or not shapes:
        raise ValueError(
            f"{file}: must hold train_images, val_images and test_images of 2-D images, (N, H, W) or (N, H, W, 3), got "
            f"{wrong[0] if wrong else 'none'}; MedMNIST3D cannot be taken"
        )
    return shapes


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(member)[0]
