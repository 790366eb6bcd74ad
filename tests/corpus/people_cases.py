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

"""Patients whose identifiers are hostile, missing or in another alphabet; nothing of them may be told."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from corpus.common import SECRET, Table, Wanted, anyhow, either, refused, right, warned
from corpus.scans import Scan, raw_element

__all__ = ["CASES", "IDENTIFIERS", "write_patients"]

CASES = Table()
IDENTIFIERS = {
    "upwards": f"../../{SECRET}/x", "formula": f"=cmd('{SECRET}')", "at_sign": f"@SUM({SECRET})", "plus": f"+1{SECRET}",
    "minus": f"-1{SECRET}", "long": SECRET * 50, "slash": f"a/{SECRET}", "leading_zeros": "000123450067",
    "quotes": f"\"{SECRET}\",'x'", "device": "CON.PRN.AUX", "absolute": f"/etc/{SECRET}", "dots": "....",
    "percent": "%s%n{0}$(id)",
}  # fmt: skip


def _one(folder: Path, **tags) -> Wanted:
    return anyhow(Scan(**tags).save(folder).truth.but(patient=tags.get("PatientID")))


for name, identifier in IDENTIFIERS.items():
    CASES.add(f"patient_id_{name}", partial(_one, PatientID=identifier))
CASES.add("patient_id_latin1", partial(_one, PatientID="Müller-Öz", SpecificCharacterSet="ISO_IR 100"))
CASES.add("patient_id_utf8", partial(_one, PatientID="患者ß", SpecificCharacterSet="ISO_IR 192"))
for name, character_set in {
    "wrong": b"ISO_IR 192",
    "absent": None,
    "unknown": b"ISO_IR 999",
    "nonsense": b"\xff\xfe",
}.items():

    @partial(CASES.add, f"patient_id_of_{name}_character_set")
    def _(folder: Path, character_set: bytes | None = character_set) -> Wanted:
        def write(item, k: int) -> None:
            raw_element(item, "PatientID", "Müller".encode("latin-1"))
            raw_element(item, "PatientName", f"Zebrafink^Ö{SECRET}".encode("latin-1"))
            if character_set is not None:
                raw_element(item, "SpecificCharacterSet", character_set)

        return anyhow(Scan().each(write).save(folder).truth)


for name, identifier in {"empty": "", "absent": None, "blank": "   "}.items():
    CASES.add(
        f"patient_id_{name}",
        lambda folder, identifier=identifier: anyhow(Scan(PatientID=identifier).save(folder).truth),
    )
_BROKEN = {
    "PatientBirthDate": b"S3CR3T", "StudyDate": b"99999999", "StudyTime": b"S3CR3T", "PatientAge": b"S3CR3T old",
    "PatientWeight": b"S3CR3T kg", "PatientSize": b"1,80 S3CR3T", "SliceThickness": b"S3CR3T", "EchoTime": b"S3CR3T",
    "AcquisitionNumber": b"S3CR3T", "TemporalPositionIdentifier": b"S3CR3T", "KVP": b"S3CR3T", "PatientSex": b"S3CR3T",
    "SpacingBetweenSlices": b"S3CR3T", "SliceLocation": b"S3CR3T", "PatientName": b"\xff\xfe\\S3CR3T=^==^^^",
    "FrameOfReferenceUID": b"S3CR3T", "ImageType": b"S3CR3T", "RescaleType": b"S3CR3T", "WindowCenter": b"S3CR3T",
    "BurnedInAnnotation": b"S3CR3T", "Modality": b"CT\\S3CR3T", "PatientPosition": b"S3CR3T",
}  # fmt: skip
for keyword, content in _BROKEN.items():

    @partial(CASES.add, f"{keyword}_is_nonsense")
    def _(folder: Path, keyword: str = keyword, content: bytes = content) -> Wanted:
        scan = Scan().each(lambda item, k: raw_element(item, keyword, content)).save(folder)
        return anyhow(scan.truth)


# What the volume cannot be without: refused, and still in silence about the value.
_NEEDED = {
    "Rows": b"S3CR3T", "Columns": b"\1", "BitsAllocated": b"S3CR3T", "PixelRepresentation": b"\7\0",
    "SamplesPerPixel": b"", "RescaleIntercept": b"S3CR3T", "SeriesInstanceUID": b"", "SOPClassUID": b"S3CR3T",
    "PhotometricInterpretation": b"S3CR3T", "ImagePositionPatient": b"S3CR3T\\1\\2",
    "ImageOrientationPatient": b"S3CR3T", "PixelSpacing": b"S3CR3T", "BitsStored": b"S3CR3T", "HighBit": b"S3CR3T",
}  # fmt: skip
for keyword, content in _NEEDED.items():

    @partial(CASES.add, f"{keyword}_is_nonsense")
    def _(folder: Path, keyword: str = keyword, content: bytes = content) -> Wanted:
        scan = Scan().each(lambda item, k: raw_element(item, keyword, content)).save(folder)
        return either(anyhow(scan.truth), anyhow(scan.truth.but(placed=False)), refused("."))


@CASES
def values_that_fail_in_implicit_syntax(folder: Path) -> Wanted:
    broken = {key: value for key, value in _BROKEN.items() if key not in ("Modality", "ImageType")}

    def write(item, k: int) -> None:
        for keyword, content in broken.items():
            raw_element(item, keyword, content)

    return anyhow(Scan().each(write).save(folder, syntax="1.2.840.10008.1.2").truth)


@CASES
def one_patient_in_two_series(folder: Path) -> Wanted:
    one, two = Scan(PatientID="0815").save(folder, "a{}"), Scan(series=2, add=500, PatientID="0815").save(folder, "b{}")
    return right(one.truth.but(patient="0815"), two.truth.but(patient="0815"))


def write_patients(folder: Path) -> dict[str, str]:
    """One series for each hostile identifier, in folders of plain names; the identifiers by folder."""
    for number, (name, identifier) in enumerate(IDENTIFIERS.items()):
        Scan(shape=(12, 10, 2), series=number + 1, PatientID=identifier).save(folder / name)
    return IDENTIFIERS


CASES.add("patient_id_of_two_values", partial(_one, PatientID="a\\b"))


def _half(folder: Path, wanted=right, **tags) -> Wanted:
    """The second half of the images has other tags."""
    return wanted(Scan().each(**tags, only=range(4, 8)).save(folder).truth)


CASES.add("one_id_for_two_names_and_birth_dates", partial(
    _half, wanted=lambda truth: refused("two patients"), PatientName="Roe^K", PatientBirthDate="19330303"))  # fmt: skip
for keyword, value in {"PatientName": "Roe^K", "PatientBirthDate": "19330303"}.items():
    CASES.add(
        f"one_id_for_two_of_{keyword}",
        lambda folder, tags={keyword: value}: _half(folder, lambda truth: warned(truth, "two patients"), **tags),
    )
CASES.add("half_without_id_and_birth_date", partial(_half, PatientID="", PatientBirthDate=None))
