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

"""The oracle of `check_volumes` is `slice_volumes`: what the one foretells, the other does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from volume_files import (
    OTHER_SHAPE,
    SHAPE,
    axial_affine,
    world_values,
    write_nifti,
    write_series,
    write_source,
)

from monai_ssl.data import RejectedVolumeError, SliceStore, check_volumes, find_volumes, slice_volumes
from monai_ssl.data.dicom.volume import DicomVolume
from monai_ssl.data.pseudonyms import Pseudonyms

COLUMNS = ["series", "slices", "size", "spacing", "modality", "format", "verdict", "reasons"]


@pytest.fixture
def source(tmp_path):
    """Volumes of every verdict, some of which only their voxels condemn, and files that are none."""
    folder = write_source(tmp_path / "in")
    affine = axial_affine()
    values = world_values(affine, OTHER_SHAPE)
    damaged = write_series(folder / "damaged", affine, values, seed=2)
    damaged[3].write_bytes(damaged[3].read_bytes()[:-200])
    write_series(
        folder / "two", affine, values, seed=3, change=lambda image, k: setattr(image, "PatientID", str(k % 2))
    )
    write_series(folder / "gap", affine, values, seed=4)[2].unlink()
    write_nifti(folder / "n" / "constant.nii.gz", affine, np.full(OTHER_SHAPE, 7, np.int16))
    compressed = write_nifti(folder / "n" / "bit.nii.gz", affine, values)
    data = bytearray(compressed.read_bytes())
    data[-6] ^= 1  # in the checksum
    compressed.write_bytes(data)
    lost = values.astype(np.float32)
    lost[0, 0, 0] = np.nan
    write_nifti(folder / "n" / "nan.nii.gz", affine, lost)
    (folder / "empty").touch()
    return folder


@pytest.mark.parametrize("selection", [{}, {"include": ("*.nii.gz", "*.dcm"), "modality": "MR"}])
def test_tells_what_slicing_does(source, tmp_path, selection):
    table = check_volumes(source, workers=1, **selection)
    slice_volumes(source, tmp_path / "out", reduce="all", pseudonym_key=b"key", workers=1, **selection)
    store = SliceStore.open(tmp_path / "out")
    assert table.columns.tolist() == COLUMNS
    assert set(table["verdict"]) == {"accept", "warn", "refuse"}

    pseudonyms = Pseudonyms(b"key")
    names = {pseudonyms("volume", volume.source): volume.name for volume in find_volumes(source)[0]}
    sliced = store.table.groupby("volume").size().rename(names).to_dict()
    accepted = table[table["verdict"] != "refuse"]
    assert accepted.set_index("series")["slices"].to_dict() == sliced

    rejected = pd.read_csv(store.path / "rejected.csv")
    done = {f"{file}: {reason}" for file, reason in rejected.itertuples(index=False)}
    refused = table.loc[table["verdict"] == "refuse", ["series", "reasons"]].itertuples(index=False)
    assert {text if text in done else f"{file}: {text}" for file, text in refused} == done
    assert len(rejected) == (table["verdict"] == "refuse").sum()

    warnings = pd.read_csv(store.path / "warnings.csv")
    given = set(warnings[warnings["file"].isin(accepted["series"])].itertuples(index=False, name=None))
    told = {(row.series, reason) for row in accepted.itertuples() for reason in row.reasons.splitlines()}
    assert told == given
    assert (accepted["verdict"] == "warn").tolist() == accepted["series"].isin({file for file, _ in given}).tolist()


def test_rows_say_what_the_files_were_made_of(source):
    table = check_volumes(source, workers=1).set_index("series")
    row = table.loc["a/0_0"]
    assert row.to_dict() == {
        "slices": SHAPE[2],
        "size": "40x36",
        "spacing": "0.8x0.9x2.5",
        "modality": "CT",
        "format": "DICOM",
        "verdict": "accept",
        "reasons": "",
    }
    assert table.loc["n/Doe Jane.nii.gz", "modality"] == ""
    assert pd.isna(table.loc["notes.txt", "slices"])
    assert table.loc["notes.txt", ["size", "spacing", "modality", "format"]].tolist() == [""] * 4


def test_headers_only_does_not_read_voxels(source, monkeypatch):
    monkeypatch.setattr(DicomVolume, "read", lambda self: 1 / 0)
    read, unread = (check_volumes(source, headers_only=only, workers=1).set_index("series") for only in (False, True))
    assert read.loc["a/0_0", "verdict"] == "refuse"
    assert unread.loc["a/0_0", "verdict"] == "accept"
    assert unread.index.tolist() == read.index.tolist()


def test_processes_tell_the_same_and_write_nothing(source, tmp_path):
    def state():
        return {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}

    before = state()
    pd.testing.assert_frame_equal(check_volumes(source, workers=2), check_volumes(source, workers=1))
    assert state() == before


def test_a_reader_that_breaks_is_a_refusal_worded_as_in_the_store(source, tmp_path, monkeypatch):
    def break_down(self):
        raise RuntimeError("odd")

    monkeypatch.setattr(DicomVolume, "read", break_down)
    slice_volumes(source, tmp_path / "out", workers=1)
    rejected = pd.read_csv(tmp_path / "out" / "rejected.csv").set_index("file")["reason"]
    table = check_volumes(source, workers=1).set_index("series")
    assert table.loc["a/0_0", "reasons"] == rejected["a/0_0"]
    assert "odd" in rejected["a/0_0"]


def test_a_refusal_that_names_another_file_keeps_its_name(source, monkeypatch):
    def refuse(self):
        raise RejectedVolumeError("a/damaged", "truncated")

    monkeypatch.setattr(DicomVolume, "read", refuse)
    assert check_volumes(source, workers=1).set_index("series").loc["a/0_0", "reasons"] == "a/damaged: truncated"


def test_tells_no_identifier(tmp_path):
    affine = axial_affine()
    values = world_values(affine, OTHER_SHAPE)
    write_series(tmp_path, affine, values, patient="SECRET", change=lambda image, k: setattr(image, "Modality", "DOE"))
    text = check_volumes(tmp_path, workers=1).to_csv()
    (volume,) = find_volumes(tmp_path)[0]
    for identifier in (volume.series, "SECRET", "DOE", "Jane"):
        assert identifier not in text
    assert ",other,DICOM," in text


def test_nothing_found_is_an_empty_table(tmp_path):
    table = check_volumes(tmp_path, workers=1)
    assert table.empty
    assert table.columns.tolist() == COLUMNS


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [("absent", {}, "absent: does not exist"), (".", {"workers": 0}, "workers must be None .* got 0")],
)
def test_bad_arguments_are_named(tmp_path, path, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        check_volumes(tmp_path / path, **options)
