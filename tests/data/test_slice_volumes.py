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

import concurrent.futures
import hashlib
import json
import os
import re
import stat
import time

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
from volume_files import (
    OTHER_SHAPE,
    REAL_DATA,
    SHAPE,
    axial_affine,
    world_values,
    write_nifti,
    write_series,
    write_source,
)

from monai_ssl.data import SliceStore, find_volumes, slice_volumes
from monai_ssl.reduction import hash_slices, select_exemplars

ROLLED = [[0.995, -0.0998, 0], [0.0998, 0.995, 0], [0, 0, 1]]


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "in")


def digests(store):
    files = [file for file in store.rglob("*") if file.is_file() and file.name != ".lock"]
    return {file.relative_to(store).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_store_holds_the_source_voxel_for_voxel(source, tmp_path):
    store = slice_volumes(source, tmp_path / "out", reduce="all", workers=1)
    assert len(store) == len(store.table) == SHAPE[2] + 2 * OTHER_SHAPE[2]
    affine = axial_affine()
    stacks = {
        tuple(values.shape): values for values in (world_values(affine, SHAPE), 900 - world_values(affine, OTHER_SHAPE))
    }
    found = 0
    for _, rows in store.kept.groupby("volume"):
        images = np.stack([store[i] for i in rows.index])
        # For this affine display orientation is the DICOM file's own: rows by columns.
        stack = images.transpose(2, 1, 0)
        found += any(np.array_equal(stack, values) for values in stacks.values())
        np.testing.assert_allclose(rows["position_mm"], -71.75 + 2.5 * np.arange(len(rows)))
        np.testing.assert_array_equal(rows["min"], images.min(axis=(1, 2)))
        np.testing.assert_array_equal(rows["max"], images.max(axis=(1, 2)))
        np.testing.assert_allclose(rows["mean"], images.mean(axis=(1, 2)), atol=1e-4)
        assert rows["hash"].tolist() == [f"{int(value):016x}" for value in hash_slices(images)]
        assert rows["slice"].tolist() == [f"{rows['volume'].iloc[0]}_{k:04d}" for k in range(len(rows))]
    assert found == 2
    assert (store.table["dtype"] == "int16").all()
    assert (store.table["invalid"] == 0).all()


def test_reduction_keeps_exemplars_and_a_row_for_each_slice(source, tmp_path):
    everything = slice_volumes(source, tmp_path / "all", reduce="all", pseudonym_key="k", workers=1)
    reduced = slice_volumes(source, tmp_path / "few", reduce="dhash:20", pseudonym_key="k", workers=1)
    assert 0 < len(reduced) < len(everything) == len(reduced.table)
    for volume, rows in everything.table.groupby("volume"):
        exemplars = select_exemplars(np.array([int(text, 16) for text in rows["hash"]], dtype=np.uint64), 20)
        names = rows["slice"].to_numpy()
        mine = reduced.table[reduced.table["volume"] == volume]
        assert mine["exemplar"].tolist() == names[exemplars].tolist()
        assert mine["kept"].tolist() == (exemplars == np.arange(len(rows))).tolist()
        assert mine["row"].dropna().tolist() == list(range(int(mine["kept"].sum())))
    for i, name in enumerate(reduced.kept["slice"]):
        np.testing.assert_array_equal(reduced[i], everything.read(name))
    dropped = reduced.table[~reduced.table["kept"]].iloc[0]
    with pytest.raises(KeyError, match=f"was dropped, not stored; {dropped['exemplar']} stands for it"):
        reduced.read(dropped["slice"])


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_one_world_gives_the_same_display_whatever_the_source_axes(tmp_path, axis):
    base = axial_affine((1.0, 1.0, 1.0))
    base[:3, :3] = np.array(ROLLED) @ base[:3, :3]
    values = world_values(base, (20, 24, 16))
    stores = []
    for number, (order, flips) in enumerate([((0, 1, 2), ()), ((2, 0, 1), (0, 2)), ((1, 2, 0), (0, 1, 2))]):
        # The same voxels, written with permuted and reversed axes.
        turned, affine = values.transpose(order), base[:, [*order, 3]].copy()
        for flip in flips:
            affine[:3, 3] += affine[:3, flip] * (turned.shape[flip] - 1)
            affine[:3, flip] *= -1
            turned = np.flip(turned, flip)
        write_nifti(tmp_path / f"in{number}" / "v.nii", affine, np.ascontiguousarray(turned))
        store = slice_volumes(tmp_path / f"in{number}", tmp_path / f"out{number}", axis=axis, reduce="all", workers=1)
        by_position = store.kept.sort_values("position_mm")
        stores.append((by_position["position_mm"].to_numpy(), np.stack([store[i] for i in by_position.index])))
    for positions, images in stores[1:]:
        np.testing.assert_allclose(positions, stores[0][0], atol=1e-4)
        np.testing.assert_array_equal(images, stores[0][1])
    # The world itself is the oracle. Each display axis as (array axis, world direction it runs to).
    runs_to = {
        "axial": ((2, 1), (1, -1), (0, -1)),
        "coronal": ((1, -1), (2, -1), (0, -1)),
        "sagittal": ((0, -1), (2, -1), (1, -1)),
    }[axis]
    steps = tuple(slice(None, None, int(direction * np.sign(base[a, a]))) for a, direction in runs_to)
    np.testing.assert_array_equal(stores[0][1], values.transpose([a for a, _ in runs_to])[steps])


def test_equal_bytes_for_any_number_of_workers_and_names(source, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("patient,nodule\n007,1\n7,0\n")
    one = slice_volumes(source, tmp_path / "one", labels=labels, pseudonym_key=b"key", workers=1)
    two = slice_volumes(source, tmp_path / "two", labels=labels, pseudonym_key=b"key", workers=2)
    assert digests(one.path) == digests(two.path)
    again = slice_volumes(source, tmp_path / "again", labels=labels, workers=1)
    assert digests(again.path) != digests(one.path)
    with_file = slice_volumes(
        source, tmp_path / "file", labels=labels, pseudonym_key=one.path / ".pseudonym_key", workers=1
    )
    assert digests(with_file.path) == digests(one.path)


def test_nothing_of_the_source_is_named(source, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("series,patient,nodule\n1.2.840.7,007,1\nn/Doe Jane.nii.gz,SECRET,0\nmissing,LOST,0\n")
    store = slice_volumes(source, tmp_path / "out", labels=labels, workers=1)
    names = " ".join(file.name for file in store.path.rglob("*"))
    texts = [file.read_text() for file in store.path.glob("*.csv") if file.name not in ("rejected.csv", "warnings.csv")]
    owner = (store.path / "rejected.csv").read_text() + (store.path / "warnings.csv").read_text()
    everything = " ".join([names, *texts, (store.path / "store.json").read_text()])
    for secret in ("1.2.840", "007", "Doe", "SECRET", "LOST", str(tmp_path)):
        assert secret not in everything.replace("_0007", "")
    for secret in ("1.2.840", "SECRET", "LOST", str(tmp_path)):
        assert secret not in owner
    assert stat.S_IMODE((store.path / ".pseudonym_key").stat().st_mode) == 0o600
    key = bytes.fromhex((store.path / ".pseudonym_key").read_text())
    assert len(key) == 32
    assert store.settings["pseudonym_key_fingerprint"] not in key.hex()
    assert store.table["patient"].nunique() == store.settings["counts"]["patients"] == 3


def test_leading_zeros_tell_patients_apart_and_series_of_one_patient_meet(tmp_path):
    affine, values = axial_affine(), world_values(axial_affine(), OTHER_SHAPE)
    for number, patient in enumerate(["007", "7", "007"]):
        write_series(tmp_path / "in" / str(number), affine, values, patient=patient, uid=f"1.2.{number}", seed=number)
    store = slice_volumes(tmp_path / "in", tmp_path / "out", workers=1)
    assert sorted(store.table.groupby("patient")["volume"].nunique()) == [1, 2]


def test_configuration_errors_come_all_at_once(tmp_path):
    wrong = {
        "axis": "up",
        "reduce": "dhsh:6",
        "resize": 2,
        "workers": 0,
        "labels": "no",
        "spacing": (1, 0, 1),
        "max_gib": -1,
    }
    with pytest.raises(ValueError, match="axis must be") as caught:
        slice_volumes(tmp_path / "no", tmp_path / "out", **wrong)
    text = str(caught.value)
    for part in (
        "dhash",
        "resize must be",
        "workers must be",
        "spacing must be",
        "max_gib must be",
        "no: does not exist",
        "give a csv",
    ):
        assert part in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["in", "in/out", "."])
def test_output_in_or_around_the_input_is_refused(source, tmp_path, place):
    before = digests(source)
    with pytest.raises(ValueError, match=r"must lie neither in .* nor around it"):
        slice_volumes(source, tmp_path / place)
    assert digests(source) == before


def test_finished_store_is_never_written_again(source, tmp_path):
    store = slice_volumes(source, tmp_path / "out", workers=1)
    before = digests(store.path)
    with pytest.raises(ValueError, match="already holds a finished store"):
        slice_volumes(source, tmp_path / "out", workers=1)
    assert digests(store.path) == before


@pytest.mark.parametrize("name", ["labels.csv", "slices.csv", "notes.txt"])
def test_files_of_the_user_in_the_output_are_left_alone(source, tmp_path, name):
    mine = tmp_path / "out" / name
    mine.parent.mkdir()
    mine.write_text("patient,nodule\n007,1\n")
    with pytest.raises(ValueError, match=f"not empty, it holds {name}"):
        slice_volumes(source, tmp_path / "out", workers=1)
    (tmp_path / "out" / ".pseudonym_key").write_text("ab\n")  # put there by the user, to name patients alike
    with pytest.raises(ValueError, match=f"not empty, it holds {name}"):
        slice_volumes(source, tmp_path / "out", workers=1)
    if name == "labels.csv":
        with pytest.raises(ValueError, match="lies in the output"):
            slice_volumes(source, tmp_path / "out", labels=mine, workers=1)
    assert mine.read_text() == "patient,nodule\n007,1\n"
    mine.unlink()
    (tmp_path / "out" / "rejected.csv").write_text("file,reason\n")  # as after a run that refused all
    slice_volumes(source, tmp_path / "out", workers=1)
    assert (tmp_path / "out" / ".pseudonym_key").read_text() == "ab\n"


@pytest.mark.parametrize("key", ["absent", ".", "in/notes.txt"])
def test_key_file_that_is_none_is_named_before_any_work(source, tmp_path, key):
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path / key))}: (cannot be read|not a pseudonym key)"):
        slice_volumes(source, tmp_path / "out", pseudonym_key=tmp_path / key, workers=1)
    assert not (tmp_path / "out").exists()


