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

import gzip

import nibabel
import numpy as np
import pytest
from volume_files import axial_affine, world_values, write_nifti

from monai_ssl.data import RejectedVolumeError, find_volumes

SHAPE = (13, 10, 7)


def only(folder):
    (volume,), rejections = find_volumes(folder)
    assert not rejections
    return volume


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "no suffix"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("endianness", ["<", ">"])
def test_reads_what_nibabel_wrote(tmp_path, name, kind, endianness):
    affine = axial_affine()
    values = world_values(affine, SHAPE)
    header = kind.header_class(endianness=endianness)
    header.set_data_dtype(np.int16)
    image = kind(values, affine, header)
    content = image.to_bytes()
    path = tmp_path / "sub" / name
    path.parent.mkdir()
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    volume = only(tmp_path)
    assert (volume.source, volume.patient, volume.warnings) == (f"sub/{name}", None, ())
    voxels = volume.read()
    np.testing.assert_array_equal(voxels.array, values)
    np.testing.assert_allclose(voxels.affine, affine, atol=1e-5)
    assert voxels.array.dtype == np.int16


@pytest.mark.parametrize(
    ("dtype", "stored"), [("uint8", "int16"), ("int32", "int16"), ("float32", "int16"), ("float64", "int16")]
)
def test_whole_numbers_become_int16(tmp_path, dtype, stored):
    values = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(dtype)
    write_nifti(tmp_path / "a.nii.gz", axial_affine(), values)
    array = only(tmp_path).read().array
    assert array.dtype == stored
    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize("values", [np.linspace(-1, 1, 910), np.linspace(0, 1e6, 910).round()])
def test_other_numbers_become_float32(tmp_path, values):
    write_nifti(tmp_path / "a.nii", axial_affine(), values.reshape(SHAPE))
    array = only(tmp_path).read().array
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, values.reshape(SHAPE).astype(np.float32))


def test_scaling_is_that_of_nibabel(tmp_path):
    image = nibabel.Nifti1Image(np.arange(910, dtype=np.int16).reshape(SHAPE), axial_affine())
    image.header.set_slope_inter(0.25, -3)
    nibabel.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(only(tmp_path).read().array, nibabel.load(tmp_path / "a.nii.gz").get_fdata())


def test_nan_and_infinity_are_invalid_and_counted(tmp_path):
    values = np.linspace(-5, 5, 910).reshape(SHAPE).astype(np.float32)
    values[2, 3, 4], values[5, 5, 5], values[0, 0, 0] = np.nan, np.inf, -np.inf
    write_nifti(tmp_path / "a.nii", axial_affine(), values)
    voxels = only(tmp_path).read()
    finite = np.isfinite(values)
    np.testing.assert_array_equal(voxels.valid, finite)
    np.testing.assert_array_equal(voxels.array, np.where(finite, values, values[finite].min()))
    assert voxels.warnings == ("3 of 910 voxels are NaN or infinite; they count as invalid",)


def _cut(content):
    return content[: len(content) // 2]


def _bad_checksum(content):
    return content[:-8] + bytes([content[-8] ^ 1]) + content[-7:]


def _bit_flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :]


def _too_long(content):
    return gzip.compress(gzip.decompress(content) + bytes(3 << 20))


def _too_short(content):
    return gzip.compress(gzip.decompress(content)[:-200])


@pytest.mark.parametrize("damage", [_cut, _bad_checksum, _bit_flip, _too_long, _too_short])
def test_damaged_gzip_is_refused_by_name(tmp_path, damage):
    values = np.random.default_rng(0).integers(-500, 500, (32, 32, 20)).astype(np.int16)
    path = write_nifti(tmp_path / "scan.nii.gz", axial_affine(), values)
    path.write_bytes(damage(path.read_bytes()))
    volumes, rejections = find_volumes(tmp_path)
    if volumes:
        with pytest.raises(RejectedVolumeError, match=r"scan\.nii\.gz"):
            volumes[0].read()
    else:
        assert [rejection.file for rejection in rejections] == ["scan.nii.gz"]


