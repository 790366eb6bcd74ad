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

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from monai_ssl.data import FinetuningData, ImageData, PretrainingData, ProbeData, data_checksum, slice_properties
from monai_ssl.data.splits import FRACTIONS


@pytest.fixture
def folder(tmp_path):
    """24 images of 12 patients; patients 0 to 5 have the finding."""
    rows = []
    (tmp_path / "images").mkdir()
    for number in range(24):
        patient = number // 2
        name = f"p{patient:02d}_{number}.png"
        cv2.imwrite(str(tmp_path / "images" / name), np.full((8, 8), number, np.uint8))
        rows.append({"image": name, "patient": f"{patient:02d}", "finding": int(patient < 6), "other": number % 2})
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path


def test_items_join_images_and_labels_by_bare_name(folder):
    data = FinetuningData(folder, folder / "labels.csv")
    assert data.problems == []
    assert data.label_names == ["finding", "other"]
    items = data.items("train", "val", "test")
    assert len(items) == data.count() == sum(data.count(split) for split in ("train", "val", "test")) == 24
    for item in items:
        number = int(item["id"].split("_")[1].split(".")[0])
        assert item["image"].endswith(f"images/{item['id']}")
        np.testing.assert_array_equal(item["label"], [number // 2 < 6, number % 2])
    patients = [{item["patient"] for item in data.items(split)} for split in ("train", "val", "test")]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 12


def test_training_labels_are_those_of_the_items(folder):
    data = FinetuningData(folder, folder / "labels.csv", label_names=["finding"])
    expected = np.stack([item["label"] for item in data.items("train")])
    assert np.array_equal(data.training_labels, expected)


def test_a_column_of_classes_gives_one_label_a_class(folder):
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table["class"] = table.pop("finding").map({"1": "covid", "0": "normal"})
    table.drop(columns="other").to_csv(folder / "classes.csv", index=False)
    data = FinetuningData(folder, folder / "classes.csv", task="multiclass")
    assert data.label_names == ["covid", "normal"]
    assert [row.argmax() for row in data.training_labels] == [
        data.label_names.index(name)
        for name in table.merge(data.table[data.table["split"] == "train"], on="image")["class"]
    ]


def test_folds_test_each_patient_once_and_say_that_a_given_split_is_not_used(folder, caplog):
    rounds = [FinetuningData(folder, folder / "labels.csv", folds=4, fold=fold) for fold in range(4)]
    assert [data.problems for data in rounds] == [[]] * 4
    tested = pd.concat([data.table[data.table["split"] == "test"] for data in rounds])
    assert sorted(tested["image"]) == sorted(rounds[0].table["image"])
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table.assign(split="test").to_csv(folder / "official.csv", index=False)
    assert "split is not used" not in caplog.text
    assert not FinetuningData(folder, folder / "official.csv", folds=4).problems
    assert "split is not used" in caplog.text
    assert "fold one of 0" in FinetuningData(folder, folder / "labels.csv", folds=4, fold=4).problems[0]


def test_a_part_of_the_training_patients_changes_training_only(folder):
    whole = FinetuningData(folder, folder / "labels.csv").table
    part = FinetuningData(folder, folder / "labels.csv", train_fraction=0.5).table
    kept = whole["patient"].isin(part["patient"])
    assert part[["image", "split"]].equals(whole.loc[kept, ["image", "split"]].reset_index(drop=True))
    patients = [table.groupby("split")["patient"].nunique() for table in (whole, part)]
    assert patients[1].to_dict() == {**patients[0].to_dict(), "train": round(patients[0]["train"] / 2)}


def test_a_part_of_the_training_patients_is_one_of_those_with_images(folder, caplog):
    for path in (folder / "images").glob("p0[0-7]_*"):
        if path.name[:3] in ("p01", "p02", "p04", "p06") or path.name == "p00_0.png":
            path.unlink()
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table.assign(split=np.where(table["patient"] < "10", "train", "test")).to_csv(folder / "some.csv", index=False)
    said, before = [], set()
    for fraction in (0.25, 0.5, 1.0):
        caplog.clear()
        data = FinetuningData(folder, folder / "some.csv", fractions=(1, 0, 0), train_fraction=fraction, needed="test")
        there = set(data.table.loc[data.table["split"] == "train", "patient"])
        assert len(there) == round(fraction * 6)
        assert there >= before
        assert data.count("test") == 4
        said.append([line for line in caplog.messages if "labelled images are not in" in line])
        before = there
    assert said == [said[0]] * 3
    assert len(said[0]) == 1


def test_pretraining_never_sees_the_test_patients_of_fine_tuning(folder):
    tuning = FinetuningData(folder, folder / "labels.csv", split_seed=4)
    blind = PretrainingData(folder)
    honest = PretrainingData(folder, folder / "labels.csv", split_seed=4)
    test = {item["image"] for item in tuning.items("test")}
    assert test
    assert {item["image"] for item in blind.items("train")} > test
    assert {item["image"] for item in honest.items("train")} == {i["image"] for i in tuning.items("train", "val")}


def test_pretraining_never_sees_images_of_test_patients_that_no_split_names(folder):
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table["split"] = ["val" if number < 4 else "train" if number < 20 else "test" for number in range(24)]
    table.loc[[5, 21], "split"] = ""  # of a patient of training, and of one of the test
    table.to_csv(folder / "some.csv", index=False)
    ids = [int(item["id"].split("_")[1].split(".")[0]) for item in PretrainingData(folder, folder / "some.csv").items()]
    assert sorted(ids) == list(range(20))
    tuning = FinetuningData(folder, folder / "some.csv")
    assert not {"p02_5.png", "p10_21.png"} & {item["id"] for item in tuning.items()}


def test_fractions_are_checked_where_validation_alone_is_drawn(folder):
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table["split"] = ["test" if number < 4 else "train" for number in range(24)]
    table.to_csv(folder / "official.csv", index=False)
    for fractions, message in (
        ((0, 0, 1), "share for train or val"),
        ((0.6, 0.4), "sum to 1"),
        ((3, 1, 0), "sum to 1"),
    ):
        assert message in FinetuningData(folder, folder / "official.csv", fractions=fractions).problems[0]


def test_labels_of_other_images_cannot_keep_test_patients_out(folder):
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table["image"] = "x" + table["image"]
    table.to_csv(folder / "others.csv", index=False)
    assert "others.csv: knows none of the 24 images" in PretrainingData(folder, folder / "others.csv").problems[0]


def test_validation_patients_come_from_training_where_the_official_split_has_none(folder):
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table["split"] = ["test" if patient in ("00", "01", "10", "11") else "train" for patient in table["patient"]]
    table.to_csv(folder / "official.csv", index=False)
    data = FinetuningData(folder, folder / "official.csv", fractions=(0.5, 0.25, 0.25))
    assert data.problems == []
    assert {item["patient"] for item in data.items("test")} == {"00", "01", "10", "11"}
    assert len({item["patient"] for item in data.items("val")}) in (2, 3)


def test_all_problems_of_the_labels_are_named_at_once(folder, caplog):
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table["split"] = ["test" if number < 3 else "val" if number < 6 else "train" for number in range(24)]
    table["never"], table["always"] = "0", "1"
    table.to_csv(folder / "bad.csv", index=False)
    data = FinetuningData(folder, folder / "bad.csv")
    text = "\n".join(data.problems)
    assert "1 of 12 patients are in several splits, such as 01 in test and val" in text
    assert "labels without positives in train (18 images): 'never'; they cannot be learnt" in text
    assert "labels without negatives in train (18 images): 'always'; they cannot be learnt" in text
    # outside training it is a warning
    assert "labels without negatives in val (3 images): 'finding', 'always'; their AUC" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "absent.csv"}, "absent.csv: no such label file"),
        ({"label_names": ["nodule"]}, r"no labels \['nodule'\]; it has \['finding', 'other'\]"),
        ({"label_names": ["other", "other"]}, "names a label twice"),
        ({"task": "regression"}, "unknown task 'regression'"),
        ({"task": "multiclass"}, "exactly one label"),
        ({"fractions": (1, 1, 1)}, "sum to 1"),
        ({"layout": "nih"}, "unknown label layout"),
    ],
)
def test_bad_settings_become_problems(folder, change, message):
    settings = {"labels": folder / "labels.csv", **change}
    if "labels" in change:
        settings["labels"] = folder / change["labels"]
    data = FinetuningData(folder, **settings)
    assert len(data.problems) == 1
    assert re.search(message, data.problems[0])


