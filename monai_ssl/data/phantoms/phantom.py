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

"""An embedded sample: small CT phantoms of the thorax, with and without nodules, as a hospital would hand them over."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage
from tqdm import tqdm

from monai_ssl.data.phantoms.anatomy import draw_body, draw_central_airways
from monai_ssl.data.phantoms.canvas import Canvas, Grid, scanner_noise
from monai_ssl.data.phantoms.files import write_dicom_series, write_nifti
from monai_ssl.data.phantoms.surfaces import Build, draw_build
from monai_ssl.data.phantoms.vessels import Tree, draw_nodules, draw_trees, paint_nodule, paint_tree
from monai_ssl.files import folder_problem, lock_folder, write_table

__all__ = ["Phantom", "draw_phantom", "make_phantoms"]

_DIAMETERS = (9.0, 24.0)  # mm
_BOX_COLUMNS = ["series", "position_mm", "label", "x", "y", "width", "height", "image_width", "image_height"]
_COVERAGE = 224.0  # mm of the reference adult that are scanned along z, from the liver to above the apices


@dataclass(frozen=True)
class Phantom:
    """
    One drawn patient.

    Args:
        name: such as `PHANTOM-0007`.
        hu: (Z, Y, X) int16, -1024..1023; x to the left, y to posterior, z to superior.
        grid: where the voxels lie, mm.
        mask: (Z, Y, X) bool, the nodules.
        nodule: (Z,) bool, the slices that show one.
    """

    name: str
    hu: np.ndarray
    grid: Grid
    mask: np.ndarray
    nodule: np.ndarray


def make_phantoms(
    output_dir: str | os.PathLike,
    patients: int = 24,
    seed: int = 0,
    *,
    size: int = 128,
    slices: int = 48,
    masks: bool = False,
) -> pd.DataFrame:
    """
    Write thorax phantoms to try the whole way on: half with nodules, half as DICOM series, the other half as NIfTI.

    Written are `volumes/dicom/<patient>/*.dcm`, `volumes/nifti/*.nii.gz`, `boxes.csv` with a box around each nodule in
    each slice that is labelled with one (:py:func:`monai_ssl.data.read_boxes`), and `labels.csv` with the columns
    `series` (the SeriesInstanceUID, or the path below `volumes`), `position_mm` (z of the slice, to superior),
    `patient` and `nodule`: 1 where the nodule's cut through the slice has at least half of the nodule's radius, that is
    a quarter of its largest area; a smaller cut counts as 0. A patient depends on `seed`, its number, `size` and
    `slices` alone, and the same arguments give the same bytes.

    Args:
        output_dir: a new or empty folder.
        patients: at least 2.
        seed: 0 or above.
        size: pixels along both sides of a slice, 32 to 512.
        slices: per patient, 16 to 512; the same thorax is cut thinner or thicker.
        masks: write the nodules too, as `masks/*.nii.gz`, outside of `volumes`.

    Returns:
        the table of `labels.csv`.

    Raises:
        ValueError: when an argument is out of its range, or the folder is not empty or in use.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     labels = make_phantoms(folder, patients=2, size=32, slices=16)
        >>> labels.groupby("patient").nodule.max().tolist()
        [1, 0]
    """
    _check("patients", patients, 2, 9999)
    _check("seed", seed, 0, 2**63 - 1)
    _check("size", size, 32, 512)
    _check("slices", slices, 16, 512)
    with _new_folder(Path(output_dir)) as folder:
        tables, boxes = [], []
        for index in tqdm(range(patients), desc="phantoms", unit="patient", disable=None):
            phantom = draw_phantom(seed, index, size=size, slices=slices)
            series = _write_volume(folder / "volumes", phantom, seed, index)
            if masks:
                write_nifti(folder / "masks" / _nifti_name(phantom), phantom.mask.astype(np.uint8), phantom.grid)
            tables.append(_labels(phantom, series))
            boxes += _boxes(phantom, series)
        labels = pd.concat(tables, ignore_index=True)
        write_table(folder / "boxes.csv", pd.DataFrame(boxes, columns=_BOX_COLUMNS))
        write_table(folder / "labels.csv", labels)
    return labels


def draw_phantom(seed: int, index: int, *, size: int = 128, slices: int = 48) -> Phantom:
    """
    Draw patient number `index`; of each four in a row the first and the last have nodules.

    Args:
        seed: 0 or above.
        index: 0 or above.
        size: pixels along both sides of a slice.
        slices: along z.
    """
    anatomy, texture, noise = np.random.default_rng([seed, index]).spawn(3)
    build = draw_build(anatomy)
    grid = _place(anatomy, build, size, slices)
    canvas = Canvas(grid, build.pose, texture)
    lung = draw_body(canvas, build, texture)
    trees = draw_trees(anatomy, build)
    for tree in trees:
        paint_tree(canvas, tree, build.blood, lung)
    draw_central_airways(canvas)
    # With nodules first and last of four, and DICOM every other one, each half of the one is halved by the other.
    nodules = _draw_nodules(anatomy, canvas, build, trees) if index % 4 in (0, 3) else []
    mask, nodule = np.zeros(grid.shape, bool), np.zeros(slices, bool)
    for radius, filled in nodules:
        mask |= filled > 0.5
        nodule |= filled.sum(axis=(1, 2)) * grid.spacing[1] * grid.spacing[2] >= 0.25 * np.pi * radius**2
    x, y, _ = canvas.point
    level = build.noise * (0.3 + 0.7 * np.exp(-((x / 150) ** 2) - (y / 110) ** 2))  # most where most is absorbed
    hu = np.clip(np.round(canvas.hu + level * scanner_noise(noise, grid)), -1024, 1023).astype(np.int16)
    return Phantom(f"PHANTOM-{index:04d}", hu, grid, mask, nodule)


def _place(rng: np.random.Generator, build: Build, size: int, slices: int) -> Grid:
    # Steps of 1/8 and 1/64 mm are exact as binary and as decimal numbers, so every file says the same position.
    step = max(1, round(8 * _COVERAGE * build.pose.scale[2] / slices)) / 8
    pixel = round(64 * 2 * build.half_width * build.pose.scale[0] * rng.uniform(1.06, 1.18) / size) / 64
    start = round(2 * (build.pose.shift[2] - step * (slices - 1) / 2 + rng.normal(0, 3))) / 2
    corner = -pixel * (size - 1) / 2
    return Grid((slices, size, size), (step, pixel, pixel), (start, corner, corner))


def _draw_nodules(
    rng: np.random.Generator, canvas: Canvas, build: Build, trees: list[Tree]
) -> list[tuple[float, np.ndarray]]:
    step, ends = canvas.grid.spacing[0], canvas.grid.axes[0][[0, -1]]
    # Below this diameter a nodule could lie between two slices and show in neither.
    diameters = (max(_DIAMETERS[0], 2 * step / np.sqrt(3)), _DIAMETERS[1])
    low, high = (ends - build.pose.shift[2]) / build.pose.scale[2]
    nodules = draw_nodules(rng, build, trees, diameters, (low, high))
    return [(nodule.radius, paint_nodule(canvas, nodule)) for nodule in nodules]


def _write_volume(folder: Path, phantom: Phantom, seed: int, index: int) -> str:
    if index % 2 == 0:
        # Every other series has signed pixels, as some makers write them.
        return write_dicom_series(
            folder / "dicom" / phantom.name,
            phantom.hu,
            phantom.grid,
            phantom.name,
            (seed, index),
            signed=index % 4 == 2,
        )
    name = f"nifti/{_nifti_name(phantom)}"
    write_nifti(folder / name, phantom.hu, phantom.grid, ("LPS", "RAS", "LAS")[index % 3])
    return name


def _nifti_name(phantom: Phantom) -> str:
    return f"{phantom.name.lower().replace('-', '_')}.nii.gz"


def _labels(phantom: Phantom, series: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "series": series,
            "position_mm": phantom.grid.axes[0],
            "patient": phantom.name,
            "nodule": phantom.nodule.astype(int),
        }
    )


def _boxes(phantom: Phantom, series: str) -> list[tuple[object, ...]]:
    boxes: list[tuple[object, ...]] = []
    height, width = phantom.grid.shape[1:]
    for index in np.flatnonzero(phantom.nodule):
        for rows, columns in ndimage.find_objects(ndimage.label(phantom.mask[index])[0]):
            corner = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
            boxes.append((series, phantom.grid.axes[0][index], "nodule", *corner, width, height))
    return boxes


@contextmanager
def _new_folder(output_dir: Path) -> Iterator[Path]:
    # All is written below one hidden folder and moved out when whole, the table of labels last.
    if output_dir.exists() and not output_dir.is_dir():
        raise ValueError(folder_problem(output_dir))
    with lock_folder(output_dir):
        partial = output_dir / ".partial"
        if problem := folder_problem(output_dir):
            raise ValueError(problem)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            for entry in sorted(partial.iterdir(), key=lambda entry: entry.name == "labels.csv"):
                os.replace(entry, output_dir / entry.name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _check(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value!r}")
