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
import hashlib
import logging
import os
import subprocess

import numpy as np
import pandas as pd
import pytest
from volume_files import axial_affine, world_values, write_nifti

import monai_ssl.data.slice_volume as slice_volume
import monai_ssl.data.slicing_run as slicing_run
from monai_ssl.data import SliceStore, slice_volumes

OPTIONS = {"reduce": "all", "pseudonym_key": "k", "workers": 1}


@pytest.fixture
def source(tmp_path):
    """A dozen volumes of 0.6 MB."""
    affine = axial_affine()
    for number in range(12):
        write_nifti(tmp_path / "in" / f"{number}.nii.gz", affine, world_values(affine, (128, 120, 20)) + number)
    return tmp_path / "in"


@pytest.fixture
def small_disk(tmp_path):
    """Room for five of them."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a small disk: needs root on Linux")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # stores in it are still mapped


def digests(store):
    files = [file for file in store.rglob("*") if file.is_file() and file.name != ".lock"]
    return {file.relative_to(store).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def check_unfinished(output, expected, caplog):
    with caplog.at_level(logging.WARNING):
        store = SliceStore.open(output)
    volumes = store.settings["counts"]["volumes"]
    assert f"unfinished, volumes sliced: {volumes}, left: {12 - volumes}" in caplog.text
    assert store.settings["complete"] is False
    assert store.table["volume"].nunique() == volumes
    for i in range(0, len(store), 7):
        np.testing.assert_array_equal(store[i], expected.read(store.kept["slice"][i]))
    return volumes


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_with_a_store_that_opens_and_goes_on(source, small_disk, tmp_path, caplog, workers):
    whole = slice_volumes(source, tmp_path / "whole", **OPTIONS)
    output = small_disk / "out"
    options = {**OPTIONS, "workers": workers}
    with pytest.raises(OSError, match=r"out: No space left on device; \d of 12 volumes are done and can be opened;"):
        slice_volumes(source, output, **options)
    assert 4 <= check_unfinished(output, whole, caplog) <= 6
    assert not list(output.rglob("*.partial"))
    # Still full: nothing is lost by another try.
    with pytest.raises(OSError, match="No space left on device"):
        slice_volumes(source, output, **OPTIONS)
    check_unfinished(output, whole, caplog)
    subprocess.run(["mount", "-o", "remount,size=16m", small_disk], check=True)
    slice_volumes(source, output, **OPTIONS)
    assert digests(output) == digests(whole.path)


def test_no_room_at_all_is_one_line(source, small_disk):
    with open(small_disk / "fill", "wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, 4 << 20)
    with pytest.raises(OSError, match=r"out: No space left on device; once that is mended") as caught:
        slice_volumes(source, small_disk / "out", **OPTIONS)
    assert "\n" not in str(caught.value)


def test_any_failure_to_write_stops_and_goes_on(source, tmp_path, monkeypatch, caplog):
    whole = slice_volumes(source, tmp_path / "whole", **OPTIONS)
    written = []
    write = slice_volume._write_images

    def fail(stream, *args):
        written.append(write(stream, *args))
        if len(written) == 4:
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(slice_volume, "_write_images", fail)
        with pytest.raises(OSError, match="out: Input/output error; 3 of 12 volumes are done and can be opened; once"):
            slice_volumes(source, tmp_path / "out", **OPTIONS)
    assert check_unfinished(tmp_path / "out", whole, caplog) == 3
    assert len(list((tmp_path / "out" / "volumes").iterdir())) == 3
    slice_volumes(source, tmp_path / "out", **OPTIONS)
    assert digests(tmp_path / "out") == digests(whole.path)


def test_a_store_whose_first_volume_failed_opens_empty(source, tmp_path, monkeypatch, caplog):
    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(slice_volume, "_write_images", fail)
    with pytest.raises(OSError, match="0 of 12 volumes are done and can be opened"):
        slice_volumes(source, tmp_path / "out", **OPTIONS)
    assert len(SliceStore.open(tmp_path / "out")) == 0
    assert pd.read_csv(tmp_path / "out" / "slices.csv").empty


def test_tables_that_cannot_be_written_lose_nothing(source, tmp_path, monkeypatch):
    whole = slice_volumes(source, tmp_path / "whole", **OPTIONS)

    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(slicing_run, "write_tables", fail)
        with pytest.raises(OSError, match="12 of 12 volumes are done and are safe, though not even their tables"):
            slice_volumes(source, tmp_path / "out", **OPTIONS)
    slice_volumes(source, tmp_path / "out", **OPTIONS)
    assert digests(tmp_path / "out") == digests(whole.path)
