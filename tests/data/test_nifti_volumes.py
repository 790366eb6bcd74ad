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
import math
import pickle
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest
from volume_files import axial_affine, world_values, write_nifti

from monai_ssl.data import RejectedVolumeError, find_volumes
from monai_ssl.data.nifti.volume import find_nifti, is_nifti
from monai_ssl.data.scaling import scaled

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
        (np.zeros((4, 4, 4, 2), np.int16), None, "--split-time (split_time=True)"),
        (np.zeros((4, 4, 4, 1, 3), np.int16), None, "5-D"),
        (np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), None, "colour"),
        (np.zeros((4, 4, 4), np.complex64), None, "complex"),
        (np.zeros((4, 4, 4, 3), np.int16), lambda h: h.set_intent("vector", allow_unknown=True), "vectors"),
        (np.zeros((4, 4, 4), np.int16), lambda h: h.__setitem__("scl_inter", np.inf), "intercept"),
        *(
            (np.zeros((4, 4, 4), np.int16), lambda h, offset=offset: h.__setitem__("vox_offset", offset), reason)
            for offset, reason in ((100, "within the header"), (np.nan, "byte nan"), (-5, "byte -5"), (400.5, "400.5"))
        ),
        (np.zeros((4, 4, 4), np.int16), lambda h: h.__setitem__("vox_offset", 1e6), "truncated"),
        (np.zeros((4, 4, 4), np.int16), lambda h: h.__setitem__("magic", b""), "Analyze 7.5"),
        (np.zeros((4, 4, 4), np.int16), lambda h: h.__setitem__("magic", b"ni1"), "not called .hdr"),
        (np.zeros((4, 4, 4), np.int16), lambda h: h.set_sform(SINGULAR, 1), "affine"),
        (np.zeros((4, 4, 4), np.int16), lambda h: h.set_sform(SINGULAR * np.nan, 1), "affine"),
        (
            np.zeros((4, 4, 4), np.int16),
            lambda h: h["dim"].__setitem__(slice(1, 4), 30000),
            "more than the limit of 4 GiB",
        ),
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
        (lambda h: h.__setitem__("xyzt_units", 7), "unit code 7 is unknown"),
        (lambda h: h.__setitem__("scl_slope", np.nan), "slope is not a number"),
        (lambda h: h.__setitem__("vox_offset", 0), "no voxel offset: byte 352"),
        (lambda h: h.__setitem__("pixdim", [1, 0.8, 0, 2.5, 0, 0, 0, 0]), "voxel size 0.8 x 0 x 2.5"),
        (lambda h: h.__setitem__("pixdim", [1, 0.8, 0.9, 5, 0, 0, 0, 0]), "voxel size 0.8 x 0.9 x 5"),
        (lambda h: h.__setitem__("bitpix", 8), "8 bits per voxel disagree with the type int16"),
    ],
)
def test_odd_headers_are_named(tmp_path, edit, warning):
    _write(tmp_path / "a.nii", np.arange(64, dtype=np.int16).reshape(4, 4, 4), edit=edit)
    volume = only(tmp_path)
    assert warning in volume.warnings[0]
    np.testing.assert_array_equal(volume.read().array.ravel(), np.arange(64))


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


def test_metres_and_microns_become_millimetres(tmp_path):
    for unit, factor in (("meter", 1e3), ("micron", 1e-3)):
        _write(
            tmp_path / "a.nii",
            np.arange(64, dtype=np.int16).reshape(4, 4, 4),
            edit=lambda h, u=unit: h.set_xyzt_units(u),
        )
        affine = axial_affine()
        affine[:3] *= factor
        np.testing.assert_allclose(only(tmp_path).read().affine, affine, rtol=1e-6)


def _qform(pixdim):
    return lambda h: (
        h.set_sform(None, 0),
        h.set_qform(axial_affine(), 1),
        h.__setitem__("pixdim", [*pixdim, 0, 0, 0, 0]),
    )


@pytest.mark.parametrize(
    ("pixdim", "spacing", "warns"),
    [
        ((1, 0.8, 0.9, 2.5), (0.8, 0.9, 2.5), False),
        ((0, 0.8, 0.9, 2.5), (0.8, 0.9, 2.5), False),  # qfac 0 means 1
        ((1, 0.8, 0, 2.5), (0.8, 1, 2.5), True),
        ((1, 0.8, 0.9, -2.5), (0.8, 0.9, 2.5), True),
        ((1, np.nan, 0.9, 2.5), (1, 0.9, 2.5), True),
        ((-7, 0.8, 0.9, 2.5), (0.8, 0.9, 2.5), True),
    ],
)
def test_voxel_sizes_that_are_none_are_mended_aloud_where_they_decide(tmp_path, pixdim, spacing, warns):
    _write(tmp_path / "a.nii", np.arange(64, dtype=np.int16).reshape(4, 4, 4), edit=_qform(pixdim))
    volume = only(tmp_path)
    assert len(volume.warnings) == warns
    affine = axial_affine(spacing)  # a half turn about z, the same with qfac 1
    np.testing.assert_allclose(volume.read().affine, affine, atol=1e-5)


