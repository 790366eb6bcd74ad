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

"""Phantoms as files: a DICOM series as a scanner exports it, and NIfTI."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from monai_ssl.data.phantoms.canvas import Grid

__all__ = ["write_dicom_series", "write_nifti"]

_INTERCEPT = -1024
_EMPTY = [
    "AccessionNumber",
    "AcquisitionNumber",
    "PatientBirthDate",
    "PatientSex",
    "PositionReferenceIndicator",
    "ReferringPhysicianName",
    "StudyDate",
    "StudyID",
    "StudyTime",
]


def write_dicom_series(
    folder: Path, hu: np.ndarray, grid: Grid, patient: str, key: tuple[int, int], signed: bool = False
) -> str:
    """
    Write a volume as one CT Image Storage file per slice, 12 bits in 16, explicit little endian.

    File names are shuffled and instance numbers run from head to foot, so that only the positions tell the order.

    Args:
        folder: made when absent.
        hu: (Z, Y, X) int16, -1024..1023.
        grid: where its voxels lie, mm.
        patient: the PatientID.
        key: seed and number of the patient; with the shape they determine all UIDs and the file names.
        signed: write signed pixels.

    Returns:
        the SeriesInstanceUID.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = ["monai_ssl phantom", *map(str, key), *map(str, hu.shape)]
    series = generate_uid(entropy_srcs=[*source, "series"])
    names = np.random.default_rng([*key, 1]).permutation(len(hu)) + 1
    common = _series_attributes(grid, patient, signed)
    common.StudyInstanceUID = generate_uid(entropy_srcs=[*source, "study"])
    common.FrameOfReferenceUID = generate_uid(entropy_srcs=[*source, "frame of reference"])
    common.SeriesInstanceUID = series
    for index, pixels in enumerate(hu):
        image = Dataset(common)
        image.SOPInstanceUID = generate_uid(entropy_srcs=[*source, "image", str(index)])
        image.InstanceNumber = len(hu) - index
        image.ImagePositionPatient = [grid.origin[2], grid.origin[1], grid.axes[0][index]]
        image.SliceLocation = grid.axes[0][index]
        image.PixelData = (pixels - _INTERCEPT).astype("<i2" if signed else "<u2").tobytes()
        image.file_meta = FileMetaDataset()
        image.file_meta.MediaStorageSOPClassUID = CTImageStorage
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.save_as(folder / f"{names[index]:06d}.dcm", enforce_file_format=True)
    return str(series)


def write_nifti(path: Path, values: np.ndarray, grid: Grid, orientation: str = "LPS") -> None:
    """
    Write a volume as compressed NIfTI, with the affine as both qform and sform, scanner coordinates.

    Args:
        path: ends with `.nii.gz`; its folder is made when absent.
        values: (Z, Y, X) of an integer type.
        grid: where its voxels lie, mm.
        orientation: the directions in which the stored axes grow, such as "RAS"; the anatomy stays where it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-grid.spacing[2], -grid.spacing[1], grid.spacing[0], 1.0])  # NIfTI's world is RAS+, ours LPS
    affine[:3, 3] = -grid.origin[2], -grid.origin[1], grid.origin[0]
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("LPS"), nib.orientations.axcodes2ornt(orientation)
    )
    image = nib.Nifti1Image(values.transpose(2, 1, 0), affine).as_reoriented(turn)
    image.header.set_xyzt_units("mm")
    image.set_qform(image.affine, code="scanner")
    image.set_sform(image.affine, code="scanner")
    nib.save(image, path)


def _series_attributes(grid: Grid, patient: str, signed: bool) -> Dataset:
    image = Dataset()
    image.SOPClassUID = CTImageStorage
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.Modality = "CT"
    image.Manufacturer = "monai_ssl"
    image.SeriesDescription = "Synthetic phantom"
    image.BodyPartExamined = "CHEST"
    image.PatientName = patient.replace("-", "^")
    image.PatientID = patient
    # Required to be there, allowed to be empty: PS3.3 A.3.3.
    for keyword in _EMPTY:
        setattr(image, keyword, None)
    image.SeriesNumber = 1
    image.PatientPosition = "HFS"
    image.KVP = 120
    image.SliceThickness = grid.spacing[0]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.PixelSpacing = [grid.spacing[1], grid.spacing[2]]
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = grid.shape[1:]
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = int(signed)
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = _INTERCEPT, 1, "HU"
    image.WindowCenter, image.WindowWidth = -600, 1500
    return image
