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

import errno
import json
import os
import re
import shutil

import numpy as np
import pandas as pd
import pydicom
import pytest
from killable_slicing import KEY, digests, stop_before_renaming
from volume_files import OTHER_SHAPE, axial_affine, world_values, write_nifti, write_series

import monai_ssl.data.choosing as choosing
import monai_ssl.data.slice_volume as slice_volume
from monai_ssl.data import SliceStore, reduce_store, slice_volumes
from monai_ssl.data.pseudonyms import Pseudonyms

AFFINE = axial_affine()
LABELS = "series,patient,position_mm,nodule,note\n"
OPTIONS = {"pseudonym_key": KEY, "identifiers": True, "reduce": "dhash:12", "workers": 1}


def name_of(number):
    return f"{number}.nii.gz" if number == 4 else f"{number}.nii"


def write(folder, number, shape=OTHER_SHAPE, change=0):
    """A volume; every third one as DICOM, and one whose end is far from its header."""
    shape = (64, 60, 6) if number == 4 else shape
    values = world_values(AFFINE, shape) + np.random.default_rng(number + change).integers(0, 90, shape, np.int16)
    if number % 3:
        return write_nifti(folder / name_of(number), AFFINE, values)
    return write_series(folder / f"s{number}", AFFINE, values, patient=f"p{number % 2}", uid=f"1.2.3.{number}")


def labels_of(file, *numbers):
    rows = (f"{name_of(n)},q{n % 4},-71.75,{n % 2},{'=b' if n > 5 else ''}\n" for n in numbers if n % 3)
    file.write_text(LABELS + "".join(rows) + "1.2.3.0,,-69.25,1,c\n")
    return file


@pytest.fixture
def source(tmp_path):
    """Six volumes, one of them refused on reading, and litter."""
    for number in range(6):
        write(tmp_path / "in", number)
    cut = tmp_path / "in" / "4.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-6])
    (tmp_path / "in" / "notes.txt").write_text("no image")
    labels_of(tmp_path / "labels.csv", 1, 2, 5)
    return tmp_path / "in"


def sliced(source, output, **options):
    return slice_volumes(source, output, **{**OPTIONS, "labels": source.parent / "labels.csv", **options})


def content(store):
    """What every run gives alike: all but the record, which has times of files in it."""
    found = digests(store)
    assert ".update" not in found
    del found[".sliced.json"]
    return found


def change_much(source):
    """Volumes are added, changed, mended, taken away; one is another patient's."""
    for number in range(6, 10):
        write(source, number)
    write(source, 2, change=100)
    write(source, 4)
    (source / "1.nii").unlink()
    (source / "more.txt").write_text("no image either")
    file = labels_of(source.parent / "labels.csv", *range(10))
    file.write_text(file.read_text().replace("5.nii,q1", "5.nii,other"))


def test_an_update_equals_slicing_anew(source, tmp_path, caplog):
    output = sliced(source, tmp_path / "out").path
    volumes = pd.unique(SliceStore.open(output).table["volume"])
    change_much(source)
    store = sliced(source, output, update=True)
    expected = sliced(source, tmp_path / "expected")
    assert digests(output) == digests(expected.path)
    assert "4 new, 3 changed, 2 as before; dropped, since they are no longer in the input: 1\n" in caplog.text
    places = np.flatnonzero(np.isin(pd.unique(store.table["volume"]), volumes, invert=True))
    assert 0 < places[1] < places[-2] < store.settings["counts"]["volumes"] - 1
    # Nothing new, and labels of patients alone.
    sliced(source, output, update=True)
    assert digests(output) == digests(expected.path)
    shutil.rmtree(expected.path)
    (source.parent / "labels.csv").write_text("series,patient\n2.nii,q0\n")
    sliced(source, output, update=True)
    assert digests(output) == digests(sliced(source, expected.path).path)
    assert not (output / "labels.csv").exists()


