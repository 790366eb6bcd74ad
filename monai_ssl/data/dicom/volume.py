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


"""Reading the voxels of a DICOM series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.pixels import pixel_array

from monai_ssl.data.dicom.file import open_dicom, quietly, read_dataset
from monai_ssl.data.dicom.plain import PlainPixels
from monai_ssl.data.dicom.tags import UnreadableTagError, value_of
from monai_ssl.data.dicom.values import encoding_of, modality_values
from monai_ssl.data.volume import Volume, relative_name
from monai_ssl.data.voxels import RejectedVolumeError, Voxels, clean_voxels

__all__ = ["DicomVolume", "read_images"]


@dataclass(frozen=True)
class DicomVolume(Volume):
    """
    One stack of DICOM images, from one file each or from the frames of few.

    Attributes:
        frames: for each slice, which frame of its file it is, from 0; None where a file holds one image.
        plain: for each slice, where its pixels lie if they are not compressed.
        affine: rows of the (4, 4) matrix, index (column, row, slice) to RAS millimetres; the slice step is the mean.
        offsets: where each slice truly lies, in steps of the affine.
        max_gib: bound on what a deflated file may inflate to.
    """

    frames: tuple[int | None, ...]
    plain: tuple[PlainPixels | None, ...]
    affine: tuple[tuple[float, ...], ...]
    offsets: tuple[float, ...]
    max_gib: float

    def read(self) -> Voxels:
        """
        The rescaled values (HU for CT), slope and intercept taken from each slice, padding marked invalid.

        Raises:
            RejectedVolumeError: when a file is damaged, naming it.
        """
        columns, rows, count = self.shape
        stack = np.empty((count, rows, columns), dtype=np.int16)
        valid: np.ndarray | None = None
        images = read_images(zip(self.files, self.frames, self.plain, strict=True), self.root, self.max_gib)
        for k, (path, values, padding) in enumerate(images):
            if values.shape != (rows, columns):
                reason = f"{values.shape[1]} x {values.shape[0]} pixels, expected {columns} x {rows}"
                raise RejectedVolumeError(relative_name(path, self.root), reason)
            if stack.dtype == np.int16 and values.dtype != np.int16:
                stack = stack.astype(np.float32)
            stack[k] = values
            if padding is not None:
                if valid is None:
                    valid = np.ones(stack.shape, dtype=bool)
                np.logical_not(padding, out=valid[k])
        mask = None if valid is None else valid.T
        return clean_voxels(self.name, stack.T, mask, np.array(self.affine), np.array(self.offsets))


def read_images(
    places: Iterable[tuple[Path, int | None, PlainPixels | None]], root: Path, max_gib: float
) -> Iterator[tuple[Path, np.ndarray, np.ndarray | None]]:
    """
    The values of images, one after another; a file whose frames follow one another is parsed once, if at all.

    Args:
        places: path, frame and plain pixels of each.
        root: the folder that names in errors are relative to.
        max_gib: see `open_dicom`.

    Yields:
        The path, and what `modality_values` gives.

    Raises:
        RejectedVolumeError: when a file is damaged, naming it.
    """
    for path, group in groupby(places, key=lambda place: place[0]):
        dataset = None
        try:
            for _, frame, plain in group:
                if plain is not None and (pixels := plain.read(path)) is not None:
                    values, padding = modality_values(pixels, plain.encoding)
                else:
                    dataset = dataset or _opened(path, max_gib)
                    values, padding = _decoded(dataset, frame)
                yield path, values, padding
        except (UnreadableTagError, OSError) as error:
            raise RejectedVolumeError(relative_name(path, root), f"pixels cannot be read: {error}") from error
        except Exception as error:  # decoders raise whatever they stumbled over, with values of the file in the message
            coding = "DICOM" if dataset is None else dataset.file_meta.TransferSyntaxUID.name
            reason = f"pixels are damaged ({coding}, {type(error).__name__})"
            raise RejectedVolumeError(relative_name(path, root), reason) from error


def _opened(path: Path, max_gib: float) -> FileDataset:
    with open_dicom(path, max_gib) as stream:
        return read_dataset(stream)


def _decoded(dataset: FileDataset, frame: int | None) -> tuple[np.ndarray, np.ndarray | None]:
    if frame is None and "NumberOfFrames" in dataset:
        dataset.NumberOfFrames = 1  # what the header says otherwise has been settled, or is no number
    with quietly():
        pixels = pixel_array(dataset, index=frame, view_only=True, correct_unused_bits=False)
        look_up = dataset if value_of(dataset, "ModalityLUTSequence") else None
        return modality_values(pixels, encoding_of(dataset, frame), look_up)
