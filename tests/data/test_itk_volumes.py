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

import bz2
import gzip
import math
import os
import pickle
import re
import tracemalloc
import zlib

import itk
import numpy as np
import pytest
from volume_files import RAS_TO_LPS, axial_affine, world_values

from monai_ssl.data import RejectedVolumeError, find_volumes
from monai_ssl.data.itk.volume import find_itk, is_itk

SHAPE = (9, 8, 5)
SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
VALUES = np.arange(24, dtype="<i2").reshape(2, 3, 4, order="F")
NRRD = {
    **{"type": "short", "dimension": "3", "sizes": "2 3 4", "endian": "little", "encoding": "raw"},
    **{"space": "left-posterior-superior", "space directions": "(1,0,0) (0,2,0) (0,0,3)", "space origin": "(5,6,7)"},
}
META = {
    **{"ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False"},
    **{"TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "5 6 7", "ElementSpacing": "1 2 3", "DimSize": "2 3 4"},
    **{"ElementType": "MET_SHORT", "ElementDataFile": "LOCAL"},
}
NOWHERE = dict.fromkeys(["space", "space directions", "space origin"])
AFFINE = np.array([[-1.0, 0, 0, -5], [0, -2, 0, -6], [0, 0, 3, 7], [0, 0, 0, 1]])


def oblique_affine(mirror=1):
    turn, tilt = math.radians(20), math.radians(-35)
    about_z = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, math.cos(tilt), -math.sin(tilt)], [0, math.sin(tilt), math.cos(tilt)]])
    affine = axial_affine()
    affine[:3, :3] = about_z @ about_x @ affine[:3, :3] @ np.diag([1, 1, mirror])
    return affine


def write_itk(path, affine, values, compression=False):
    """Written by ITK itself."""
    lps = RAS_TO_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = itk.image_from_array(np.ascontiguousarray(values.T))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection(itk.matrix_from_array(lps[:3, :3] / spacing))
    itk.imwrite(image, str(path), compression=compression)
    return path


def write(path, changes=None, data=None):
    """Written by hand; a change of None leaves the field out."""
    nrrd = path.suffix in (".nrrd", ".nhdr")
    fields = {**(NRRD if nrrd else META), **(changes or {})}
    fields = {key: value for key, value in fields.items() if value is not None}
    if "ElementDataFile" in fields:
        fields["ElementDataFile"] = fields.pop("ElementDataFile")
    lines = [f"{key}: {value}" if nrrd else f"{key} = {value}" for key, value in fields.items()]
    text = "\n".join(["NRRD0004", *lines, "", ""] if nrrd else [*lines, ""])
    path.write_bytes(text.encode() + (VALUES.tobytes("F") if data is None else data))
    return path


def refused(path, reason, **options):
    with pytest.raises(ValueError, match=reason):
        find_itk(path, path.parent, **options)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compression", [False, True])
