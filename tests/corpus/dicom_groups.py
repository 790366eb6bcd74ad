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

"""DICOM: several moments, patients or frames of reference where one volume is claimed; and missing or odd places."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from corpus.common import AXIAL, Table, Wanted, anyhow, axial, either, refused, right, warned
from corpus.dicom_frames import enhanced
from corpus.scans import Scan, numbers, raw_element, save

__all__ = ["CASES"]

CASES = Table()
_MISSING = r"missing"
_ONE_PLACE = r"position|time|duplicate"


def _times(folder: Path, count: int, told: dict, drop: int | None = None) -> Wanted:
    scans = [Scan(add=600 * t) for t in range(count)]
    for t, scan in enumerate(scans):
        scan.each(SOPInstanceUID=lambda k, t=t: f"1.2.99.{t}.{k}", InstanceNumber=lambda k, t=t: k * count + t)
        scan.each(**{keyword: values[t] for keyword, values in told.items()})
        if drop is not None and t == 1:
            scan.drop(drop)
        scan.save(folder, f"{{}}_{t}.dcm")
    truths = [scan.truth for scan in scans]
    split = anyhow(*truths) if drop is None else warned(*truths, _MISSING)
    return either(refused(_ONE_PLACE), split) if told else refused(_ONE_PLACE)


for name, told in {
    "acquisition_number": {"AcquisitionNumber": [1, 2, 3]},
    "temporal_position": {"TemporalPositionIdentifier": [1, 2, 3]},
    "echo_time": {"EchoTime": ["10", "30", "90"], "EchoNumbers": [1, 2, 3], "Modality": ["MR"] * 3},
    "trigger_time": {"TriggerTime": ["0", "40.5", "80"]},
    "times_of_day": {"AcquisitionTime": ["100000", "100010.5", "100021"], "ContentTime": ["100000", "100010", "1001"]},
    "b_value": {"DiffusionBValue": [0.0, 500.0, 1000.0], "Modality": ["MR"] * 3},
}.items():
    for count in (2, 3):
        CASES.add(f"{count}_by_{name}", partial(_times, count=count, told=told))
CASES.add("2_times_untold", partial(_times, count=2, told={}))
CASES.add("3_times_untold", partial(_times, count=3, told={}))
CASES.add("times_of_which_one_lacks_a_slice", partial(_times, count=3, told={"AcquisitionNumber": [1, 2, 3]}, drop=4))


@CASES
def two_acquisitions_side_by_side(folder: Path) -> Wanted:
    return anyhow(Scan(AcquisitionNumber=lambda k: 1 + k // 4).save(folder).truth)


_TELLS = {
    "echo_time": ("EchoTime", ["10", "90"]), "kernel": ("ConvolutionKernel", ["SOFT", "SHARP"]),
    "image_type": ("ImageType", [["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]]),
}  # fmt: skip
for name, (keyword, values) in _TELLS.items():

    @partial(CASES.add, f"woven_at_half_steps_by_{name}")
    def _(folder: Path, keyword: str = keyword, values: list = values) -> Wanted:
        scans = [Scan(add=600 * t, at=np.arange(8) + 0.5 * t, **{keyword: values[t]}) for t in range(2)]
        for t, scan in enumerate(scans):
            scan.each(SOPInstanceUID=lambda k, t=t: f"1.2.99.{t}.{k}").save(folder, f"{{}}_{t}.dcm")
        one, two = (scan.truth for scan in scans)
        both = {key: np.concatenate([getattr(one, key), getattr(two, key)], axis=2) for key in ("values", "places")}
        woven = one.but(**both)
        return either(anyhow(one, two), refused("."), warned(woven, "echo|kernel|type|differ"))


def _patients(folder: Path, *, wanted: str = "refused", **tags) -> Wanted:
    scan = Scan().each(**tags).save(folder)
    return {"refused": refused("patient"), "anyhow": anyhow(scan.truth), "right": right(scan.truth)}[wanted]


def _halves(one: object, two: object):
    return lambda k: one if k < 4 else two


CASES.add("two_patients_by_id", partial(_patients, PatientID=_halves("A1", "A2")))
CASES.add("two_patients_by_leading_zeros", partial(_patients, PatientID=_halves("007", "7")))
CASES.add("two_patients_by_one_file", partial(_patients, PatientID=lambda k: "A2" if k == 5 else "A1"))
CASES.add("two_patients_by_names_alone", partial(_patients, PatientID="", PatientName=_halves("Doe^J", "Roe^K")))
CASES.add("two_patients_without_id_tag", partial(_patients, PatientID=None, PatientName=_halves("Doe^J", "Roe^K")))
CASES.add("two_patients_by_issuer", lambda folder: either(
    _patients(folder, PatientID="1", IssuerOfPatientID=_halves("A", "B")), anyhow(Scan().truth)))  # fmt: skip
CASES.add("one_patient_with_trailing_blanks", partial(_patients, wanted="right", PatientID=_halves("A1", "A1 ")))
CASES.add("one_patient_of_two_spellings", partial(_patients, wanted="anyhow", PatientName=_halves("Doe^J", "DOE^J^^^")))
CASES.add("patient_id_in_half_of_the_files", partial(_patients, wanted="anyhow", PatientID=_halves("A1", "")))
CASES.add(
    "patient_id_in_half_of_the_files_and_two_names",
    partial(_patients, PatientID=_halves("A1", ""), PatientName=_halves("Doe^J", "Roe^K")),
)


@CASES
def two_patients_at_two_places(folder: Path) -> Wanted:
    Scan(PatientID="A1").save(folder, "a{}")
    Scan(axial(origin=(12.5, 20.25, -1.75)), PatientID="A2").each(SOPInstanceUID=lambda k: f"1.2.3.{k}").save(
        folder, "b{}"
    )
    return refused("patient")


@CASES
def two_patients_in_enhanced_files(folder: Path) -> Wanted:
    for number in range(2):
        tags = {"PatientID": str(number), "SOPInstanceUID": f"1.2.3.{number}"}
        save(enhanced(Scan(add=9 * number), **tags), folder / f"{number}.dcm")
    return refused("patient")


@CASES
def two_frames_of_reference(folder: Path) -> Wanted:
    scan = Scan(FrameOfReferenceUID=_halves("1.2.5", "1.2.6")).save(folder)
    parts = [scan.truth.slices(range(4)), scan.truth.slices(range(4, 8))]
    return either(refused(r"frames? of reference|FrameOfReference"), warned(scan.truth, "reference"), anyhow(*parts))


@CASES
def no_frame_of_reference(folder: Path) -> Wanted:
    return right(Scan(FrameOfReferenceUID=None).save(folder).truth)


def _unplaced(folder: Path, number=lambda k: 8 - k, wanted=None, **tags) -> Wanted:
    scan = Scan(ImagePositionPatient=None, InstanceNumber=number, **tags).save(folder)
    values = scan.truth.values[..., ::-1]
    return warned(scan.truth.but(values=values, placed=False), r"position.*InstanceNumber|InstanceNumber.*position")


CASES.add("no_position", _unplaced)
CASES.add("no_position_and_gaps_in_numbers", partial(_unplaced, number=lambda k: 100 - k * k))
CASES.add("no_position_no_orientation", partial(_unplaced, ImageOrientationPatient=None))
for name, number in {"equal": 1, "absent": None, "empty": ""}.items():
    CASES.add(
        f"no_position_and_{name}_numbers",
        lambda folder, number=number: (_unplaced(folder, number), refused("position|order"))[1],
    )


@CASES
def no_position_in_one_file(folder: Path) -> Wanted:
    scan = Scan().each(only=[3], ImagePositionPatient=None).save(folder)
    return warned(scan.truth.without(3), _MISSING).out(r"^3\.dcm: .*position")


def _odd_place(folder: Path, keyword: str, content: bytes) -> Wanted:
    scan = Scan().each(lambda item, k: raw_element(item, keyword, content), only=[3]).save(folder)
    return warned(scan.truth.without(3), _MISSING).out(r"^3\.dcm: ")


for name, content in {
    "two_numbers": b"1\\2",
    "text": b"S3CR3T\\b\\c",
    "nan": b"nan\\nan\\nan",
    "inf": b"1\\2\\1e999",
}.items():
    CASES.add(f"position_of_one_slice_is_{name}", partial(_odd_place, keyword="ImagePositionPatient", content=content))
for name, content in {
    "zero": b"0\\0\\0\\0\\0\\0",
    "five_numbers": b"1\\0\\0\\0\\1",
    "one_axis_twice": b"1\\0\\0\\1\\0\\0",
}.items():
    CASES.add(
        f"orientation_of_one_slice_is_{name}", partial(_odd_place, keyword="ImageOrientationPatient", content=content)
    )


def _no_spacing(folder: Path, change) -> Wanted:
    scan = Scan(axial((1, 1, 2.5))).each(change).save(folder)
    return either(warned(scan.truth, "spacing"), refused("spacing") if change is not _delete_spacing else [])


def _delete_spacing(item, k) -> None:
    del item.PixelSpacing


CASES.add("no_spacing", partial(_no_spacing, change=_delete_spacing))
for name, content in {
    "text": b"S3CR3T\\y",
    "zero": b"0\\0",
    "negative": b"-1\\-1",
    "one_number": b"1",
    "nan": b"nan\\nan",
}.items():
    change = partial(lambda item, k, content: raw_element(item, "PixelSpacing", content), content=content)
    CASES.add(f"spacing_is_{name}", partial(_no_spacing, change=change))


@CASES
def spacing_of_all_slices_within_rounding(folder: Path) -> Wanted:
    return right(Scan(PixelSpacing=lambda k: ["0.9", f"{0.8 + k * 1e-7:.8f}"]).save(folder).truth)


@CASES
def orientation_of_all_slices_within_rounding(folder: Path) -> Wanted:
    cosines = lambda k: ["1", "0", f"{k * 1e-6:.7f}", "0", "1", "0"]  # noqa: E731
    return right(Scan(ImageOrientationPatient=cosines).save(folder).truth)


@CASES
def no_orientation(folder: Path) -> Wanted:
    return warned(Scan(ImageOrientationPatient=None).save(folder).truth, "orientation")


@CASES
def one_slice(folder: Path) -> Wanted:
    return right(Scan(shape=(12, 10, 1)).save(folder).truth)


@CASES
def two_slices(folder: Path) -> Wanted:
    return right(Scan(shape=(12, 10, 2)).save(folder).truth)


def _placed(folder: Path, affine: np.ndarray, digits: int = 10, **tags) -> Wanted:
    scan = Scan(affine, **tags)
    for item in scan:
        item.ImageOrientationPatient = numbers([float(text) for text in item.ImageOrientationPatient], digits)
    return right(scan.save(folder).truth)


def _turned(x: float, y: float, z: float, base: np.ndarray = AXIAL) -> np.ndarray:
    affine = base.copy()
    for axis, degrees in enumerate((x, y, z)):
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        turn = np.roll(np.array([[1, 0, 0], [0, c, -s], [0, s, c]]), (axis, axis), (0, 1))
        affine[:3] = turn @ affine[:3]
    return affine


def _flipped(*axes: int, order: tuple[int, int, int] = (0, 1, 2)) -> np.ndarray:
    affine = AXIAL[:, [*order, 3]].copy()
    affine[:, list(axes)] *= -1
    return affine


for name, affine in {
    "sagittal": _flipped(0, order=(1, 2, 0)), "coronal": _flipped(1, order=(0, 2, 1)), "flipped_rows": _flipped(1),
    "flipped_columns": _flipped(0), "flipped_slices": _flipped(2), "flipped_all": _flipped(0, 1, 2),
    "rows_and_columns_swapped": _flipped(order=(1, 0, 2)), "oblique": _turned(12, -7, 31),
    "oblique_sagittal": _turned(5, 9, -14, _flipped(order=(1, 2, 0))), "diagonal": _turned(45, 35.26, 45),
}.items():  # fmt: skip
    CASES.add(f"placed_{name}", partial(_placed, affine=affine))
CASES.add("feet_first_supine", partial(_placed, affine=_flipped(0, 2), PatientPosition="FFS"))
CASES.add("head_first_prone", partial(_placed, affine=_flipped(0, 1), PatientPosition="HFP"))
CASES.add("decubitus", partial(_placed, affine=_turned(0, 0, 90), PatientPosition="HFDR"))
CASES.add("oblique_with_four_digits", partial(_placed, affine=_turned(12, -7, 31), digits=4))
CASES.add("oblique_with_three_digits", lambda folder: either(
    _placed(folder, _turned(3, -2, 4), digits=3), anyhow(Scan(_turned(3, -2, 4)).truth)))  # fmt: skip


@CASES
def half_of_the_images_turned_by_180_degrees(folder: Path) -> Wanted:
    turned = AXIAL.copy()
    turned[:3, 3] += AXIAL[:3] @ [11, 9, 0, 0]
    turned[:, :2] *= -1
    scan, other = Scan(), Scan(turned)
    scan.slices[4:] = other.slices[4:]
    parts = [scan.truth.slices(range(4)), scan.truth.slices(range(4, 8))]
    scan.save(folder)
    return either(anyhow(*parts), anyhow(scan.truth), refused("orientation"))


@CASES
def far_from_the_origin(folder: Path) -> Wanted:
    return right(Scan(axial(origin=(1012.5, -980.25, -2021.75)), values=Scan().truth.values).save(folder).truth)


def _crossed(folder: Path, names: tuple[str, str], values: tuple[list, list], at: float = 0.0) -> Wanted:
    """Two times two sets; those that differ in the second tag lie `at` steps apart."""
    truths = []
    for t, one in enumerate(values[0]):
        for u, two in enumerate(values[1]):
            scan = Scan(add=600 * t + 90 * u, at=np.arange(8) + at * u, **{names[0]: one, names[1]: two})
            scan.each(SOPInstanceUID=lambda k, t=t, u=u: f"1.2.99.{t}.{u}.{k}").save(folder, f"{{}}_{t}{u}.dcm")
            truths.append(scan.truth)
    return warned(*truths, f"{names[0]}.*{names[1]}|{names[1]}.*{names[0]}")


_ECHOES = ["10", "90"]
CASES.add(
    "two_times_of_two_echoes",
    partial(_crossed, names=("TemporalPositionIdentifier", "EchoTime"), values=([1, 2], _ECHOES)),
)
CASES.add(
    "two_times_of_two_echoes_at_half_steps",
    partial(_crossed, names=("AcquisitionNumber", "EchoTime"), values=([1, 2], _ECHOES), at=0.5),
)
_SPLITS: dict[str, list] = {
    "TemporalPositionIdentifier": [1, 2], "DiffusionBValue": [0.0, 900.0], "KVP": ["80", "140"],
    "NominalPercentageOfCardiacPhase": [10.0, 40.0], "FrameReferenceTime": ["1000", "2000"],
    "ContentTime": ["100001", "100002"], "ComplexImageComponent": ["REAL", "IMAGINARY"],
}  # fmt: skip


def _two(folder: Path, tag: str, values: list, at: float = 0.0, drop: int | None = None, wanted: str = "") -> Wanted:
    truths = []
    for t, value in enumerate(values):
        scan = Scan(add=600 * t, at=np.arange(8) + at * t, **{tag: value})
        scan.each(SOPInstanceUID=lambda k, t=t: f"1.2.99.{t}.{k}", InstanceNumber=lambda k, t=t: 2 * k + t)
        if t == 1 and drop is not None:
            scan.drop(drop)
        truths.append(scan.save(folder, f"{{}}_{t}.dcm").truth)
    return warned(*truths, f"2 sets.*{tag}", wanted)


for tag, values in _SPLITS.items():
    CASES.add(f"split_by_{tag}", partial(_two, tag=tag, values=values))
    CASES.add(f"split_by_{tag}_with_one_lacking_its_last", partial(
        _two, tag=tag, values=values, drop=7, wanted="no image at 1 of the places"))  # fmt: skip
    if tag not in ("FrameReferenceTime", "ContentTime"):
        CASES.add(f"split_at_half_steps_by_{tag}", partial(_two, tag=tag, values=values, at=0.5))
CASES.add("split_where_places_jitter", partial(_two, tag="TriggerTime", values=["0", "40"], at=0.004))


@CASES
def places_jitter_and_no_tag_tells(folder: Path) -> Wanted:
    for t in range(2):
        scan = Scan(add=600 * t, at=np.arange(8) + 0.004 * t)
        scan.each(SOPInstanceUID=lambda k, t=t: f"1.2.99.{t}.{k}").save(folder, f"{{}}_{t}.dcm")
    return refused(_ONE_PLACE)


@CASES
def interleaved_acquisitions(folder: Path) -> Wanted:
    return right(Scan(AcquisitionNumber=lambda k: k % 2, AcquisitionTime=lambda k: f"10000{k % 2}").save(folder).truth)


for name, texts in {"written_in_two_ways": ["92", "92.0"], "measured": ["4.602", "4.603"]}.items():
    CASES.add(
        f"echo_time_{name}",
        lambda folder, texts=texts: right(Scan(EchoTime=lambda k: texts[k % 2]).save(folder).truth),
    )


@CASES
def two_kernels_and_one_image_of_another(folder: Path) -> Wanted:
    scans = [Scan(add=600 * t, at=np.arange(8) + 0.5 * t, ConvolutionKernel="AB"[t]) for t in range(2)]
    scans.append(Scan(shape=(12, 10, 1), at=np.array([8.25]), ConvolutionKernel="C"))
    for t, scan in enumerate(scans):
        scan.each(SOPInstanceUID=lambda k, t=t: f"1.2.99.{t}.{k}").save(folder, f"{{}}_{t}.dcm")
    return warned(*(scan.truth for scan in scans[:2]), "ConvolutionKernel").out(r"^0_2\.dcm: .*ConvolutionKernel")


@CASES
def two_frames_of_reference_of_two_images_each(folder: Path) -> Wanted:
    scans = [Scan(add=600 * t, shape=(12, 10, 2), at=np.arange(2) + 0.5 * t) for t in range(2)]
    for t, scan in enumerate(scans):
        scan.each(SOPInstanceUID=lambda k, t=t: f"1.2.99.{t}.{k}", FrameOfReferenceUID=f"1.2.5.{t}")
        scan.save(folder, f"{{}}_{t}.dcm")
    return anyhow(*(scan.truth for scan in scans))


@CASES
def frame_of_reference_of_each_image(folder: Path) -> Wanted:
    uids = {"FrameOfReferenceUID": lambda k: f"1.2.5.{k}", "StudyInstanceUID": lambda k: f"1.2.6.{k}"}
    return right(Scan(**uids).save(folder).truth)