def test_volumes_that_go_by_one_name_are_all_sliced(tmp_path):
    affine = axial_affine()
    values = np.stack([world_values(affine, OTHER_SHAPE) + time for time in range(2)], axis=-1)
    write_nifti(tmp_path / "in" / "a.nii", affine, values)
    write_nifti(tmp_path / "in" / "b.nii", affine, values[..., 0] + 7)
    (tmp_path / "in" / "b.nii").rename(tmp_path / "in" / "a.nii#2")
    store = slice_volumes(tmp_path / "in", tmp_path / "out", reduce="all", split_time=True, workers=1)
    assert store.settings["counts"]["volumes"] == 3
    assert sorted(store.table.groupby("volume")["max"].max() - values.max()) == [-1, 0, 6]
    warnings = pd.read_csv(store.path / "warnings.csv")
    assert warnings["warning"].str.contains("another volume goes by the same name").sum() == 1


def test_file_names_of_any_bytes_end_no_run(tmp_path):
    affine = axial_affine()
    (tmp_path / "in").mkdir()
    try:
        (tmp_path / "in" / os.fsdecode(b"M\xfcller.txt")).write_text("text")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    write_nifti(tmp_path / "in" / os.fsdecode(b"\xff.nii"), affine, world_values(affine, OTHER_SHAPE))
    store = slice_volumes(tmp_path / "in", tmp_path / "out", workers=1)
    assert len(store.table) == OTHER_SHAPE[2]
    assert pd.read_csv(store.path / "rejected.csv")["file"].tolist() == [r"M\xfcller.txt"]