def test_no_images_is_a_problem_that_says_what_to_do(tmp_path):
    assert "python -m monai_ssl slice" in ImageData(tmp_path).problems[0]
    assert "no such folder" in ImageData(tmp_path / "absent").problems[0]
    assert ImageData(tmp_path).items() == []


def test_bundles_and_python_split_alike():
    for path in (Path(__file__).resolve().parents[2] / "bundles").glob("*/configs/*.json"):
        config = json.loads(path.read_text())
        for settings in (config, config.get("defaults", {})):
            if isinstance(settings.get("fractions"), list):
                assert tuple(settings["fractions"]) == FRACTIONS
    assert sum(FRACTIONS) == pytest.approx(1)


def test_pretraining_on_a_labelled_store_without_labels_warns(tmp_path, caplog):
    from monai_ssl.data import make_phantoms, slice_volumes

    make_phantoms(tmp_path / "p", patients=4, seed=0, size=32, slices=16)
    slice_volumes(tmp_path / "p/volumes", tmp_path / "store", labels=tmp_path / "p/labels.csv", workers=1)
    PretrainingData(tmp_path / "store", tmp_path / "store/labels.csv", fractions=(0.5, 0.0, 0.5))
    assert "pre-trained on" not in caplog.text
    PretrainingData(tmp_path / "store")
    assert "patients of the later test split are pre-trained on" in caplog.text
    table = pd.read_csv(tmp_path / "store/slices.csv")
    before = data_checksum(tmp_path / "store")
    (tmp_path / "store/slices.csv").write_text(table.assign(hash="0").to_csv(index=False))
    assert data_checksum(tmp_path / "store") != before


