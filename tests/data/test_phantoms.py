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

from __future__ import annotations

from pathlib import Path

import imagehash
import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from monai.transforms import LoadImage, Orientation
from PIL import Image
from pydicom.uid import UID
from scipy import ndimage

from monai_ssl.data.phantoms import draw_phantom, make_phantoms, phantom
from monai_ssl.data.phantoms.canvas import Canvas, Grid, Pose
from monai_ssl.data.phantoms.files import write_dicom_series, write_nifti

REAL_CT = Path(__file__).parents[2] / "../shared/data/ct_chest_dicom"
SMALL = {"size": 48, "slices": 20}
PATIENTS = 8


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms") / "sample"
    return folder, make_phantoms(folder, PATIENTS, seed=3, masks=True, **SMALL)


@pytest.fixture(scope="module")
def thorax():
    return draw_phantom(0, 0)


def read_series(folder: Path) -> list[pydicom.Dataset]:
    return sorted(map(pydicom.dcmread, folder.iterdir()), key=lambda image: image.ImagePositionPatient[2])


def all_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hash_6(images: np.ndarray) -> float:
    """The share of slices dropped by the published rule, from imagehash and a plain loop."""
    hashes = []
    for image in images.astype(float):
        grey = np.round((image - image.min()) / np.ptp(image) * 255).astype(np.uint8)
        hashes.append(imagehash.dhash(Image.fromarray(grey), hash_size=8))
    kept: list[imagehash.ImageHash] = []
    for code in hashes:
        if all(code - other > 6 for other in kept):
            kept.append(code)
    return 1 - len(kept) / len(hashes)


def test_half_have_nodules_and_half_are_dicom(sample):
    folder, labels = sample
    patients = labels.groupby("patient").agg(nodule=("nodule", "max"), series=("series", "first"))
    dicom = ~patients.series.str.startswith("nifti/")
    assert len(patients) == PATIENTS
    assert patients.nodule.sum() == dicom.sum() == PATIENTS // 2
    assert patients.nodule[dicom].sum() == PATIENTS // 4
    assert (
        len(list(folder.glob("volumes/dicom/*"))) == len(list(folder.glob("volumes/nifti/*.nii.gz"))) == PATIENTS // 2
    )


def test_default_prevalence_is_enough_to_learn_from():
    # The share does not hang on the pixels; few of them make 12 patients quick.
    shares = [draw_phantom(0, index, size=32, slices=48).nodule.mean() for index in range(12)]
    assert 0.08 <= np.mean(shares) <= 0.15
    assert min(share for share in shares if share) >= 0.05


def test_labels_lie_exactly_at_the_positions_in_the_files(sample):
    folder, _ = sample
    labels = pd.read_csv(folder / "labels.csv")
    assert labels.columns.tolist() == ["series", "position_mm", "patient", "nodule"]
    found = {}
    for path in folder.glob("volumes/dicom/*/*"):
        image = pydicom.dcmread(path)
        found.setdefault((image.SeriesInstanceUID, image.PatientID), []).append(float(image.ImagePositionPatient[2]))
    for path in folder.glob("volumes/nifti/*"):
        image = nib.load(path)
        z = [float((image.affine @ (0, 0, k, 1))[2]) for k in range(image.shape[2])]
        found[path.relative_to(folder / "volumes").as_posix(), path.name[:12].upper().replace("_", "-")] = z
    groups = {key: rows.position_mm.tolist() for key, rows in labels.groupby(["series", "patient"])}
    assert groups == {key: sorted(z) for key, z in found.items()}


