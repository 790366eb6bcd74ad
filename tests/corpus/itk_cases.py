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

"""NRRD and MetaImage, written by hand as their formats are defined."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from corpus.common import (
    AXIAL,
    SECRET,
    SHAPE,
    Table,
    Truth,
    Wanted,
    anyhow,
    either,
    marker,
    positions,
    refused,
    right,
    warned,
)
from corpus.itk_files import SPACES, TYPES, mha, nrrd, numbers
from corpus.nifti_places import oblique

__all__ = ["CASES", "mha", "nrrd"]

CASES = Table()


def _add(name: str, write: Callable, wanted=right, split: bool | None = None, **options) -> None:
    kind = "nrrd" if write is nrrd else "mha"
    asked = {} if split is None else {"split_time": split}
    CASES.add(f"{kind}_{name}", lambda folder: wanted(write(folder, **options)), **asked)


def _both(name: str, wanted=right, **options) -> None:
    _add(name, nrrd, wanted, **options)
    _add(name, mha, wanted, **options)


def _said(word: str):
    return lambda *truths: warned(*truths, word)


def _guessed(word: str, placed: bool = False):
    return lambda truth: either(warned(truth.but(placed=placed), word), refused(word))


def _no(*patterns: str):
    return lambda *truths: refused(*patterns)


def _no_pair(head: str):
    """Refused by the name of its header; the data file may be named beside."""
    return lambda truth: either(refused(rf"{head}: .*({_SHORT})"), refused(rf"{head}: .*({_SHORT})", r"a\.raw: "))


_LOW = np.clip(marker(positions(AXIAL, SHAPE)) // 5, 0, 127)
_VALUES = marker(positions(AXIAL, SHAPE))
for dtype in TYPES:
    _both(dtype, values=_LOW, dtype=dtype, wanted=right if dtype not in ("f8", "i8", "u8") else anyhow)
for dtype in ("i2", "f4"):
    _both(f"big_endian_{dtype}", endian=">", dtype=dtype)
for name, affine in {
    "oblique": oblique(), "mirrored": AXIAL * np.array([1, 1, -1, 1]), "sagittal": AXIAL[:, [1, 2, 0, 3]],
    "coronal": AXIAL[:, [0, 2, 1, 3]], "flipped": AXIAL * np.array([-1, -1, 1, 1]),
}.items():  # fmt: skip
    _both(f"placed_{name}", affine=affine)
_both("fractions", values=_VALUES / 8, dtype="f4")
_NAN = np.where(np.arange(_VALUES.size).reshape(SHAPE) % 97, _VALUES, np.nan)
_both("nan", lambda truth: warned(truth.but(values=np.nan_to_num(truth.values), valid=np.isfinite(_NAN)), "NaN"),
      values=_NAN, dtype="f4")  # fmt: skip
_both("nan_all", _no("valid|NaN"), values=np.full(SHAPE, np.nan), dtype="f4")
_both("constant", _said("constant"), values=np.full(SHAPE, 3))
_add("gzip", nrrd, encoding="gzip")
_add("gz", nrrd, encoding="gz")
_add("ascii", nrrd, lambda truth: either(anyhow(truth), refused("ascii|encoding")), encoding="ascii")
_add("packed", mha, packed=True)
for space in SPACES:
    _add(f"space_{space}", nrrd, space=space)
_add("space_scanner", nrrd, _guessed("space|orientation", placed=True), space="scanner-xyz")
_add("no_space", nrrd, _guessed("space|orientation", placed=True), space=None, space_dimension="3")
_NOWHERE = {"space": None, "space_directions": None, "space_origin": None, "spacings": "0.8 0.9 2.5"}
_add("no_directions", nrrd, _guessed("space|direction|orientation"), **_NOWHERE)
_add("no_origin", nrrd, _guessed("origin"), space_origin=None)
_add("no_matrix", mha, lambda truth: either(anyhow(truth.but(placed=False)), refused("matrix")), TransformMatrix=None)
_add("no_spacing", mha, _guessed("spacing|voxel size"), ElementSpacing=None)
_add("detached", nrrd, file="a.nhdr", data="a.raw")
_add("detached_gzip", nrrd, file="a.nhdr", data="a.raw.gz", encoding="gzip")
_add("detached", mha, file="a.mhd", data="a.raw")
_add("detached_packed", mha, file="a.mhd", data="a.zraw", packed=True)
_add("named_without_suffix", nrrd, file="a")
_add("named_without_suffix", mha, file="a")
_add("named_nii", nrrd, file="a.nii")
_add("named_dcm", mha, file="a.dcm")
_add("secret_fields", nrrd, content=SECRET, sample_units=SECRET)
_add("secret_fields", mha, Name=SECRET, Comment=SECRET)


def _gone(write: Callable, name: str, data: str, folder: Path) -> Wanted:
    write(folder, file=name, data=data)
    (folder / data).unlink()
    return refused(rf"{name}: ")


def _outside(write: Callable, name: str, folder: Path) -> Wanted:
    truth = write(folder, file=name, data="secret.raw")
    (folder / "secret.raw").rename(folder.parent / "secret.raw")
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("secret.raw", "../secret.raw"))
    del truth  # it could be read, but lies outside
    return refused(rf"{name}: ")


for write, name in ((nrrd, "a.nhdr"), (mha, "a.mhd")):
    kind = "nrrd" if write is nrrd else "mha"
    CASES.add(f"{kind}_data_gone", partial(_gone, write, name, "a.raw"))
    CASES.add(f"{kind}_data_outside", partial(_outside, write, name))
_SHORT = "truncated|bytes|short|damaged|voxels"
_add("detached_short", nrrd, _no_pair(r"a\.nhdr"), file="a.nhdr", data="a.raw", damage=lambda c: c[:-9])
_add("detached_short", mha, _no_pair(r"a\.mhd"), file="a.mhd", data="a.raw", damage=lambda c: c[:-9])
_both("short", _no(_SHORT), damage=lambda content: content[:-9])
_both("short_by_one", _no(_SHORT), damage=lambda content: content[:-1])
_both("no_data", _no("."), damage=lambda content: b"")
for name, damage in {
    "cut": lambda c: c[:-30], "bad_crc": lambda c: c[:-8] + b"\1\2\3\4" + c[-4:], "without_trailer": lambda c: c[:-8],
    "bit_flipped": lambda c: c[:700] + bytes([c[700] ^ 16]) + c[701:], "no_gzip": lambda c: b"x" * 900,
}.items():  # fmt: skip
    _add(f"gzip_{name}", nrrd, _no(r"a\.nrrd: "), encoding="gzip", damage=damage)
for name, damage in {
    "cut": lambda c: c[:-30], "bad_checksum": lambda c: c[:-4] + b"\1\2\3\4", "no_zlib": lambda c: b"x" * 900,
    "bit_flipped": lambda c: c[:700] + bytes([c[700] ^ 16]) + c[701:],
}.items():  # fmt: skip
    _add(f"packed_{name}", mha, _no(r"a\.mha: "), packed=True, damage=damage)
for name, fields in {
    "sizes_negative": {"sizes": "12 -10 8"}, "sizes_text": {"sizes": f"12 {SECRET} 8"}, "sizes_two": {"sizes": "12 10"},
    "type_unknown": {"type": "quaternion"}, "type_block": {"type": "block", "block_size": "2"},
    "no_encoding": {"encoding": None}, "encoding_unknown": {"encoding": "zap"}, "no_type": {"type": None},
    "directions_singular": {"space_directions": "(1,0,0) (1,0,0) (0,0,1)"},
    "directions_zero": {"space_directions": "(0,0,0) (0,0,0) (0,0,0)"},
    "directions_nan": {"space_directions": "(nan,0,0) (0,1,0) (0,0,1)"}, "origin_nan": {"space_origin": "(nan,0,0)"},
}.items():  # fmt: skip
    _add(f"with_{name}", nrrd, _no(r"a\.nrrd: "), **fields)
for name, fields in {
    "size_negative": {"DimSize": "12 -10 8"}, "size_text": {"DimSize": f"12 {SECRET} 8"},
    "size_two": {"DimSize": "12 10"}, "size_absent": {"DimSize": None},
    "type_unknown": {"ElementType": "MET_QUAD"}, "type_absent": {"ElementType": None},
    "matrix_singular": {"TransformMatrix": "1 0 0 1 0 0 0 0 1"},
    "matrix_nan": {"TransformMatrix": "nan 0 0 0 1 0 0 0 1"},
    "matrix_zero": {"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, "offset_nan": {"Offset": "nan 0 0"},
    "no_image": {"ObjectType": "Tube"},
}.items():  # fmt: skip
    _add(f"with_{name}", mha, _no(r"a\.mha: "), **fields)
for name, spacing in {"zero": "0 0.9 2.5", "negative": "-0.8 0.9 2.5", "nan": "nan 1 1"}.items():
    _add(f"with_spacing_{name}", mha, _guessed("spacing|voxel size|affine"), ElementSpacing=spacing)
_add("head_cut", nrrd, _no(r"a\.nrrd: "), head_damage=lambda text: text[:60])
_COLOUR = np.repeat(_LOW[None], 3, axis=0)
_add("colour", nrrd, _no("colou?r|vector|RGB|component|dimension|channel|4-D"), values=_COLOUR, dtype="u1",
     kinds="RGB-color domain domain domain", space_directions="none (1,0,0) (0,1,0) (0,0,1)")  # fmt: skip
_add("vectors", nrrd, _no("vector|component|dimension|channel|4-D"), values=_COLOUR, dtype="f4",
     kinds="vector domain domain domain", space_directions="none (1,0,0) (0,1,0) (0,0,1)")  # fmt: skip
_THREE = {"damage": lambda content: content * 3, "ElementNumberOfChannels": "3"}
_add("channels", mha, _no("colou?r|vector|component|channel"), **_THREE)
_MATRIX = " ".join("1" if k % 5 == 0 else "0" for k in range(16))
_FOUR = {"values": np.stack([_LOW, _LOW + 9], axis=-1), "TransformMatrix": _MATRIX, "Offset": "0 0 0 0",
         "ElementSpacing": "1 1 1 1", "CenterOfRotation": "0 0 0 0", "AnatomicalOrientation": None}  # fmt: skip
_PARTS = [Truth(_FOUR["values"][..., t], positions(np.diag([-1, -1, 1, 1]), SHAPE)) for t in range(2)]
_add("4d", mha, _no("split-time|split_time|4-D"), **_FOUR)
_add("4d_split", mha, lambda truth: either(anyhow(*_PARTS), refused("4-D")), split=True, **_FOUR)
_TIMES = {"values": _FOUR["values"], "kinds": "domain domain domain list",
          "space_directions": "(1,0,0) (0,1,0) (0,0,1) none",
          "space_origin": "(0,0,0)"}  # fmt: skip
_add("4d", nrrd, _no("split-time|split_time|4-D"), **_TIMES)
_add("4d_split", nrrd, lambda truth: either(anyhow(*_PARTS), refused("4-D")), split=True, **_TIMES)

for name, space in {
    "RAST": "RAS", "LAST": "LAS", "LPST": "LPS", "right-anterior-superior-time": "right-anterior-superior",
    "left-anterior-superior-time": "left-anterior-superior", "left-posterior-superior-time": "left-posterior-superior",
}.items():  # fmt: skip

    @partial(CASES.add, f"nrrd_space_{name}")
    def _(folder: Path, name: str = name, space: str = space) -> Wanted:
        origin = np.array(SPACES.get(space, (-1, 1, 1))) * AXIAL[:3, 3]
        directions = np.diag(np.array(SPACES.get(space, (-1, 1, 1))) * np.diag(AXIAL)[:3])
        written = {
            "space_directions": " ".join(f"({numbers([*column, 0])})" for column in directions) + " (0,0,0,5)",
            "space_origin": f"({numbers([*origin, 0])})", "kinds": "space space space time",
        }  # fmt: skip
        nrrd(folder, values=_VALUES[..., None], space=name, **written)
        return right(Truth(_VALUES, positions(AXIAL, SHAPE)))


def _annexed(write: Callable, name: str, folder: Path) -> Wanted:
    """Header and voxels are links to a store of contents beside the folder, as git-annex has them."""
    truth = write(folder, file=name, data="a.raw")
    for kept in (name, "a.raw"):
        (folder / kept).rename(folder.parent / f"content of {kept}")
        (folder / kept).symlink_to(folder.parent / f"content of {kept}")
    return right(truth)


for write, name in ((nrrd, "a.nhdr"), (mha, "a.mhd")):
    CASES.add(f"{'nrrd' if write is nrrd else 'mha'}_data_linked", partial(_annexed, write, name))
_NINES = "9" * 400
_add("size_of_400_digits", nrrd, _no(r"a\.nrrd: .{0,99}$"), sizes=f"{_NINES} 10 8")
_add("skip_of_400_digits", nrrd, _no(r"a\.nrrd: .{0,99}$"), encoding="gzip", byte_skip=_NINES)
_add("size_of_400_digits", mha, _no(r"a\.mha: .{0,99}$"), DimSize=f"{_NINES} 10 8")
_add("skip_of_400_digits", mha, _no(r"a\.mha: .{0,99}$"), HeaderSize=_NINES)
_LATE = {"DimSize": None, **{f"0008|{k:04x}": "words of a note that is long enough" for k in range(150)}}
_SIZE = " ".join(map(str, SHAPE))


@CASES
def mha_size_behind_many_notes(folder: Path) -> Wanted:
    truth = mha(folder, **_LATE)
    content = (folder / "a.mha").read_bytes()
    return _put_size(folder, content, truth)


@CASES
def mha_note_of_several_lines(folder: Path) -> Wanted:
    truth = mha(folder, **_LATE, Name="one\ntwo\nthree", Remark="none")
    return _put_size(folder, (folder / "a.mha").read_bytes(), truth)


def _put_size(folder: Path, content: bytes, truth: Truth) -> Wanted:
    at = content.index(b"ElementDataFile")
    (folder / "a.mha").write_bytes(content[:at] + f"DimSize = {_SIZE}\n".encode() + content[at:])
    return right(truth)


_add("matrix_of_other_lengths", mha, _no("TransformMatrix"), TransformMatrix="1 0 0 4 -1 0 0 0 1")
_ENDS = {"space": None, "space_directions": None, "space_origin": None, "space_dimension": None}
_add("axis_ends", nrrd, lambda truth: warned(truth.but(places=positions(np.diag([-0.5, -1, 2, 1]), SHAPE)), "orient"),
     axis_mins="-0.25 -0.5 -1", axis_maxs="5.75 9.5 15", **_ENDS)  # fmt: skip
_add("hex", nrrd, _no("raw or as gzip"), encoding="hex")