def test_a_reduced_and_a_whole_store_split_their_patients_alike(tmp_path):
    from monai_ssl.data import make_phantoms, slice_volumes

    make_phantoms(tmp_path / "p", patients=8, seed=0, size=32, slices=16)
    options = {"labels": tmp_path / "p/labels.csv", "workers": 1, "pseudonym_key": "secret"}
    whole = slice_volumes(tmp_path / "p/volumes", tmp_path / "whole", reduce="all", **options)
    reduced = slice_volumes(tmp_path / "p/volumes", tmp_path / "reduced", reduce="dhash:6", **options)
    assert len(reduced) < len(whole)
    fractions = (0.5, 0.25, 0.25)
    tuning = FinetuningData(whole.path, fractions=fractions)
    blind = PretrainingData(reduced.path, whole.path / "labels.csv", fractions=fractions)
    patients = whole.table.set_index("slice")["patient"]
    test = {patients[item["id"]] for item in tuning.items("test")}
    seen = {patients[item["id"]] for item in blind.items("train")}
    assert len(test) == 2
    assert seen == set(patients) - test

    for fraction in (0.3, 0.6):
        part, other = (
            FinetuningData(store.path, whole.path / "labels.csv", fractions=fractions, train_fraction=fraction)
            for store in (whole, reduced)
        )
        trained = [set(data.table.loc[data.table["split"] == "train", "patient"]) for data in (part, other)]
        assert trained[0] == trained[1]
        assert len(trained[0]) == max(1, round(fraction * 4))

    properties = slice_properties(whole.path)
    assert properties.index.tolist() == whole.kept["slice"].tolist()
    for volume, rows in whole.kept.groupby("volume"):
        last = max(whole.table.loc[whole.table["volume"] == volume, "index"])
        expected = [index / last for index in rows["index"]]
        np.testing.assert_allclose(properties.loc[rows["slice"], "position in the volume"], expected)
    expected = ["nodule" if whole.labels.loc[name, "nodule"] else "" for name in properties.index]
    assert properties["label"].tolist() == expected
    assert {"nodule", ""} == set(expected)


