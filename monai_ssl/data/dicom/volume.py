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

from monai_ssl.data.dicom.colour import grey_values, is_colour
from monai_ssl.data.dicom.decoding import coding_name, decode_pixels
from monai_ssl.data.dicom.file import open_dicom, quietly, read_dataset
from monai_ssl.data.dicom.intact import DamagedStreamError
from monai_ssl.data.dicom.plain import PlainPixels, StoredPixels, check_state
from monai_ssl.data.dicom.tags import UnreadableTagError, value_of
from monai_ssl.data.dicom.values import encoding_of, modality_values
from monai_ssl.data.volume import Volume, relative_name
from monai_ssl.data.voxels import RejectedVolumeError, Voxels, clean_voxels

__all__ = ["DicomVolume", "read_images"]

# Pixels of an odd length are padded by a byte, and some writers round up to four.
_PADDING = 3


@dataclass(frozen=True)
class DicomVolume(Volume):
    """
    One stack of DICOM images, from one file each or from the frames of few.

    Attributes:
        frames: for each slice, which frame of its file it is, from 0; None where a file holds one image.
        plain: for each slice, its pixels as they were found.
        affine: rows of the (4, 4) matrix, index (column, row, slice) to RAS millimetres; the slice step is the mean.
        offsets: where each slice truly lies, in steps of the affine.
        max_gib: bound on what a deflated file may inflate to.
    """

    frames: tuple[int | None, ...]
    plain: tuple[StoredPixels, ...]
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
        first: dict[Path, int] = {}  # frames of a file together, so that it is parsed once
        order = sorted(range(count), key=lambda k: first.setdefault(self.files[k], k))
        places = [(self.files[k], self.frames[k], self.plain[k]) for k in order]
        images = read_images(places, self.root, self.max_gib)
        for k, (path, values, padding) in zip(order, images, strict=True):
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
        surplus = [pixels.surplus for pixels in self.plain if pixels.surplus > _PADDING]
        told = (f"up to {max(surplus)} bytes more than pixels in {len(surplus)} of {count} images",) if surplus else ()
        return clean_voxels(self.name, stack.T, mask, np.array(self.affine), np.array(self.offsets), told)


def read_images(
    places: Iterable[tuple[Path, int | None, StoredPixels]], root: Path, max_gib: float
) -> Iterator[tuple[Path, np.ndarray, np.ndarray | None]]:
    """
    The values of images, one after another; a file whose frames follow one another is parsed once, if at all.

    Args:
        places: path, frame and pixels of each.
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
            for _, frame, pixels in group:
                if isinstance(pixels, PlainPixels):
                    values, padding = modality_values(pixels.read(path), pixels.encoding)
                else:
                    dataset = dataset or _opened(path, pixels, max_gib)
                    values, padding = _decoded(dataset, frame)
                yield path, values, padding
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except (UnreadableTagError, DamagedStreamError, OSError) as error:
            raise RejectedVolumeError(relative_name(path, root), f"pixels cannot be read: {error}") from None
        except BaseException as error:  # decoders raise whatever they stumbled over, or panic, and quote the file
            coding = "DICOM" if dataset is None else coding_name(dataset.file_meta.TransferSyntaxUID)
            reason = f"pixels are damaged ({coding}, {type(error).__name__})"
            raise RejectedVolumeError(relative_name(path, root), reason) from None


def _opened(path: Path, pixels: StoredPixels, max_gib: float) -> FileDataset:
    with open_dicom(path, max_gib) as stream:
        check_state(stream, pixels)
        return read_dataset(stream)


def _decoded(dataset: FileDataset, frame: int | None) -> tuple[np.ndarray, np.ndarray | None]:
    if frame is None and "NumberOfFrames" in dataset:
        dataset.NumberOfFrames = 1  # what the header says otherwise has been settled, or is no number
    with quietly():
        pixels = decode_pixels(dataset, frame)
        if is_colour(dataset):
            return grey_values(pixels, dataset), None
        look_up = dataset if value_of(dataset, "ModalityLUTSequence") else None
        return modality_values(pixels, encoding_of(dataset, frame), look_up)
