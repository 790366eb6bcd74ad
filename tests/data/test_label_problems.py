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

import cv2
import numpy as np
import pandas as pd
import pytest

from monai_ssl.data import FinetuningData, PretrainingData
from monai_ssl.data.images import list_images
from monai_ssl.data.label_problems import label_problems
from monai_ssl.data.labels import matching_names
from monai_ssl.metrics import MACRO, MICRO
from monai_ssl.metrics.predictions import align_predictions


def plain_match(image, images, wanted):
    """One name after the other: equal, one the end of the other, then without suffix; only where it fits one alone."""

    def ends(long, short):
        return long == short or long.endswith(f"/{short}")

    for strip in (False, True):
        own = image.rsplit(".", 1)[0] if strip and "." in image.rsplit("/", 1)[-1] else image
        for name in wanted:
            others = [other.rsplit(".", 1)[0] if strip else other for other in images]
            if own == name:
                return name
            if ends(own, name) and sum(ends(other, name) for other in others) == 1:
                return name
            if ends(name, own) and sum(ends(other, own) for other in wanted) == 1:
                return name
    return image


@pytest.mark.parametrize(
    ("images", "wanted"),
    [
        (["a/1.png", "a/2.png"], ["a/1.png", "2.png"]),
        (
            ["train/p1/s1/v.jpg", "train/p2/s1/v.jpg"],
            ["X/train/p1/s1/v.jpg", "X/train/p2/s1/v.jpg", "X/valid/p1/s1/v.jpg"],
        ),
        (["root/X/p1/v.jpg", "root/X/p2/v.jpg"], ["p1/v.jpg", "p2/v.jpg", "v.jpg"]),
        (["stage/0004.dcm", "stage/0005.dcm"], ["0004", "0006"]),
        (["b/1.png"], ["a/1.png"]),
        (["b/1.png", "c/1.png"], ["1.png"]),
        (["1.png"], ["a/1.png", "b/1.png"]),
        (["images/2020.01.24.919183-p27-132.png"], ["CT_COVID/2020.01.24.919183-p27-132.png"]),
        (["CT_COVID/PII%8.png"], ["CT_COVID/PII%8.png"]),
        (["x", "y/x"], ["x"]),
    ],
)
def test_names_match_as_a_plain_loop_finds_them(images, wanted):
    found = matching_names(pd.Series(images), pd.Series(wanted)).tolist()
    assert found == [plain_match(image, images, wanted) for image in images]


def test_no_image_takes_the_label_of_another():
    images = pd.Series(["p1/v.jpg", "p2/v.jpg", "p2/v.png"])
    assert matching_names(images, pd.Series(["p1/v.jpg"])).tolist() == images.tolist()
    assert matching_names(images, pd.Series(["p2/v"])).tolist() == images.tolist()
    slices = pd.Series(["t/axial/0.npy#0", "t/axial/0.npy#11", "t/axial/1.npy#0", "t/coronal/0.npy#0"])
    expected = ["t/axial/0.npy", "t/axial/0.npy", slices[2], slices[3]]
    assert matching_names(slices, pd.Series(["t/axial/0.npy"])).tolist() == expected
    assert matching_names(slices, pd.Series(["axial/0"])).tolist() == ["axial/0", "axial/0", slices[2], slices[3]]