@pytest.mark.parametrize("table", [None, "series,patient\n2.nii,q0\n"])
@pytest.mark.parametrize("moved", [False, True])
def test_what_tables_hold_is_not_dropped_for_an_option_left_out(source, tmp_path, table, moved):
    if table:
        (tmp_path / "labels.csv").write_text(table)
    output = sliced(source, tmp_path / "out").path
    before = digests(output)
    if moved:
        source = source.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match=r"an update needs --labels CSV \(labels=...\), which was given for"):
        sliced(source, output, update=True, labels=None)
    with pytest.raises(ValueError, match=r"an update needs --identifiers \(identifiers=True\), since .*new folder"):
        sliced(source, output, update=True, identifiers=False)
    if not moved:
        with pytest.raises(ValueError, match=r"needs --labels CSV .* 6 of the volumes and --identifiers"):
            sliced(source, output, update=True, labels=None, identifiers=False)
    assert digests(output) == before
    # Scans that never had labels need none.
    write(tmp_path / "month", 7)
    for _ in range(2):
        counts = sliced(tmp_path / "month", output, labels=None, update=True).settings["counts"]
        assert counts["volumes"] == 6


def blank(source):
    """Other voxels in files of the same size and time."""
    for file in filter(os.path.isfile, source.rglob("*")):
        status, data = file.stat(), file.read_bytes()
        if file.suffix == ".nii":
            file.write_bytes(data[:352] + bytes(len(data) - 352))
        elif not file.suffix:
            pixels = pydicom.dcmread(file).PixelData
            file.write_bytes(data.replace(pixels, bytes(len(pixels))))
        assert file.stat().st_size == status.st_size
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_volumes_that_are_there_are_not_read_again(source, tmp_path):
    output = sliced(source, tmp_path / "out").path
    whole = shutil.copytree(source, tmp_path / "whole" / "in")
    labels = labels_of(tmp_path / "labels.csv", *range(8))
    blank(source)
    for number in (6, 7):
        write(source, number)
        write(whole, number)
    sliced(source, output, update=True)
    assert content(output) == content(sliced(whole, tmp_path / "expected", labels=labels).path)


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("dhash:20", {"scope": "dataset"}),
        ("dhash:20", {"scope": "patient"}),
        ("dhash", {"scope": "dataset", "target_fraction": 0.4}),
        ("ssim:0.5", {}),
        ("mi", {"target_fraction": 0.5}),
        ("random:0.5", {}),
    ],
)
def test_a_store_that_was_reduced_is_reduced_again(source, tmp_path, strategy, options):
    output = sliced(source, tmp_path / "out", reduce="all").path
    reduce_store(output, strategy, workers=1, **options)
    change_much(source)
    sliced(source, output, reduce="all", update=True)
    expected = sliced(source, tmp_path / "expected", reduce="all")
    everything = content(expected.path)
    reduce_store(expected.path, strategy, workers=1, **options)
    assert digests(output) == digests(expected.path)
    assert content(output) != everything


def test_slices_that_nothing_new_can_stand_for_are_not_compared_again(source, tmp_path, monkeypatch):
    output = sliced(source, tmp_path / "out", reduce="all").path
    reduce_store(output, "ssim:0.5", workers=1)
    compared = []
    compare = choosing._reduce_group
    monkeypatch.setattr(choosing, "_reduce_group", lambda task: compared.append(task) or compare(task))
    for number in (6, 7):
        write(source, number)
    sliced(source, output, reduce="all", update=True)
    assert len(compared) == 2
    reduce_store(output, "dhash:20", scope="patient")
    write(source, 9)  # of the patient of volume 3
    (source / "2.nii").unlink()  # of the patient of none
    compared.clear()
    sliced(source, output, reduce="all", update=True)
    assert [len(slices.places) for slices, *_ in compared] == [2 * OTHER_SHAPE[2]]


def test_a_reduction_that_was_stopped_is_completed(source, tmp_path, monkeypatch):
    output = sliced(source, tmp_path / "out", reduce="all").path
    with monkeypatch.context() as patch:
        stop_before_renaming(patch, "slices.csv")
        with pytest.raises(KeyboardInterrupt):
            reduce_store(output, "dhash:20")
    sliced(source, output, reduce="all", update=True)
    expected = sliced(source, tmp_path / "expected", reduce="all")
    reduce_store(expected.path, "dhash:20")
    assert digests(output) == digests(expected.path)