def test_no_form_and_no_voxel_size_is_one_millimetre(tmp_path):
    def edit(header):
        header.set_sform(None, 0), header.set_qform(None, 0)
        header["pixdim"] = 0

    _write(tmp_path / "a.nii", np.arange(64, dtype=np.int16).reshape(4, 4, 4), edit=edit)
    volume = only(tmp_path)
    assert volume.spacing == (1, 1, 1)
    assert [warning.split()[0] for warning in volume.warnings] == ["voxel", "no"]


@pytest.mark.parametrize("mirror", [1, -1])
def test_oblique_and_mirrored_volumes_keep_their_world(tmp_path, mirror):
    turn, tilt = math.radians(20), math.radians(-35)
    about_z = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]])
    affine = axial_affine()
    affine[:3, :3] = about_z @ about_x @ affine[:3, :3] @ np.diag([1, 1, mirror])
    values = world_values(affine, SHAPE)
    for name, forms in (("both", (1, 1)), ("qform", (0, 1)), ("sform", (1, 0))):
        image = nibabel.Nifti1Image(values, affine)
        image.set_sform(affine, forms[0])
        image.set_qform(affine, forms[1])
        nibabel.save(image, tmp_path / f"{name}.nii.gz")
    volumes, rejections = find_volumes(tmp_path)
    assert not rejections
    for volume in volumes:
        assert not volume.warnings
        np.testing.assert_allclose(volume.read().affine, affine, atol=1e-4)
        np.testing.assert_allclose(volume.read().affine, nibabel.load(volume.files[0]).affine, atol=1e-12)


@pytest.mark.parametrize("slope", [None, 2.0])
@pytest.mark.parametrize("dtype", ["int16", "float64", ">i2"])
def test_time_points_become_volumes_when_asked_for(tmp_path, slope, dtype):
    values = np.random.default_rng(0).integers(-900, 900, (*SHAPE, 5)).astype(dtype)
    header = nibabel.Nifti1Header(endianness=">" if dtype[0] == ">" else "<")
    header.set_data_dtype(dtype)
    for name in ("a.nii", "b.nii.gz"):
        image = nibabel.Nifti1Image(values, axial_affine(), header)
        image.header.set_slope_inter(slope, None if slope is None else 7)
        nibabel.save(image, tmp_path / name)
        volumes = find_nifti(tmp_path / name, tmp_path, split_time=True)
        assert [volume.source for volume in volumes] == [name, *(f"{name}#{time}" for time in range(2, 6))]
        assert {volume.series for volume in volumes} == {name}
        assert volumes[1].warnings == ("time point 2 of 5",)
        expected = nibabel.load(tmp_path / name).get_fdata()
        for time, volume in enumerate(volumes):
            np.testing.assert_array_equal(pickle.loads(pickle.dumps(volume)).read().array, expected[..., time])
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-100])
        if name == "b.nii.gz":  # the first time point is whole, but nothing vouches for it
            with pytest.raises(RejectedVolumeError, match="damaged"):
                volumes[0].read()


@pytest.mark.parametrize("shape", [(5, 4, 3, 1), (5, 4, 3, 1, 1), (5, 4, 1)])
def test_axes_of_one_entry_do_not_count(tmp_path, shape):
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    write_nifti(tmp_path / "a.nii.gz", axial_affine(), values)
    np.testing.assert_array_equal(only(tmp_path).read().array, values.reshape((*shape, 1)[:3]))


@pytest.mark.parametrize("suffixes", [(".hdr", ".img"), (".hdr.gz", ".img.gz"), (".hdr", ".img.gz"), (".HDR", ".IMG")])
def test_pairs_are_one_volume(tmp_path, suffixes):
    values = world_values(axial_affine(), SHAPE)
    nibabel.save(nibabel.Nifti1Pair(values, axial_affine()), tmp_path / "t.hdr")
    for old, new in zip((".hdr", ".img"), suffixes, strict=True):
        content = (tmp_path / f"t{old}").read_bytes()
        (tmp_path / f"t{old}").unlink()
        (tmp_path / f"ct{new}").write_bytes(gzip.compress(content) if new.endswith("gz") else content)
    volume = only(tmp_path)
    assert volume.files == tuple(tmp_path / f"ct{suffix}" for suffix in suffixes)
    np.testing.assert_array_equal(volume.read().array, values)
    volume.files[1].unlink()
    with pytest.raises(ValueError, match=r"ct\.(img|IMG) .* is missing"):
        find_nifti(volume.files[0], tmp_path)


