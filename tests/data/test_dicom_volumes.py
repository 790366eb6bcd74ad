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

import shutil
import warnings

import numpy as np
import pydicom
import pytest
from monai.transforms import LoadImaged
from volume_files import RAS_TO_LPS, REAL_DATA, axial_affine, world_values, write_series

from monai_ssl.data import DicomSeriesReader, find_volumes

SHAPE = (14, 11, 9)


def series(folder, affine=None, **options):
    affine = axial_affine() if affine is None else affine
    values = world_values(affine, SHAPE)
    return write_series(folder, affine, values, **options), affine, values


def only(folder):
    volumes, rejections = find_volumes(folder)
    assert not rejections
    (volume,) = volumes
    return volume


def plain_loop(folder):
    """What a careful reader of the standard would write, slice by slice."""
    slices = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    normal = np.cross(slices[0].ImageOrientationPatient[:3], slices[0].ImageOrientationPatient[3:])
    slices.sort(key=lambda item: np.dot(item.ImagePositionPatient, normal))
    hu = [np.float32(item.RescaleSlope) * item.pixel_array + np.float32(item.RescaleIntercept) for item in slices]
    first, last = (np.array(slices[k].ImagePositionPatient, dtype=float) for k in (0, -1))
    between_rows, between_columns = (float(value) for value in slices[0].PixelSpacing)
    lps = np.eye(4)
    lps[:3, 0] = np.array(slices[0].ImageOrientationPatient[:3], dtype=float) * between_columns
    lps[:3, 1] = np.array(slices[0].ImageOrientationPatient[3:], dtype=float) * between_rows
    lps[:3, 2] = (last - first) / (len(slices) - 1)
    lps[:3, 3] = first
    return np.stack(hu).transpose(2, 1, 0), RAS_TO_LPS @ lps, slices


@pytest.mark.parametrize("name", ["ct_chest_dicom", "ct_head_dicom"])
def test_real_series_through_monai_equals_the_plain_loop(name):
    folder = REAL_DATA / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not on this machine")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = LoadImaged("image", reader=DicomSeriesReader(), image_only=True)({"image": folder})["image"]
    told = [str(warning.message) for warning in caught if ".dcm: " in str(warning.message)]
    assert len(told) == (2 if "head" in name else 0)
    hu, affine, slices = plain_loop(folder)
    padding = slices[0].get("PixelPaddingValue")
    smallest = hu.min() if padding is None else hu[hu != padding].min()
    assert image.shape == hu.shape
    for k in range(hu.shape[2]):
        expected = hu[..., k] if padding is None else np.where(hu[..., k] == padding, smallest, hu[..., k])
        np.testing.assert_array_equal(image.numpy()[..., k], expected)
    np.testing.assert_allclose(image.affine.numpy(), affine, atol=1e-9)


@pytest.mark.skipif(not (REAL_DATA / "ct_chest_dicom").is_dir(), reason="ct_chest_dicom is not on this machine")
def test_chest_names_the_stray_file_and_nothing_else():
    volumes, rejections = find_volumes(REAL_DATA / "ct_chest_dicom")
    assert [(volume.shape, volume.warnings) for volume in volumes] == [((512, 512, 275), ())]
    assert [rejection.file for rejection in rejections] == ["README.md"]


@pytest.mark.skipif(not (REAL_DATA / "ct_head_dicom").is_dir(), reason="ct_head_dicom is not on this machine")
def test_head_warns_of_tilt_and_uneven_distance_with_figures():
    volume = only(REAL_DATA / "ct_head_dicom")
    uneven, tilt = volume.warnings
    assert "uneven" in uneven
    assert "1.08 mm x 1, 4 mm x 13, 7 mm x 13" in uneven
    assert "gantry tilt" in tilt
    assert "18.5 degrees" in tilt
    _, _, slices = plain_loop(REAL_DATA / "ct_head_dicom")
    along = np.array([item.ImagePositionPatient[2] for item in slices], dtype=float)
    voxels = volume.read()
    np.testing.assert_allclose(voxels.affine[2, 3] + voxels.offsets * voxels.affine[2, 2], along, atol=1e-6)


