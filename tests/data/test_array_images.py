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
from PIL import Image

from monai_ssl.data import FinetuningData, PretrainingData, ProbeData, data_checksum, list_images
from monai_ssl.transforms import LoadSlice


@pytest.fixture
def mrnet(tmp_path):
    """12 exams for training and 4 for the test, three planes of 3 to 5 slices each."""
    generator = np.random.default_rng(0)
    for side, exams in (("train", range(12)), ("valid", range(1130, 1134))):
        for name in ("abnormal", "acl"):
            rows = "".join(f"{exam:04d},{(exam + (name == 'acl')) % 2}\n" for exam in exams)
            (tmp_path / f"{side}-{name}.csv").write_text(rows)
        for plane in ("axial", "coronal", "sagittal"):
            (tmp_path / side / plane).mkdir(parents=True)
            for exam in exams:
                volume = generator.integers(0, 256, (3 + exam % 3, 8, 8)).astype(np.uint8)
                np.save(tmp_path / side / plane / f"{exam:04d}.npy", volume)
    return tmp_path


def test_a_label_of_an_exam_is_of_each_slice_of_its_volumes(mrnet):
    data = FinetuningData(mrnet, layout="mrnet")
    assert data.problems == []
    items = {item["id"]: item for item in data.items()}
    expected = 0
    for path in mrnet.rglob("*.npy"):
        volume = np.load(path)
        expected += len(volume)
        for row in range(len(volume)):
            item = items[f"{path.relative_to(mrnet).as_posix()}#{row}"]
            assert item["patient"] == path.stem
            assert item["label"].tolist() == [int(path.stem) % 2, (int(path.stem) + 1) % 2]
            np.testing.assert_array_equal(LoadSlice()(item["image"], item["row"])[0], volume[row])
    assert len(items) == expected
    sides = data.table.groupby("patient")["split"].unique().map(tuple)
    assert set(sides[sides.index >= "1130"]) == {("test",)}
    assert set(sides[sides.index < "1130"]) == {("train",), ("val",)}


def test_one_plane_is_a_folder_of_its_volumes(mrnet, tmp_path_factory, caplog):
    folder = tmp_path_factory.mktemp("sagittal")
    for side in ("train", "valid"):
        (folder / side).mkdir()
        (mrnet / side / "sagittal").rename(folder / side / "sagittal")
    data = FinetuningData(folder, mrnet, layout="mrnet", label_names="acl")
    assert data.problems == []
    assert {item["id"].split("/")[1] for item in data.items()} == {"sagittal"}
    assert "32 of 48 labelled images are not in" in caplog.text


def test_one_plane_is_its_folder_as_published(mrnet):
    # the words of README.md: --dataset_dir MRNet/train/axial --labels MRNet/train-acl.csv
    data = FinetuningData(mrnet / "train/axial", mrnet / "train-acl.csv", layout="mrnet")
    assert data.problems == []
    volumes = {path.name: len(np.load(path)) for path in (mrnet / "train/axial").iterdir()}
    assert data.count() == sum(volumes.values())
    for item in data.items():
        assert item["image"] == str(mrnet / "train/axial" / f"{item['patient']}.npy")
        assert item["label"].tolist() == [(int(item["patient"]) + 1) % 2]
    assert data.table.groupby("patient")["split"].nunique().eq(1).all()
    assert set(data.table["split"]) == {"train", "val", "test"}
    test = set(data.table.loc[data.table["split"] == "test", "patient"])
    pretraining = PretrainingData(mrnet / "train/axial", mrnet / "train-acl.csv", "mrnet")
    assert {item["id"][:4] for item in pretraining.items()} == {name[:4] for name in volumes} - test


def test_pretraining_and_probes_of_volumes_leave_out_the_exams_of_the_test(mrnet):
    pretraining = PretrainingData(mrnet, mrnet, "mrnet")
    assert pretraining.problems == []
    assert not any("/113" in item["id"] for item in pretraining.items())
    probes = ProbeData(pretraining, mrnet, "mrnet")
    assert probes.problems == []
    assert probes.count("train") + probes.count("val") == pretraining.count()
    assert probes.table["image"].is_unique


def medmnist(path, colour=False, size=6, save=np.savez_compressed):
    generator = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 9), ("val", 6), ("test", 6)):
        arrays[f"{split}_images"] = generator.integers(
            0, 256, (count, size, size, 3)[: 4 if colour else 3], dtype=np.uint8
        )
        arrays[f"{split}_labels"] = (np.arange(count) % 3)[:, None].astype(np.uint8)
    save(path, **arrays)
    return arrays


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_of_medmnist(tmp_path, save):
    arrays = medmnist(tmp_path / "organsmnist.npz", save=save)
    data = FinetuningData(tmp_path / "organsmnist.npz", layout="medmnist", task="multiclass")
    assert data.problems == []
    assert [data.count(split) for split in ("train", "val", "test")] == [9, 6, 6]
    for item in data.items():
        split, number = item["id"].split("/")
        assert item["split"] == split
        assert item["label"].argmax() == arrays[f"{split}_labels"][int(number), 0]
        image = LoadSlice()(item["image"], item["row"])
        np.testing.assert_array_equal(image[0], arrays[f"{split}_images"][int(number)])


