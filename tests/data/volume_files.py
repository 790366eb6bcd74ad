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


"""Small DICOM series and NIfTI files for tests, whose voxels tell where in the world they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

REAL_DATA = Path(__file__).parents[2] / "../shared/data"
SHAPE, OTHER_SHAPE = (40, 36, 12), (24, 24, 6)
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def world_values(affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """(X, Y, Z) int16: a value that is a function of the RAS position alone, different in all directions."""
    grid = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(grid @ affine[:3, :3].T + affine[:3, 3], -1, 0)
    return np.rint(3 * x + 40 * np.sin(y / 5) + 17 * z + 0.4 * x * y).astype(np.int16)


def write_series(
    folder: Path,
    affine: np.ndarray,
    values: np.ndarray,
    *,
    patient: str = "0042",
    uid: str | None = None,
    intercept: float = -1024,
    seed: int = 0,
    change: Any = None,
) -> list[Path]:
    """
    Write (X, Y, Z) values as a CT series with shuffled file names and InstanceNumbers.

    Args:
        change: called with (dataset, slice number) before each file is written.

    Returns:
        The files in slice order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lps = RAS_TO_LPS @ affine
    uid = uid or generate_uid(entropy_srcs=[str(folder), str(seed)])
    names = np.random.default_rng(seed).permutation(values.shape[2])
    paths = []
    for k in range(values.shape[2]):
        dataset = pydicom.Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[uid, str(k), str(seed)])
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.SeriesInstanceUID, dataset.PatientID, dataset.PatientName = uid, patient, "Doe^Jane"
        dataset.Modality, dataset.InstanceNumber = "CT", int(names[k]) + 1
        spacing = np.linalg.norm(lps[:3, :2], axis=0)
        dataset.PixelSpacing = [f"{spacing[1]:.10g}", f"{spacing[0]:.10g}"]
        directions = np.concatenate([lps[:3, 0] / spacing[0], lps[:3, 1] / spacing[1]])
        dataset.ImageOrientationPatient = [f"{number:.10g}" for number in directions]
        dataset.ImagePositionPatient = [f"{number:.10g}" for number in lps[:3] @ [0, 0, k, 1]]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.Columns, dataset.Rows = values.shape[:2]
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", f"{intercept:g}"
        dataset.PixelData = (values[:, :, k].T - intercept).astype("<i2").tobytes()
        if change is not None:
            change(dataset, k)
        path = folder / f"{names[k]}_{names[k] * 7919 % 1000}"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def write_nifti(path: Path, affine: np.ndarray, values: np.ndarray) -> Path:
    """Write (X, Y, Z) values with both forms set."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, affine)
    image.set_sform(affine, 1)
    nibabel.save(image, path)
    return path


def axial_affine(spacing: tuple[float, float, float] = (0.8, 0.9, 2.5)) -> np.ndarray:
    """The affine of an axial CT as scanners store it: columns to the left, rows to posterior, slices to superior."""
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    affine[:3, 3] = 12.5, 20.25, -71.75
    return affine


def write_source(folder: Path) -> Path:
    """Two DICOM patients (the first of SHAPE, the second of OTHER_SHAPE) and one NIfTI file, with litter."""
    affine = axial_affine()
    write_series(folder / "a", affine, world_values(affine, SHAPE), patient="007", uid="1.2.840.7")
    write_series(folder / "b", affine, 900 - world_values(affine, OTHER_SHAPE), patient="7", uid="1.2.840.8", seed=1)
    write_nifti(folder / "n" / "Doe Jane.nii.gz", affine, world_values(affine, OTHER_SHAPE) // 2)
    (folder / "notes.txt").write_text("not an image")
    return folder