@pytest.mark.parametrize("flip", [(1, 1, 1), (1, 1, -1), (-1, 1, 1), (1, -1, -1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 2, 0)])
def test_any_orientation_keeps_values_and_world(tmp_path, flip, order):
    affine = axial_affine()
    affine[:3, :3] = (affine[:3, :3] * flip)[:, order]
    turn = np.deg2rad(8)  # oblique
    affine[:3] = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]]) @ affine[:3]
    _, _, values = series(tmp_path / "ct", affine)
    volume = only(tmp_path)
    voxels = volume.read()
    assert volume.warnings == voxels.warnings == ()
    # The written stack may run against its own normal; the reader then reverses it, and the affine says so.
    reversed_ = np.linalg.det((RAS_TO_LPS @ affine)[:3, :3]) < 0
    np.testing.assert_array_equal(voxels.array, values[..., ::-1] if reversed_ else values)
    np.testing.assert_array_equal(world_values(voxels.affine, SHAPE), voxels.array)
    assert voxels.array.dtype == np.int16
    assert voxels.valid is None
    np.testing.assert_allclose(volume.spacing, np.linalg.norm(affine[:3, :3], axis=0), rtol=1e-8)


def test_two_series_in_one_folder_are_two_volumes_and_the_reader_lists_them(tmp_path):
    one, affine, values = series(tmp_path / "x", uid="1.2.3")
    other = write_series(tmp_path / "y", affine, values + 5, uid="1.2.4", patient="0043", seed=1)
    for path in other:
        shutil.move(path, tmp_path / "x" / f"other_{path.name}")
    volumes, rejections = find_volumes(tmp_path)
    assert [(volume.source, volume.patient) for volume in volumes] == [("1.2.3", "0042"), ("1.2.4", "0043")]
    assert not rejections
    load = LoadImaged("image", reader=DicomSeriesReader(), image_only=True)
    with pytest.raises(ValueError, match=r"holds 2 series(.|\n)*1\.2\.3(.|\n)*1\.2\.4"):
        load({"image": tmp_path / "x"})
    chosen = LoadImaged("image", reader=DicomSeriesReader(series_uid="1.2.4"), image_only=True)
    np.testing.assert_array_equal(chosen({"image": tmp_path / "x"})["image"].numpy(), values + 5)
    assert len(one) == SHAPE[2]


def test_series_spread_over_folders_is_one_volume(tmp_path):
    paths, _, values = series(tmp_path / "a")
    (tmp_path / "b").mkdir()
    for path in paths[::2]:
        shutil.move(path, tmp_path / "b")
    np.testing.assert_array_equal(only(tmp_path).read().array, values)


def test_missing_slice_is_named_with_figures(tmp_path):
    paths, _, values = series(tmp_path)
    paths[4].unlink()
    volume = only(tmp_path)
    (warning,) = volume.warnings
    assert "missing slices: 1 at a slice distance of 2.5 mm" in warning
    assert "gap 5 mm" in warning
    voxels = volume.read()
    np.testing.assert_array_equal(voxels.array, np.delete(values, 4, axis=2))
    np.testing.assert_allclose(
        voxels.affine[2, 3] + voxels.affine[2, 2] * voxels.offsets, -71.75 + 2.5 * np.delete(np.arange(9), 4)
    )


def test_duplicate_is_left_out_and_named(tmp_path):
    paths, _, values = series(tmp_path)
    shutil.copy(paths[2], tmp_path / "zz copy")
    volume = only(tmp_path)
    assert volume.warnings == ("the same image twice, left out: zz copy",)
    np.testing.assert_array_equal(volume.read().array, values)


def test_slope_and_intercept_are_those_of_each_slice(tmp_path):
    slopes = np.linspace(0.5, 3, SHAPE[2])

    def change(dataset, k):
        dataset.Modality, dataset.RescaleSlope, dataset.RescaleIntercept = "PT", f"{slopes[k]:.6g}", f"{k}"

    _, _, values = series(tmp_path, intercept=0, change=change)
    array = only(tmp_path).read().array
    expected = values * np.array([float(f"{slope:.6g}") for slope in slopes]) + np.arange(SHAPE[2])
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, expected.astype(np.float32))


def test_padding_is_invalid_and_takes_the_smallest_valid_value(tmp_path):
    def change(dataset, k):
        pixels = np.frombuffer(dataset.PixelData, "<i2").copy()
        pixels[: 5 + k] = -2000
        dataset.PixelData = pixels.tobytes()
        # Written with the wrong sign, as some scanners do: the same 16 bits.
        dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)

    _, _, values = series(tmp_path, change=change)
    voxels = only(tmp_path).read()
    pads = np.arange(SHAPE[0] * SHAPE[1])[:, None] < 5 + np.arange(SHAPE[2])
    padded = pads.reshape(SHAPE[1], SHAPE[0], SHAPE[2]).transpose(1, 0, 2)
    np.testing.assert_array_equal(voxels.valid, ~padded)
    np.testing.assert_array_equal(voxels.array, np.where(padded, values[~padded].min(), values))