def test_suffixes_may_lie_and_gzip_may_have_members(tmp_path):
    values = world_values(axial_affine(), SHAPE)
    content = write_nifti(tmp_path / "t.nii", axial_affine(), values).read_bytes()
    (tmp_path / "t.nii").write_bytes(gzip.compress(content))
    (tmp_path / "plain.nii.gz").write_bytes(content)
    pieces = [content[start : start + 700] for start in range(0, len(content), 700)]
    (tmp_path / "members.nii.gz").write_bytes(b"".join(map(gzip.compress, pieces)) + bytes(512))
    volumes, rejections = find_volumes(tmp_path)
    assert len(volumes) == 3
    assert not rejections
    for volume in volumes:
        np.testing.assert_array_equal(volume.read().array, values)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c + b"garbage",
        lambda c: c[:-4] + b"\1\2\3\4",
        lambda c: c[:-8],
        lambda c: c + c[:40],
        lambda c: c[:15],
    ],
)
def test_whatever_is_wrong_with_gzip_is_refused(tmp_path, change):
    path = write_nifti(tmp_path / "a.nii.gz", axial_affine(), world_values(axial_affine(), SHAPE))
    path.write_bytes(change(path.read_bytes()))
    assert is_nifti(path.read_bytes()[:4096])
    with pytest.raises(ValueError, match="damaged"):
        find_nifti(path, tmp_path)[0].read()


def test_bytes_behind_the_voxels_are_named(tmp_path):
    for name in ("a.nii", "b.nii.gz"):
        path = write_nifti(tmp_path / name, axial_affine(), world_values(axial_affine(), SHAPE))
        opened = gzip.open if name.endswith("gz") else open
        with opened(path, "ab") as file:
            file.write(bytes(60))
        voxels = find_nifti(path, tmp_path)[0].read()
        assert voxels.warnings == ("60 bytes behind the voxels are disregarded",)


def test_whole_numbers_beyond_float32_are_named(tmp_path):
    values = np.arange(64, dtype=np.int64).reshape(4, 4, 4) + 2**24
    nibabel.save(nibabel.Nifti1Image(values, axial_affine(), dtype=np.int64), tmp_path / "a.nii")
    voxels = only(tmp_path).read()
    rounded = np.count_nonzero(values.astype(np.float32).astype(np.int64) != values)
    assert voxels.warnings[0] == f"{rounded} of 64 voxels hold whole numbers beyond 16777216, rounded to float32"
    assert "values from 16777216 to 16777279 are rounded to float32, by up to 1, " in voxels.warnings[1]
    _write(tmp_path / "a.nii", np.full((4, 4, 4), 1e300))
    with pytest.raises(RejectedVolumeError, match="exceed float32"):
        only(tmp_path).read()


@pytest.mark.parametrize(
    ("values", "slope", "inter"),
    [
        (1e8 + 0.125 + 0.25 * np.arange(1000.0), 1, 0),
        (np.arange(1000, dtype=np.int16), 0.25, 1e8),
        (np.concatenate([np.zeros(500), 1e-50 * np.arange(500)]), 1, 0),
        (np.geomspace(1e-60, 1, 1000), 1, 0),
        (np.linspace(-1, 1, 1000), 1, 0),
        (1e5 + np.linspace(-1, 1, 1000), 1, 0),
        (np.full(1000, 0.1), 1, 0),
        (np.where(np.arange(1000) % 9, 1e8 + 0.3 * np.arange(1000), np.nan), 1, 0),
    ],
)
def test_what_float32_cannot_hold_is_told_with_figures(values, slope, inter):
    exact = values * np.float64(slope) + inter
    seen = exact[np.isfinite(exact)]
    with np.errstate(under="ignore"):
        stored = seen.astype(np.float32).astype(np.float64)
    off, span = np.abs(seen - stored).max(), np.ptp(seen)
    vanished = np.count_nonzero(seen) - np.count_nonzero(stored)
    if span and not np.ptp(stored):
        with pytest.raises(ValueError, match="are all 0 in float32"):
            scaled(values.copy(), slope, inter)
        return
    array, warnings = scaled(values.copy(), slope, inter)
    np.testing.assert_array_equal(array, exact.astype(np.float32))
    text = " ".join(warnings)
    assert (f"by up to {off:.3g}" in text) == (off > 1e-5 * span > 0)
    assert (f"{vanished} of 1000 voxels are too close to 0" in text) == (vanished > 0)