def test_test_patients_are_pretrained_on_where_that_is_asked_for(folder, caplog):
    labels = folder / "labels.csv"
    data = {
        "left out": PretrainingData(folder, labels),
        "included": PretrainingData(folder, labels, include_test_patients=True),
        "unknown": PretrainingData(folder),
    }
    assert {name: each.test_patients for name, each in data.items()} == {name: name for name in data}
    assert data["left out"].count() < data["included"].count() == data["unknown"].count() == 24
    assert "as --include_test_patients asks" in caplog.text


@pytest.mark.parametrize("include", [False, True])
def test_probes_see_training_and_validation_as_fine_tuning_splits_them(folder, include):
    labels = folder / "labels.csv"
    tuning = FinetuningData(folder, labels)
    probes = ProbeData(PretrainingData(folder, labels, include_test_patients=include))
    assert probes.problems == []
    for split in ("train", "val"):
        assert {item["id"] for item in probes.items(split)} == {item["id"] for item in tuning.items(split)}
    assert probes.count("test") == 0


def test_unknown_labels_are_left_out_of_probes_and_not_refused(folder):
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table.loc[[0, 5, 20], "finding"] = ""
    table.to_csv(folder / "labels.csv", index=False)
    probes = ProbeData(PretrainingData(folder, folder / "labels.csv"), folder / "labels.csv")
    assert probes.problems == []
    unknown = {item["id"] for item in probes.items() if np.isnan(item["label"]).any()}
    assert unknown == {"p00_0.png", "p02_5.png", "p10_20.png"} & {item["id"] for item in probes.items()}
    assert unknown


def test_probes_of_other_labels_leave_out_the_same_test_patients(folder):
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table["split"] = np.where(table["patient"].isin(["00", "07"]), "val", "train")
    table.to_csv(folder / "other.csv", index=False)
    pretraining = PretrainingData(folder, folder / "labels.csv")
    probes = ProbeData(pretraining, folder / "other.csv")
    allowed = {item["image"] for item in pretraining.items()}
    assert {item["image"] for item in probes.items()} == allowed
    assert len(allowed) < 24


def test_probes_are_drawn_from_many_images(folder, monkeypatch):
    monkeypatch.setattr("monai_ssl.data.probe_data._MOST", 5)
    one, other = (ProbeData(PretrainingData(folder, folder / "labels.csv"), split_seed=0) for _ in range(2))
    assert (one.count("train"), one.count("val")) == (5, min(5, other.count("val")))
    assert one.table.equals(other.table)


def test_labels_that_cannot_be_probed_are_refused_where_probes_are_asked_for(folder, caplog):
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table["split"] = np.where(table["patient"] < "06", "train", "test")
    table.to_csv(folder / "labels.csv", index=False)
    none = {"fractions": (1.0, 0.0, 0.0)}
    pretraining = PretrainingData(folder, folder / "labels.csv", **none)
    assert pretraining.problems == []
    asked = ProbeData(pretraining, folder / "labels.csv", **none)
    assert len(asked.problems) == 1
    assert "none of 12 labelled patients is in val, which probes need" in asked.problems[0]
    silent = ProbeData(pretraining, **none)
    assert (silent.problems, silent.count()) == ([], 0)
    assert "no kNN and linear probes" in caplog.text
    assert ProbeData(PretrainingData(folder)).count() == 0


def test_the_checksum_is_that_of_names_and_sizes(folder):
    before = data_checksum(folder / "images")
    assert len(before) == 64
    (folder / "images").rename(folder / "elsewhere")
    assert data_checksum(folder / "elsewhere") == before
    first = min((folder / "elsewhere").iterdir())
    first.rename(first.with_name("z.png"))
    renamed = data_checksum(folder / "elsewhere")
    (folder / "elsewhere/z.png").write_bytes(b"0" * 9)
    assert len({before, renamed, data_checksum(folder / "elsewhere")}) == 3