def test_damaged_volume_is_refused_and_the_others_stay(source, tmp_path):
    damaged = source / "n" / "Doe Jane.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:-6])
    store = slice_volumes(source, tmp_path / "out", workers=1)
    rejected = pd.read_csv(store.path / "rejected.csv")
    assert rejected["file"].tolist() == ["n/Doe Jane.nii.gz", "notes.txt"]
    assert store.settings["counts"]["volumes"] == 2


def test_all_refused_writes_the_reasons_and_no_store(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "=cmd.txt").write_text("text")
    with pytest.raises(ValueError, match=r"rejected\.csv"):
        slice_volumes(tmp_path / "in", tmp_path / "out")
    assert pd.read_csv(tmp_path / "out" / "rejected.csv")["file"].tolist() == ["'=cmd.txt"]
    with pytest.raises(ValueError, match=r"no store\.json"):
        SliceStore.open(tmp_path / "out")


def test_padding_never_reaches_the_statistics(tmp_path):
    values = world_values(axial_affine(), SHAPE)

    def pad(dataset, k):
        pixels = np.frombuffer(dataset.PixelData, "<i2").copy()
        pixels[:50] = -3000
        dataset.PixelData, dataset.PixelPaddingValue = pixels.tobytes(), -3000

    write_series(tmp_path / "in", axial_affine(), values, change=pad)
    store = slice_volumes(tmp_path / "in", tmp_path / "out", reduce="all", workers=1)
    valid = values.transpose(2, 1, 0).reshape(SHAPE[2], -1)[:, 50:]
    assert (store.table["invalid"] == 50).all()
    np.testing.assert_array_equal(store.table["min"], valid.min(axis=1))
    np.testing.assert_allclose(store.table["mean"], valid.mean(axis=1), atol=1e-4)
    assert store[3].min() == valid.min()