def image_of(bits):
    """(9, 8) int16 whose difference hash has these 64 bits: it grows from column to column where one is set."""
    steps = np.where(np.reshape(bits, (8, 8)), 10, -10)
    return np.concatenate([np.zeros((8, 1)), steps.cumsum(axis=1)], axis=1).T.astype(np.int16)


def test_a_slice_to_keep_that_was_never_stored_leaves_the_store_as_it_was(tmp_path):
    # Of A, B, C in a row, C drops out for B; with A of a volume before, B drops out for A, and C is far from A.
    order = sorted(("x.nii", "y.nii"), key=lambda name: Pseudonyms(KEY.encode())("volume", name))
    bits = np.zeros((3, 64), dtype=bool)
    bits[1, :5] = bits[2, :10] = True
    a, b, c = map(image_of, bits)
    source = tmp_path / "in"
    write_nifti(source / order[1], np.eye(4), np.stack([b, c], axis=-1))
    options = {"pseudonym_key": KEY, "reduce": "dhash:6", "workers": 1}
    output = slice_volumes(source, tmp_path / "out", **options).path
    reduce_store(output, "dhash:6", scope="dataset")
    before = digests(output)
    write_nifti(source / order[0], np.eye(4), a[..., None])
    with pytest.raises(ValueError, match=r"would keep 1 slices that were never stored; .* stays as it was, without"):
        slice_volumes(source, output, update=True, **options)
    after = digests(output)
    assert {name: after[name] for name in before} == before
    assert len(SliceStore.open(output)) == 1
    reduce_store(output, "dhash:6")
    slice_volumes(source, output, update=True, **options)
    assert digests(output) == digests(slice_volumes(source, tmp_path / "expected", **options).path)


def test_a_failure_to_write_leaves_the_store_as_it_was(source, tmp_path, monkeypatch):
    output = sliced(source, tmp_path / "out").path
    before = digests(output)
    change_much(source)
    written = []
    write_images = slice_volume._write_images

    def fail(*args):
        written.append(write_images(*args))
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(slice_volume, "_write_images", fail)
        with pytest.raises(OSError, match=r"out: No space .*; the store is as it was, 4 of 9 volumes are done; on"):
            sliced(source, output, update=True)
    after = digests(output)
    assert {name: after[name] for name in before} == before
    sliced(source, output, update=True)
    assert digests(output) == digests(sliced(source, tmp_path / "expected").path)


def test_a_folder_of_new_scans_alone_is_added(source, tmp_path, caplog):
    output = sliced(source, tmp_path / "out").path
    month, whole = tmp_path / "month", shutil.copytree(source, tmp_path / "whole" / "in")
    for number in range(6, 10):
        write(month, number)
    (month / "more.txt").write_text("no image either")
    shutil.copytree(month, whole, dirs_exist_ok=True)
    both = labels_of(tmp_path / "whole" / "labels.csv", 1, 2, 5, 7, 8)
    new = labels_of(tmp_path / "new.csv", 7, 8)
    new.write_text(new.read_text().replace("1.2.3.0,,-69.25,1,c\n", ""))
    store = sliced(month, output, labels=new, update=True)
    assert "4 new, 0 changed, 0 as before; kept, since they came from another input: 5\n" in caplog.text
    expected = sliced(whole, tmp_path / "expected", labels=both)
    assert content(output) == content(expected.path)
    # The same again changes nothing, and each input answers for its own.
    sliced(month, output, labels=new, update=True)
    assert content(output) == content(expected.path)
    for folder in (source, whole):
        (folder / "1.nii").unlink()
        (folder / "notes.txt").unlink()
        write(folder, 4)
    sliced(source, output, labels=labels_of(tmp_path / "old.csv", 2, 4, 5), update=True)
    labels_of(both, 2, 4, 5, 7, 8)
    assert content(output) == content(sliced(whole, tmp_path / "expected again", labels=both).path)
    assert store.settings["counts"]["volumes"] == 9


def test_a_folder_that_was_moved_is_the_same(source, tmp_path, caplog):
    output = sliced(source, tmp_path / "out").path
    before = content(output)
    moved = source.rename(tmp_path / "moved")
    sliced(moved, output, update=True)
    assert "0 new, 0 changed, 6 as before\n" in caplog.text
    assert content(output) == before
    (moved / "notes.txt").unlink()
    assert sliced(moved, output, update=True).settings["counts"]["rejected"] == 1


