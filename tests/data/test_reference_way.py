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


"""The slices that are kept are those that the scripts of "Less is More" keep: made anew here, as plain loops."""

from __future__ import annotations

import csv
import shutil
from itertools import groupby
from pathlib import Path

import cv2
import imagehash
import nibabel
import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image
from typer.testing import CliRunner
from volume_files import REAL_DATA, axial_affine, write_nifti, write_series

from monai_ssl.cli import app
from monai_ssl.data import SLICE_PRESETS, find_volumes, reduce_store, slice_volumes
from monai_ssl.data.slice_volume import store_volume
from monai_ssl.reduction import reduce_slices
from monai_ssl.report import build_reduction_report
from monai_ssl.report.reduction_numbers import count_reduction

PRESET = SLICE_PRESETS["reference"]
CHEST = REAL_DATA / "ct_chest_dicom"
LAS = np.diag([-0.8, 0.9, 2.5, 1.0])


def entries(folder):
    return sorted(str(path) for path in Path(folder).glob("*"))


def write_png(file, image, epsilon):
    """OpenCV rounds the float64 image; a constant one is NaN, and becomes 0."""
    with np.errstate(invalid="ignore"):
        share = (image - image.min()) / (float(image.max() - image.min()) + epsilon)
    cv2.imwrite(str(file), share * 255)


def lidc_pngs(root, pngs):
    """PNG of each image of a tree as LIDC is downloaded: patient/study/series/*.dcm; by name, what it was made of."""
    made = {}
    for patient in entries(root):
        for study in entries(patient):
            for series in entries(study):
                files = entries(series)
                for file in files if len(files) > 10 else ():
                    if file.endswith(".dcm"):
                        dataset = pydicom.dcmread(file)
                        image = dataset.pixel_array.astype(np.int16)
                        image[image == -2000] = 0
                        name = f"{Path(patient).name}_{len(made)}.png"
                        write_png(pngs / name, image + np.int16(dataset.RescaleIntercept), 0)
                        made[name] = Path(file)
    return made


def autopet_pngs(root, pngs):
    made, study_number = {}, 0
    for patient in entries(root):
        for study in entries(patient):
            study_number += 1
            for file in entries(study):
                if Path(file).name == "CT.nii.gz":
                    for k, image in enumerate(nibabel.load(file).get_fdata().transpose(2, 1, 0)):
                        name = f"{Path(patient).name}_{study_number}_{k}.png"
                        write_png(pngs / name, image, 0.00001)
                        made[name] = (Path(file), k)
    return made


def kept_pngs(pngs, names, volume_of, threshold=6):
    """What the greedy loop leaves of each volume; those of a volume follow one another in `names`."""
    kept = []
    for _, volume in groupby(names, key=volume_of):
        left = [(name, imagehash.dhash(Image.open(pngs / name))) for name in volume]
        while left:
            kept.append(left[0][0])
            left = [each for each in left if each[1] - left[0][1] > threshold]
    return kept


def sources(store, root):
    """(file, number of the slice) of each kept slice of a store that has identifiers."""
    with open(store.path / "identifiers.csv", newline="") as stream:
        first = {row["volume"]: row["file"] for row in csv.DictReader(stream)}
    volumes = {volume.name: volume for volume in find_volumes(root, include=PRESET["include"])[0]}
    found = set()
    for _, row in store.kept.iterrows():
        volume = volumes[first[row["volume"]]]
        dicom = volume.format == "DICOM"
        found.add(volume.files[row["index"]] if dicom else (volume.files[0], row["index"]))
    return found


def reference_store(root, output, **options):
    return slice_volumes(
        root, output, **{**PRESET, **options}, identifiers=True, pseudonym_key="secret", workers=1, max_gib=1
    )


