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

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np
from numpy.lib import format as npy

from monai_ssl.data.name_order import NAME_RANK
from monai_ssl.data.pseudonyms import Pseudonyms
from monai_ssl.data.resampling import resample
from monai_ssl.data.slice_parts import (
    COLUMNS,
    VOLUME_FOLDER,
    Part,
    part_file,
    size_of_files,
    volume_file,
)
from monai_ssl.data.stored_slices import feature_file, seed_of
from monai_ssl.data.volume import Volume
from monai_ssl.data.voxels import RejectedVolumeError, Rejection, Voxels
from monai_ssl.files import atomic_path, write_through
from monai_ssl.orientation import array_axis, few_at_a_time, slice_positions, to_display
from monai_ssl.reduction import Reduction, Slices, hash_slices, parse_strategy, select_in_order

if TYPE_CHECKING:
    from monai_ssl.networks import Embedder

__all__ = ["SliceOptions", "SliceTask", "store_volume"]


@dataclass(frozen=True)
class SliceOptions:
    """What the user asks of each volume; see `slice_volumes`."""

    axis: str
    reduce: str
    resize: int | None
    spacing: tuple[float, float, float] | None
    split_time: bool
    max_gib: float
    window: tuple[float, float] | None = None
    embedder: Embedder | None = None
    features: dict[str, Any] | None = None
    order: str = "position"
    seed: int = 0
    include: tuple[str, ...] | None = None
    modality: str | None = None
    patient_folders: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """Those that decide what the store holds. The limit of memory is a guard, and the network has its checksum."""
        arguments = {field.name: getattr(self, field.name) for field in fields(self)}
        del arguments["max_gib"], arguments["embedder"]
        return json.loads(json.dumps(arguments))


@dataclass(frozen=True)
class SliceTask:
    """
    A volume, its pseudonyms, the signature of its files and what to do with it; `mark` is a file that is there as
    long as the run, `output` the store's folder, `pseudonyms` make others, `ranks` are its `name_ranks` where slices
    are compared in order of names.
    """

    volume: Volume
    name: str
    patient: str
    signature: str
    mark: Path
    output: Path
    options: SliceOptions
    pseudonyms: Pseudonyms
    ranks: np.ndarray | None = None

    def content(self) -> str:
        """
        A keyed hash of what the volume holds, wherever its files lie and however old they are: it is read for this.

        It is one of the hashes, values and positions of all its slices, which slicing works out anyway; the bytes of
        the files themselves would cost a third more.

        Raises:
            RejectedVolumeError: when it cannot be read.
        """
        voxels = _read(self)
        return _content(self, _describe(self, voxels, to_display(voxels.array, voxels.affine, self.options.axis))[1])


def store_volume(task: SliceTask) -> int:
    """
    Read, slice, reduce and write one volume, and then its part of the tables.

    A volume that cannot be read is refused, not raised; failing to write is raised, since it concerns them all.

    Returns:
        The number of its slices, 0 when it was refused.

    Raises:
        OSError: when the store cannot be written, such as on a full disk.
    """
    try:
        voxels = _read(task)
        images = to_display(voxels.array, voxels.affine, task.options.axis)
        hashes, described = _describe(task, voxels, images)
        rows, kept = _rows(task, images, hashes, described)
    except RejectedVolumeError as error:
        return _refuse(task, error.rejection)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a decoder may panic; one odd volume must not end a run over thousands
        reason = f"cannot be sliced ({type(error).__name__}: {str(error)[:200]})"
        return _refuse(task, Rejection(task.volume.name, reason))
    file = volume_file(task.output, task.name)
    with _writing(task, file) as stream:
        _write_images(stream, images, kept, task.options.resize)
    part = Part(
        signature=task.signature,
        max_gib=task.options.max_gib,
        patient=task.patient,
        rows=rows,
        slices=len(images),
        kept=int(kept.sum()),
        size=file.stat().st_size,
        warnings=[(task.volume.name, warning) for warning in voxels.warnings],
        source_size=size_of_files(task.volume),
        content=_content(task, described),
    )
    _write_part(task, part)
    return len(images)


def _refuse(task: SliceTask, rejection: Rejection) -> int:
    part = Part(
        signature=task.signature,
        max_gib=task.options.max_gib,
        patient=task.patient,
        rejection=(rejection.file, rejection.reason),
    )
    _write_part(task, part)
    return 0


def _write_part(task: SliceTask, part: Part) -> None:
    with _writing(task, part_file(task.output, task.name)) as stream:
        stream.write(part.to_bytes())


@contextmanager
def _writing(task: SliceTask, file: Path) -> Iterator[BinaryIO]:
    # A worker that was given up may still be at it: beside the one that has the task now, or after the run.
    _check_run(task)
    with atomic_path(file, shared=True) as partial:
        with open(partial, "wb") as stream:
            yield stream
        _check_run(task)


def _check_run(task: SliceTask) -> None:
    if not task.mark.exists():
        raise OSError(f"{task.output}: the run is over, or this machine has another folder of that name")


