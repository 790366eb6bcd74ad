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

import io
import random
from pathlib import Path

import pydicom
import pytest
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from volume_files import axial_affine, world_values, write_series

from monai_ssl.data.dicom import header
from monai_ssl.data.dicom.scan import scan_header

BUNDLED = sorted(Path(pydicom.data.__file__).with_name("test_files").rglob("*.dcm"))


def outcome(path):
    try:
        return header.read_headers(path, 4.0)
    except (ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"


def by_pydicom(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(header, "scan_header", lambda stream, tags: None)
        return outcome(path)


def is_scanned(path):
    with open(path, "rb") as stream:
        return scan_header(stream, header._TAGS) is not None


def usual(folder, syntax, undefined):
    """One small image with a nested sequence before its pixels, as bytes."""
    (path,) = write_series(folder, axial_affine(), world_values(axial_affine(), (4, 3, 1)))
    dataset = pydicom.dcmread(path)
    inner = pydicom.Dataset()
    inner.PatientID, inner.Rows = "another", 77
    inner.ReferencedImageSequence = Sequence([pydicom.Dataset(), pydicom.Dataset()])
    dataset.ReferencedStudySequence = Sequence([inner, inner])
    for element in (dataset["ReferencedStudySequence"], inner["ReferencedImageSequence"]):
        element.is_undefined_length = undefined
        for item in element.value:
            item.is_undefined_length_sequence_item = undefined
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    dataset.save_as(stream, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    return stream.getvalue()


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.name)
def test_files_of_pydicom_are_read_as_pydicom_reads_them(path, monkeypatch):
    assert outcome(path) == by_pydicom(path, monkeypatch)


def test_most_files_are_of_the_usual_kind():
    assert sum(map(is_scanned, BUNDLED)) > len(BUNDLED) / 2


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_damage_is_never_read_as_something_else(tmp_path, monkeypatch, syntax, undefined):
    content = usual(tmp_path / "series", syntax, undefined)
    path = tmp_path / "image.dcm"
    path.write_bytes(content)
    assert is_scanned(path)
    (read,) = outcome(path)
    assert (read.rows, read.columns, read.patient) == (3, 4, "0042")
    assert [read] == by_pydicom(path, monkeypatch)
    chance = random.Random(0)
    compared = 0
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(chance.choice((1, 1, 2))):
            at = chance.randrange(132, len(damaged))
            damaged[at] = chance.choice((0, 255, chance.randrange(256), damaged[at] ^ 1 << chance.randrange(8)))
        path.write_bytes(damaged[: chance.choice((len(damaged), len(damaged), chance.randrange(len(damaged))))])
        theirs = by_pydicom(path, monkeypatch)
        # pydicom looks at every element of the meta header, also at those that nobody asks for.
        if not str(theirs).startswith("ValueError: damaged DICOM file"):
            assert outcome(path) == theirs
            compared += is_scanned(path)
    assert compared > 50