@pytest.fixture
def folder(tmp_path):
    """16 images of 8 patients."""
    rows = []
    for number in range(16):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), np.full((8, 8), number, np.uint8))
        rows.append({"image": f"{number:02d}.png", "patient": f"p{number // 2}", "finding": number // 2 % 2, "rare": 0})
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path


def test_everything_wrong_is_named_at_once(folder):
    table = pd.read_csv(folder / "labels.csv", dtype=str)
    table["split"] = ["train"] * 9 + ["val"] * 4 + ["test"] * 3
    table.loc[15, "finding"] = "maybe"
    table = pd.concat([table, table.iloc[:1].assign(split="test")])
    table.to_csv(folder / "labels.csv", index=False)
    data = FinetuningData(folder, folder / "labels.csv", label_names=["finding", "rare", "mass"], task="multi")
    expected = ["listed twice, 1 of them in two splits", "'finding' must be 0 or 1, got 'maybe'", r"no labels ['mass']",
                "unknown task 'multi'",
                "2 of 8 patients are in several splits, such as p4 in train and val, p6 in test and val",
                "labels without positives in train (9 images): 'rare'"]  # fmt: skip
    assert len(data.problems) == len(expected)
    for part in expected:
        assert any(part in problem for problem in data.problems)


def test_labels_are_looked_at_where_the_images_are_absent(folder):
    data = FinetuningData(folder / "absent", folder / "labels.csv")
    assert [part in data.problems[number] for number, part in enumerate(("no such folder", "'rare'"))] == [True, True]


def test_missing_images_are_a_warning_and_none_at_all_a_problem(folder, caplog):
    for number in (3, 7, 9, 12):
        (folder / f"{number:02d}.png").unlink()
    data = FinetuningData(folder, folder / "labels.csv", label_names="finding")
    assert data.problems == []
    assert "4 of 16 labelled images are not in" in caplog.text
    assert "such as 03.png, 07.png, 09.png" in caplog.text
    table = pd.read_csv(folder / "labels.csv").assign(image=[f"other{number}.png" for number in range(16)])
    table.to_csv(folder / "labels.csv", index=False)
    problems = FinetuningData(folder, folder / "labels.csv", label_names="finding").problems
    assert len(problems) == 1
    assert "none of its 16 images (first 'other0.png') is among the 12" in problems[0]


def test_unknown_labels_are_neither_positive_nor_negative(caplog):
    labels = {
        "known": [0, 1, 0, 1],
        "one": [np.nan, 1, 0, np.nan],
        "none": [np.nan] * 2 + [0, 1],
        "negative": [np.nan, 0, 0, 1],
    }
    table = pd.DataFrame(
        {"image": list("abcd"), "patient": list("1234"), "split": ["train", "train", "val", "val"], **labels}
    )
    problems = label_problems(table, list(labels), "multilabel", ("train", "val"))
    assert [problem.split(";")[0] for problem in problems] == [
        "labels without positives in train (2 images): 'negative'",
        "labels without negatives in train (2 images): 'one'",
        "labels without a known value in train (2 images): 'none'",
    ]
    assert "labels without positives in val (2 images): 'one'" in caplog.text
    [problem] = label_problems(table, ["known", "one"], "multiclass", ())
    # a and d have an unknown label, b two
    assert "not so in 4 of 4, such as a, b, c" in problem


def test_unknown_labels_reach_the_items_as_nan_and_do_not_change_the_split(folder):
    table = pd.read_csv(folder / "labels.csv", dtype=str).assign(rare=[str(number % 2) for number in range(16)])
    table.loc[[1, 4, 8, 9], "finding"] = ""
    table.to_csv(folder / "labels.csv", index=False)
    data = FinetuningData(folder, folder / "labels.csv", uncertain="ignore")
    assert data.problems == []
    unknown = {item["id"] for item in data.items() if np.isnan(item["label"][0])}
    assert unknown == {"01.png", "04.png", "08.png", "09.png"}
    assert not any(np.isnan(item["label"][1]) for item in data.items())
    negative = table.assign(finding=table["finding"].replace("", "0"))
    negative.to_csv(folder / "negative.csv", index=False)
    split = FinetuningData(folder, folder / "negative.csv").table.set_index("image")["split"]
    assert data.table.set_index("image")["split"].equals(split)
    seen = {item["image"] for item in PretrainingData(folder, folder / "labels.csv").items()}
    assert seen == {item["image"] for item in data.items("train", "val")}


@pytest.mark.parametrize("uncertain", ["negative", "positive", "ignore"])
def test_the_split_of_chexpert_does_not_depend_on_uncertain(tmp_path, uncertain):
    from monai_ssl.data.labelled import labelled_and_split
    from monai_ssl.data.labels.chexpert import CHEXPERT_LABELS

    generator = np.random.default_rng(0)
    cells = generator.choice(["", "-1.0", "0.0", "1.0"], (60, 14))
    rows = [
        f"CheXpert-v1.0/train/patient{n % 20:05d}/study{n}/view1_frontal.jpg," + ",".join(cells[n]) for n in range(60)
    ]
    (tmp_path / "train.csv").write_text("\n".join([f"Path,{','.join(CHEXPERT_LABELS)}", *rows]))
    splits = [
        labelled_and_split(tmp_path, tmp_path / "train.csv", "chexpert", (0.6, 0.15, 0.25), 0, uncertain=one)["split"]
        for one in (uncertain, "negative")
    ]
    assert splits[0].equals(splits[1])
    assert set(splits[0]) == {"train", "val", "test"}


def test_without_patients_validation_is_drawn_by_image_and_a_whole_split_refused(folder, caplog):
    table = pd.read_csv(folder / "labels.csv", dtype=str).drop(columns=["patient", "rare"])
    table.assign(split=["train"] * 12 + ["test"] * 4).to_csv(folder / "official.csv", index=False)
    data = FinetuningData(folder, folder / "official.csv", fractions=(0.5, 0.25, 0.25))
    assert data.problems == []
    assert [data.count(split) for split in ("train", "val", "test")] == [8, 4, 4]
    assert "names no patients, so splits are drawn by image" in caplog.text
    assert {item["patient"] for item in data.items()} == {""}
    table.to_csv(folder / "none.csv", index=False)
    for folds in (None, 4):
        [problem] = FinetuningData(folder, folder / "none.csv", folds=folds).problems
        assert (
            "16 of 16 rows have no patient, so no patient-level split is possible; fill the column patient" in problem
        )


@pytest.mark.parametrize("folds", [None, 4])
def test_a_public_data_set_without_patients_is_split_by_image(tmp_path, caplog, folds):
    for number in range(24):
        (tmp_path / f"class{number % 2}").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f"class{number % 2}/{number:02d}.png"), np.full((8, 8), number, np.uint8))
    arguments = {"layout": "folders", "fractions": (0.5, 0.25, 0.25), "folds": folds}
    rounds = [FinetuningData(tmp_path, tmp_path, fold=fold, **arguments) for fold in range(folds or 1)]
    assert [data.problems for data in rounds] == [[]] * len(rounds)
    assert "names no patients, so splits are drawn by image; images of one patient may be on both sides" in caplog.text
    tested = [item["id"] for data in rounds for item in data.items("test")]
    assert len(set(tested)) == len(tested) == (24 if folds else 6)
    # the split of a table in which each image is a patient
    table = pd.DataFrame({"image": list_images(tmp_path)["image"]})
    table = table.assign(patient=table["image"], **{"class": table["image"].str[:6]})
    table.to_csv(tmp_path / "same.csv", index=False)
    same = FinetuningData(tmp_path, tmp_path / "same.csv", **{**arguments, "layout": "csv"}, fold=0)
    assert rounds[0].table.drop(columns="patient").equals(same.table.drop(columns="patient"))
    assert set(rounds[0].table["patient"]) == {""}
    kept = FinetuningData(tmp_path, tmp_path, train_fraction=0.5, **arguments)
    assert kept.count("train") == round(0.5 * rounds[0].count("train"))
    # and so are the images redrawn
    predictions = rounds[0].table.loc[rounds[0].table["split"] == "test", ["image", "patient", "split"]]
    predictions = predictions.assign(
        a_true=np.arange(len(predictions)) % 2, a_score=np.linspace(0, 1, len(predictions))
    )
    assert align_predictions({"a": predictions}).unit == "image"


