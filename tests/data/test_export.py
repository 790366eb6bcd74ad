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
import shutil
from fractions import Fraction
from math import floor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from monai.transforms import ScaleIntensityRange
from volume_files import axial_affine, world_values, write_nifti, write_series

from monai_ssl.data import FinetuningData, SliceStore, export_png, list_images, slice_volumes
from monai_ssl.data.export import to_8_bit
from monai_ssl.data.windows import WINDOWS

WINDOW_CASES = [*WINDOWS.values(), (-160, 240), (0, 255), (-1000, 1000), (0.5, 2.25)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Twelve patients, each a CT of six slices, labelled by slice; every other slice is dropped."""
    folder = tmp_path_factory.mktemp("store")
    affine, shape = axial_affine(), (20, 24, 6)
    rows = []
    for number in range(12):
        values = world_values(affine, shape) - 60 * number
        write_series(folder / "in" / str(number), affine, values, patient=f"secret{number}", uid=f"1.2.3.{number}")
        # Only dropped slices show the finding, so that a table of kept ones alone would be split otherwise.
        for index in range(6):
            finding = int(number < 5 and index == 1)
            rows.append((f"1.2.3.{number}", affine[2, 3] + index * affine[2, 2], finding, (number + index) % 2))
    table = pd.DataFrame(rows, columns=["series", "position_mm", "finding", "other"])
    table.to_csv(folder / "labels.csv", index=False)
    options = {"reduce": "every_n:2", "labels": folder / "labels.csv", "pseudonym_key": "key", "workers": 1}
    return slice_volumes(folder / "in", folder / "out", **options)


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != ".lock"}


@pytest.mark.parametrize(("low", "high"), WINDOW_CASES)
def test_rounding_is_that_of_exact_fractions(low, high):
    values = np.arange(-1500, 2500)
    exact = [floor(255 * (Fraction(int(v)) - Fraction(low)) / (Fraction(high) - Fraction(low)) + Fraction(1, 2))
             for v in values]  # fmt: skip
    expected = [min(max(value, 0), 255) for value in exact]
    for dtype in (np.int16, np.float32):
        shown = to_8_bit(values.astype(dtype), low, high)
        assert shown.dtype == np.uint8
        assert shown.tolist() == expected


@pytest.mark.parametrize(("low", "high"), WINDOW_CASES)
def test_within_half_a_grey_level_of_monai(low, high):
    values = np.random.default_rng(0).uniform(-2000, 3000, (64, 64)).astype(np.float32)
    peer = ScaleIntensityRange(low, high, 0, 255, clip=True)(values).numpy()
    assert np.abs(to_8_bit(values, low, high) - peer).max() <= 0.5 + 1e-3


@pytest.mark.parametrize(("window", "limits"), [("lung", WINDOWS["lung"]), ((-500, 700), (-500, 700))])
def test_each_kept_slice_is_a_grey_png_and_nothing_more(store, tmp_path, window, limits):
    output = export_png(store, tmp_path / "png", window, workers=1)
    images = list_images(output)
    assert sorted(images["image"]) == sorted(store.kept["slice"] + ".png")
    for number, name in enumerate(store.kept["slice"]):
        picture = cv2.imread(str(output / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(picture, to_8_bit(store[number], *limits))
        data, at, chunks = (output / f"{name}.png").read_bytes(), 8, set()
        while at < len(data):
            chunks.add(data[at + 4 : at + 8])
            at += 12 + int.from_bytes(data[at : at + 4], "big")
        assert chunks == {b"IHDR", b"IDAT", b"IEND"}
    everything = b"".join(pictures(output).values()) + " ".join(pictures(output)).encode()
    assert b"secret" not in everything
    assert b"1.2.3." not in everything


def test_minmax_spans_the_valid_values_of_each_volume(tmp_path):
    values = np.random.default_rng(0).uniform(50, 60, (3, 10, 10, 4)).astype(np.float32)
    values[1] *= 1000
    values[0, 0, 0, 0] = np.nan
    values[2] = 7  # constant
    for number, volume in enumerate(values):
        write_nifti(tmp_path / "in" / f"{number}.nii", axial_affine(), volume)
    store = slice_volumes(tmp_path / "in", tmp_path / "out", reduce="every_n:2", workers=1)
    output = export_png(store.path, tmp_path / "png", "minmax", workers=1)
    for name, rows in store.kept.groupby("volume"):
        # Dropped slices count too: the window is that of the volume.
        whole = values[np.argmin([abs(np.nanmean(v) - rows["mean"].mean()) for v in values])]
        low, high = np.nanmin(whole), np.nanmax(whole)
        for index, file in zip(rows["index"], rows["slice"], strict=True):
            shown = cv2.imread(str(output / f"{file}.png"), cv2.IMREAD_UNCHANGED)
            true = np.nan_to_num(whole[:, :, index], nan=low).astype(float)
            expected = (true - low) / (high - low) * 255 if high > low else 0 * true
            assert np.abs(np.sort(shown.ravel()) - np.sort(expected.ravel())).max() <= 0.5 + 1e-3, name


def test_fine_tunes_as_the_store_does(store, tmp_path, caplog):
    output = export_png(store, tmp_path / "png", "lung", workers=1)
    assert pd.read_csv(output / "labels.csv", nrows=0).columns.tolist() == ["image", "patient", "finding", "other"]
    ours, theirs = (FinetuningData(folder, needed=()) for folder in (output, store.path))
    assert ours.problems == theirs.problems == []
    columns = ["patient", "split", "finding", "other"]
    expected = theirs.table.assign(image=theirs.table["image"] + ".png").set_index("image")[columns]
    assert ours.table.set_index("image")[columns].sort_index().equals(expected.sort_index())
    assert "have no label" not in caplog.text


def test_split_and_class_columns_are_carried(store, tmp_path):
    labels = pd.DataFrame({"split": ["train", "test"], "class": ["01", "NA"]}, index=store.kept["slice"].iloc[[0, -1]])
    partly = SliceStore(store.path, store.settings, store.table, labels)
    output = export_png(partly, tmp_path / "png", "bone", workers=1)
    data = FinetuningData(output, task="multiclass", needed=())
    assert data.problems == []
    assert data.table.sort_values("image")["split"].tolist() == ["train", "test"]
    assert data.label_names == ["01", "NA"]


def test_warns_of_images_whose_patient_no_label_tells(store, tmp_path, caplog):
    partly = SliceStore(store.path, store.settings, store.table, store.labels.iloc[:6])
    export_png(partly, tmp_path / "png", "bone", workers=1)
    assert "33 of 36 images have no label" in caplog.text


def test_without_labels_the_table_tells_the_patients(store, tmp_path):
    bare = SliceStore(store.path, store.settings, store.table, None)
    table = pd.read_csv(export_png(bare, tmp_path / "png", "bone", workers=1) / "labels.csv", dtype=str)
    assert table["image"].tolist() == (store.kept["slice"] + ".png").tolist()
    assert table["patient"].tolist() == store.kept["patient"].tolist()


def test_a_store_that_is_not_finished_is_refused(store, tmp_path):
    shutil.copytree(store.path, tmp_path / "half")
    settings = json.loads((tmp_path / "half" / "store.json").read_text())
    (tmp_path / "half" / "store.json").write_text(json.dumps(settings | {"complete": False}))
    with pytest.raises(ValueError, match="not finished; repeat the command"):
        export_png(tmp_path / "half", tmp_path / "png", "lung", workers=1)
    with pytest.raises(ValueError, match="workers must be"):
        export_png(store, tmp_path / "png", "lung", workers=0)


def test_goes_on_where_it_was_stopped(store, tmp_path, monkeypatch):
    whole = pictures(export_png(store, tmp_path / "whole", "lung", workers=2))
    encode, done = cv2.imencode, []

    def stop(*arguments):
        if len(done) == 7:
            raise KeyboardInterrupt
        done.append(encode(*arguments))
        return done[-1]

    with monkeypatch.context() as patch:
        patch.setattr(cv2, "imencode", stop)
        with pytest.raises(KeyboardInterrupt):
            export_png(store, tmp_path / "png", "lung", workers=1)
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "png").glob("*.png")}
    assert len(first) == 7
    export_png(store, tmp_path / "png", "lung", workers=1)
    assert pictures(tmp_path / "png") == whole
    assert {path: path.stat().st_mtime_ns for path in first} == first


def test_full_disk_ends_in_one_line_and_the_rest_follows(store, tmp_path, monkeypatch):
    write, written = Path.write_bytes, []

    def fill(path, data):
        if len(written) == 5:
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        with pytest.raises(OSError, match=r"png: No space left on device; .* the same command goes on") as caught:
            export_png(store, tmp_path / "png", "lung", workers=1)
    assert len(str(caught.value).splitlines()) == 1
    assert len(pictures(tmp_path / "png")) == 6  # five pictures and export.json
    export_png(store, tmp_path / "png", "lung", workers=1)
    assert pictures(tmp_path / "png") == pictures(export_png(store, tmp_path / "whole", "lung", workers=1))


@pytest.mark.parametrize(
    ("output", "window", "message"),
    [
        ("new", "lungs", "window must be one of lung, .* or minmax, got 'lungs'"),
        ("new", (100, -100), "two finite numbers, the lowest first"),
        ("new", (0, float("nan")), "two finite numbers, the lowest first"),
        ("store/png", "lung", "neither in .* nor around it"),
        ("store", "lung", "neither in .* nor around it"),
        (".", "lung", "neither in .* nor around it"),
        ("foreign", "lung", "not empty, it holds export.json, notes.txt"),
        ("bone", "lung", "holds an export with window bone"),
        ("other", "lung", "holds an export with another store"),
        ("notes.txt", "lung", "is a file"),
    ],
)
def test_refuses_before_anything_is_written(store, tmp_path, output, window, message):
    (tmp_path / "store").symlink_to(store.path)
    for name in ("foreign", "bone", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "foreign" / "notes.txt").write_text("mine")
    (tmp_path / "foreign" / "export.json").write_text("[]")
    settings = {"format": "monai_ssl png export", "window": "bone", "slices_sha256": ""}
    (tmp_path / "bone" / "export.json").write_text(json.dumps(settings))
    (tmp_path / "other" / "export.json").write_text(json.dumps({**settings, "window": "lung"}))
    before = sorted(store.path.rglob("*")), sorted(tmp_path.rglob("*"))
    around = store.path.parent if output == "." else tmp_path / output
    with pytest.raises(ValueError, match=message):
        export_png(store, around, window, workers=1)
    assert (sorted(store.path.rglob("*")), sorted(tmp_path.rglob("*"))) == before
