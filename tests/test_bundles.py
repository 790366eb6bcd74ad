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

"""The bundles as MONAI sees them: properties, metadata, network shapes, export; and as a user runs them."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from bundle_runs import BUNDLES, SMALL, config, make_images, run, workflow
from monai.bundle import ConfigParser, ckpt_export, verify_metadata, verify_net_in_out
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from monai_ssl.data import FinetuningData, data_checksum
from monai_ssl.files import read_table
from monai_ssl.metrics import MACRO, redraw_models
from monai_ssl.networks import create_backbone

NAMES = ("swav_pretraining", "resnet_finetuning", "vit_finetuning")
SHARED_IDS = {
    *("bundle_root", "dataset_dir", "output_dir", "labels", "backbone", "checkpoint", "in_channels", "image_size"),
    *("max_epochs", "batch_size", "learning_rate", "num_workers", "checkpoint_minutes", "seed", "device", "amp"),
}
WINDOWS = [[0, 255], [0, 150]]
SWAV = {"hidden_dim": 16, "embedding_dim": 8, "prototypes": 6, "freeze_prototypes_iterations": 1}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("data set 100%"))


@pytest.fixture(scope="module")
def pretrained(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "swav"
    run(
        "swav_pretraining",
        "train",
        dataset_dir=images,
        labels=images / "labels.csv",
        output_dir=folder,
        window=WINDOWS,
        probe_every=2,
        **SMALL,
        **SWAV,
    )
    return folder


@pytest.fixture(scope="module")
def finetuned(images, pretrained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tuned"
    overrides = {"checkpoint": pretrained / "model.pt", "freeze_epochs": 1, "max_epochs": 8, "learning_rate": 0.003}
    settings = {**SMALL, **overrides, "dataset_dir": images, "labels": images / "labels.csv", "output_dir": folder}
    run("resnet_finetuning", "train", **settings)
    return folder


@pytest.mark.parametrize("bundle", NAMES)
def test_bundles_share_their_ids(bundle):
    assert set(ConfigParser.load_config_file(config(bundle, "train"))) >= SHARED_IDS


def test_the_two_fine_tunings_differ_in_their_defaults_only():
    one, other = (ConfigParser.load_config_file(config(bundle, "train")) for bundle in NAMES[1:])
    assert one.keys() == other.keys()
    differing = {key for key in one if one[key] != other[key]}
    assert differing <= {
        *("_desc_", "backbone", "freeze_epochs", "max_epochs", "batch_size", "learning_rate", "weight_decay"),
        *("optimizer", "settings"),
    }
    assert {key for key in one["settings"] if one["settings"][key] != other["settings"][key]} == {"bundle"}


@pytest.mark.parametrize("bundle", NAMES)
@pytest.mark.parametrize("name", ["train", "inference", "evaluate"])
def test_no_property_is_missing(bundle, name, images):
    if not Path(config(bundle, name)).is_file():
        assert (bundle, name) == ("swav_pretraining", "evaluate")
        return
    flow = workflow(
        bundle,
        name,
        "train" if name == "train" else "infer",
        dataset_dir=str(images),
        labels=str(images / "labels.csv"),
    )
    flow.initialize()
    assert flow.check_properties() == []


@pytest.mark.parametrize("bundle", NAMES)
def test_no_property_is_missing_where_there_are_no_data_yet(bundle):
    flow = workflow(bundle, "train")
    flow.initialize()
    assert flow.check_properties() == []


TENSOR = {
    "type": "object",
    "required": [
        "type",
        "format",
        "num_channels",
        "spatial_shape",
        "dtype",
        "value_range",
        "is_patch_data",
        "channel_def",
    ],
}
TENSORS = {"type": "object", "minProperties": 1, "additionalProperties": TENSOR}
TEXT = {"type": "string", "minLength": 1}
# MONAI downloads its schema; this states what its bundle specification asks for, so that the check runs offline.
SCHEMA = {
    "type": "object",
    "required": [
        *("schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version"),
        *("required_packages_version", "name", "task", "description", "authors", "copyright", "network_data_format"),
    ],
    "not": {"required": ["optional_packages_version"]},
    "properties": {
        **dict.fromkeys(
            ("schema", "version", "monai_version", "pytorch_version", "numpy_version", "name", "task"), TEXT
        ),
        "changelog": {"type": "object", "additionalProperties": TEXT},
        "required_packages_version": {"type": "object", "additionalProperties": TEXT},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {"inputs": TENSORS, "outputs": TENSORS},
        },
    },
}


@pytest.mark.parametrize("bundle", NAMES)
def test_metadata(bundle, tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    verify_metadata(meta_file=config(bundle, "metadata"), filepath=str(tmp_path / "schema.json"))
    metadata = json.loads(Path(config(bundle, "metadata")).read_text())
    assert metadata["version"] in metadata["changelog"]
    for name in ("LICENSE", "docs/README.md", "docs/data_license.txt", "configs/logging.conf", "models"):
        assert (BUNDLES / bundle / name).exists()


@pytest.mark.parametrize("bundle", NAMES)
def test_network_shapes(bundle):
    files = {"meta_file": config(bundle, "metadata"), "config_file": config(bundle, "inference")}
    overrides = {"device": "cpu", "bundle_root": str(BUNDLES / bundle)}
    verify_net_in_out("network_def", **overrides, **files)
    # and the check can fail
    with pytest.raises(ValueError, match="output channel number"):
        verify_net_in_out(
            "network_def", **overrides, **files, **{"_meta_#network_data_format#outputs#pred#num_channels": 7}
        )


@pytest.mark.parametrize("bundle", NAMES)
def test_export_gives_the_same_outputs(bundle, tmp_path, monkeypatch):
    backbone = "vit_tiny_patch16_224" if bundle.startswith("vit") else "resnet10t"
    classes = {} if bundle.startswith("swav") else {"num_classes": 2}
    network = create_backbone(backbone, **classes).eval()
    torch.save(network.state_dict(), tmp_path / "model.pt")
    overrides = {"backbone": backbone, "bundle_root": str(BUNDLES / bundle), "checkpoint": str(tmp_path / "model.pt")}
    if classes:
        overrides["label_names"] = ["a", "b"]
    ckpt_export(
        "network_def",
        filepath=str(tmp_path / "model.ts"),
        ckpt_file=str(tmp_path / "model.pt"),
        meta_file=config(bundle, "metadata"),
        config_file=config(bundle, "inference"),
        use_trace=True,
        input_shape=[1, 1, 224, 224],
        **overrides,
    )
    image = torch.randn(2, 1, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.load(tmp_path / "model.ts")(image), network(image), rtol=1e-4, atol=1e-5)


def test_pretraining_leaves_a_backbone_and_its_course(pretrained, images):
    create_backbone("resnet10t").load_state_dict(torch.load(pretrained / "model.pt", weights_only=True), strict=True)
    lines = [json.loads(line) for line in (pretrained / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(line["chance_loss"] == pytest.approx(np.log(6)) and 0 < line["loss"] < 10 for line in lines)
    # 60 images, 15 of them of the 5 test patients, 8 a step
    assert lines[-1]["iteration"] == 2 * (45 // 8)
    assert any(pretrained.glob("events.*"))
    assert (pretrained / "views.png").read_bytes().startswith(b"\x89PNG")
    assert lines[0].keys() == lines[1].keys() - {"knn_auc", "linear_auc"}
    monitored = {"prototype_entropy", "dead_prototypes", "code_entropy", "embedding_std", "embedding_collapse"}
    assert lines[0].keys() >= monitored | {"gradient_norm", "gradient_norm_max", "learning_rate"}
    settings = json.loads((pretrained / "settings.json").read_text())
    assert settings["finished_epochs"] == 2
    assert settings["settings"]["prototypes"] == 6
    assert settings["settings"]["test_patients"] == "left out"
    assert settings["settings"]["data_checksum"] == data_checksum(images)
    model, checkpoint = (torch.load(pretrained / name, weights_only=True) for name in ("model.pt", "checkpoint.pt"))
    assert model.provenance == checkpoint["provenance"]
    assert model.provenance["settings"].items() <= settings["settings"].items()
    assert model.provenance["versions"] == settings["versions"]


def test_the_last_probe_is_that_of_the_model(pretrained, images):
    """The last epoch was probed: embed the images anew, scaled by torch, with the model that it left."""
    network = create_backbone("resnet10t").eval()
    network.load_state_dict(torch.load(pretrained / "model.pt", weights_only=True))
    items = FinetuningData(images, images / "labels.csv").items("train", "val")
    low, high = WINDOWS[0]
    pixels = [cv2.imread(item["image"], cv2.IMREAD_GRAYSCALE).astype(np.float32) for item in items]
    scaled = [torch.from_numpy((image[None, None] - low) / (high - low)) for image in pixels]
    small = [torch.nn.functional.interpolate(image, (32, 32), mode="bilinear", antialias=True) for image in scaled]
    with torch.no_grad():
        features = network((torch.cat(small) - 0.5) / 0.25).numpy()
    split = np.array([item["split"] for item in items])
    labels = np.stack([item["label"] for item in items])
    aucs = []
    for learnt, truth in zip(labels[split == "train"].T, labels[split == "val"].T, strict=True):
        model = KNeighborsClassifier(20, metric="cosine").fit(features[split == "train"], learnt)
        aucs.append(roc_auc_score(truth, model.predict_proba(features[split == "val"])[:, 1]))
    line = json.loads((pretrained / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["knn_auc"] == pytest.approx(np.mean(aucs), abs=1e-6)
    assert 0 <= line["linear_auc"] <= 1


def test_one_image_over_and_over_is_warned_of(images, tmp_path, capsys):
    (tmp_path / "same").mkdir()
    for number in range(16):
        shutil.copy(images / "00.png", tmp_path / "same" / f"{number}.png")
    crops = {"crop_scales": [[1.0, 1.0], [1.0, 1.0]], "jitter_prob": 0.0, "blur_prob": 0.0, "max_epochs": 3}
    settings = {**SMALL, **SWAV, **crops, "dataset_dir": tmp_path / "same", "output_dir": tmp_path / "out"}
    run("swav_pretraining", "train", **settings)
    said = capsys.readouterr().out
    assert said.count("the representation has collapsed, all images get nearly the same embedding") == 1
    assert said.count("does not get below ln(6) = 1.792") == 1


def test_fine_tuning_learns_and_predicts(finetuned, images):
    assert (finetuned / "first_batch.png").read_bytes().startswith(b"\x89PNG")
    model = torch.load(finetuned / "model.pt", weights_only=True)
    assert model.provenance["settings"]["bundle"].endswith("finetuning")
    table = pd.read_csv(finetuned / "predictions.csv", dtype={"patient": str})
    truth = pd.read_csv(images / "labels.csv", dtype=str).set_index("image")
    assert table.columns.tolist() == [
        *("image", "patient", "split", "finding_true", "finding_score", "odd_true", "odd_score")
    ]
    assert set(table["split"]) == {"val", "test"}
    assert (table["finding_true"].astype(str).to_numpy() == truth.loc[table["image"], "finding"].to_numpy()).all()
    test = table[table["split"] == "test"]
    assert roc_auc_score(test["finding_true"], test["finding_score"]) > 0.9
    # the validation score that chose the model is that of the predictions
    val = table[table["split"] == "val"]
    best = max(json.loads(line)["val_auc"] for line in (finetuned / "metrics.jsonl").read_text().splitlines())
    aucs = [roc_auc_score(val[f"{name}_true"], val[f"{name}_score"]) for name in ("finding", "odd")]
    assert np.mean(aucs) == pytest.approx(best, abs=1e-6)
    evaluation = pd.read_csv(finetuned / "evaluation.csv").set_index(["split", "label"])
    assert evaluation.loc[("val", "macro"), "auc"] == pytest.approx(best, abs=1e-6)
    recorded = json.loads((finetuned / "thresholds.json").read_text())
    assert (recorded["task"], recorded["split"]) == ("multilabel", "val")
    called = test["finding_score"] >= recorded["thresholds"]["finding"]
    expected = called[test["finding_true"] == 1].mean()
    assert evaluation.loc[("test", "finding"), "sensitivity"] == pytest.approx(expected)


def test_a_run_stopped_before_its_predictions_makes_them(finetuned, images, tmp_path):
    copy = shutil.copytree(finetuned, tmp_path / "copy")
    written = ("predictions.csv", "evaluation.csv", "thresholds.json")
    expected = [(copy / name).read_bytes() for name in written]
    for name in written:
        (copy / name).unlink()
    record = json.loads((copy / "settings.json").read_text())
    del record["finished_epochs"]
    (copy / "settings.json").write_text(json.dumps(record))
    settings = {
        key: record["settings"][key] for key in (*SMALL, "checkpoint", "freeze_epochs", "learning_rate", "labels")
    }
    run("resnet_finetuning", "train", **settings, dataset_dir=images, output_dir=copy)
    assert [(copy / name).read_bytes() for name in written] == expected


def test_evaluate_repeats_the_predictions_and_inference_needs_no_labels(finetuned, images, tmp_path):
    # batches of one size, since the last digits of a convolution may depend on it
    common = {
        "checkpoint": finetuned / "model.pt",
        **{key: SMALL[key] for key in ("batch_size", "device", "num_workers")},
    }
    parsers: list = []
    run("resnet_finetuning", "evaluate", "infer", parsers.append, output_dir=tmp_path / "evaluated", **common)
    evaluated = (tmp_path / "evaluated/predictions.csv").read_bytes()
    assert evaluated == (finetuned / "predictions.csv").read_bytes()
    # the interval that the log shows is that of the report on these predictions
    predictions = read_table(tmp_path / "evaluated/predictions.csv", text=("image", "patient", "split"))
    wanted = redraw_models({"model": predictions}).intervals().set_index("label").loc[MACRO]
    metrics = parsers[0].get_parsed_content("evaluator").state.metrics
    shown = [metrics[f"bootstrap_auc{end}"] for end in ("", "_low", "_high")]
    assert (shown, wanted["unit"]) == (wanted[["value", "low", "high"]].tolist(), "patient")
    evaluation = (tmp_path / "evaluated/evaluation.csv").read_bytes()
    assert evaluation == (finetuned / "evaluation.csv").read_bytes()
    # a set of test images alone is judged at the thresholds of the run
    external = {"dataset_dir": images, "labels": images / "labels.csv", "fractions": [0, 0, 1], "splits": ["test"]}
    run("resnet_finetuning", "evaluate", "infer", output_dir=tmp_path / "external", **external, **common)
    rows = pd.read_csv(tmp_path / "external/evaluation.csv").set_index("label")
    thresholds = json.loads((finetuned / "thresholds.json").read_text())["thresholds"]
    assert (rows.loc["finding", "images"], rows.loc["finding", "threshold"]) == (60, thresholds["finding"])
    assert json.loads((tmp_path / "external/thresholds.json").read_text())["thresholds"] == thresholds
    run("resnet_finetuning", "inference", "infer", output_dir=tmp_path / "inferred", dataset_dir=images, **common)
    scores = pd.read_csv(tmp_path / "inferred/predictions.csv").set_index("image")
    expected = pd.read_csv(finetuned / "predictions.csv").set_index("image")["finding_score"]
    decided = ["finding_positive", "odd_positive"]
    assert scores.columns.tolist() == ["patient", "split", "finding_score", "odd_score", *decided]
    assert (scores["finding_positive"] == (scores["finding_score"] >= thresholds["finding"])).all()
    np.testing.assert_allclose(scores.loc[expected.index, "finding_score"], expected, atol=1e-6)


def test_embeddings_are_the_backbone_features(pretrained, images, tmp_path):
    common = {"checkpoint": pretrained / "model.pt", "device": "cpu", "num_workers": 0, "dataset_dir": images}
    run("swav_pretraining", "inference", "infer", output_dir=tmp_path, **common)
    network = create_backbone("resnet10t").eval()
    network.load_state_dict(torch.load(pretrained / "model.pt", weights_only=True))
    with np.load(tmp_path / "embeddings.npz") as content:
        assert content["slice"].tolist() == [f"{number:02d}.png" for number in range(60)]
        assert content["embedding"].shape == (60, network.num_features)
        embedding = content["embedding"]
    assert cv2.imread(str(tmp_path / "embeddings.png")).std() > 0
    assert embedding.std(axis=0).max() > 0
    # trained in windows that are drawn, applied in the first
    run("swav_pretraining", "inference", "infer", output_dir=tmp_path / "first", window=WINDOWS[0], **common)
    with np.load(tmp_path / "first/embeddings.npz") as content:
        assert np.array_equal(content["embedding"], embedding)


def test_multi_class_scores_sum_to_one(images, tmp_path):
    table = pd.read_csv(images / "labels.csv", dtype=str)
    table["class"] = table.pop("finding").map({"0": "normal", "1": "covid"})
    table.drop(columns="odd").to_csv(tmp_path / "classes.csv", index=False)
    overrides = {
        "labels": tmp_path / "classes.csv",
        "task": "multiclass",
        "max_epochs": 1,
        "output_dir": tmp_path / "run",
    }
    run("vit_finetuning", "train", dataset_dir=images, **{**SMALL, "backbone": "vit_tiny_patch16_224", **overrides})
    table = pd.read_csv(tmp_path / "run/predictions.csv")
    scores = table[["covid_score", "normal_score"]]
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    evaluation = pd.read_csv(tmp_path / "run/evaluation.csv").set_index(["split", "label"])
    right = (scores["covid_score"] >= scores["normal_score"]) == table["covid_true"]
    assert evaluation.loc[("test", "macro"), "class_accuracy"] == pytest.approx(right[table["split"] == "test"].mean())
    common = {"checkpoint": tmp_path / "run/model.pt", "device": "cpu", "num_workers": 0, "dataset_dir": images}
    run("vit_finetuning", "inference", "infer", output_dir=tmp_path / "inferred", **common)
    inferred = pd.read_csv(tmp_path / "inferred/predictions.csv")
    assert inferred.columns.tolist()[3:] == ["covid_score", "normal_score", "class"]
    highest = np.where(inferred["covid_score"] >= inferred["normal_score"], "covid", "normal")
    assert (inferred["class"] == highest).all()


def test_problems_leave_before_anything_is_written(tmp_path, images, capsys):
    with pytest.raises(SystemExit) as stop:
        run(
            "vit_finetuning", "train", dataset_dir=tmp_path / "absent", output_dir=tmp_path / "out", backbone="vit_tine"
        )
    assert stop.value.code == 2
    said = capsys.readouterr().out
    assert "absent: no such folder" in said
    assert "vit_tine" in said
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, images, capsys):
    torch.save(create_backbone("resnet18").state_dict(), tmp_path / "other.pt")
    settings = {**SMALL, "dataset_dir": images, "labels": images / "labels.csv", "output_dir": tmp_path / "out"}
    with pytest.raises(SystemExit) as stop:
        run("resnet_finetuning", "train", checkpoint=tmp_path / "other.pt", **settings)
    assert stop.value.code == 2
    assert "other.pt: read as layout timm" in capsys.readouterr().out
    # so the corrected command may use the folder
    assert not (tmp_path / "out").exists()


def test_without_an_auc_in_validation_the_last_model_is_kept(images, tmp_path):
    table = pd.read_csv(images / "labels.csv", dtype=str).drop(columns="odd")
    patient = table["patient"].astype(int)
    table["split"] = np.where(patient < 12, "train", "test")
    table.loc[patient.isin([13, 15]), "split"] = "val"
    assert set(table.loc[table["split"] == "val", "finding"]) == {"1"}
    table.to_csv(tmp_path / "labels.csv", index=False)
    settings = {**SMALL, "dataset_dir": images, "labels": tmp_path / "labels.csv", "output_dir": tmp_path / "out"}
    run("resnet_finetuning", "train", **settings)
    model, last = (torch.load(tmp_path / "out" / name, weights_only=True) for name in ("model.pt", "checkpoint.pt"))
    assert all(torch.equal(tensor, last["network"][name]) for name, tensor in model.items())


@pytest.mark.parametrize(
    ("preset", "values"),
    [
        (
            "swav_paper",
            {
                **{"prototypes": 3000, "queue_length": 0, "crop_scales": [[0.14, 1.0], [0.05, 0.14]], "flip_prob": 0.5},
                **{"learning_rate": 4.8, "start_lr": 0.3, "final_lr": 0.0048, "max_epochs": 800, "warmup_epochs": 10},
                **{"exclude_norms": False, "freeze_prototypes_iterations": 313, "rate_scale": 64 / 4096},
            },
        ),
        (
            "less_is_more",
            {
                **{"prototypes": 500, "queue_length": 0, "crop_scales": [[0.9, 1.0], [0.1, 0.33]], "flip_prob": 0.0},
                **{"learning_rate": 0.15, "final_lr": 0.00015, "max_epochs": 800, "batch_size": 128, "mean": 0.1695},
                **{"exclude_norms": True, "freeze_prototypes_iterations": 313, "rate_scale": 1.0},
            },
        ),
    ],
)
def test_presets_give_the_values_of_their_papers(preset, values):
    parser = ConfigParser()
    parser.read_config(config("swav_pretraining", "train", preset))
    assert {name: parser.get_parsed_content(name) for name in values} == values
    overlay = ConfigParser.load_config_file(config("swav_pretraining", preset))
    assert overlay.keys() <= ConfigParser.load_config_file(config("swav_pretraining", "train")).keys()
    # and what is built follows them
    parser.update({"device": "cpu", "dataset_dir": "absent", "backbone": "resnet10t"})
    assert parser.get_parsed_content("network_def").prototypes.weight.shape == (values["prototypes"], 128)
    groups = parser.get_parsed_content("optimizer").param_groups
    assert len(groups) == (2 if values["exclude_norms"] else 1)
    crop = parser.get_parsed_content("train::preprocessing").transforms[-1].cropper
    assert crop.flip_prob == values["flip_prob"]


def test_settings_name_folders_from_the_root(images, tmp_path, monkeypatch):
    monkeypatch.chdir(images.parent)
    settings = {**SMALL, "max_epochs": 1, "dataset_dir": images.name, "labels": f"{images.name}/labels.csv"}
    run("resnet_finetuning", "train", **settings, output_dir="out")
    record = json.loads((images.parent / "out/settings.json").read_text())["settings"]
    assert (record["dataset_dir"], record["labels"]) == (str(images), str(images / "labels.csv"))
    monkeypatch.chdir(tmp_path)
    common = {key: SMALL[key] for key in ("batch_size", "device", "num_workers")}
    model = images.parent / "out/model.pt"
    run("resnet_finetuning", "evaluate", "infer", checkpoint=model, output_dir="evaluated", **common)
    evaluated = (tmp_path / "evaluated/predictions.csv").read_bytes()
    assert evaluated == (images.parent / "out/predictions.csv").read_bytes()


def command(*words, cwd=None, launcher=("-m", "monai.bundle")):
    line = [sys.executable, "-W", "ignore", *launcher, "run", *map(str, words)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


def overrides_of(settings):
    return [word for key, value in settings.items() for word in (f"--{key}", str(value))]


def test_the_command_line_from_another_folder(images, tmp_path):
    settings = {
        **SMALL,
        "max_epochs": 1,
        "dataset_dir": images,
        "labels": images / "labels.csv",
        "output_dir": "out put",
    }
    words = ["--config_file", config("resnet_finetuning", "train"), *overrides_of(settings)]
    mistyped = command(*words, "--max_epoch", "3", cwd=tmp_path)
    assert mistyped.returncode == 2
    assert "did you mean --max_epochs?" in mistyped.stdout
    assert not list(tmp_path.iterdir())
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(pd.read_csv(tmp_path / "out put/predictions.csv")) > 0
    again = command(*words, cwd=tmp_path)
    assert again.returncode == 0
    assert "this run is finished (1 epochs)" in again.stdout


def test_two_processes_train_one_model(images, tmp_path):
    settings = {**SMALL, **SWAV, "batch_size": 4, "dataset_dir": images, "output_dir": tmp_path / "out"}
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "monai.bundle")
    files = str(config("swav_pretraining", "train", "multi_gpu_train"))
    done = command("--config_file", files, *overrides_of(settings), launcher=launcher)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    # 60 images, two ranks, 4 a step; one rank writes
    assert [line["iteration"] for line in lines] == [7, 14]
    assert len(list((tmp_path / "out").glob("events.*"))) == 1
    create_backbone("resnet10t").load_state_dict(torch.load(tmp_path / "out/model.pt", weights_only=True))
    again = command("--config_file", files, *overrides_of(settings), launcher=launcher)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "this run is finished (2 epochs)" in again.stdout


@pytest.fixture
def package_bundle(monkeypatch):
    monkeypatch.syspath_prepend(str(BUNDLES.parent / "scripts"))
    return importlib.import_module("package_bundle")


def test_a_package_holds_no_data(package_bundle, finetuned, tmp_path, monkeypatch):
    shutil.copytree(BUNDLES / "resnet_finetuning", tmp_path / "bundles/resnet_finetuning")
    (tmp_path / "bundles/resnet_finetuning/dataset").mkdir()
    (tmp_path / "bundles/resnet_finetuning/dataset/.pseudonym_key").write_text("secret")
    monkeypatch.setattr(package_bundle, "BUNDLES", tmp_path / "bundles")
    package_bundle.package("resnet_finetuning", finetuned, tmp_path / "package")
    entries = sorted(entry.name for entry in (tmp_path / "package").iterdir())
    assert entries == ["LICENSE", "configs", "docs", "models"]
    settings = json.loads((tmp_path / "package/models/settings.json").read_text())["settings"]
    assert not {"dataset_dir", "labels", "checkpoint"} & settings.keys()
    thresholds = (tmp_path / "package/models/thresholds.json").read_bytes()
    assert thresholds == (finetuned / "thresholds.json").read_bytes()
    names = zipfile.ZipFile(tmp_path / "package.zip").namelist()
    assert "package/models/model.pt" in names
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["bundles", "package", "package.zip"]


def test_a_package_that_fails_leaves_nothing(package_bundle, tmp_path):
    run_folder, record = tmp_path / "run", {"settings": {"bundle": "resnet_finetuning"}, "finished_epochs": 1}
    run_folder.mkdir()
    for wrong in ({}, {"settings": {}}, []):
        (run_folder / "settings.json").write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match="not the settings of a bundle's run"):
            package_bundle.package("resnet_finetuning", run_folder, tmp_path / "package")
    (run_folder / "settings.json").write_text(json.dumps(record))
    with pytest.raises(OSError, match=r"model\.pt"):
        package_bundle.package("resnet_finetuning", run_folder, tmp_path / "package")
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