def wandering(seed, count, shape=(32, 30)):
    """(X, Y, Z) int16: slices that change slowly, and come back to what they were, so that the order decides."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(random.normal(0, 300, (7, 7, 5)), shape[::-1], interpolation=cv2.INTER_CUBIC)
    turns = np.cumsum(random.normal(0, 0.35, (count, 5)), axis=0)
    volume = coarse @ np.sin(turns).T + random.normal(0, 4, (*shape, count))
    return volume.clip(-1000, 2000).astype(np.int16)


def write_scan(folder, seed, count, patient, change=None):
    """A series named as the archive names its files, out of order; one voxel has a stored 0."""
    values = wandering(seed, count)
    values[0, 0, count // 2] = -1024
    files = write_series(
        folder, axial_affine(), values, patient=patient, uid=f"1.2.826.{seed}", seed=seed, change=change
    )
    names = np.random.default_rng(seed).permutation(count) + 1
    for file, number in zip(files, names, strict=True):
        file.rename(folder / f"1-{number:03d}.dcm")


def padded(dataset, k):
    """As scanners of GE write what lies outside the circle, in the first slices."""
    if k < 5:
        pixels = dataset.pixel_array.copy()
        pixels[:6, :6] = -2000
        dataset.PixelData = pixels.tobytes()
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)


def radiograph(dataset, k):
    dataset.Modality = "DX"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"


def segmentation(dataset, k):
    dataset.Modality = "SEG"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.fixture(scope="module")
def lidc(tmp_path_factory):
    """Four patients, the second with two scans; the numbers of images go over 9 and 99 within a scan."""
    root = tmp_path_factory.mktemp("LIDC-IDRI")
    for patient, scans in enumerate(([41], [26, 30], [24], [30]), start=1):
        folder = root / f"LIDC-IDRI-{patient:04d}"
        for number, count in enumerate(scans):
            study = folder / f"01-0{number + 1}-2000-{number}"
            change = padded if patient == 3 else None
            write_scan(study / "3000566-03192", 10 * patient + number, count, folder.name, change)
            (study / "3000566-03192/069.xml").write_text("<LidcReadMessage/>")
        write_scan(folder / "01-01-2000-9/3000923-62357", 100 + patient, 2, folder.name, radiograph)
    write_scan(folder / "01-01-2000-9/300-Segmentation", 200, 1, folder.name, segmentation)
    return root


@pytest.fixture(scope="module")
def autopet(tmp_path_factory):
    """Two patients, the first with two studies, in the orientation that dicom2nifti writes; and what is no CT."""
    root = tmp_path_factory.mktemp("FDG-PET-CT-Lesions")
    for number, study in enumerate(("PETCT_0b/01-a", "PETCT_0b/02-b", "PETCT_1c/01-a")):
        write_nifti(root / study / "CT.nii.gz", LAS, wandering(number, 115 if number == 1 else 23))
        for other in ("CTres", "PET", "SUV", "SEG"):
            write_nifti(root / study / f"{other}.nii.gz", LAS, wandering(50, 4))
    return root


def by_position(made):
    """The names volume by volume, as a reader sorts images."""
    heights = {name: float(pydicom.dcmread(file).ImagePositionPatient[2]) for name, file in made.items()}
    return sorted(made, key=lambda name: (made[name].parent, heights[name]))


@pytest.mark.skipif(not CHEST.is_dir(), reason="shared/data/ct_chest_dicom is absent")
def test_chest_ct_keeps_the_same_files(tmp_path):
    root = tmp_path / "LIDC-IDRI"
    (root / "LIDC-IDRI-0001/study").mkdir(parents=True)
    (root / "LIDC-IDRI-0001/study/series").symlink_to(CHEST.resolve())
    pngs = tmp_path / "pngs"
    pngs.mkdir()
    made = lidc_pngs(root, pngs)
    counts = []
    for order, names in (("name", sorted(made)), ("position", by_position(made))):
        kept = kept_pngs(pngs, names, lambda name: 0)
        store = reference_store(root, tmp_path / order, order=order)
        assert sources(store, root) == {made[name] for name in kept}
        counts.append(len(kept))
    assert counts == [20, 23]


@pytest.mark.parametrize("order", ["name", "position"])
@pytest.mark.parametrize("scope", ["volume", "patient"])
def test_lidc_tree(lidc, tmp_path, order, scope):
    pngs = tmp_path / "pngs"
    pngs.mkdir()
    made = lidc_pngs(lidc, pngs)
    names = sorted(made) if order == "name" else by_position(made)
    # The reference takes the scans of a patient for one volume, which by position have no order of their own.
    groups = {"volume": lambda name: made[name].parent, "patient": lambda name: name.split("_")[0]}
    if order == "name":
        names.sort(key=groups[scope])
    kept = {made[name] for name in kept_pngs(pngs, names, groups[scope])}
    if scope == "volume":
        store = reference_store(lidc, tmp_path / "store", order=order)
    else:
        store = reference_store(lidc, tmp_path / "store", reduce="all", order=order)
        store = reduce_store(store.path, "dhash:6", scope="patient")
        assert store.settings["reduction"]["order"] == order
    found = sources(store, lidc)
    if scope == "patient" and order == "position":
        two = lidc / "LIDC-IDRI-0002"
        found, kept = ({file for file in files if not file.is_relative_to(two)} for files in (found, kept))
    assert found == kept
    assert len(kept) < 0.6 * len(made)


def test_lidc_tells_what_is_no_ct(lidc, tmp_path):
    store = reference_store(lidc, tmp_path / "store")
    assert store.settings["counts"] | {"volumes": 5, "patients": 4, "nameless": 0} == store.settings["counts"]
    with open(store.path / "rejected.csv", newline="") as stream:
        reasons = [row["reason"] for row in csv.DictReader(stream)]
    assert reasons.count("of another modality than CT") == 4
    assert sorted(set(reasons)) == ["a segmentation, not an image", "of another modality than CT"]


@pytest.mark.parametrize("order", ["name", "position"])
def test_autopet_tree(autopet, tmp_path, order):
    pngs = tmp_path / "pngs"
    pngs.mkdir()
    made = autopet_pngs(autopet, pngs)
    names = sorted(made) if order == "name" else list(made)
    kept = kept_pngs(pngs, names, lambda name: name.rpartition("_")[0])
    store = reference_store(autopet, tmp_path / "store", order=order)
    assert sources(store, autopet) == {made[name] for name in kept}
    assert store.settings["counts"] | {"volumes": 3, "patients": 2, "rejected": 0} == store.settings["counts"]


@pytest.mark.parametrize("tree", ["lidc", "autopet"])
def test_the_order_matters_and_another_reduction_goes_by_it(tree, tmp_path, request):
    root = request.getfixturevalue(tree)
    by_name, by_place = (reference_store(root, tmp_path / order, order=order) for order in ("name", "position"))
    assert set(by_name.kept["slice"]) != set(by_place.kept["slice"])
    assert "name_rank" not in by_place.table
    whole = reference_store(root, tmp_path / "all", reduce="all")
    later = reduce_store(whole.path, "dhash:6")
    assert later.settings["reduction"] == by_name.settings["reduction"]
    same = [column for column in by_name.table if column != "row"]
    assert later.table[same].equals(by_name.table[same])
    assert (
        reduce_store(whole.path, "dhash:6", order="position")
        .table[by_place.table.columns.drop("row")]
        .equals(by_place.table.drop(columns="row"))
    )
    with pytest.raises(ValueError, match="ends with the patient"):
        reduce_store(whole.path, "dhash:6", scope="dataset")
    with pytest.raises(ValueError, match="does not know the order of names"):
        reduce_store(by_place.path, "dhash:6", order="name")


def test_the_preset_on_the_command_line(autopet, tmp_path):
    def run(output, *words):
        command = ["slice", autopet, output, "--preset", "reference", "--workers", 1, "--pseudonym-key", key, *words]
        return CliRunner().invoke(app, [str(word) for word in command])

    expected = reference_store(autopet, tmp_path / "expected")
    key = expected.path / ".pseudonym_key"
    assert run(tmp_path / "out").exit_code == 0
    for table in ("slices.csv", "warnings.csv", "rejected.csv"):
        assert (tmp_path / "out" / table).read_bytes() == (expected.path / table).read_bytes()
    assert run(tmp_path / "other", "--order", "position", "--include", "PET.nii.gz").exit_code == 0
    other = slice_volumes(
        autopet, tmp_path / "plain", include="PET.nii.gz", patient_folders=True, pseudonym_key="secret", workers=1
    )
    assert (tmp_path / "other/slices.csv").read_bytes() == (other.path / "slices.csv").read_bytes()
    refused = CliRunner().invoke(app, ["slice", str(autopet), str(tmp_path / "no"), "--preset", "refrence"])
    assert refused.exit_code == 2
    assert "--preset must be one of reference, got 'refrence'" in refused.stderr


def test_the_page_of_a_reduction_by_name_agrees_with_its_store(autopet, tmp_path):
    store = reference_store(autopet, tmp_path / "store")
    counts = count_reduction(store, None)
    assert counts.shares[6] == counts.kept_share
    assert build_reduction_report(store.path).is_file()


def test_a_stopped_run_whose_numbers_changed_does_those_anew(lidc, tmp_path, monkeypatch):
    root = shutil.copytree(lidc, tmp_path / "LIDC-IDRI")
    whole = reference_store(root, tmp_path / "whole")
    left = iter(range(4))

    def stopped(task):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return store_volume(task)

    with monkeypatch.context() as patch:
        patch.setattr("monai_ssl.data.slicing.store_volume", stopped)
        with pytest.raises(KeyboardInterrupt, match="4 of 5 volumes are done"):
            reference_store(root, tmp_path / "out")
    shutil.rmtree(root / "LIDC-IDRI-0001")
    store = reference_store(root, tmp_path / "out")
    expected = reference_store(root, tmp_path / "expected")
    assert store.table.equals(expected.table)
    ranks = ["slice", "name_rank"]
    assert len(store.table[ranks].merge(whole.table[ranks])) < len(store.table)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"order": "names"}, "order must be one of position, name, got 'names'"),
        ({"axis": "coronal"}, "order 'name' is that of axial slices of the source"),
        ({"spacing": 2}, "order 'name' is that of axial slices of the source"),
        ({"include": ("*.DCM", "b/*")}, r"none of its \d+ files ends as include tells: \*\.DCM, b/\*"),
        ({"modality": "MR", "include": "*.dcm"}, "all that was found was refused"),
    ],
)
def test_bad_arguments_are_named(lidc, tmp_path, options, told):
    with pytest.raises(ValueError, match=told):
        reference_store(lidc, tmp_path / "out", **options)


@pytest.mark.parametrize(
    "strategy", ["all", "every_n:3", "random:0.4", "dhash:6", "ssim:0.3", "mi:0.4", "embedding:0.3"]
)
def test_an_order_is_a_permutation_before_and_after(strategy):
    images = wandering(3, 40).transpose(2, 1, 0)
    order = np.array(sorted(range(40), key=str))

    def embed(pictures):
        return pictures.reshape(len(pictures), -1)[:, ::17].astype(np.float32) - 128

    found = reduce_slices(images, strategy, embed=embed, order=order)
    expected = reduce_slices(images[order], strategy, embed=embed)
    assert (found.exemplar[order] == order[expected.exemplar]).all()
    assert (found.distance[order] == expected.distance).all()
    if strategy not in ("all", "random:0.4"):
        assert set(found.exemplar) != set(reduce_slices(images, strategy, embed=embed).exemplar)
    with pytest.raises(ValueError, match="order must be the integers 0 to 39, each once"):
        reduce_slices(images, strategy, embed=embed, order=order[1:])


def test_a_store_in_order_of_names_is_brought_up_to_date(lidc, tmp_path):
    root, late = tmp_path / "in", sorted(lidc.iterdir())[1]
    shutil.copytree(lidc, root, ignore=shutil.ignore_patterns(late.name))
    arguments = {**SLICE_PRESETS["reference"], "pseudonym_key": b"key", "workers": 1}
    slice_volumes(root, tmp_path / "store", **arguments)
    with pytest.raises(ValueError, match="which run over the whole input, and 3 of its volumes came"):
        slice_volumes(late, tmp_path / "store", **arguments, update=True)
    shutil.copytree(late, root / late.name)
    grown = slice_volumes(root, tmp_path / "store", **arguments, update=True)
    anew = slice_volumes(root, tmp_path / "anew", **arguments)
    pd.testing.assert_frame_equal(grown.table, anew.table)
    assert grown.settings == anew.settings