@pytest.mark.parametrize("dtype", ["int16", "uint8", "uint16", "int32", "float32", "float64"])
def test_reads_what_itk_wrote(tmp_path, suffix, compression, dtype):
    affine = oblique_affine(-1 if compression else 1)
    values = world_values(affine, SHAPE)
    values = (values % 200 if dtype[0] == "u" else values + 0.25 * (dtype[0] == "f")).astype(dtype)
    (tmp_path / "sub").mkdir()
    path = write_itk(tmp_path / "sub" / f"ct{suffix}", affine, values, compression)
    assert is_itk(path.read_bytes()[:4096])
    (volume,), rejections = find_volumes(tmp_path)  # the file of the voxels alone is no volume, and no complaint
    assert not rejections
    assert (volume.source, volume.series, volume.warnings) == (f"sub/ct{suffix}", f"sub/ct{suffix}", ())
    assert volume.format == ("NRRD" if suffix[1] == "n" else "MetaImage")
    assert volume.files[0] == path
    assert set(volume.files) == set(path.parent.iterdir())
    voxels = pickle.loads(pickle.dumps(volume)).read()
    np.testing.assert_array_equal(voxels.array, values)
    np.testing.assert_array_equal(voxels.array, itk.array_from_image(itk.imread(str(path))).T)
    np.testing.assert_allclose(voxels.affine, affine, atol=1e-9)
    assert voxels.array.dtype == (np.float32 if dtype[0] == "f" else np.int16)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damage_that_itk_reads_over_is_refused(tmp_path, suffix):
    values = np.random.default_rng(0).integers(-999, 999, SHAPE).astype(np.int16)
    for compression in (False, True):
        folder = tmp_path / str(compression)
        folder.mkdir()
        header = write_itk(folder / f"a{suffix}", axial_affine(), values, compression)
        data = next((path for path in folder.iterdir() if path != header), header)
        whole = data.read_bytes()
        for change in (lambda c: c[:-40], lambda c: c[:-1], lambda c: c[:-1] + bytes([c[-1] ^ 1])):
            data.write_bytes(change(whole))
            if not compression and len(change(whole)) == len(whole):
                continue  # nothing can tell that a bit of a plain voxel flipped
            with pytest.raises(ValueError, match=r"truncated|damaged"):
                find_itk(header, folder)[0].read()
        if compression:
            data.write_bytes(whole + b"garbage")
            with pytest.raises(RejectedVolumeError, match="damaged"):
                find_itk(header, folder)[0].read()
        else:
            data.write_bytes(whole + bytes(60))
            assert find_itk(header, folder)[0].read().warnings == ("60 bytes behind the voxels are disregarded",)


SIGNS = {
    **dict.fromkeys(("right-anterior-superior", "RAS", "Right-Anterior-Superior"), (1, 1, 1)),
    **dict.fromkeys(("left-anterior-superior", "LAS"), (-1, 1, 1)),
    **dict.fromkeys(("left-posterior-superior", "LPS"), (-1, -1, 1)),
    **dict.fromkeys(("scanner-xyz", "3D-right-handed", "3D-left-handed"), (-1, -1, 1)),
}


@pytest.mark.parametrize("space", SIGNS)
@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.parametrize("timed", [False, True])
def test_every_space_by_the_numbers_of_its_header(tmp_path, space, rank, timed):
    # ITK is no judge here: it takes RAST and LAST for LPST.
    directions = ["(0,0,-1{})", "(2,0,0{})", "(0,3,0{})", "(0,0,0,5)" if timed else "none"]
    name = space + {3: "T", 11: "-time"}.get(len(space), "-time") * timed
    fields = {
        "space": name, "space directions": " ".join(directions[:rank]).replace("{}", ",0" * timed),
        "space origin": "(5,6,7{})".replace("{}", ",0" * timed), "dimension": str(rank),
        "sizes": "2 3 4 1"[: 2 * rank - 1],
        "kinds": " ".join(["space", "space", "space", "time" if timed else "list"][:rank]),
    }  # fmt: skip
    path = write(tmp_path / "a.nrrd", fields)
    if rank == 3 and timed:  # a space of four dimensions, of which three axes are given
        return refused(path, "ITK cannot read")
    (volume,) = find_itk(path, tmp_path)
    voxels = volume.read()
    expected = np.array([[0, 2, 0, 5], [0, 0, 3, 6], [-1, 0, 0, 7]]) * np.array(SIGNS[space])[:, None]
    np.testing.assert_allclose(voxels.affine[:3], expected, atol=1e-12)
    np.testing.assert_array_equal(voxels.array, VALUES)
    assert volume.spacing == (1, 2, 3)
    assert [text.split()[1] for text in volume.warnings] == ["orientation"] * (space[:3].lower() in ("sca", "3d-"))