def test_another_volume_of_a_known_name_is_refused_and_the_known_one_stays(source, tmp_path):
    output = sliced(source, tmp_path / "out").path
    before = {file.name: file.read_bytes() for file in (output / "volumes").iterdir()}
    write(tmp_path / "month", 2, change=7)
    write(tmp_path / "month", 7)
    sliced(tmp_path / "month", output, labels=None, update=True)
    rejected = pd.read_csv(output / "rejected.csv")
    assert rejected["file"].tolist() == ["2.nii", "4.nii.gz", "notes.txt"]
    assert "goes by this name in the store" in rejected["reason"][0]
    now = {file.name: file.read_bytes() for file in (output / "volumes").iterdir()}
    assert len(now) == len(before) + 1
    assert now | before == now


@pytest.mark.parametrize("link", [False, True])
def test_the_same_files_from_a_folder_within_are_not_added_again(source, tmp_path, caplog, link):
    for number in (1, 2, 5):
        (source / name_of(number)).rename(write(source / "nifti", number))
    plain = {"labels": None}
    output = sliced(source, tmp_path / "out", **plain).path
    before = digests(output)
    within = source / "nifti"
    if link:
        within = tmp_path / "linked"
        within.mkdir()
        for file in (source / "nifti").iterdir():
            (within / file.name).symlink_to(file)
    with pytest.raises(ValueError, match=r"stays as it was, all volumes .* refused: 3, equal files are in the store, "):
        sliced(within, output, update=True, **plain)
    assert digests(output) == before
    write(within, 7)
    for _ in range(2):
        store = sliced(within, output, update=True, **plain)
        rejected = pd.read_csv(store.path / "rejected.csv", index_col="file")["reason"]
        assert rejected[["1.nii", "2.nii", "5.nii"]].str.contains("to have it under this name, slice into a new").all()
        assert store.settings["counts"]["patients"] == 6
    told = "1 new, 0 changed, 0 as before; kept, since they came from another input: 5; refused, see rejected.csv: 3, "
    assert told in caplog.text
    # And the folder around it, where the one added is new, or not at all.
    assert sliced(source, output, update=True, **plain).settings["counts"]["patients"] == 6
    assert (pd.read_csv(output / "rejected.csv")["file"] == "nifti/7.nii").any() != link


def test_volumes_that_differ_in_the_middle_alone_are_not_the_same(source, tmp_path):
    values = np.zeros((200, 200, 12), np.int16)
    output = slice_volumes(write_nifti(tmp_path / "a" / "1.nii", AFFINE, values), tmp_path / "out", **OPTIONS).path
    values[100, 100, 6] = 1
    write_nifti(tmp_path / "b" / "2.nii", AFFINE, values)
    store = slice_volumes(tmp_path / "b", output, update=True, **OPTIONS)
    assert store.settings["counts"]["volumes"] == 2
    # Nor is a file that changed there alone.
    values[100, 100, 6] = 2
    write_nifti(tmp_path / "b" / "2.nii", AFFINE, values)
    assert slice_volumes(tmp_path / "b", output, update=True, **OPTIONS).table["max"].max() == 2


@pytest.mark.parametrize("reduce", ["dhash:12", "all"])
def test_a_copy_with_other_times_is_the_same(source, tmp_path, caplog, monkeypatch, reduce):
    output = sliced(source, tmp_path / "out", reduce=reduce).path
    before = content(output)
    copy = shutil.copytree(source, tmp_path / "copy", copy_function=shutil.copyfile)
    for file in filter(os.path.isfile, copy.rglob("*")):
        os.utime(file, (7, 7))
    with monkeypatch.context() as patch:
        patch.setattr(slice_volume, "_write_images", None)
        sliced(copy, output, update=True, reduce=reduce)
    assert "0 new, 1 changed, 5 as before\n" in caplog.text  # the damaged one is looked at again
    assert content(output) == before
    assert digests(output) == digests(sliced(copy, tmp_path / "expected", reduce=reduce).path)
    # Others of these names are refused, and this is told.
    shutil.rmtree(tmp_path / "copy")
    for number in (1, 2):
        write(copy.parent / "others", number, change=3)
    with pytest.raises(ValueError, match="all volumes of the input are refused: 2, a volume that came from elsewhere"):
        sliced(tmp_path / "others", output, labels=None, update=True, reduce=reduce)
    assert content(output) == before


