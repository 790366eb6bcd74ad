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
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from bundle_runs import make_images, run
from typer.testing import CliRunner

from monai_ssl.cli import app
from monai_ssl.data import SliceStore, box_mask, make_phantoms, read_boxes, slice_volumes
from monai_ssl.metrics import dice, pointing_game
from monai_ssl.saliency import saliency_of_run
from monai_ssl.saliency.trained import open_run

SMALL = {"backbone": "resnet10t", "image_size": 32, "batch_size": 8, "num_workers": 0, "device": "cpu", "max_epochs": 1}
BOX = "image,label,x,y,width,height\n{}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one epoch on images whose finding is a bright square, and the box of the square."""
    folder = tmp_path_factory.mktemp("saliency 100%")
    images = folder / "images"
    images.mkdir()
    make_images(images)
    settings = {**SMALL, "dataset_dir": images, "labels": images / "labels.csv", "output_dir": folder / "run"}
    run("resnet_finetuning", "train", **settings, mean=[0.3], std=[0.2], select_by="loss")
    table = pd.read_csv(images / "labels.csv")
    boxes = "".join(f"{name},finding,10,10,15,15\n" for name in table["image"][table["finding"] == 1])
    (folder / "boxes.csv").write_text(BOX.format(boxes), encoding="utf-8")
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    """A copy to write into."""
    shutil.copytree(trained / "run", tmp_path / "run")
    return tmp_path / "run"