def _read(task: SliceTask) -> Voxels:
    voxels = task.volume.read()
    spacing = task.options.spacing
    if spacing is None:
        return voxels
    try:
        return resample(voxels, spacing, task.options.max_gib)
    except ValueError as error:
        wanted = " x ".join(f"{length:g}" for length in spacing)
        raise RejectedVolumeError(task.volume.name, f"at a spacing of {wanted} mm: {error}") from error


def _describe(task: SliceTask, voxels: Voxels, images: np.ndarray) -> tuple[np.ndarray, dict[str, list]]:
    """The hashes of all slices, and those columns of `slices.csv` that the source alone decides about."""
    valid = None if voxels.valid is None else to_display(voxels.valid, voxels.affine, task.options.axis)
    hashes = np.empty(len(images), dtype=np.uint64)
    statistics: list[tuple] = []
    for few, block in few_at_a_time(images):
        hashes[few] = hash_slices(block, task.options.window)
        masks = [None] * len(block) if valid is None else next(few_at_a_time(valid[few]))[1]
        statistics += [_statistics(image, mask) for image, mask in zip(block, masks, strict=True)]
    columns = {
        "index": list(range(len(images))),
        "position_mm": _positions(voxels, task.options.axis).round(6).tolist(),
        "hash": [f"{int(value):016x}" for value in hashes],
        "dtype": [str(images.dtype)] * len(images),
        **dict(zip(COLUMNS[-4:], map(list, zip(*statistics, strict=True)), strict=True)),
    }
    if task.ranks is not None:
        columns[NAME_RANK] = task.ranks[: len(images)].tolist()
    return hashes, columns


def _content(task: SliceTask, described: dict[str, list]) -> str:
    return task.pseudonyms("content", json.dumps(described))


def _rows(
    task: SliceTask, images: np.ndarray, hashes: np.ndarray, described: dict[str, list]
) -> tuple[str, np.ndarray]:
    """The lines of `slices.csv` for one volume, and which of its slices are kept."""
    count = len(images)
    reduction = _reduce(task, images, hashes, None if task.ranks is None else task.ranks[:count])
    kept = reduction.kept
    names = [f"{task.name}_{index:04d}" for index in range(count)]
    stored = np.cumsum(kept) - 1
    columns = described | {
        "slice": names,
        "volume": [task.name] * count,
        "patient": [task.patient] * count,
        "kept": kept.tolist(),
        "exemplar": [names[exemplar] for exemplar in reduction.exemplar],
        "distance": reduction.distance.tolist(),
        "file": [f"{VOLUME_FOLDER}/{task.name}.npy"] * count,
        "row": [int(row) if keep else "" for row, keep in zip(stored, kept, strict=True)],
    }
    text = io.StringIO()
    rows = zip(*(columns[column] for column in (*COLUMNS, NAME_RANK) if column in columns), strict=True)
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue(), kept


def _reduce(task: SliceTask, images: np.ndarray, hashes: np.ndarray, ranks: np.ndarray | None) -> Reduction:
    options = task.options
    seed = seed_of(task.name, options.seed)
    slices = Slices(images, window=options.window, hashes=hashes, embed=options.embedder, seed=seed)
    name, number = parse_strategy(options.reduce)
    reduction = select_in_order(slices, name, number, None if ranks is None else np.argsort(ranks))
    if options.features is not None:
        with _writing(task, feature_file(task.output, options.features, task.name)) as stream:
            np.save(stream, slices.features, allow_pickle=False)
    return reduction


def _positions(voxels: Voxels, axis: str) -> np.ndarray:
    shape = voxels.array.shape
    if array_axis(voxels.affine, axis) != 2:
        return slice_positions(voxels.affine, shape, axis)
    # Along the stack of a DICOM series each slice lies where its header says, evenly spaced or not.
    first, second = slice_positions(voxels.affine, (*shape[:2], 2), axis)
    return first + voxels.offsets * (second - first)


def _statistics(image: np.ndarray, valid: np.ndarray | None) -> tuple:
    values = image if valid is None else image[valid]
    if not values.size:
        return image.size, "", "", ""
    # Sums of integers are exact either way, and many times as fast so.
    total = cv2.sumElems(values)[0] if values.dtype == np.int16 else float(values.sum(dtype=np.float64))
    mean = round(total / values.size, 4)
    return image.size - values.size, float(values.min()), float(values.max()), mean


def _write_images(stream: BinaryIO, images: np.ndarray, kept: np.ndarray, resize: int | None) -> None:
    # Written, not mapped: on a full disk a write fails with an error, a mapped page with a crash.
    shape = (int(kept.sum()), *(images.shape[1:] if resize is None else (resize, resize)))
    header = {"descr": npy.dtype_to_descr(images.dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(stream, header)
    for few, block in few_at_a_time(images):
        chosen = block if kept[few].all() else block[kept[few]]
        for part in [chosen] if resize is None else (_resized(image, resize) for image in chosen):
            stream.write(part.data)
        write_through(stream)


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    height, width = image.shape
    if min(image.shape) < size < max(image.shape):
        # Where one side shrinks and the other grows, each by its own method: linear would alias what is fine.
        image = cv2.resize(image, (min(width, size), min(height, size)), interpolation=cv2.INTER_AREA)
    method = cv2.INTER_AREA if size <= min(height, width) else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=method)