def test_dicom_series_read_back(sample):
    folder, _ = sample
    instances, series_of, signs = [], {}, set()
    for path in sorted(folder.glob("volumes/dicom/*")):
        images, drawn = read_series(path), draw_phantom(3, int(path.name[-4:]), **SMALL)
        assert (
            len({image.SeriesInstanceUID for image in images}) == len({image.StudyInstanceUID for image in images}) == 1
        )
        series_of[path.name] = images[0].SeriesInstanceUID
        signs.add(images[0].PixelRepresentation)
        for index, image in enumerate(images):
            instances.append(image.SOPInstanceUID)
            assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
            assert image.file_meta.MediaStorageSOPClassUID == image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
            assert (image.Modality, image.PatientID, image.RescaleIntercept) == ("CT", path.name, -1024)
            assert not image.StudyDate
            np.testing.assert_array_equal(
                image.pixel_array * image.RescaleSlope + image.RescaleIntercept, drawn.hu[index]
            )
        positions = np.array([image.ImagePositionPatient for image in images], float)
        np.testing.assert_array_equal(
            np.diff(positions, axis=0), [[0, 0, images[0].SliceThickness]] * (len(images) - 1)
        )
        # Neither the names nor the instance numbers may stand in for the positions.
        by_name = [float(pydicom.dcmread(file).ImagePositionPatient[2]) for file in sorted(path.iterdir())]
        assert by_name not in (sorted(by_name), sorted(by_name, reverse=True))
        assert [image.InstanceNumber for image in images] == list(range(len(images), 0, -1))
    assert len(set(instances)) == len(instances) == PATIENTS // 2 * SMALL["slices"]
    assert len(set(series_of.values())) == len(series_of)
    assert all(UID(uid).is_valid for uid in [*instances, *series_of.values()])
    assert signs == {0, 1}


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "LAS"])
def test_both_formats_hold_the_same_world(tmp_path, orientation):
    phantom = draw_phantom(1, 2, **SMALL)
    write_dicom_series(tmp_path / "dicom", phantom.hu, phantom.grid, phantom.name, (1, 2))
    write_nifti(tmp_path / "volume.nii.gz", phantom.hu, phantom.grid, orientation)
    stored = nib.load(tmp_path / "volume.nii.gz")
    assert nib.aff2axcodes(stored.affine) == tuple(orientation)
    assert stored.get_data_dtype() == np.int16
    assert int(stored.header["qform_code"]) == int(stored.header["sform_code"]) == 1
    np.testing.assert_array_equal(stored.get_qform(), stored.get_sform())
    # GDCM through ITK on the one side, nibabel on the other.
    dicom = Orientation("RAS", labels=None)(LoadImage("ITKReader", ensure_channel_first=True)(tmp_path / "dicom"))
    nifti = LoadImage("NibabelReader", ensure_channel_first=True)(tmp_path / "volume.nii.gz")
    nifti = Orientation("RAS", labels=None)(nifti)
    np.testing.assert_array_equal(dicom.numpy(), nifti.numpy())
    np.testing.assert_allclose(dicom.affine, nifti.affine, atol=1e-5)


def test_hounsfield_units_of_air_lung_fat_muscle_and_bone(thorax):
    hu, voxel_ml = thorax.hu, np.prod(thorax.grid.spacing) / 1000
    assert abs(np.median(hu[:, :4, :4]) + 1000) < 5
    tissue, _ = ndimage.label(ndimage.gaussian_filter(hu.astype(float), 0.7) > -500)
    body = tissue == np.bincount(tissue[tissue > 0]).argmax()
    body = np.stack([ndimage.binary_fill_holes(image) for image in body])
    lung = ndimage.binary_erosion(ndimage.binary_opening(body & (hu < -600)))
    assert -910 < np.median(hu[lung]) < -800
    assert 1500 < voxel_ml * lung.sum() < 6500
    solid = hu[body & (hu > -300)]
    counts, edges = np.histogram(solid, bins=np.arange(-200, 200, 10))
    fat, muscle = edges[:-1] < -60, edges[:-1] > 0
    assert -120 <= edges[:-1][fat][counts[fat].argmax()] <= -90
    assert 30 <= edges[:-1][muscle][counts[muscle].argmax()] <= 80
    assert 0.03 < (solid > 250).mean() < 0.15
    assert hu.max() > 400


def test_heart_left_liver_right_spine_behind(thorax):
    _, y, x = np.meshgrid(*thorax.grid.axes, indexing="ij")
    middle = np.median(x[thorax.hu > 300])
    lung = ndimage.binary_opening((thorax.hu < -600) & (thorax.hu > -960), iterations=2)
    assert (lung & (x < middle)).sum() > 1.04 * (lung & (x > middle)).sum()
    spine = (thorax.hu > 250) & (np.abs(x - middle) < 20)
    assert np.median(y[spine]) > np.median(y[lung]) + 30
    lowest = thorax.hu[1]
    liver = ndimage.binary_opening(np.abs(ndimage.uniform_filter(lowest.astype(float), 5) - 60) < 20, iterations=3)
    assert x[1][liver].mean() < middle - 20
    assert lung[:5].sum() < lung[10:15].sum()


def test_nodules_are_soft_tissue_of_the_promised_size_and_labelled_by_their_cut():
    components = []
    for index in (0, 3, 4):
        phantom = draw_phantom(2, index)
        area = phantom.mask.sum(axis=(1, 2)) * phantom.grid.spacing[1] * phantom.grid.spacing[2]
        assert -60 < np.median(phantom.hu[ndimage.binary_erosion(phantom.mask)]) < 95
        labelled, count = ndimage.label(phantom.mask)
        assert 1 <= count <= 3
        expected = np.zeros(len(area), bool)
        for number in range(1, count + 1):
            volume = (labelled == number).sum() * np.prod(phantom.grid.spacing)
            radius = (3 * volume / (4 * np.pi)) ** (1 / 3)
            components.append(2 * radius)
            cut = (labelled == number).sum(axis=(1, 2)) * phantom.grid.spacing[1] * phantom.grid.spacing[2]
            expected |= cut > 0.25 * np.pi * radius**2
        # Voxel counting misjudges a cut by some pixels: only slices at the very edge of a nodule may disagree.
        assert (expected != phantom.nodule).sum() <= count
        assert not phantom.nodule[area == 0].any()
    assert min(components) > 7
    assert max(components) < 26
    assert not draw_phantom(2, 1, **SMALL).mask.any()


