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

import gc

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, SecondaryCaptureImageStorage, generate_uid
from test_bundles import BUNDLES, SMALL, config, run

from monai_ssl.data import SliceStore, export_png, slice_volumes
from monai_ssl.data.phantoms.canvas import Grid
from monai_ssl.data.phantoms.files import write_dicom_series
from monai_ssl.networks import create_backbone

ONCE = {**SMALL, "max_epochs": 1, "batch_size": 4}
PREDICTING = {"batch_size": 4, "num_workers": 0, "device": "cpu"}


def write_radiograph(path, pixels):
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.PatientID, image.Modality, image.SeriesInstanceUID = "SECRET", "CR", generate_uid()
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    image.PixelData = pixels.tobytes()
    image.save_as(path, enforce_file_format=True)


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory):
    """24 radiographs of as many patients, as PNG and as DICOM, and their labels without suffix."""
    root = tmp_path_factory.mktemp("radiographs")
    (root / "png").mkdir()
    (root / "dicom").mkdir()
    generator = np.random.default_rng(0)
    rows = []
    for number in range(24):
        pixels = generator.integers(0, 120, (40, 40)).astype(np.uint8)
        pixels[8:20, 8:20] += np.uint8(100 * (number % 2))
        cv2.imwrite(str(root / f"png/{number:02d}.png"), pixels)
        write_radiograph(root / f"dicom/{number:02d}.dcm", pixels)
        rows.append({"image": f"{number:02d}", "patient": f"p{number}", "finding": number % 2, "odd": number // 2 % 2})
    pd.DataFrame(rows).to_csv(root / "labels.csv", index=False)
    return root


@pytest.fixture(scope="module")
def trained(radiographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    labels = radiographs / "labels.csv"
    run("resnet_finetuning", "train", dataset_dir=radiographs / "png", labels=labels, output_dir=folder, **ONCE)
    return folder


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """8 CT of 6 slices, and their store."""
    root = tmp_path_factory.mktemp("scans")
    generator = np.random.default_rng(1)
    grid = Grid((6, 36, 36), (2.5, 0.8, 0.8), (-70.0, -14.0, -14.0))
    rows = []
    for number in range(8):
        hu = generator.integers(-1000, 400, (6, 36, 36)).astype(np.int16)
        write_dicom_series(root / f"dicom/{number}", hu, grid, f"P{number}", (0, number))
        rows.append({"patient": f"P{number}", "finding": number % 2})
    pd.DataFrame(rows).to_csv(root / "labels.csv", index=False)
    slice_volumes(root / "dicom", root / "store", reduce="all", labels=root / "labels.csv", workers=1)
    return root


def scores_of(folder):
    table = pd.read_csv(folder / "predictions.csv", dtype={"image": str}).set_index("image")
    return table[[column for column in table.columns if column.endswith("_score")]]


def predict(trained, dataset_dir, output_dir, **overrides):
    settings = {**PREDICTING, **overrides}
    run("resnet_finetuning", "inference", "infer", checkpoint=trained / "model.pt", dataset_dir=dataset_dir,
        output_dir=output_dir, **settings)  # fmt: skip
    return scores_of(output_dir)


def test_radiographs_score_as_in_training_as_png_and_as_dicom(radiographs, trained, tmp_path):
    expected = scores_of(trained)
    png = predict(trained, radiographs / "png", tmp_path / "png")
    dicom = predict(trained, radiographs / "dicom", tmp_path / "dicom")
    assert png.index.tolist() == [f"{number:02d}.png" for number in range(24)]
    np.testing.assert_allclose(png.loc[[f"{name}.png" for name in expected.index]], expected, atol=1e-6)
    assert dicom.index.str.replace(".dcm", ".png").tolist() == png.index.tolist()
    assert np.array_equal(dicom, png)
    assert "SECRET" not in (tmp_path / "dicom/predictions.csv").read_text()


def test_training_on_dicom_is_training_on_png(radiographs, trained, tmp_path):
    labels = radiographs / "labels.csv"
    run("resnet_finetuning", "train", dataset_dir=radiographs / "dicom", labels=labels, output_dir=tmp_path, **ONCE)
    assert (tmp_path / "predictions.csv").read_bytes() == (trained / "predictions.csv").read_bytes()


def test_slices_score_as_in_training_in_a_store_and_as_dicom(scans, tmp_path):
    run("resnet_finetuning", "train", dataset_dir=scans / "store", output_dir=tmp_path / "run", **ONCE)
    expected = scores_of(tmp_path / "run")
    store = predict(tmp_path / "run", scans / "store", tmp_path / "of_store")
    np.testing.assert_allclose(store.loc[expected.index], expected, atol=1e-6)
    dicom = predict(tmp_path / "run", scans / "dicom", tmp_path / "of_dicom")
    assert len(dicom) == len(store) == 48
    # which file became which slice: by its pixels
    opened = SliceStore.open(scans / "store")
    slices = {np.asarray(opened[k]).tobytes(): name for k, name in enumerate(opened.kept["slice"])}
    names = []
    for name in dicom.index:
        image = pydicom.dcmread(scans / "dicom" / name)
        hu = (image.pixel_array.astype(np.int16) + int(image.RescaleIntercept)).astype(np.int16)
        names.append(slices[hu.tobytes()])
    assert set(names) == set(store.index)
    np.testing.assert_allclose(dicom, store.loc[names], atol=1e-6)


def test_pictures_of_a_window_score_as_the_store(scans, tmp_path):
    """A model trained on HU in a window sees the same values in 8-bit pictures of that window."""
    run("resnet_finetuning", "train", dataset_dir=scans / "store", output_dir=tmp_path / "run", window="bone", **ONCE)
    export_png(SliceStore.open(scans / "store"), tmp_path / "png", window="bone")
    store = predict(tmp_path / "run", scans / "store", tmp_path / "of_store")
    png = predict(tmp_path / "run", tmp_path / "png", tmp_path / "of_png")
    assert {name.removesuffix(".png").rsplit("/")[-1] for name in png.index} == set(store.index)
    names = [name.removesuffix(".png").rsplit("/")[-1] for name in png.index]
    np.testing.assert_allclose(png, store.loc[names], atol=0.01)


def test_all_settings_are_checked_at_once(radiographs, trained, tmp_path, capsys):
    wrong = {"window": "foo", "mean": "x", "task": "multiclas", "num_workers": -1, "device": "gpu", "std": 0}
    for name in ("inference", "evaluate"):
        with pytest.raises(SystemExit) as stop:
            run("resnet_finetuning", name, "infer", checkpoint=trained / "model.pt", dataset_dir=radiographs / "png",
                output_dir=tmp_path, **wrong)  # fmt: skip
        assert stop.value.code == 2
        said = capsys.readouterr().out
        for part in ("--window: window must be one of lung", "--mean must be a number, got ", "unknown task",
                     "--num_workers must", "--device 'gpu'", "--std must be a number above 0"):  # fmt: skip
            assert said.count(part) == 1, (part, said)


def test_text_is_one_split_and_one_label(radiographs, tmp_path):
    labels = {"labels": radiographs / "labels.csv", "dataset_dir": radiographs / "png"}
    folder = tmp_path / "run"
    run("resnet_finetuning", "train", output_dir=folder, label_names="finding", **labels, **ONCE)
    common = {"checkpoint": folder / "model.pt", **PREDICTING}
    run("resnet_finetuning", "evaluate", "infer", output_dir=tmp_path / "test", splits="test", label_names="finding",
        mean=0.5, **labels, **common)  # fmt: skip
    expected = pd.read_csv(folder / "predictions.csv").query("split == 'test'")
    found = pd.read_csv(tmp_path / "test/predictions.csv")
    np.testing.assert_allclose(found["finding_score"], expected["finding_score"], atol=1e-6)
    assert list(found.columns) == list(expected.columns)
    inferred = predict(folder, radiographs / "png", tmp_path / "inferred", label_names="finding", mean=0.5)
    assert list(inferred.columns) == ["finding_score"]


def test_weights_of_another_network_are_refused_in_one_line(radiographs, trained, tmp_path, capsys):
    torch.save(create_backbone("resnet10t").state_dict(), tmp_path / "model.pt")
    for model, overrides in ((tmp_path, {"backbone": "resnet10t", "image_size": 32}), (trained, {"label_names": "a"})):
        with pytest.raises(SystemExit) as stop:
            predict(model, radiographs / "png", tmp_path / "out", **overrides)
        assert stop.value.code == 2
        said = capsys.readouterr().out
        assert "model.pt: not the weights of this classifier (" in said
        assert "fc.weight" in said


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_damaged_image_is_named_in_one_line(radiographs, trained, tmp_path, capfd, num_workers):
    (tmp_path / "in").mkdir()
    for number in range(6):
        pixels = np.repeat(np.arange(40, dtype=np.uint8), 40).reshape(40, 40)
        write_radiograph(tmp_path / f"in/{number}", pixels)
    file = tmp_path / "in/3"
    dataset = pydicom.dcmread(file)
    dataset.compress(RLELossless)
    dataset.save_as(file)
    content = file.read_bytes()
    file.write_bytes(content[:-80] + bytes(60) + content[-20:])
    with pytest.raises(SystemExit) as stop:
        predict(trained, tmp_path / "in", tmp_path / "out", num_workers=num_workers)
    assert stop.value.code == 2
    said = capfd.readouterr().out
    assert said.count(f"ERROR {file}: pixels cannot be read: zeros in place of run lengths; repair or remove") == 1
    assert not (tmp_path / "out/predictions.csv").exists()


def test_memory_holds_a_batch_and_the_rows(radiographs, trained, tmp_path):
    settings = {**PREDICTING, "checkpoint": str(trained / "model.pt"), "dataset_dir": str(radiographs / "png")}
    flow = ConfigWorkflow(
        config("resnet_finetuning", "inference"), workflow_type="infer", output_dir=str(tmp_path),
        bundle_root=str(BUNDLES / "resnet_finetuning"), **settings,
    )  # fmt: skip
    flow.initialize()
    alive = {}

    def count(engine):
        if engine.state.iteration in (2, 6):  # of 6
            images = [
                each for each in gc.get_objects() if isinstance(each, torch.Tensor) and each.shape[-2:] == (32, 32)
            ]
            alive[engine.state.iteration] = sum(image.shape[0] if image.ndim == 4 else 1 for image in images)

    flow.parser.get_parsed_content("evaluator").add_event_handler(Events.ITERATION_COMPLETED, count)
    flow.run()
    assert alive[2] == alive[6] > 0