@pytest.mark.parametrize(
    ("name", "changes", "warning", "spacing"),
    [
        ("a.nrrd", {"space": "scanner-xyz"}, "no orientation", (1, 2, 3)),
        ("a.nrrd", {"space": "3D-right-handed"}, "no orientation", (1, 2, 3)),
        ("a.nrrd", NOWHERE, "voxel size missing", (1, 1, 1)),
        ("a.nrrd", {**NOWHERE, "spacings": "3 nan 1"}, "voxel size missing", (3, 1, 1)),
        ("a.nrrd", {**NOWHERE, "spacings": "3 2 1"}, "no orientation", (3, 2, 1)),
        ("a.nrrd", {**NOWHERE, "axis mins": "0 0 0", "axis maxs": "2 6 12"}, "no orientation", (1, 2, 3)),
        (
            "a.nrrd",
            {**NOWHERE, "axis mins": "0 0 0", "axis maxs": "1 4 9", "centers": "node node node"},
            "no orientation",
            (1, 2, 3),
        ),
        ("a.nrrd", {"space origin": None}, "no origin", (1, 2, 3)),
        ("a.nrrd", {"space units": '"cm" "cm" "cm"'}, "units of 10 mm", (10, 20, 30)),
        ("a.nrrd", {"space units": '"um" "um" "um"'}, "units of 0.001 mm", (0.001, 0.002, 0.003)),
        ("a.nrrd", {"space units": '"ells" "ells" "ells"'}, "unit of length is unknown", (1, 2, 3)),
        ("a.mha", {"TransformMatrix": None}, "no orientation", (1, 2, 3)),
        ("a.mha", {"Offset": None}, "no origin", (1, 2, 3)),
        ("a.mha", {"ElementSpacing": None}, "voxel size missing", (1, 1, 1)),
        ("a.mha", {"TransformMatrix": "1 0 0 0 1 0 0 0.0998334 0.9950042"}, "sheared: axes of .* up to 5.7", (1, 2, 3)),
        ("a.mha", {"DistanceUnits": "cm"}, "units of 10 mm", (10, 20, 30)),
        ("a.mha", {"CenterOfRotation": "1 0 0"}, "centre of rotation", (1, 2, 3)),
        ("a.mha", {"BinaryDataByteOrderMSB": None}, "no byte order", (1, 2, 3)),
    ],
)
def test_odd_headers_are_named(tmp_path, name, changes, warning, spacing):
    (volume,) = find_itk(write(tmp_path / name, changes), tmp_path)
    assert re.search(warning, " ".join(volume.warnings))
    np.testing.assert_allclose(volume.spacing, spacing)
    np.testing.assert_array_equal(volume.read().array, VALUES)