def test_masks_lie_outside_of_the_volumes_and_over_them(sample):
    folder, labels = sample
    for path in sorted(folder.glob("masks/*.nii.gz")):
        drawn = draw_phantom(3, int(path.name[8:12]), **SMALL)
        mask = np.asarray(nib.load(path).dataobj)
        np.testing.assert_array_equal(mask.transpose(2, 1, 0), drawn.mask)
        assert mask.any() == labels[labels.patient == drawn.name].nodule.any()
    assert len(list(folder.glob("masks/*"))) == PATIENTS


def test_same_arguments_same_bytes_and_patients_do_not_hang_on_one_another(sample, tmp_path):
    folder, _ = sample
    make_phantoms(tmp_path / "again", PATIENTS, seed=3, masks=True, **SMALL)
    before = all_bytes(folder)
    assert all_bytes(tmp_path / "again") == before
    make_phantoms(tmp_path / "fewer", 3, seed=3, **SMALL)
    fewer = all_bytes(tmp_path / "fewer" / "volumes")
    assert fewer.items() <= all_bytes(folder / "volumes").items()
    make_phantoms(tmp_path / "other", 2, seed=4, **SMALL)
    assert not set(all_bytes(tmp_path / "other" / "volumes").values()) & set(before.values())


def test_neighbouring_slices_are_alike_and_distant_ones_are_not(thorax):
    assert 0.6 < hash_6(thorax.hu) < 0.9
    assert hash_6(thorax.hu[::8]) < 0.3


@pytest.mark.skipif(not REAL_CT.is_dir(), reason=f"real CT absent: {REAL_CT}")
def test_as_many_slices_are_alike_as_in_a_real_ct(thorax):
    step = round(thorax.grid.spacing[0])  # its slices are 1 mm apart
    files = sorted(path for path in REAL_CT.iterdir() if pydicom.misc.is_dicom(path))[::step]
    images = [image for image in map(pydicom.dcmread, files) if "PixelData" in image]
    real = np.stack([image.pixel_array[::4, ::4] for image in images])
    assert abs(hash_6(thorax.hu) - hash_6(real)) < 0.15


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match=r"patients must be a whole number from 2 to 9999, got 1"):
        make_phantoms(tmp_path, patients=1)
    with pytest.raises(ValueError, match=r"seed .* got -1"):
        make_phantoms(tmp_path, seed=-1)
    with pytest.raises(ValueError, match=r"size .* got 64\.0"):
        make_phantoms(tmp_path, size=64.0)
    with pytest.raises(ValueError, match=r"slices .* got 4"):
        make_phantoms(tmp_path, slices=4)
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ValueError, match=r"not empty, it holds mine\.txt; choose a new"):
        make_phantoms(tmp_path, **SMALL)
    with pytest.raises(ValueError, match=r"mine\.txt: is a file"):
        make_phantoms(tmp_path / "mine.txt", **SMALL)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_a_failure_leaves_nothing_under_a_final_name(tmp_path, monkeypatch):
    def fail(seed, index, **options):
        if index:
            raise OSError("disk full")
        return draw_phantom(seed, index, **options)

    monkeypatch.setattr(phantom, "draw_phantom", fail)
    with pytest.raises(OSError, match="disk full"):
        make_phantoms(tmp_path, 2, **SMALL)
    assert {path.name for path in tmp_path.iterdir()} <= {".lock"}
    monkeypatch.undo()
    (tmp_path / ".partial").mkdir()  # what a killed run leaves
    (tmp_path / ".partial" / "old").write_text("")
    make_phantoms(tmp_path, 2, **SMALL)
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "boxes.csv", "labels.csv", "volumes"}


def test_a_painted_shape_keeps_its_volume_and_place():
    grid = Grid((50, 60, 70), (2.0, 1.5, 1.5), (-49.0, -44.0, -52.0))
    pose = Pose((1.1, 0.9, 1.05), 0.2, (4.0, -3.0, 2.0))
    for paint, volume, centre in (
        (lambda canvas: canvas.ellipsoid((5, 3, -2), (14, 10, 12), 0.0), 4 / 3 * np.pi * 14 * 10 * 12, (5, 3, -2)),
        (
            lambda canvas: canvas.tube(np.array([(-10, 0, -9), (6, 8, 11)]), 7.0, 0.0),
            np.pi * 49 * np.sqrt(720) + 4 / 3 * np.pi * 343,
            (-2, 4, 1),
        ),
    ):
        canvas = Canvas(grid, pose, np.random.default_rng(0), warp=0.0)
        paint(canvas)
        filled = 1 + canvas.hu / 1000
        np.testing.assert_allclose(filled.sum() * 2.0 * 1.5 * 1.5, volume * np.prod(pose.scale), rtol=0.03)
        found = ndimage.center_of_mass(filled) * np.array(grid.spacing) + grid.origin
        np.testing.assert_allclose(found[::-1], pose.to_scanner(np.array(centre, float)), atol=0.15)
    np.testing.assert_allclose(pose.to_reference(pose.to_scanner(np.arange(3.0))), np.arange(3.0), atol=1e-12)
