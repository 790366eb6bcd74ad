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

"""DICOM: what the stored bits mean."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from corpus.common import SECRET, Table, Truth, Wanted, anyhow, either, refused, right, warned
from corpus.scans import Scan, raw_element

__all__ = ["CASES"]

CASES = Table()
_MARKED = (slice(0, 2), slice(0, 3))  # rows and columns that are padded


def _slope(folder: Path, wanted=right, scale=lambda values, k: values, **options) -> Wanted:
    scan = Scan(**{"intercept": 0} | options).save(folder)
    values = np.stack([scale(scan.truth.values[..., k].astype(float), k) for k in range(8)], axis=-1)
    return wanted(scan.truth.but(values=values))


_PET = {"Modality": "PT", "dtype": "<u2", "RescaleSlope": lambda k: f"{0.5 + 0.13 * k:g}"}
CASES.add("slope_per_slice", partial(_slope, **_PET, scale=lambda values, k: values * (0.5 + 0.13 * k)))
CASES.add(
    "slope_and_intercept_per_slice",
    partial(_slope, **_PET, RescaleIntercept=lambda k: 3 * k, scale=lambda v, k: v * (0.5 + 0.13 * k) + 3 * k),
)
CASES.add("slope_fractional", partial(_slope, RescaleSlope="0.0123", scale=lambda values, k: values * 0.0123))
CASES.add("slope_with_exponent", partial(_slope, RescaleSlope="1.5E-03", scale=lambda values, k: values * 1.5e-3))
CASES.add("slope_negative", partial(_slope, RescaleSlope="-1", scale=lambda values, k: -values, wanted=anyhow))
CASES.add("slope_beyond_int16", partial(_slope, RescaleSlope="1000", scale=lambda values, k: values * 1000))
CASES.add("intercept_fractional", partial(_slope, RescaleIntercept="-0.5", scale=lambda values, k: values - 0.5))


def _not_hu(*truths: Truth) -> Wanted:
    return warned(*truths, r"HU|stored values|rescale")


_BARE = {"RescaleSlope": None, "RescaleIntercept": None}
CASES.add("rescale_absent_for_ct", partial(_slope, **_BARE, wanted=_not_hu))
CASES.add("rescale_empty_for_ct", partial(_slope, RescaleSlope="", RescaleIntercept="", wanted=_not_hu))
CASES.add("rescale_absent_for_pet", partial(_slope, **_BARE, Modality="PT", wanted=_not_hu))
CASES.add("rescale_absent_for_mr", partial(_slope, **_BARE, Modality="MR"))
CASES.add("intercept_alone", partial(_slope, RescaleSlope=None, intercept=-1024, wanted=anyhow))
CASES.add("slope_alone", partial(_slope, RescaleIntercept=None, wanted=anyhow))
CASES.add("slope_zero", lambda folder: (_slope(folder, RescaleSlope="0"), refused("slope"))[1])
_SLOPES = {"nan": b"nan", "inf": b"inf", "huge": b"1e307", "text": SECRET.encode(), "two_numbers": b"1\\2"}
for name, text in _SLOPES.items():

    @partial(CASES.add, f"slope_is_{name}")
    def _(folder: Path, text: bytes = text, number: bool = name in ("nan", "inf", "huge")) -> Wanted:
        scan = Scan(intercept=0).each(lambda item, k: raw_element(item, "RescaleSlope", text)).save(folder)
        lost = refused("slope|rescale|value|valid")
        return lost if number else either(lost, _not_hu(scan.truth))


@CASES
def slope_in_one_slice_only(folder: Path) -> Wanted:
    scan = Scan(intercept=0, RescaleSlope=lambda k: "2" if k == 3 else None).each(
        only=[0, 1, 2, 4], RescaleIntercept=None
    )
    values = scan.save(folder).truth.values * np.where(np.arange(8) == 3, 2, 1)
    return either(_not_hu(scan.truth.but(values=values)), refused("slope|rescale"))


@CASES
def slope_zero_in_one_slice(folder: Path) -> Wanted:
    scan = Scan(RescaleSlope=lambda k: "0" if k == 3 else "1").save(folder)
    return either(warned(scan.truth.without(3), "missing").out(r"^3\.dcm: .*slope"), refused("slope"))


def _stored(folder: Path, wanted=right, change=None, **options) -> Wanted:
    scan = Scan(**options)
    scan.pixels(change or (lambda array, k: array), f"<u{scan[0].BitsAllocated // 8}").save(folder)
    return wanted(scan.truth)


_U12 = {"dtype": "<u2", "BitsStored": 12, "HighBit": 11}
_I12 = {"dtype": "<i2", "BitsStored": 12, "HighBit": 11, "intercept": 300}  # marker - 300 has both signs


def _dirty(array: np.ndarray, k: int) -> np.ndarray:
    noise = np.random.default_rng(k).integers(0, 16, array.shape)
    return (array.astype(np.int64) & 0x0FFF) | noise << 12


CASES.add("unsigned_16", partial(_stored, dtype="<u2"))
CASES.add("signed_16_below_zero", partial(_stored, intercept=300))
CASES.add("unsigned_16_beyond_int16", partial(_stored, dtype="<u2", intercept=-60000))
CASES.add("unsigned_12", partial(_stored, **_U12))
CASES.add("signed_12", partial(_stored, **_I12))
CASES.add("signed_12_without_sign_extension", partial(_stored, **_I12, change=lambda array, k: array & 0x0FFF))
CASES.add("unsigned_12_dirty", partial(_stored, **_U12, change=_dirty))
CASES.add("signed_12_dirty", partial(_stored, **_I12, change=_dirty))
CASES.add("unsigned_32", partial(_stored, dtype="<u4"))
CASES.add("signed_32", partial(_stored, dtype="<i4", intercept=70000))
CASES.add("unsigned_8", lambda folder: _eight(folder, "u1", 0))
CASES.add("signed_8", lambda folder: _eight(folder, "i1", 60))
CASES.add("unsigned_8_odd_length", lambda folder: _eight(folder, "u1", 0, (11, 9, 5)))
for high in (13, 15):

    @partial(CASES.add, f"high_bit_{high}_of_12_stored")
    def _(folder: Path, high: int = high) -> Wanted:
        wanted = _stored(folder, **_U12 | {"HighBit": high}, change=lambda array, k: array.astype(int) << (high - 11))
        return either(wanted, refused("bit"))


@CASES
def bits_stored_beyond_allocated(folder: Path) -> Wanted:
    return either(refused("bit"), anyhow(Scan(BitsStored=32, HighBit=31).save(folder).truth))


@CASES
def bits_allocated_twelve(folder: Path) -> Wanted:
    Scan(dtype="<u2").each(BitsAllocated=12, BitsStored=12, HighBit=11).save(folder)
    return refused("bit|pixel")


def _eight(folder: Path, dtype: str, intercept: int, shape: tuple[int, int, int] = (12, 10, 8)) -> Wanted:
    values = Scan(shape=shape).truth.values // 5
    scan = Scan(shape=shape, dtype=dtype, intercept=intercept, values=values)
    return right(scan.pixels(lambda array, k: array, dtype).save(folder).truth)


@CASES
def float_pixel_data(folder: Path) -> Wanted:
    scan = Scan(**_BARE, Modality="MR", PixelRepresentation=None, BitsAllocated=32, BitsStored=None, HighBit=None)
    for k, item in enumerate(scan):
        item.FloatPixelData = (scan.truth.values[..., k].T / 4).astype("<f4").tobytes()
        del item.PixelData
    scan.save(folder)
    return either(anyhow(scan.truth.but(values=scan.truth.values / 4)), refused("pixel|float"))


def _padded(
    folder: Path, pad, *, tag: int | None = None, vr: str = "SS", limit: int | None = None, wanted=right, **options
):
    scan = Scan(**options)
    valid = np.ones(scan.shape, bool)
    valid[_MARKED[::-1]] = False
    scan.truth = scan.truth.but(valid=valid)

    def mark(array: np.ndarray, k: int) -> np.ndarray:
        array = array.astype(np.int64)
        array[_MARKED] = pad(k) if callable(pad) else pad
        return array & 0xFFFF

    scan.pixels(mark, "<u2").each(lambda item, k: item.add_new("PixelPaddingValue", vr, pad if tag is None else tag))
    if limit is not None:
        scan.each(lambda item, k: item.add_new("PixelPaddingRangeLimit", vr, limit))
    return wanted(scan.save(folder).truth)


CASES.add("padding_signed", partial(_padded, pad=-2000))
CASES.add("padding_unsigned", partial(_padded, pad=63536, vr="US", dtype="<u2"))
CASES.add("padding_zero", partial(_padded, pad=0, vr="US", dtype="<u2"))
CASES.add("padding_written_unsigned_for_signed", partial(_padded, pad=-2000, tag=63536, vr="US"))
CASES.add("padding_written_signed_for_unsigned", partial(_padded, pad=63536, tag=-2000, vr="SS", dtype="<u2"))
CASES.add("padding_range", partial(_padded, pad=lambda k: -2000 + k, tag=-2000, limit=-1990))
CASES.add("padding_range_downwards", partial(_padded, pad=lambda k: -2000 + k, tag=-1990, limit=-2000))
CASES.add("padding_above_all", partial(_padded, pad=32767))
CASES.add("padding_in_the_high_bits", partial(_padded, pad=0xF830, vr="US", **_U12))
CASES.add("padding_in_the_high_bits_signed", partial(_padded, pad=-32768, **_I12))
CASES.add("padding_of_12_bits_signed", partial(_padded, pad=-2048, **_I12))
CASES.add("padding_not_sign_extended", partial(_padded, pad=0x0800, tag=-2048, **_I12))
CASES.add(
    "padding_with_fractional_slope",
    partial(_padded, pad=-2000, intercept=0, RescaleSlope="0.5", wanted=lambda t: right(t.but(values=t.values * 0.5))),
)


@CASES
def patient_id_of_unknown_representation(folder: Path) -> Wanted:
    def tell(item: Dataset, k: int) -> None:
        content = "Müller77".encode("latin-1")
        item._dict[Tag("PatientID")] = RawDataElement(Tag("PatientID"), "UN", len(content), content, 0, False, True)

    return right(Scan(SpecificCharacterSet="ISO_IR 100").each(tell).save(folder).truth.but(patient="Müller77"))


@CASES
def padding_of_two_values(folder: Path) -> Wanted:
    Scan().each(lambda item, k: item.add_new("PixelPaddingValue", "SS", [-2000, -1999])).save(folder)
    return refused("PixelPaddingValue")


for kind, dtype, limit in (("Float", "<f4", None), ("Float", "<f4", -9e8), ("DoubleFloat", "<f8", None)):

    @partial(CASES.add, f"padding_of_{kind}{'_range' if limit else ''}")
    def _(folder: Path, kind: str = kind, dtype: str = dtype, limit: float | None = limit) -> Wanted:
        scan = Scan(**_BARE, Modality="MR", PixelRepresentation=None, BitsStored=None, HighBit=None)
        valid = np.ones(scan.shape, bool)
        valid[_MARKED[::-1]] = False
        for k, item in enumerate(scan):
            pixels = np.where(valid[..., k], scan.truth.values[..., k] / 4, -1e9 if k % 2 or not limit else limit)
            item.BitsAllocated = 8 * np.dtype(dtype).itemsize
            setattr(item, f"{kind}PixelData", pixels.T.astype(dtype).tobytes())
            setattr(item, f"{kind}PixelPaddingValue", -1e9)
            if limit is not None:
                setattr(item, f"{kind}PixelPaddingRangeLimit", limit)
            del item.PixelData
        return anyhow(scan.save(folder).truth.but(values=scan.truth.values / 4, valid=valid))


@CASES
def padding_that_never_occurs(folder: Path) -> Wanted:
    return right(Scan().each(lambda item, k: item.add_new("PixelPaddingValue", "SS", -2000)).save(folder).truth)


@CASES
def padding_of_a_whole_slice(folder: Path) -> Wanted:
    scan = Scan().pixels(lambda array, k: np.full_like(array, -2000) if k == 7 else array)
    scan.each(lambda item, k: item.add_new("PixelPaddingValue", "SS", -2000)).save(folder)
    valid = np.ones(scan.shape, bool)
    valid[..., 7] = False
    return anyhow(scan.truth.but(valid=valid))


@CASES
def padding_and_nothing_else(folder: Path) -> Wanted:
    scan = Scan().pixels(lambda array, k: np.full_like(array, -2000))
    scan.each(lambda item, k: item.add_new("PixelPaddingValue", "SS", -2000)).save(folder)
    return refused("valid|padding")


@CASES
def constant(folder: Path) -> Wanted:
    return warned(Scan(values=np.full((12, 10, 8), 7)).save(folder).truth, "constant")


@CASES
def monochrome1(folder: Path) -> Wanted:
    return warned(Scan(PhotometricInterpretation="MONOCHROME1").save(folder).truth, "MONOCHROME1")


@CASES
def monochrome1_in_half_of_the_slices(folder: Path) -> Wanted:
    scan = Scan(PhotometricInterpretation=lambda k: f"MONOCHROME{1 + k % 2}").save(folder)
    return either(warned(scan.truth, "MONOCHROME1"), refused("MONOCHROME1"))


@CASES
def signed_and_unsigned_slices(folder: Path) -> Wanted:
    return right(Scan(PixelRepresentation=lambda k: k % 2).save(folder).truth)


@CASES
def bits_stored_that_differ_by_slice(folder: Path) -> Wanted:
    return right(Scan(dtype="<u2", BitsStored=lambda k: 12 + k % 5, HighBit=lambda k: 11 + k % 5).save(folder).truth)


@CASES
def bits_allocated_that_differ_by_slice(folder: Path) -> Wanted:
    scan, wide = Scan(dtype="<i2"), Scan(dtype="<i4")
    scan.slices[::2] = wide.slices[::2]
    return anyhow(scan.save(folder).truth)


@CASES
def burned_in_annotation(folder: Path) -> Wanted:
    return warned(Scan(BurnedInAnnotation="YES").save(folder).truth, "BurnedInAnnotation|burned")


for name, tags in {
    "palette_color": {"PhotometricInterpretation": "PALETTE COLOR"},
    "ybr": {"PhotometricInterpretation": "YBR_FULL", "SamplesPerPixel": 3, "PlanarConfiguration": 0},
}.items():
    CASES.add(f"colour_{name}", lambda folder, tags=tags: (Scan(**tags).save(folder), refused("colou?r"))[1])


def _looked_up(folder: Path, change=None) -> Scan:
    scan = Scan(dtype="<u2", intercept=0, **_BARE)
    table = (np.arange(600) * 3 + 7).astype("<u2")

    def add(item: Dataset, k: int) -> None:
        lut = Dataset()
        lut.add_new("LUTDescriptor", "US", [600, 0, 16])
        lut.add_new("LUTData", "OW", table.tobytes())
        lut.ModalityLUTType = "US"
        item.ModalityLUTSequence = Sequence([lut])

    return scan.each(add).each(change).save(folder)


@CASES
def modality_lut(folder: Path) -> Wanted:
    scan = _looked_up(folder)
    return anyhow(scan.truth.but(values=scan.truth.values * 3 + 7))


@CASES
def modality_lut_with_too_few_entries(folder: Path) -> Wanted:
    _looked_up(folder, lambda item, k: setattr(item.ModalityLUTSequence[0], "LUTData", bytes(100)))
    return refused("LUT|look-?up|pixels")


@CASES
def modality_lut_that_is_empty(folder: Path) -> Wanted:
    scan = _looked_up(folder, lambda item, k: setattr(item, "ModalityLUTSequence", Sequence([])))
    return either(refused("LUT|look-?up|pixels"), _not_hu(scan.truth))
