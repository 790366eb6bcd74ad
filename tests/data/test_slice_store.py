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

import pickle

import numpy as np
import pytest
from volume_files import write_source

from monai_ssl.data import SliceStore, slice_volumes


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "in")


def test_store_indexes_like_a_sequence_and_travels_to_workers(source, tmp_path):
    store = slice_volumes(source, tmp_path / "out", reduce="all", workers=1)
    np.testing.assert_array_equal(store[-1], store[len(store) - 1])
    for number in (len(store), -len(store) - 1):
        with pytest.raises(IndexError):
            store[number]
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copy[5], store[5])
    store[5][:] = 0  # a copy: the store on disk stays
    np.testing.assert_array_equal(SliceStore.open(store.path)[5], copy[5])
    assert store.labels is None


def test_open_names_what_is_missing_or_short(source, tmp_path):
    store = slice_volumes(source, tmp_path / "out", workers=1)
    file = store.path / store.table["file"].iloc[0]
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    with pytest.raises(ValueError, match=file.name):
        SliceStore.open(store.path)
    file.unlink()
    with pytest.raises(ValueError, match=f"{file.name}: missing"):
        SliceStore.open(store.path)


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("store.json", lambda text: text[:40], "store.json: damaged"),
        ("store.json", lambda text: "{}", "store.json: must have arguments, counts, reduction"),
        (
            "slices.csv",
            lambda text: text.split("\n", 1)[0] + "\n",
            "slices.csv: has 0 slices, but store.json",
        ),
        ("slices.csv", lambda text: text + text.splitlines()[-1] + "\n", r"slices.csv: has \d+ slices, but store.json"),
        ("slices.csv", lambda text: text.replace("hash", "hush", 1), "slices.csv: has no column hash"),
        ("slices.csv", lambda text: "", "slices.csv: damaged, no table of slices"),
        ("slices.csv", lambda text: text.replace("_0001,", "_0000,", 1), r"slices.csv: has slice \w+_0000 twice"),
        ("slices.csv", lambda text: text.replace("_0000,0.0", "_9999,0.0", 1), r"slices.csv: has no slice \w+_9999"),
    ],
)
def test_open_names_a_damaged_table(source, tmp_path, file, change, told):
    store = slice_volumes(source, tmp_path / "out", workers=1)
    path = store.path / file
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        SliceStore.open(store.path)
    (store.path / "slices.csv").unlink()
    with pytest.raises(ValueError, match=r"store.json: |slices.csv: missing"):
        SliceStore.open(store.path)