def test_colour_of_medmnist_becomes_grey(tmp_path):
    arrays = medmnist(tmp_path / "pathmnist.npz", colour=True)
    grey = np.asarray(Image.fromarray(arrays["val_images"][2]).convert("L")).astype(int)
    assert np.abs(LoadSlice()(tmp_path / "pathmnist.npz", 9 + 2)[0].numpy().astype(int) - grey).max() <= 1


def test_an_array_is_read_once_and_again_when_the_file_changes(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    arrays = medmnist(path)
    opened = []
    load = np.load
    monkeypatch.setattr(np, "load", lambda *args, **options: (opened.append(args), load(*args, **options))[1])
    for row in range(9):
        np.testing.assert_array_equal(LoadSlice()(path, row)[0], arrays["train_images"][row])
    assert len(opened) == 1
    monkeypatch.undo()
    np.savez(path, train_images=255 - arrays["train_images"], train_labels=arrays["train_labels"])
    np.testing.assert_array_equal(LoadSlice()(path, 3)[0], 255 - arrays["train_images"][3])
    with pytest.raises(ValueError, match=r"a\.npz: has 9 images, no row 9"):
        LoadSlice()(path, 9)


def test_probes_of_an_array_leave_out_the_test_of_the_pretraining(tmp_path):
    medmnist(tmp_path / "a.npz")
    images = (
        [f"train/{row}" for row in range(9)] + [f"val/{row}" for row in range(6)] + [f"test/{row}" for row in range(6)]
    )
    table = pd.DataFrame({"image": images, "patient": images, "odd": [number % 2 for number in range(21)]})
    table["split"] = ["test" if number < 4 else "val" if number < 9 else "train" for number in range(21)]
    table.to_csv(tmp_path / "other.csv", index=False)
    pretraining = PretrainingData(tmp_path / "a.npz", tmp_path / "a.npz", "medmnist")
    probes = ProbeData(pretraining, tmp_path / "other.csv")
    seen = {item["id"] for item in probes.items()}
    assert seen == {image for number, image in enumerate(images) if number >= 4 and not image.startswith("test/")}


def test_checksum_of_arrays(tmp_path, mrnet):
    medmnist(tmp_path / "a.npz")
    before = data_checksum(tmp_path / "a.npz")
    assert len(before) == 64
    (tmp_path / "a.npz").rename(tmp_path / "b.npz")
    assert data_checksum(tmp_path / "b.npz") not in ("", before)
    assert len(data_checksum(mrnet)) == 64


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4)), r"must be a volume of slices \(N, H, W\), got \(4, 4\)"),
        (np.zeros((0, 4, 4)), r"must be a volume of slices \(N, H, W\), got \(0, 4, 4\)"),
        (np.zeros((2, 2, 2, 2)), "must be a volume"),
        (np.array([None]), "not a .npy array"),
    ],
)
def test_arrays_that_are_no_volumes_are_named(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match=rf"x\.npy: .*{message}"):
        list_images(tmp_path)


def test_images_and_volumes_may_lie_together(tmp_path):
    np.save(tmp_path / "m.npy", np.zeros((2, 4, 4), np.uint8))
    for name in ("a.png", "z.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 4), np.uint8))
    table = list_images(tmp_path)
    assert table["image"].tolist() == ["a.png", "m.npy#0", "m.npy#1", "z.png"]
    assert table["row"].tolist() == [-1, 0, 1, -1]


def test_npz_of_another_kind_are_named(tmp_path):
    np.savez(tmp_path / "3d.npz", train_images=np.zeros((2, 4, 4, 4), np.uint8))
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 4, 4)))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "3d.npz").read_bytes()[:100])
    for name, message in (("3d", "MedMNIST3D cannot be taken"), ("x", "got none"), ("cut", "not a .npz of MedMNIST")):
        with pytest.raises(ValueError, match=rf"{name}\.npz: .*{message}"):
            list_images(tmp_path / f"{name}.npz")


def test_an_unfinished_store_is_no_folder_of_volumes(tmp_path):
    (tmp_path / "volumes").mkdir()
    np.save(tmp_path / "volumes/a.npy", np.zeros((2, 4, 4), np.int16))
    (tmp_path / ".slicing.json").write_text("{}")
    with pytest.raises(ValueError, match="is not finished"):
        list_images(tmp_path)
