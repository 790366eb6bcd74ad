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

"""NIfTI: headers that lie, scaling, forms, and damage."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel
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
)  # fmt: skip

__all__ = ["CASES", "Nifti", "one", "said"]

CASES = Table()
_KINDS = {1: nibabel.Nifti1Image, 2: nibabel.Nifti2Image}


class Nifti:
    """
    A file in memory: bend its header, then save it.

    Args:
        values: stored as `dtype`; None for the marker.
        forms: which of sform and qform are set.
        edit: called with the header.
    """

    def __init__(
        self, affine=AXIAL, values=None, *, shape=SHAPE, dtype="i2", kind=1, endian="<", forms="sq",
        edit: Callable | None = None,
    ) -> None:  # fmt: skip
        places = positions(affine, shape)
        self.truth = Truth(marker(places) if values is None else values, places)
        image_class = _KINDS[kind]
        header = image_class.header_class(endianness=endian)
        header.set_data_dtype(np.dtype(dtype))
        image = image_class(np.zeros(self.truth.values.shape, dtype), affine, header)
        image.header.set_xyzt_units("mm", "sec")
        image.set_sform(affine if "s" in forms else None, int("s" in forms))
        image.set_qform(affine, int("q" in forms), strip_shears=False) if "q" in forms else image.set_qform(None, 0)
        self.header = image.header.copy()
        self.header["vox_offset"] = 352 if kind == 1 else 544
        self.header["scl_slope"], self.header["scl_inter"] = 1, 0
        self.header["magic"] = b"n+1" if kind == 1 else b"n+2"
        if edit is not None:
            edit(self.header)
        self.voxels = self.truth.values.astype(np.dtype(dtype).newbyteorder(endian)).tobytes(order="F")

    @property
    def content(self) -> bytes:
        offset = int(self.header["vox_offset"]) - self.header.sizeof_hdr
        return self.header.binaryblock + bytes(offset) + self.voxels

    def save(self, folder: Path, name: str = "a.nii", damage: Callable[[bytes], bytes] | None = None) -> Truth:
        content = gzip.compress(self.content, mtime=0) if name.endswith("gz") else self.content
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if damage is None else damage(content))
        return self.truth


def one(folder: Path, wanted=right, name: str = "a.nii", **options) -> Wanted:
    return wanted(Nifti(**options).save(folder, name))


def said(*words: str):
    return lambda *truths: warned(*truths, *words)


def no(*words: str):
    return lambda *truths: refused(*words)


for kind in (1, 2):
    for endian, end in {"<": "little", ">": "big"}.items():
        for name in ("a.nii", "a.nii.gz"):
            CASES.add(f"{name}_{kind}_{end}_endian", partial(one, name=name, kind=kind, endian=endian))
for dtype in ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", "i8", "u8"):
    low = np.clip(marker(positions(AXIAL, SHAPE)) // 5, 0, 127)
    fine = right if dtype not in ("i8", "u8", "f8") else anyhow
    CASES.add(f"nifti_{dtype}", partial(one, values=low, dtype=dtype, wanted=fine))
CASES.add("nifti_i4_beyond_int16", partial(one, values=marker(positions(AXIAL, SHAPE)) * 1000, dtype="i4"))
CASES.add("nifti_f4_fractions", partial(one, values=marker(positions(AXIAL, SHAPE)) / 8, dtype="f4"))


@CASES
def nifti_i8_beyond_float32(folder: Path) -> Wanted:
    values = marker(positions(AXIAL, SHAPE)).astype(np.int64) + (1 << 40)
    truth = Nifti(values=values, dtype="i8").save(folder).but(tolerance=1 << 17)
    return either(warned(truth, r"float32|precision|round"), refused("float32|precision"))


@CASES
def nifti_f8_beyond_float32(folder: Path) -> Wanted:
    Nifti(values=marker(positions(AXIAL, SHAPE)) * 1e300, dtype="f8").save(folder)
    return refused("float32|exceed")


def _scaled(slope: float, inter: float, values=lambda v: v, wanted=right) -> Callable[[Path], Wanted]:
    def build(folder: Path) -> Wanted:
        def edit(header) -> None:
            header["scl_slope"], header["scl_inter"] = slope, inter

        truth = Nifti(edit=edit).save(folder)
        return wanted(truth.but(values=values(truth.values)))

    return build


_ODD_SCALE = lambda truth: either(warned(truth, "scal|slope|inter"), refused("scal|slope|inter"))  # noqa: E731
for name, build in {
    "2": _scaled(2, 0, lambda v: v * 2), "2_and_intercept": _scaled(2, -1024, lambda v: v * 2 - 1024),
    "quarter": _scaled(0.25, 3, lambda v: v * 0.25 + 3), "1_and_intercept": _scaled(1, -24, lambda v: v - 24),
    "0": _scaled(0, 0), "0_and_intercept": _scaled(0, 99, wanted=anyhow),
    "negative": _scaled(-1, 0, lambda v: -v, anyhow),
    "nan": _scaled(np.nan, 0, wanted=said("slope|scal")), "inf": _scaled(np.inf, 0, wanted=_ODD_SCALE),
    "nan_and_nan": _scaled(np.nan, np.nan, wanted=said("slope|scal")),
    "2_and_intercept_nan": _scaled(2, np.nan, lambda v: v * 2, _ODD_SCALE),
}.items():  # fmt: skip
    CASES.add(f"scl_slope_{name}", build)


def _holes(folder: Path, hole: float, wanted: str, count: int = 5, name: str = "a.nii") -> Wanted:
    values = marker(positions(AXIAL, SHAPE)).astype(np.float32)
    values.reshape(-1)[:: values.size // count][:count] = hole
    truth = Nifti(values=values, dtype="f4").save(folder, name)
    return warned(truth.but(values=np.nan_to_num(values, posinf=0, neginf=0), valid=np.isfinite(values)), wanted)


CASES.add("voxels_nan", partial(_holes, hole=np.nan, wanted=r"5 .*NaN"))
CASES.add("voxels_inf", partial(_holes, hole=np.inf, wanted=r"5 .*inf"))
CASES.add("voxels_minus_inf", partial(_holes, hole=-np.inf, wanted=r"5 .*inf"))
CASES.add("voxels_nan_gz", partial(_holes, hole=np.nan, wanted=r"5 .*NaN", name="a.nii.gz"))
CASES.add("voxels_nan_all", partial(one, values=np.full(SHAPE, np.nan), dtype="f4", wanted=no("valid|NaN")))
CASES.add("voxels_inf_all", partial(one, values=np.full(SHAPE, np.inf), dtype="f8", wanted=no("valid|inf")))
CASES.add("voxels_constant", partial(one, values=np.full(SHAPE, 7), wanted=said("constant")))
CASES.add("voxels_zero", partial(one, values=np.zeros(SHAPE), dtype="f4", wanted=said("constant")))


def _times(folder: Path, count: int, split: bool) -> Wanted:
    nifti = Nifti()
    values = np.stack([nifti.truth.values + 500 * t for t in range(count)], axis=-1)
    Nifti(values=values, dtype="i2").save(folder)
    truths = [nifti.truth.but(values=values[..., t]) for t in range(count)]
    return anyhow(*truths) if split else refused(r"split-time|split_time")


for count in (2, 5):
    CASES.add(f"{count}_times", partial(_times, count=count, split=False))
    CASES.add(f"{count}_times_split", partial(_times, count=count, split=True), split_time=True)


def _ranks(folder: Path, *more: int, wanted=right, cut: int = 3) -> Wanted:
    values = np.broadcast_to(Nifti().truth.values.reshape(*SHAPE, *(1 for _ in more)), (*SHAPE, *more))
    Nifti(values=values).save(folder)
    return wanted(Nifti().truth)


CASES.add("4d_withone", lambda folder: _ranks(folder, 1))
CASES.add("5d_withones", lambda folder: either(_ranks(folder, 1, 1, wanted=anyhow), refused("5-D|dim")))
CASES.add("5d_vectors", lambda folder: _ranks(folder, 1, 3, wanted=no("5-D|dim|vector")))
CASES.add("5d_times_and_vectors", lambda folder: _ranks(folder, 4, 3, wanted=no("5-D|dim|vector")))
CASES.add("5d_split", lambda folder: _ranks(folder, 4, 3, wanted=no("5-D|dim|vector")), split_time=True)
CASES.add("4d_withone_split", lambda folder: _ranks(folder, 1), split_time=True)


@CASES
def flat(folder: Path) -> Wanted:
    truth = Nifti(shape=(12, 10, 1)).truth
    Nifti(values=truth.values[..., 0], shape=(12, 10, 1)).save(folder)
    return either(anyhow(truth), refused("2-D|flat|dim"))


@CASES
def one_row(folder: Path) -> Wanted:
    Nifti(values=np.arange(12)).save(folder)
    return refused("1-D|dim")


for name, (datatype, size, reason) in {
    "rgb": (128, 3, "colou?r|RGB"), "rgba": (2304, 4, "colou?r|RGB"), "complex64": (32, 8, "complex"),
    "complex128": (1792, 16, "complex"), "bits": (1, 1, "."), "unknown_type": (0, 2, "."), "type_999": (999, 2, "."),
}.items():  # fmt: skip

    @partial(CASES.add, f"voxels_{name}")
    def _(folder: Path, datatype: int = datatype, size: int = size, reason: str = reason) -> Wanted:
        nifti = Nifti()
        nifti.header["datatype"], nifti.header["bitpix"] = datatype, 8 * size
        nifti.voxels = bytes(range(240)) * (4 * size)
        nifti.save(folder)
        return refused(reason)


@CASES
def secrets_in_the_header(folder: Path) -> Wanted:
    def edit(header) -> None:
        header["descrip"], header["aux_file"], header["db_name"] = SECRET, SECRET, SECRET

    return right(Nifti(edit=edit).save(folder))


def _coarse(folder: Path, values: np.ndarray, *words: str) -> Wanted:
    truth = Nifti(values=values, dtype="f8").save(folder)
    stored = values.astype(np.float32).astype(np.float64)
    return warned(truth.but(values=stored, tolerance=float(np.abs(values - stored).max())), *words)


_STEPS = np.arange(np.prod(SHAPE)).reshape(SHAPE)
CASES.add("f8_of_small_steps_far_from_0", lambda folder: _coarse(folder, 1e8 + 0.125 + 0.25 * _STEPS, "rounded"))
CASES.add(
    "f8_too_close_to_0", lambda folder: _coarse(folder, np.geomspace(1e-60, 1, _STEPS.size).reshape(SHAPE), "become 0")
)
CASES.add("f8_all_but_0", partial(one, values=1e-60 * (1 + _STEPS), dtype="f8", wanted=no("float32")))
CASES.add("scl_slope_0_and_intercept_nan", _scaled(0, np.nan))
_SMALL_STEPS = lambda truth: warned(truth.but(tolerance=4.0), "rounded to float32")  # noqa: E731
CASES.add("scl_inter_far_from_0", _scaled(0.25, 1e8, lambda v: v * 0.25 + 1e8, _SMALL_STEPS))


def _trailing(folder: Path, dims: list[int], *words: str) -> Wanted:
    truth = Nifti(edit=lambda header: header["dim"].__setitem__(slice(len(dims)), dims)).save(folder)
    return warned(truth, *words)


CASES.add("4d_with_none", lambda folder: _trailing(folder, [4, *SHAPE, 0], "size of 0"))
CASES.add("5d_with_none", lambda folder: _trailing(folder, [5, *SHAPE, 1, 0], "size of 0"))


def _flat(folder: Path, rank: int, edit: Callable, wanted) -> Wanted:
    truth = Nifti(shape=(12, 10, 1)).truth

    def bent(header) -> None:
        header["dim"][0] = rank
        edit(header)

    Nifti(values=truth.values, shape=(12, 10, 1), forms="s", edit=bent).save(folder)
    return wanted(truth)


def _no_third(header) -> None:
    for row in "xyz":
        header[f"srow_{row}"][2] = 0


for rank in (2, 3):
    CASES.add(f"flat_{rank}d_without_thickness", partial(
        _flat, rank=rank, edit=lambda header: header["pixdim"].__setitem__(3, 0), wanted=right))  # fmt: skip
    CASES.add(f"flat_{rank}d_without_third_axis", partial(_flat, rank=rank, edit=_no_third, wanted=said("third axis")))