def test_resize_changes_the_stored_slices_alone(source, tmp_path):
    full = slice_volumes(source, tmp_path / "full", reduce="all", pseudonym_key="k", workers=1)
    small = slice_volumes(source, tmp_path / "small", reduce="all", pseudonym_key="k", resize=16, workers=1)
    pd.testing.assert_frame_equal(full.table, small.table)
    expected = cv2.resize(full[0].astype(np.float64), (16, 16), interpolation=cv2.INTER_AREA)
    assert small[0].dtype == np.int16
    np.testing.assert_allclose(small[0], expected, atol=0.5 + 1e-9)


def test_second_run_into_a_folder_in_use_is_refused(source, tmp_path, monkeypatch):
    import monai_ssl.data.slicing as slicing

    def slowly(root, **options):
        time.sleep(1)
        return find_volumes(root, **options)

    monkeypatch.setattr(slicing, "find_volumes", slowly)
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        first = thread.submit(slice_volumes, source, tmp_path / "out", workers=1)
        time.sleep(0.4)
        with pytest.raises(ValueError, match="in use"):
            slice_volumes(source, tmp_path / "out", workers=1)
        assert len(first.result()) > 0


@pytest.mark.skipif(not (REAL_DATA / "ct_head_dicom").is_dir(), reason="ct_head_dicom is not on this machine")
def test_real_head_end_to_end(tmp_path):
    store = slice_volumes(REAL_DATA / "ct_head_dicom", tmp_path / "out", reduce="dhash:6", workers=1)
    gaps = np.diff(store.table["position_mm"])
    np.testing.assert_allclose(np.unique(gaps.round(2)), [1.08, 4.0, 7.0], atol=0.011)
    assert (store.path / "warnings.csv").read_text().count("01.dcm") == 2
    settings = json.loads((store.path / "store.json").read_text())
    assert settings["counts"]["slices"] == 28
    assert store[0].shape == (512, 512)


@pytest.mark.parametrize("spacing", [0, -1, True, "1mm", "111", (1, 2), (1, 2, float("nan")), float("inf")])
def test_spacing_that_is_none_is_refused(source, tmp_path, spacing):
    with pytest.raises(ValueError, match="spacing must be None, a number of millimetres above 0, or three of them"):
        slice_volumes(source, tmp_path / "out", spacing=spacing)


@pytest.mark.parametrize("patient", ["../../../etc/x", "=HYPERLINK(1)", "x" * 300, "Müller^ß", "007"])
def test_identifiers_of_any_text_are_cells_and_never_paths(tmp_path, patient):
    write_series(tmp_path / "in", axial_affine(), world_values(axial_affine(), OTHER_SHAPE), patient="0")
    labels = tmp_path / "labels.csv"
    uid = find_volumes(tmp_path / "in")[0][0].series
    pd.DataFrame({"series": [uid], "patient": ["0"], "note": [patient]}).to_csv(labels, index=False)
    for file in (tmp_path / "in").iterdir():
        dataset = pydicom.dcmread(file)
        dataset.SpecificCharacterSet, dataset.PatientID = "ISO_IR 192", patient
        dataset.save_as(file)
    store = slice_volumes(tmp_path / "in", tmp_path / "out", identifiers=True, labels=labels, workers=1)
    told = pd.read_csv(store.path / "identifiers.csv", dtype=str)["source_patient"].tolist()
    assert told == ["'" + patient if patient.startswith("=") else patient]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in", "labels.csv", "out"]
    assert re.fullmatch("[0-9a-f]{16}", store.table["patient"].iloc[0])