@pytest.mark.parametrize(
    ("name", "changes", "data"),
    [
        ("a.nrrd", {"encoding": "gz"}, gzip.compress(VALUES.tobytes("F"), mtime=0)),
        ("a.nrrd", {"encoding": "bzip2"}, bz2.compress(VALUES.tobytes("F"))),
        ("a.nrrd", {"endian": "big"}, VALUES.astype(">i2").tobytes("F")),
        ("a.nrrd", {"byte skip": "5"}, b"12345" + VALUES.tobytes("F")),
        ("a.nrrd", {"byte skip": "-1"}, b"1234567" + VALUES.tobytes("F")),
        ("a.nrrd", {"type": "int64"}, VALUES.astype("<i8").tobytes("F")),
        ("a.nrrd", {"type": "signed char", "endian": None}, VALUES.astype("i1").tobytes("F")),
        ("a.nrrd", {"# a remark": "of 3", "key:=value: 1": "", "kinds": "domain domain domain"}, None),
        ("a.nrrd", {"sizes": "1 2 3 4", "dimension": "4", "kinds": "vector space space space",
                    "space directions": "none (1,0,0) (0,2,0) (0,0,3)"}, None),
        ("a.mha", {"CompressedData": "True"}, zlib.compress(VALUES.tobytes("F"))),
        ("a.mha", {"BinaryDataByteOrderMSB": "True"}, VALUES.astype(">i2").tobytes("F")),
        ("a.mha", {"ElementType": "MET_LONG_LONG"}, VALUES.astype("<i8").tobytes("F")),
        ("a.mha", {"TransformMatrix": None, "Rotation": "1 0 0 0 1 0 0 0 1", "Offset": None, "Origin": "5 6 7"}, None),
        ("a.mha", {"AnatomicalOrientation": "RAI", "Comment": "none"}, None),
    ],
)  # fmt: skip
def test_encodings_and_spellings(tmp_path, name, changes, data):
    (volume,) = find_itk(write(tmp_path / name, changes, data), tmp_path)
    assert volume.warnings == ()
    np.testing.assert_array_equal(volume.read().array, VALUES)
    np.testing.assert_allclose(volume.read().affine, AFFINE)


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("a.nrrd", {"space directions": "(1,0,0) (1,0,0) (0,0,3)"}, "affine"),
        ("a.nrrd", {"space directions": "(nan,0,0) (0,1,0) (0,0,3)"}, "affine|ITK"),
        ("a.nrrd", {"space": "space-of-the-mind"}, "space must be one of"),
        ("a.nrrd", {"encoding": "txt"}, "write them raw or as gzip"),
        ("a.nrrd", {"encoding": "hex"}, "write them raw or as gzip"),
        ("a.nrrd", {"encoding": "zip"}, "encoding must be one of"),
        ("a.nrrd", {"space directions": "(1,0,0) (0,2,0) (0,0,x)"}, "vectors of numbers"),
        ("a.nrrd", {"space directions": "(1,0,0) x (0,2,0) (0,0,3)"}, "vectors of numbers"),
        ("a.nrrd", {**NOWHERE, "axis mins": "0 0 0", "axis maxs": "2 -6 12"}, "axis maxs must be above"),
        ("a.nrrd", {"sizes": f"{'9' * 400} 3 4"}, r"sizes must hold numbers below 2\*\*63, got a larger one$"),
        ("a.nrrd", {"byte skip": "9" * 400}, "byteskip must hold numbers below"),
        ("a.nrrd", {"type": "block", "block size": "2"}, "type must be one of"),
        ("a.nrrd", {"endian": None}, "endian must be one of"),
        ("a.nrrd", {"sizes": "2 3"}, "sizes must hold"),
        ("a.nrrd", {"sizes": "2 3 -4"}, "no volume"),
        ("a.nrrd", {"line skip": "2"}, "skipped lines"),
        ("a.nrrd", {"byte skip": "-2"}, "behind -2 bytes"),
        ("a.nrrd", {"dimension": "4", "sizes": "3 2 1 4", "kinds": "RGB-color space space space",
                    "space directions": "none (1,0,0) (0,2,0) (0,0,3)"}, "several components"),
        ("a.nrrd", {"dimension": "4", "sizes": "2 3 2 2", "kinds": "space space space vector",
                    "space directions": "(1,0,0) (0,2,0) (0,0,3) none"}, "several components"),
        ("a.nrrd", {"sizes": "30000 30000 30000"}, "limit of 4 GiB"),
        ("a.nrrd", {"sizes": f"{2**62} {2**62} {2**62}"}, "limit of 4 GiB"),
        ("a.nrrd", {"sizes": "20 30 40"}, "truncated"),
        ("a.mha", {"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "affine"),
        ("a.mha", {"TransformMatrix": "1 0 0 4 -1 0 0 0 1"}, "directions of length 1, got lengths 1 x 4.123 x 1"),
        ("a.mha", {"DimSize": f"{'9' * 400} 3 4"}, "DimSize must hold numbers below"),
        ("a.mha", {"HeaderSize": "9" * 400}, "HeaderSize must hold numbers below"),
        ("a.mha", {"Name": "one\ntwo"}, "ElementDataFile must be given"),
        ("a.mha", {"TransformMatrix": "nan 0 0 0 1 0 0 0 1"}, "affine"),
        ("a.mha", {"ElementSpacing": "1 0 3"}, "affine"),
        ("a.mha", {"ElementSpacing": "1 -2 3"}, "affine"),
        ("a.mha", {"ElementSpacing": "1 2"}, "ElementSpacing must hold"),
        ("a.mha", {"ElementNumberOfChannels": "3"}, "several values a voxel"),
        ("a.mha", {"BinaryData": "False"}, "text"),
        ("a.mha", {"ElementType": "MET_LONG"}, "ElementType must be one of"),
        ("a.mha", {"ObjectType": "Tube"}, "ObjectType must be Image"),
        ("a.mha", {"ElementDataFile": "LIST"}, "list of files"),
        ("a.mha", {"ElementDataFile": "s%03d.raw 1 4 1"}, "list of files"),
        ("a.mha", {"DimSize": "30000 30000 30000"}, "limit of 4 GiB"),
        ("a.mha", {"NDims": "40", "DimSize": " ".join(["1"] * 40)}, "no volume"),
        ("a.mha", {"DimSize": "20 30 40"}, "truncated"),
        ("a.mha", {"ElementToIntensityFunctionSlope": "0"}, "line"),
    ],
)  # fmt: skip
def test_what_is_no_volume_is_refused_with_its_reason(tmp_path, name, changes, reason):
    path = write(tmp_path / name, changes)
    assert is_itk(path.read_bytes()[:4096])
    refused(path, reason)


