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

import numpy as np
import pandas as pd
import pytest
from volume_files import OTHER_SHAPE, SHAPE, write_source

from monai_ssl.data import read_labels, slice_volumes
from monai_ssl.data.labels import label_columns


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "in")


def test_labels_join_by_series_and_position(source, tmp_path):
    positions = -71.75 + 2.5 * np.arange(SHAPE[2])
    rows = [f"1.2.840.7,{position + 0.04:.3f},007,{k % 2},{-k},0{k}" for k, position in enumerate(positions) if k != 5]
    rows += ["1.2.840.7,999,007,1,1,x", "1.2.840.9,-71.75,007,1,1,x", "n/Doe Jane.nii.gz,-71.75,7,1,,y"]
    path = tmp_path / "labels.csv"
    path.write_text("series,position_mm,patient,nodule,grade,split\n" + "\n".join(rows) + "\n")
    store = slice_volumes(source, tmp_path / "out", labels=path, workers=1)
    assert list(store.labels.columns) == ["nodule", "grade", "split"]
    volume = store.table[store.table["volume"].map(store.table["volume"].value_counts()) == SHAPE[2]]
    mine = store.labels.loc[[name for name in volume["slice"] if name in store.labels.index]]
    index = volume.set_index("slice").loc[mine.index, "index"]
    assert index.tolist() == [k for k in range(SHAPE[2]) if k != 5]
    assert mine["nodule"].tolist() == [k % 2 for k in index]
    assert mine["grade"].tolist() == [-k for k in index]
    assert ",0,-7,07\n" not in (store.path / "labels.csv").read_text()
    assert ",1,-7,07\n" in (store.path / "labels.csv").read_text()
    assert mine["split"].tolist() == [f"0{k}" for k in index]
    assert len(store.labels) == SHAPE[2] == store.settings["counts"]["labelled"]
    warnings = pd.read_csv(store.path / "warnings.csv")
    (told,) = warnings.loc[warnings["file"] == "labels.csv", "warning"]
    assert told.startswith("2 of 14 rows match no slice")
    assert "lines 13, 14" in told
    # The NIfTI file belongs to patient 7, whose DICOM series is volume b.
    assert store.table["patient"].nunique() == 2
    assert not warnings["warning"].str.contains("no patient known").any()


def test_labels_join_by_patient_and_dropped_slices_have_theirs(source, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("patient,nodule\n007,1\n7,0\n")
    store = slice_volumes(source, tmp_path / "out", reduce="every_n:4", labels=path, workers=1)
    assert store.labels["nodule"].value_counts().to_dict() == {1: SHAPE[2], 0: OTHER_SHAPE[2]}
    assert len(store) < len(store.labels)


def test_class_names_stay_text_to_the_letter(source, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("series,class\n1.2.840.7,007\n")
    store = slice_volumes(source, tmp_path / "out", labels=path, workers=1)
    assert set(store.labels["class"]) == {"007"}
    assert label_columns(read_labels(store.path / "labels.csv")) == ["007"]


def test_labels_that_name_another_patient_are_told(source, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("series,patient,nodule\n1.2.840.7,8,1\n")
    store = slice_volumes(source, tmp_path / "out", labels=path, workers=1)
    warnings = pd.read_csv(store.path / "warnings.csv")
    assert warnings["warning"].str.contains("another patient").sum() == 1
    assert len(store.labels) == SHAPE[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,nodule\na,1\n", "needs the columns"),
        ("patient,position_mm,nodule\na,1,1\n", "needs the columns"),
        ("patient,nodule\na,1\na,0\n", "lines 2, 3"),
        ("series,position_mm,nodule\na,1,1\na,far,0\n", "see lines 3"),
        ("series,patient,position_mm,nodule\na,x,1,1\na,y,2,1\n", "two patients"),
        ("patient,slice\na,1\n", "'slice' is ours"),
        ("patient,image\na,1\n", "'image' is ours"),
    ],
)
def test_bad_labels_are_refused_before_work(source, tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        slice_volumes(source, tmp_path / "out", labels=path)
    assert not (tmp_path / "out").exists()
