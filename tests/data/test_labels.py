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

from pathlib import Path

import pytest

from monai_ssl.data.labels import label_columns, read_labels

NIH = Path(__file__).resolve().parents[2] / "../shared/data/nih_cxr_1000"


def written(tmp_path, text, name="labels.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_csv_keeps_ids_as_text(tmp_path):
    table = read_labels(written(tmp_path, "slice,nodule,patient,split\n01,1,007,test\n02,0,NA,train\n"))
    assert table.to_dict("list") == {
        "image": ["01", "02"],
        "patient": ["007", "NA"],
        "split": ["test", "train"],
        "nodule": [1, 0],
    }


def test_a_class_column_becomes_one_label_per_class(tmp_path):
    table = read_labels(written(tmp_path, "image,class\na,covid\nb,normal\nc,covid\n"))
    assert label_columns(table) == ["covid", "normal"]
    assert table[["covid", "normal"]].to_numpy().tolist() == [[1, 0], [0, 1], [1, 0]]


def test_spaces_around_names_and_classes_do_not_count(tmp_path):
    text = "image,class,patient,split\na , covid,1 , train\n b,covid ,1,train \nc,normal, 2,test\n"
    expected = "image,class,patient,split\na,covid,1,train\nb,covid,1,train\nc,normal,2,test\n"
    table = read_labels(written(tmp_path, text))
    assert label_columns(table) == ["covid", "normal"]
    assert table.equals(read_labels(written(tmp_path, expected)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,nodule\na,2\n", "label 'nodule' must be 0 or 1, got 2 for 'a'"),
        ("image,nodule\na,2\nb,\n", "label 'nodule' must be 0 or 1, got 2 for 'a'"),
        ("image,nodule\na,\n", "must be 0 or 1, got an empty cell for 'a'"),
        ("image,nodule\na,0.25\nb,x\n", "must be 0 or 1, got '0.25' for 'a'"),
        ("image,nodule\n,1\n", "1 of 1 rows name no image"),
        ("image,patient,nodule\na,7,1,0\n", "the rows have 4 fields, the header 3"),
        ("image,nodule\na,1\na,0\n", "listed twice, the first 'a'"),
        ("image,patient\na,1\n", "no label column"),
        ("name,nodule\na,1\n", "no column 'image' or 'slice'"),
        ("image,row\na,1\n", "the column 'row' is ours"),
        ("image,slice,nodule\na,b,1\n", "both columns 'image' and 'slice'"),
        ("image,class\na,\nb,x\n", "1 of 2 rows have no class"),
        ("image,class\na,patient\nb,x\n", r"classes \['patient'\] are called as columns"),
        ("Image Index,Finding Labels\na,1\n", "looks like the layout chestxray14"),
    ],
)
def test_bad_csv_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"labels\.csv: .*{message}"):
        read_labels(written(tmp_path, text))


def test_unknown_layout_and_absent_file_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"unknown label layout 'nih' \(known: csv, folders, chestxray14"):
        read_labels(written(tmp_path, "image,a\n"), layout="nih")
    with pytest.raises(ValueError, match="did you mean rsna_hemorrhage"):
        read_labels(written(tmp_path, "image,a\n"), layout="hemorrhage")
    with pytest.raises(FileNotFoundError, match=r"absent\.csv"):
        read_labels(tmp_path / "absent.csv")


def test_chestxray14_reads_the_official_form(tmp_path):
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
    written(tmp_path, "a.png\n", "train_val_list.txt")
    written(tmp_path, "b.png\n", "test_list.txt")
    rows = "a.png,Edema|Hernia,0,001,77,M,AP\nb.png,No Finding,1,001,77,M,AP\nc.png,Mass,1,2,77,M,AP\n"
    table = read_labels(written(tmp_path, header + rows), "chestxray14")
    assert table["patient"].tolist() == ["001", "001", "2"]
    assert table["split"].tolist() == ["train", "test", ""]
    assert len(label_columns(table)) == 14
    shown = {image: [n for n in label_columns(table) if row[n]] for image, row in table.set_index("image").iterrows()}
    assert shown == {"a.png": ["Edema", "Hernia"], "b.png": [], "c.png": ["Mass"]}
    with pytest.raises(ValueError, match="findings \\['Cold'\\]"):
        read_labels(written(tmp_path, header + "a.png,Cold,0,1,77,M,AP\n"), "chestxray14")


@pytest.mark.skipif(not NIH.is_dir(), reason="the real radiographs in ../shared/data/nih_cxr_1000 are absent")
def test_the_real_chestxray14_file():
    path = NIH / "Data_Entry_2017_v2020.csv"
    table = read_labels(path, "chestxray14")
    lines = path.read_text().splitlines()[1:]
    for name in label_columns(table):
        assert table[name].sum() == sum(name in line.split(",")[1].split("|") for line in lines)
    assert (table["split"].value_counts().to_dict()) == {"train": 766, "test": 234}
    assert (table.groupby("patient")["split"].nunique() == 1).all()