@pytest.mark.parametrize(("suffix", "key"), [(".nhdr", "data file"), (".mhd", "ElementDataFile")])
def test_voxels_are_never_looked_for_outside_the_folder(tmp_path, suffix, key):
    folder = tmp_path / "inside"
    (folder / "sub").mkdir(parents=True)
    content = VALUES.tobytes("F")
    for place in (tmp_path / "v.raw", folder / "sub" / "v.raw"):
        place.write_bytes(content)
    os.symlink(tmp_path / "v.raw", folder / "link.raw")
    os.symlink(tmp_path, folder / "up")
    for name in ("../v.raw", str(tmp_path / "v.raw"), "up/../v.raw", "sub/../../v.raw", "sub/../sub/v.raw"):
        refused(write(folder / f"a{suffix}", {key: name}, b""), "outside the folder")
    refused(write(folder / f"a{suffix}", {key: "."}, b""), r"is a folder or no regular file: \.$")
    for name in ("link.raw", "up/v.raw"):  # what the owner placed in the folder, as git-annex does
        (volume,) = find_itk(write(folder / f"a{suffix}", {key: name}, b""), tmp_path)
        np.testing.assert_array_equal(volume.read().array, VALUES)
    refused(write(folder / f"a{suffix}", {key: "absent.raw"}, b""), r"missing: absent\.raw")
    refused(write(folder / f"a{suffix}", {key: f"a{suffix}"}), "names itself")
    (volume,) = find_itk(write(folder / f"a{suffix}", {key: "sub/v.raw"}, b""), tmp_path)
    np.testing.assert_array_equal(volume.read().array, VALUES)
    assert volume.files == (folder / f"a{suffix}", folder / "sub" / "v.raw")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("compression", [False, True])
def test_time_points_become_volumes_when_asked_for(tmp_path, suffix, compression):
    values = np.random.default_rng(0).integers(-900, 900, (6, 5, 4, 3)).astype(np.int16)
    image = itk.image_from_array(np.ascontiguousarray(values.T))
    image.SetSpacing([1.0, 2.0, 3.0, 4.0])
    path = tmp_path / f"a{suffix}"
    itk.imwrite(image, str(path), compression=compression)
    refused(path, r"--split-time \(split_time=True\)")
    volumes = find_itk(path, tmp_path, split_time=True)
    assert [volume.source for volume in volumes] == [path.name, f"{path.name}#2", f"{path.name}#3"]
    for time, volume in enumerate(volumes):
        assert (volume.series, volume.spacing) == (path.name, (1, 2, 3))
        assert f"time point {time + 1} of 3" in volume.warnings
        np.testing.assert_array_equal(volume.read().array, values[..., time])


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_two_dimensions_are_one_slice(tmp_path, suffix):
    values = np.arange(12, dtype=np.int16).reshape(4, 3)
    path = tmp_path / f"a{suffix}"
    itk.imwrite(itk.image_from_array(np.ascontiguousarray(values.T)), str(path))
    (volume,) = find_itk(path, tmp_path)
    np.testing.assert_array_equal(volume.read().array, values[..., None])
    assert "two-dimensional: its place along the third axis is not stored" in volume.warnings


def test_colour_as_itk_writes_it_is_refused(tmp_path):
    image = itk.image_from_array(np.zeros((4, 5, 6, 3), np.uint8), is_vector=True)
    for suffix in SUFFIXES:
        itk.imwrite(image, str(tmp_path / f"a{suffix}"))
        refused(tmp_path / f"a{suffix}", "several")