def command(*words):
    result = CliRunner().invoke(app, ["saliency", *map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def predictions(folder, split="test"):
    table = pd.read_csv(folder / "predictions.csv", dtype={"patient": str})
    return table[table["split"] == split]


def test_scores_and_network_are_those_of_the_predictions(folder):
    opened = open_run(folder, "test", None)
    network = opened.network(folder / "model.pt", torch.device("cpu"))
    for label in opened.labels:
        rows = opened.table[opened.table["label"] == label]
        images = torch.stack([opened.load(file, row)[1] for file, row in zip(rows["file"], rows["row"], strict=True)])
        with torch.no_grad():
            found = opened.probabilities(network(images))[:, opened.labels.index(label)]
        np.testing.assert_allclose(found, rows["score"], atol=1e-5)
        assert rows["truth"].tolist() == predictions(folder)[f"{label}_true"].tolist()


def test_the_command_maps_and_scores_the_images_with_the_label(folder, trained):
    result = command(folder, "--boxes", trained / "boxes.csv")
    assert result.exit_code == 0, result.output
    table, test = pd.read_csv(folder / "saliency.csv", dtype={"patient": str}), predictions(folder)
    for label in ("finding", "odd"):
        rows = table[table["label"] == label]
        assert rows["image"].tolist() == test["image"][test[f"{label}_true"] == 1].tolist()
        assert rows["dice"].notna().all() == (label == "finding")
        assert rows["dice"].isna().all() == (label == "odd")
    scored = table.dropna(subset="dice")
    expected = box_mask(read_boxes(trained / "boxes.csv").iloc[:1], (32, 32), (40, 40)).mean()
    assert scored["truth_share"].tolist() == pytest.approx([expected] * len(scored))
    summary = pd.read_csv(folder / "saliency_summary.csv").set_index("metric")
    assert set(summary["label"]) == {"finding"}
    assert summary.loc["dice", "value"] == pytest.approx(scored["dice"].mean())
    assert set(summary["unit"]) == {"patient"}
    assert f"finding: Dice {scored['dice'].mean():.3f}" in result.stdout


def test_examples_follow_the_rule_and_hold_no_names(folder, trained):
    saliency_of_run(folder, boxes=trained / "boxes.csv")
    thresholds = json.loads((folder / "thresholds.json").read_text())["thresholds"]
    with np.load(folder / "saliency.npz", allow_pickle=False) as arrays:
        shown = dict(arrays)
    assert [str(shown[name].dtype) for name in ("image", "saliency", "mask")] == ["uint8", "float16", "bool"]
    assert shown["image"].shape == shown["saliency"].shape == shown["mask"].shape
    assert shown["image"].shape[1:] == (256, 256)
    test, expected = predictions(folder), set()
    for label in ("finding", "odd"):
        scores, truth = test[f"{label}_score"], test[f"{label}_true"] == 1
        called = scores >= thresholds[label]
        for kind, rows, best in (
            ("true positive", called & truth, max),
            ("miss", ~called & truth, min),
            ("false alarm", called & ~truth, max),
        ):
            if rows.any():
                expected.add((label, kind, round(best(scores[rows]), 5)))
    found = zip(shown["label"], shown["kind"], shown["score"].astype(float).round(5), strict=True)
    assert {(str(label), str(kind), float(score)) for label, kind, score in found} == expected
    finding = (shown["label"] == "finding") & (shown["truth"] == 1)
    assert (shown["mask"].any(axis=(1, 2)) == finding).all()
    names = {*test["image"], *test["patient"]}
    assert not names & {str(value) for values in shown.values() if values.dtype.kind == "U" for value in values}
    assert cv2.imread(str(folder / "saliency.png")).shape[1] > 400


def test_masks_count_as_boxes_do_and_limit_takes_the_first_of_each_label(folder, trained, tmp_path):
    (tmp_path / "masks/finding/deep").mkdir(parents=True)
    mask = np.zeros((40, 40), np.uint8)
    mask[10:25, 10:25] = 7
    test = predictions(folder)
    for name in test["image"][test["finding_true"] == 1]:
        cv2.imwrite(str(tmp_path / "masks/finding" / name), mask)
    by_box = saliency_of_run(folder, boxes=trained / "boxes.csv", limit=2)
    by_mask = saliency_of_run(folder, masks=tmp_path / "masks", limit=2)
    assert by_box["label"].value_counts().to_dict() == {"finding": 2, "odd": 2}
    np.testing.assert_allclose(by_mask["dice"], by_box["dice"], atol=0.1)
    saliency_of_run(folder, limit=1)
    assert not (folder / "saliency_summary.csv").exists()  # the earlier one was of other lesions


def test_wrong_input_is_named_all_at_once_and_nothing_is_written(folder, trained, tmp_path):
    before = {path.name for path in folder.iterdir()}
    bad = tmp_path / "bad.csv"
    bad.write_text(BOX.format("z.png,finding,1,2,3,4\n"), encoding="utf-8")
    (tmp_path / "masks").mkdir()
    result = command(folder, "--boxes", bad, "--masks", tmp_path / "masks")
    assert result.exit_code == 2
    assert "none of its boxes is of one of the" in result.stderr
    assert "needs a folder of PNG masks for each label" in result.stderr
    result = command(folder, "--method", "lime", "--limit", 0, "--boxes", tmp_path / "absent.csv", "--split", "holdout")
    assert result.exit_code == 2
    for said in ("'lime'", "--limit must be 1", "absent.csv: no such", "no rows of split 'holdout'"):
        assert said in result.stderr
    bad.write_text(BOX.format("00.png,tumour,1,2,3,4\n"), encoding="utf-8")
    assert "no boxes of the model's labels" in command(folder, "--boxes", bad).stderr
    (tmp_path / "masks/finding").mkdir()
    image = predictions(folder)["image"].iloc[0]
    cv2.imwrite(str(tmp_path / "masks/finding" / image), np.zeros((8, 8), np.uint8))
    assert "are 0 everywhere" in command(folder, "--masks", tmp_path / "masks").stderr
    assert "settings.json: not there" in command(tmp_path / "nothing").stderr
    table = pd.read_csv(folder / "predictions.csv", dtype=str)
    nameless = (table["split"] == "test") & (table["finding_true"] == "1")
    table.loc[nameless[nameless].index[0], "patient"] = None
    table.to_csv(folder / "predictions.csv", index=False)
    assert "images have no patient" in command(folder, "--boxes", trained / "boxes.csv").stderr
    assert {path.name for path in folder.iterdir()} == before


def test_other_images_than_those_predicted_are_told(folder, trained, tmp_path, caplog):
    shutil.copytree(trained / "images", tmp_path / "images")
    saliency_of_run(folder, dataset_dir=tmp_path / "images", limit=1)
    assert "differ from predictions.csv" not in caplog.text
    table = pd.read_csv(folder / "predictions.csv", dtype={"patient": str})
    table.assign(odd_score=table["odd_score"] / 2).to_csv(folder / "predictions.csv", index=False)
    saliency_of_run(folder, limit=1)
    assert "scores differ from predictions.csv" in caplog.text


class Bright(torch.nn.Module):
    """One stage, made by hand, that fires where a spot of 3 px is brighter than the ring around it, or darker."""

    def __init__(self, sign):
        super().__init__()
        self.feature_info = [{"module": "stage", "num_chs": 1}]
        self.num_classes = 1
        convolution = torch.nn.Conv2d(1, 1, 15, padding=7)
        far = np.hypot(*np.mgrid[-7:8, -7:8])
        spot, ring = far <= 1.5, (far > 2.5) & (far <= 4)
        kernel = spot / spot.sum() - ring / ring.sum()
        convolution.weight = torch.nn.Parameter(torch.tensor(sign * kernel, dtype=torch.float32)[None, None])
        convolution.bias = torch.nn.Parameter(torch.tensor([-0.3]))
        self.stage = torch.nn.Sequential(convolution, torch.nn.ReLU())

    def forward(self, images):
        return self.stage(images).mean(dim=(2, 3))


@pytest.fixture(scope="module")
def nodules(tmp_path_factory):
    """A run folder on a store of phantoms, but for its network, and the boxes of their nodules."""
    folder = tmp_path_factory.mktemp("nodules")
    make_phantoms(folder / "sample", patients=4, seed=2, size=96, slices=24)
    labels = folder / "sample/labels.csv"
    slice_volumes(folder / "sample/volumes", folder / "store", reduce="all", labels=labels, workers=1)
    store = SliceStore.open(folder / "store")
    settings = {
        "backbone": "by hand",
        "in_channels": 1,
        "image_size": 96,
        "mean": [0.0],
        "std": [1.0],
        "window": "lung",
    }
    settings |= {"task": "multilabel", "label_names": ["nodule"], "dataset_dir": str(folder / "store")}
    (folder / "settings.json").write_text(json.dumps({"settings": settings}), encoding="utf-8")
    (folder / "thresholds.json").write_text('{"thresholds": {"nodule": 0.5}}', encoding="utf-8")
    rows = store.kept.set_index("slice").join(store.labels["nodule"])
    table = pd.DataFrame({"image": rows.index, "patient": rows["patient"].to_numpy(), "split": "test"})
    table = table.assign(nodule_true=rows["nodule"].to_numpy(), nodule_score=0.5)
    table.to_csv(folder / "predictions.csv", index=False)
    (folder / "model.pt").touch()
    return folder


def test_nodules_of_phantoms_are_hit_by_a_network_that_looks_at_them_and_missed_by_one_that_does_not(
    nodules, monkeypatch
):
    store, hits = SliceStore.open(nodules / "store"), {}
    boxes = read_boxes(nodules / "sample/boxes.csv", nodules / "store")
    for sign in (1, -1):
        network = Bright(sign).eval()
        monkeypatch.setattr("monai_ssl.saliency.trained.TrainedRun.network", lambda *_, network=network: network)
        found = saliency_of_run(nodules, boxes=nodules / "sample/boxes.csv")
        assert set(found["image"]) == set(boxes["image"])
        hits[sign] = found["hit"].mean()
        for row in found.itertuples():  # from the store itself, by a plain formula
            mask = box_mask(boxes[boxes["image"] == row.image], (96, 96), (96, 96))
            values = np.clip((store.read(row.image) + 1350) / 1500, 0, 1).astype(np.float32)
            with torch.no_grad():
                fired = network.stage(torch.tensor(values)[None, None])[0, 0].numpy()
            assert row.hit == pointing_game(fired, mask)
            assert row.dice == pytest.approx(dice(fired, mask), abs=1e-6)
    assert hits[1] >= 0.5
    assert hits[-1] == 0


def test_a_stopped_run_leaves_nothing_half_written(folder, trained, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    before = {path.name for path in folder.iterdir()} | {".lock"}
    monkeypatch.setattr("monai_ssl.saliency.run.saliency_map", stop)
    with pytest.raises(KeyboardInterrupt):
        saliency_of_run(folder)
    assert {path.name for path in folder.iterdir()} == before
    assert Path(trained / "run/saliency.csv").exists() is False