def _no_position(dataset, k):
    del dataset.ImagePositionPatient
    dataset.InstanceNumber = k + 1


def _no_spacing(dataset, k):
    del dataset.PixelSpacing


def _no_rescale(dataset, k):
    del dataset.RescaleSlope, dataset.RescaleIntercept


def _inverted(dataset, k):
    dataset.PhotometricInterpretation = "MONOCHROME1"


@pytest.mark.parametrize(
    ("change", "warning", "offset"),
    [
        (_no_position, "no position: ordered by InstanceNumber", 0),
        (_no_spacing, "no PixelSpacing: 1 mm assumed", 0),
        (_no_rescale, "no rescale slope and intercept to HU in 9 of 9 images", 1024),
        (_inverted, "MONOCHROME1 in 9 of 9 images", 0),
    ],
)
def test_missing_tags_are_named_and_values_stay(tmp_path, change, warning, offset):
    _, _, values = series(tmp_path, change=change)
    volume = only(tmp_path)
    assert len(volume.warnings) == 1
    assert volume.warnings[0].startswith(warning)
    np.testing.assert_array_equal(volume.read().array, values + offset)


def test_two_patients_under_one_series_are_refused(tmp_path):
    def change(dataset, k):
        dataset.PatientID = "1" if k < 4 else "2"

    series(tmp_path, change=change)
    volumes, (rejection,) = find_volumes(tmp_path)
    assert not volumes
    assert "two patients" in rejection.reason
    assert "all 9 images" in rejection.reason


def test_two_images_at_one_position_are_refused(tmp_path):
    _, affine, values = series(tmp_path / "one", uid="1.2.3")
    write_series(tmp_path / "two", affine, values + 1, uid="1.2.3", seed=1)
    volumes, (rejection,) = find_volumes(tmp_path)
    assert not volumes
    assert "one position" in rejection.reason
    assert "one/" in rejection.reason
    assert "two/" in rejection.reason


def test_strays_leave_the_series_whole(tmp_path):
    paths, affine, values = series(tmp_path, uid="1.2.3")
    other = axial_affine((1.6, 1.8, 2.5))
    write_series(tmp_path / "b", other, world_values(other, (7, 5, 1)), uid="1.2.3", seed=5)
    turned = affine[:, [0, 2, 1, 3]]
    write_series(tmp_path / "c", turned, world_values(turned, (14, 11, 2)), uid="1.2.3", seed=6)
    volumes, rejections = find_volumes(tmp_path)
    assert len(volumes) == 1
    np.testing.assert_array_equal(volumes[0].read().array, values)
    assert [("pixels" in r.reason or "spacing" in r.reason, "orientation" in r.reason) for r in rejections] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert len(paths) == 9


def test_two_orientations_in_one_series_are_two_volumes(tmp_path):
    _, affine, values = series(tmp_path / "a", uid="1.2.3")
    turned = affine[:, [0, 2, 1, 3]]
    write_series(tmp_path / "b", turned, world_values(turned, (14, 11, 5)), uid="1.2.3", seed=6)
    volumes, rejections = find_volumes(tmp_path)
    assert not rejections
    assert [volume.source for volume in volumes] == ["1.2.3", "1.2.3#2"]
    assert all("2 stacks of differing geometry" in volume.warnings[-1] for volume in volumes)
    for volume in volumes:
        voxels = volume.read()
        np.testing.assert_array_equal(world_values(voxels.affine, volume.shape), voxels.array)
    np.testing.assert_array_equal(volumes[0].read().array, values)


def test_file_without_meta_header_is_read(tmp_path):
    paths, _, values = series(tmp_path)
    for path in paths:
        content = path.read_bytes()
        length = int.from_bytes(content[140:144], "little")
        path.write_bytes(content[144 + length :])
    np.testing.assert_array_equal(only(tmp_path).read().array, values)


@pytest.mark.parametrize("syntax", [pydicom.uid.RLELossless, pydicom.uid.JPEG2000Lossless, pydicom.uid.JPEGLSLossless])
def test_compressed_equals_plain(tmp_path, syntax):
    def change(dataset, k):
        if k % 2:
            dataset.compress(syntax, generate_instance_uid=False)

    values = world_values(axial_affine(), (64, 48, 4))
    write_series(tmp_path, axial_affine(), values, change=change)
    np.testing.assert_array_equal(only(tmp_path).read().array, values)