def test_small_and_large_pieces_are_judged_together():
    # The first piece alone would look blurred, the second gives the range.
    values = np.concatenate([1e6 + 0.01 * np.arange(1 << 17), np.full(1 << 17, -1e6)])
    assert scaled(values)[1] == ()
    assert "rounded to float32" in scaled(np.tile(1e6 + 0.01 * np.arange(1 << 10), 1 << 8))[1][0]


def _bomb(path: Path, size: int, claimed: tuple[int, int, int]) -> Path:
    header = nibabel.Nifti2Header()
    header.set_data_dtype(np.int16)
    header.set_sform(axial_affine(), 1)
    header["magic"], header["vox_offset"] = b"n+2", 544
    header["dim"][:4] = 3, *claimed
    zeros = gzip.compress(bytes(16 << 20))
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4)) + zeros * (size // (16 << 20)))
    return path


@pytest.mark.parametrize(
    ("claimed", "reason"),
    [
        ((1024, 1024, 512), "decompression bombs"),
        ((30000, 30000, 30000), "the limit of 4 GiB"),
        ((2**62, 2**62, 2**62), "the limit of 4 GiB"),
        ((8, 8, 8), "bytes behind the voxels"),
    ],
)
def test_bombs_are_refused_without_taking_memory(tmp_path, claimed, reason):
    path = _bomb(tmp_path / "bomb.nii.gz", 1 << 30, claimed)
    assert path.stat().st_size < 2 << 20
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=reason):
            find_nifti(path, tmp_path)[0].read()
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_the_limit_is_the_users(tmp_path):
    path = write_nifti(tmp_path / "a.nii", axial_affine(), np.zeros((64, 64, 64), np.int16))
    with pytest.raises(ValueError, match=r"the limit of 0\.0001 GiB"):
        find_nifti(path, tmp_path, max_gib=0.0001)


@pytest.mark.parametrize(
    ("dtype", "slope", "copies"),
    [("<i2", 1, 1.2), (">i2", 1, 1.2), ("<f4", 1, 1.2), ("<i2", 0.5, 3.2), ("<f8", 1, 1.7)],
)
def test_reading_takes_little_more_than_the_voxels(tmp_path, dtype, slope, copies):
    values = np.random.default_rng(0).integers(-500, 500, (256, 256, 60)).astype(dtype) + np.array(0, dtype)
    header = nibabel.Nifti1Header(endianness=dtype[0])
    header.set_data_dtype(dtype)
    header.set_slope_inter(slope, 0)
    header.set_sform(axial_affine(), 1)
    header.set_data_shape(values.shape)
    header["magic"], header["vox_offset"] = b"n+1", 352
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4) + values.astype(dtype).tobytes("F"), 1))
    (volume,) = find_nifti(path, tmp_path)
    tracemalloc.start()
    try:
        array = volume.read().array
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < copies * values.nbytes + (12 << 20)
    np.testing.assert_array_equal(array, (values * slope).astype(np.float32))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_no_changed_byte_of_a_header_leads_astray(tmp_path, name, kind):
    """Whatever one byte becomes: refused, named, or the very volume that nibabel reads from the changed file."""
    rng = np.random.default_rng(0)
    values = world_values(axial_affine(), SHAPE)
    image = kind(values, axial_affine())
    image.set_qform(axial_affine(), 1)
    content = image.to_bytes()
    path = tmp_path / name
    outcomes = set()
    for _ in range(300):
        stored = bytearray(gzip.compress(content) if name.endswith("gz") else content)
        stored[rng.integers(len(stored) if name.endswith("gz") else image.header.sizeof_hdr)] ^= 1 << rng.integers(8)
        path.write_bytes(stored)
        if not is_nifti(bytes(stored[:4096])):
            continue
        try:
            (volume,) = find_nifti(path, tmp_path)
            voxels = volume.read()
        except ValueError:
            outcomes.add("refused")
            continue
        if volume.warnings or voxels.warnings:
            outcomes.add("named")
            continue
        outcomes.add("accepted")
        peer = nibabel.load(path)
        np.testing.assert_array_equal(voxels.array, peer.get_fdata().astype(np.float32))
        np.testing.assert_allclose(voxels.affine, peer.affine, rtol=1e-6)
    assert outcomes >= {"refused", "accepted"}