def test_intensities_of_a_metaimage(tmp_path):
    fields = {
        "ElementToIntensityFunctionSlope": "0.5",
        "ElementToIntensityFunctionOffset": "-3",
        "Modality": "MET_MOD_CT",
    }
    (volume,) = find_itk(write(tmp_path / "a.mha", fields), tmp_path)
    assert volume.modality == "CT"
    assert "values are 0.5 x stored -3" in volume.warnings[0]
    np.testing.assert_array_equal(volume.read().array, VALUES * 0.5 - 3)


@pytest.mark.parametrize(
    ("name", "changes", "compress"),
    [
        ("a.nrrd", {"encoding": "gzip", "sizes": "{}"}, gzip.compress),
        ("a.mha", {"CompressedData": "True", "DimSize": "{}"}, zlib.compress),
    ],
)
def test_bombs_are_refused_without_taking_memory(tmp_path, name, changes, compress):
    data = compress(bytes(100 << 20))
    for sizes, reason in (("1024 1024 1024", "decompression bombs"), ("8 8 8", "bytes behind the voxels")):
        path = write(tmp_path / name, {key: value.format(sizes) for key, value in changes.items()}, data)
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match=reason):
                find_itk(path, tmp_path)[0].read()
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("compression", [False, True])
def test_no_changed_byte_leads_astray(tmp_path, suffix, compression):
    """Whatever one byte becomes: refused, named, or the very volume that ITK reads from the changed file."""
    rng = np.random.default_rng(0)
    affine = oblique_affine()
    values = world_values(affine, SHAPE)
    path = write_itk(tmp_path / f"a{suffix}", affine, values, compression)
    whole = path.read_bytes()
    header = whole.index(b"\n\n" if suffix == ".nrrd" else b"LOCAL")
    outcomes = set()
    for _ in range(200):
        content = bytearray(whole)
        at = int(rng.integers(len(whole) if compression else header))
        content[at : at + rng.integers(2)] = bytes([rng.choice(list(b"0123456789.-e (),=:\n\xff"))])
        path.write_bytes(content)
        if not is_itk(bytes(content[:4096])):
            continue
        try:
            (volume,) = find_itk(path, tmp_path)
            voxels = volume.read()
        except ValueError:
            outcomes.add("refused")
            continue
        if volume.warnings or voxels.warnings:
            outcomes.add("named")
            continue
        outcomes.add("accepted")
        if np.array_equal(voxels.array, values) and np.allclose(voxels.affine, affine):
            continue  # where ITK may see less: a wrong CompressedDataSize cuts its voxels off, in silence
        peer = itk.imread(str(path))
        np.testing.assert_array_equal(voxels.array, itk.array_from_image(peer).T)
        lps = RAS_TO_LPS @ voxels.affine
        np.testing.assert_allclose(lps[:3, 3], list(peer.GetOrigin()))
        np.testing.assert_allclose(lps[:3, :3], itk.array_from_matrix(peer.GetDirection()) * list(peer.GetSpacing()))
    assert outcomes >= {"refused", "accepted"}


def test_late_fields_and_notes_of_several_lines_as_itk_reads_them(tmp_path):
    """What a key swallows, it swallows in ITK as well; the sizes may come after any number of notes."""
    notes = {f"0008|{k:04x}": "words of a note that is long enough" for k in range(200)}
    first = dict(list(META.items())[:6])
    rest = {"Name": "one\ntwo\nthree", "Remark": "none", "AnatomicalOrientation": "RAI"}
    path = tmp_path / "a.mha"
    fields = {**first, **notes, **rest, **dict(list(META.items())[6:])}
    text = "".join(f"{key} = {value}\n" for key, value in fields.items())
    path.write_bytes(text.encode() + VALUES.tobytes("F"))
    assert text.index("DimSize") > 4096
    assert is_itk(path.read_bytes()[:4096])
    (volume,) = find_itk(path, tmp_path)
    assert volume.warnings == ()
    np.testing.assert_array_equal(volume.read().array, itk.array_from_image(itk.imread(str(path))).T)
    np.testing.assert_allclose(volume.read().affine, AFFINE)