def test_labels_of_volumes_from_elsewhere_must_go_with_the_new_ones(source, tmp_path):
    output = sliced(source, tmp_path / "out").path
    before = digests(output)
    write(tmp_path / "month", 7)
    labels = tmp_path / "other.csv"
    labels.write_text("series,effusion\n7.nii,1\n")
    with pytest.raises(ValueError, match=r"has the labels effusion, and volumes .* elsewhere have nodule, note in"):
        sliced(tmp_path / "month", output, labels=labels, update=True)
    assert digests(output) == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"axis": "coronal"}, "made with other arguments: axis was axial, now coronal; an update needs those"),
        ({"reduce": "all", "resize": 16}, "reduce was dhash:12, now all; resize was None, now 16"),
        ({"pseudonym_key": "other"}, "another key"),
        ({"update": False}, "already holds a finished store; .* bring it up to date with the input by --update"),
    ],
)
def test_other_arguments_are_refused_and_named(source, tmp_path, options, told):
    output = sliced(source, tmp_path / "out").path
    before = digests(output)
    with pytest.raises(ValueError, match=told):
        sliced(source, output, **{"update": True, **options})
    assert digests(output) == before


def test_what_cannot_be_updated_is_told(source, tmp_path):
    with pytest.raises(ValueError, match="there is no finished store to update; leave out --update"):
        sliced(source, tmp_path / "out", update=True)
    assert not (tmp_path / "out").exists()
    output = sliced(source, tmp_path / "out").path
    with pytest.raises(ValueError, match="must lie neither in"):
        sliced(tmp_path, output, labels=None, update=True)
    (tmp_path / "empty").mkdir()
    empty = sliced(source, tmp_path / "other").path
    shutil.rmtree(source)
    source.mkdir()
    with pytest.raises(ValueError, match=re.escape(f"{empty}: no volume would be left in the store, which stays")):
        sliced(source, empty, update=True)
    record = output / ".sliced.json"
    newer = json.loads(record.read_text())
    record.write_text(json.dumps({**newer, "version": "9"}))
    with pytest.raises(ValueError, match="made with other arguments: version was 9, now "):
        sliced(source, output, labels=None, update=True)
    record.write_text("{}")
    with pytest.raises(ValueError, match=r"\.sliced\.json: cannot be read, so it is not known"):
        sliced(source, output, labels=None, update=True)
    record.unlink()
    with pytest.raises(ValueError, match=r"\.sliced\.json: is absent, so .* into a new folder with --pseudonym"):
        sliced(source, output, labels=None, update=True)
    (output / ".slicing.json").write_text("{}")
    (output / "store.json").unlink()
    with pytest.raises(ValueError, match=r"slicing was stopped here; repeat the command .*, without --update"):
        sliced(source, output, labels=None, update=True)


def test_a_key_that_was_taken_away_must_be_given(source, tmp_path):
    output = sliced(source, tmp_path / "out").path
    key = (output / ".pseudonym_key").rename(tmp_path / "key")
    with pytest.raises(ValueError, match="is absent; give the key that the store was made with"):
        sliced(source, output, pseudonym_key=None, update=True)
    with pytest.raises(ValueError, match="made with another key"):
        sliced(source, output, pseudonym_key="other", update=True)
    write(source, 7)
    sliced(source, output, pseudonym_key=key, update=True)
    assert digests(output) == digests(sliced(source, tmp_path / "expected").path)


def test_the_record_names_nothing_that_the_tables_of_refusals_do_not(source, tmp_path):
    output = sliced(source, tmp_path / "out").path
    text = (output / ".sliced.json").read_text()
    named = set(pd.read_csv(output / "rejected.csv")["file"]) | set(pd.read_csv(output / "warnings.csv")["file"])
    for file in source.rglob("*"):
        assert file.name not in text or file.relative_to(source).as_posix() in named
    for secret in ("1.2.3", "p0", "p1", "q1", str(tmp_path)):
        assert secret not in text
