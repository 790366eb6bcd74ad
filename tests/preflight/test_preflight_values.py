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

from contextlib import nullcontext

import cv2
import numpy as np
import pydicom
import pytest
import torch

from monai_ssl.data import ImageData, slice_volumes
from monai_ssl.data.phantoms.canvas import Grid
from monai_ssl.data.phantoms.files import write_dicom_series
from monai_ssl.networks import create_backbone
from monai_ssl.preflight import check, expected_input, recorded_window, values_of
from monai_ssl.preflight.values import window_for

SETTINGS = {"backbone": "resnet18", "batch_size": 1, "window": None}


def write_scan(folder, lowest, modality, number):
    """6 slices of values up to 900."""
    hu = np.random.default_rng(0).integers(lowest, 900, (6, 20, 20)).astype(np.int16)
    write_dicom_series(folder, hu, Grid((6, 20, 20), (2.5, 0.8, 0.8), (-70.0, -8.0, -8.0)), f"P{number}", (0, number))
    for file in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.Modality = modality
        dataset.save_as(file)


def write(folder, name):
    """A small data set of one kind."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    if name in ("CT", "MR", "store"):
        write_scan(folder, 0 if name == "MR" else -1000, "MR" if name == "MR" else "CT", 1)
        if name == "store":
            slice_volumes(folder, folder.with_name("sliced"), reduce="all", workers=1)
            return ImageData(folder.with_name("sliced"))
    elif name == "float":
        cv2.imwrite(str(folder / "x.tiff"), generator.random((8, 8)).astype(np.float32))
    elif name == "array":
        np.save(folder / "x.npy", generator.integers(0, 900, (3, 8, 8)).astype(np.int16))
    else:
        kind = np.uint8 if name == "8 bit" else np.uint16
        cv2.imwrite(str(folder / "x.png"), generator.integers(0, 255, (8, 8)).astype(kind))
    return ImageData(folder)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("CT", "HU"),
        ("store", "HU"),
        ("MR", "other"),
        ("float", "other"),
        ("array", "other"),
        ("8 bit", "pictures"),
        ("16 bit", "pictures"),
    ],
)
def test_what_cannot_be_scaled_without_a_window_is_refused_or_warned_of(tmp_path, caplog, name, values):
    data = write(tmp_path / "in", name)
    assert values_of(data) == values
    check(data, {**SETTINGS, "window": [0, 900]})
    if values != "other":
        check(data, SETTINGS)
        return
    # an array of no known modality may be of a CT without air
    with nullcontext() if name == "array" else pytest.raises(SystemExit):
        check(data, SETTINGS)
    count = data.count()
    assert f"{count} of {count} images looked at are neither pictures of 8 or 16 bits nor CT in HU" in caplog.text
    assert 'give --window "[LOW, HIGH]"' in caplog.text


def test_a_store_without_low_values_is_warned_of_and_some_among_ct_too(tmp_path, caplog):
    write(tmp_path / "a", "CT")
    write_scan(tmp_path / "b", 0, "MR", 2)
    slice_volumes(tmp_path / "b", tmp_path.with_name("of_mr"), reduce="all", workers=1)
    check(ImageData(tmp_path.with_name("of_mr")), SETTINGS)
    assert "6 of 6 images looked at are neither" in caplog.text
    slice_volumes(tmp_path, tmp_path.with_name("both"), reduce="all", workers=1)
    caplog.clear()
    check(ImageData(tmp_path.with_name("both")), SETTINGS)
    assert "6 of 12 images looked at are neither" in caplog.text


def test_a_window_holds_for_values_like_those_it_was_trained_on(tmp_path, caplog):
    data = {name: write(tmp_path / name, name) for name in ("CT", "MR", "8 bit")}
    kinds = {"CT": "HU", "MR": "other", "8 bit": "pictures"}
    for now in data:
        for before in kinds:
            caplog.clear()
            trained = {"window": [0, 80], "values": kinds[before]}
            assert recorded_window(data[now], "auto", trained) == ([0, 80] if now == before else None)
            assert ("trained on" in caplog.text) == (now != before)
            assert recorded_window(data[now], [1, 2], trained) == [1, 2]
    # what a run before this record has left
    assert recorded_window(data["CT"], "auto", {"window": "lung", "values": None}) == "lung"
    assert recorded_window(data["8 bit"], "auto", {"window": "lung", "values": None}) is None


def test_a_window_asked_for_on_pictures_is_warned_of(tmp_path, caplog):
    assert window_for(write(tmp_path / "a", "8 bit"), "lung", None, None) == "lung"
    assert "--window lung is taken as asked for, though the images are 8 or 16 bit pictures" in caplog.text
    caplog.clear()
    assert window_for(write(tmp_path / "b", "CT"), "lung", None, None) == "lung"
    assert window_for(write(tmp_path / "c", "16 bit"), None, None, None) is None
    assert not caplog.text


@pytest.mark.parametrize(("values", "window"), [("HU", None), ("other", [0, 500])])
def test_the_window_of_a_checkpoint_holds_for_values_like_its_own(tmp_path, values, window):
    weights = create_backbone("resnet10t").state_dict()
    settings = {"mean": 0.5, "std": 0.25, "window": [0, 500], "values": values}
    vars(weights)["provenance"] = {"settings": settings}
    torch.save(weights, tmp_path / "model.pt")
    found = expected_input(tmp_path / "model.pt", "resnet10t", 1, write(tmp_path / "mr", "MR"))
    assert found.window == window