def _write(path, values, affine=None, edit=None):
    image = nibabel.Nifti1Image(values, axial_affine() if affine is None else affine)
    if affine is not None:
        image.header["sform_code"] = 1
        image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = affine[:3]
    content = bytearray(image.to_bytes())
    if edit is not None:
        header = nibabel.Nifti1Header(bytes(content[:348]))
        edit(header)
        content[:348] = header.binaryblock
    path.write_bytes(content)


SINGULAR = np.diag([1.0, 0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("values", "edit", "reason"),
    [
        (np.zeros((4, 4, 4, 2), np.int16), None, "4-D"),
        (np.zeros((4, 4, 4, 1, 3), np.int16), None, "5-D"),
        (np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), None, "colour"),
        (np.zeros((4, 4, 4), np.complex64), None, "complex"),
        (np.zeros((4, 4, 4), np.int16), lambda h: h.set_sform(SINGULAR, 1), "affine"),
        (np.zeros((4, 4, 4), np.int16), lambda h: h.set_sform(SINGULAR * np.nan, 1), "affine"),
        (np.zeros((4, 4, 4), np.int16), lambda h: h["dim"].__setitem__(slice(1, 4), 30000), "more than 8 GiB"),
        (np.zeros((4, 4, 4), np.int16), lambda h: h["dim"].__setitem__(slice(1, 4), 40), "truncated"),
        (np.zeros((4, 4, 4), np.int16), lambda h: h["dim"].__setitem__(2, -3), "dimensions"),
        (np.zeros((4, 4, 4), np.int16), lambda h: h.__setitem__("datatype", 999), "damaged"),
    ],
)
def test_what_is_no_volume_is_refused_with_its_reason(tmp_path, values, edit, reason):
    _write(tmp_path / "a.nii", values, edit=edit)
    volumes, (rejection,) = find_volumes(tmp_path)
    assert not volumes
    assert rejection.file == "a.nii"
    assert reason in rejection.reason


@pytest.mark.parametrize(
    ("edit", "warning"),
    [
        (lambda h: (h.set_sform(None, 0), h.set_qform(None, 0)), "no orientation stored"),
        (lambda h: (h.set_qform(axial_affine(), 1), h.set_sform(np.diag([1, 1, 1, 1.0]), 1)), "sform and qform"),
        (lambda h: h.set_xyzt_units("meter"), "units are meters"),
    ],
)
def test_odd_headers_are_named(tmp_path, edit, warning):
    _write(tmp_path / "a.nii", np.arange(64, dtype=np.int16).reshape(4, 4, 4), edit=edit)
    volume = only(tmp_path)
    assert len(volume.warnings) == 1
    assert warning in volume.warnings[0]


def test_flat_and_single_time_point_are_volumes(tmp_path):
    for name, shape in (("flat", (5, 4)), ("one", (5, 4, 3, 1))):
        write_nifti(tmp_path / f"{name}.nii.gz", axial_affine(), np.arange(np.prod(shape)).reshape(shape).astype("i2"))
    volumes, rejections = find_volumes(tmp_path)
    assert not rejections
    assert [volume.read().array.shape for volume in volumes] == [(5, 4, 1), (5, 4, 3)]


def test_nothing_but_nan_is_refused_and_constant_is_named(tmp_path):
    write_nifti(tmp_path / "a.nii", axial_affine(), np.full(SHAPE, np.nan, np.float32))
    write_nifti(tmp_path / "b.nii", axial_affine(), np.full(SHAPE, 7, np.int16))
    nan, constant = find_volumes(tmp_path)[0]
    with pytest.raises(RejectedVolumeError, match=r"a\.nii: no valid voxel"):
        nan.read()
    assert constant.read().warnings == ("constant: every valid voxel is 7",)