def test_rows_without_a_split_are_counted_and_named(folder, caplog):
    table = pd.read_csv(folder / "labels.csv", dtype=str).drop(columns="rare")
    table["split"] = ["train"] * 8 + [""] * 2 + ["val"] * 2 + ["test"] * 4
    table.to_csv(folder / "some.csv", index=False)
    data = FinetuningData(folder, folder / "some.csv")
    assert (data.problems, data.count()) == ([], 14)
    said = "2 of 16 rows have no split, where others have one, and are left out, such as '08.png', '09.png'"
    assert said in caplog.text
    # as where only the test is marked
    table.assign(split=[""] * 12 + ["test"] * 4).to_csv(folder / "some.csv", index=False)
    problems = FinetuningData(folder, folder / "some.csv").problems
    assert "12 of 16 rows have no split" in problems[0]
    assert "no row is in train or val: give them one, or none to any row" in problems[0]
    assert FinetuningData(folder, folder / "some.csv", needed="test").problems == []
    assert FinetuningData(folder, folder / "some.csv", folds=4).problems == []


def test_names_that_fit_several_images_are_named_with_them(folder, caplog):
    for place in ("a", "b"):
        (folder / place).mkdir()
        for number in (3, 4):
            (folder / f"{place}/{number:02d}.png").write_bytes((folder / f"{number:02d}.png").read_bytes())
    for number in (3, 4, 5):
        (folder / f"{number:02d}.png").unlink()
    FinetuningData(folder, folder / "labels.csv", label_names="finding")
    assert "3 of 16 labelled images are not in" in caplog.text
    assert "2 names fit several images, such as '03.png' 'a/03.png' and 'b/03.png': name folders too" in caplog.text


@pytest.mark.parametrize("root", ["data/train/axial", "data/train"])
def test_the_folder_of_a_data_set_tells_which_of_equal_names_are_meant(root):
    wanted = pd.Series([f"{side}/{plane}/{n}.npy" for side in ("train", "valid") for plane in ("axial", "other")
                        for n in range(3)])  # fmt: skip
    here = wanted[wanted.str.startswith(root.removeprefix("data/"))]
    images = here.str.removeprefix(root.removeprefix("data/") + "/").reset_index(drop=True)
    assert matching_names(images, wanted, root).tolist() == here.tolist()
    assert matching_names(images, wanted, "elsewhere").tolist() == images.tolist()


@pytest.mark.parametrize("mean", [MACRO, MICRO])
def test_a_label_called_as_a_mean_is_named_before_training(folder, mean):
    table = pd.read_csv(folder / "labels.csv", dtype=str).rename(columns={"rare": mean})
    table[mean] = [str(number // 4 % 2) for number in range(16)]
    table.to_csv(folder / "mean.csv", index=False)
    [problem] = FinetuningData(folder, folder / "mean.csv").problems
    assert f"a label is called {mean!r}" in problem
    assert "--label_names" in problem
    for names in ("finding", mean):
        assert FinetuningData(folder, folder / "mean.csv", label_names=names).problems == []
