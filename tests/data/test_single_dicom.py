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

import logging
import shutil

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)
from volume_files import REAL_DATA, axial_affine, world_values, write_series

from monai_ssl.data import FinetuningData, ImageData, list_images, slice_volumes
from monai_ssl.data.dicom.header import read_headers
from monai_ssl.transforms import LoadSlice, ScaleWindow

CHEST = REAL_DATA / "ct_chest_dicom"
SHAPE = (24, 20, 6)


def radiograph(path, stored, *, bits=None, modality="DX", **tags):
    """(..., rows, columns) unsigned pixels as a radiograph; tags of None are left out."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.Modality = "SECRET", "Doe^Jane", modality
    dataset.SeriesInstanceUID = generate_uid()
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    if stored.ndim == 3:
        dataset.NumberOfFrames = len(stored)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = 8 * stored.dtype.itemsize
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(stored.dtype.kind == "i")
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def look_up(table, first, bits):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(table), first, bits])
    item.add_new("LUTData", "OW", np.asarray(table, "<u2").tobytes())
    return Sequence([item])


@pytest.fixture(scope="module")
def picture():
    """A radiograph of 8 bits: (48, 40) with all grey values but a few."""
    shape = np.add.outer(np.linspace(0, 140, 48), np.linspace(0, 100, 40))
    return (shape + np.random.default_rng(0).integers(0, 16, shape.shape)).astype(np.uint8)


def series(folder, **options):
    affine = axial_affine() @ options.pop("turn", np.eye(4))
    return write_series(folder, affine, world_values(affine, SHAPE), **options)


def fractional(dataset, k):
    dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", str(-300 - k)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"turn": np.diag([-1.0, -1.0, 1.0, 1.0])},
        {"turn": np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])},
        {"turn": np.diag([1.0, 1.0, -1.0, 1.0])},
        {"change": fractional},
    ],
    ids=["usual", "turned", "transposed", "from head to foot", "fractions"],
)
def test_a_slice_is_that_of_the_store(tmp_path, options):
    files = series(tmp_path / "in", **options)
    store = slice_volumes(tmp_path / "in", tmp_path / "store", reduce="all", workers=1)
    by_position = {round(p, 6): store[i] for i, p in enumerate(store.kept["position_mm"])}
    assert len(by_position) == SHAPE[2]
    for file in files:
        image = LoadSlice()(file)[0].numpy()
        expected = by_position[round(float(pydicom.dcmread(file).ImagePositionPatient[2]), 6)]
        np.testing.assert_array_equal(image, expected)
        assert image.dtype == expected.dtype or "change" in options


@pytest.mark.skipif(not CHEST.is_dir(), reason="the real CT in ../shared/data/ct_chest_dicom is absent")
def test_all_slices_of_a_real_ct_are_those_of_the_store(tmp_path):
    table = list_images(CHEST)
    assert len(table) == 275
    assert (table["patient"] == "").all()
    store = slice_volumes(CHEST, tmp_path / "store", reduce="all", workers=1)
    positions = [read_headers(CHEST / name, 4.0)[0].position[2] for name in table["image"]]
    for index, place in enumerate(np.argsort(positions)):
        image = LoadSlice()(table["file"][place], table["row"][place])[0].numpy()
        assert image.dtype == store[index].dtype == np.int16
        np.testing.assert_array_equal(image, store[index])


def test_padding_takes_the_smallest_value_of_the_slice(tmp_path):
    def padded(dataset, k):
        pixels = np.frombuffer(dataset.PixelData, "<i2").copy()
        pixels[:7] = -2000
        dataset.PixelData = pixels.tobytes()
        dataset.add_new("PixelPaddingValue", "SS", -2000)

    for file in series(tmp_path, change=padded):
        image = LoadSlice()(file)[0].numpy()
        assert (image[0, :7] == image.ravel()[7:].min()).all()
        assert image.min() > -2000 - 1024


def inverted(picture):
    return {"stored": 255 - picture, "PhotometricInterpretation": "MONOCHROME1"}


def widened(picture):
    return {"stored": picture.astype(np.uint16) * 16 + 7, "bits": 12, "WindowCenter": "2048", "WindowWidth": "4096"}


def two_windows(picture):
    stored = picture.astype(np.uint16) + 1000
    return {"stored": stored, "bits": 12, "WindowCenter": ["1128", "5"], "WindowWidth": ["256", "3"]}


def exact(picture):
    window = {"WindowCenter": "27.5", "WindowWidth": "255", "VOILUTFunction": "LINEAR_EXACT"}
    return {"stored": picture.astype(np.int16) - 100, **window}


def rescaled(picture):
    scale = {"RescaleSlope": "2", "RescaleIntercept": "-50", "WindowCenter": "205.5", "WindowWidth": "511"}
    return {"stored": picture.astype(np.uint16), "bits": 12, **scale}


def table(picture):
    return {
        "stored": picture.astype(np.uint16) * 2,
        "bits": 10,
        "VOILUTSequence": look_up(np.rint(np.arange(512) // 2 * (32767 / 255)), 0, 15),
        "WindowCenter": "1",
        "WindowWidth": "1",
    }


def table_of_8_bits(picture):
    return {"stored": picture.astype(np.uint16) * 4, "bits": 12, "VOILUTSequence": look_up(np.arange(1024) // 4, 0, 8)}


def modality_table(picture):
    values = look_up(np.arange(256) * 257, 0, 16)
    values[0].ModalityLUTType = "US"
    return {"stored": picture, "bits": 8, "ModalityLUTSequence": values}


def inverted_window(picture):
    window = {"WindowCenter": "2048", "WindowWidth": "4096", "PhotometricInterpretation": "MONOCHROME1"}
    return {"stored": 4095 - (picture.astype(np.uint16) * 16 + 7), "bits": 12, **window}


FORMS = (inverted, widened, two_windows, exact, rescaled, table, table_of_8_bits, modality_table, inverted_window)


@pytest.mark.parametrize("form", FORMS)
def test_a_radiograph_is_as_bright_as_its_png(tmp_path, picture, form):
    cv2.imwrite(str(tmp_path / "x.png"), picture)
    told = form(picture)
    file = radiograph(tmp_path / "dicom" / "x", told.pop("stored"), **told)
    scale = ScaleWindow(None)
    shown, expected = (scale(LoadSlice()(path)).numpy() for path in (file, tmp_path / "x.png"))
    np.testing.assert_allclose(shown, expected, atol=0.6 / 255)


def test_a_radiograph_of_8_bits_is_its_png(tmp_path, picture):
    image = LoadSlice()(radiograph(tmp_path / "x", picture))
    assert np.array_equal(image[0], picture)
    assert image.numpy().dtype == np.uint8


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_windows_are_those_of_pydicom(tmp_path, function, kind):
    stored = np.random.default_rng(0).integers(-2048, 2048, (16, 18)).astype(np.int16)
    stored = stored if kind == np.int16 else (stored + 2048).astype(np.uint16)
    window = {"WindowCenter": "300.25", "WindowWidth": "900", "VOILUTFunction": function}
    file = radiograph(tmp_path / "x", stored, bits=12, **window)
    theirs = apply_voi_lut(stored, pydicom.dcmread(file))
    low, high = (0, 4095) if kind == np.uint16 else (-2048, 2047)
    ours = LoadSlice()(file)[0].numpy()
    np.testing.assert_allclose(ours / 65535, (theirs - low) / (high - low), atol=1e-5)


def test_padding_is_black_in_either_photometric_interpretation(tmp_path, picture):
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        file = radiograph(
            tmp_path / "x", picture, PhotometricInterpretation=photometric, PixelPaddingValue=int(picture[0, 0])
        )
        padded = picture == picture[0, 0]
        shown = LoadSlice()(file)[0].numpy()
        assert not shown[padded].any()
        assert np.array_equal(shown[~padded], (255 - picture if photometric == "MONOCHROME1" else picture)[~padded])


def test_each_frame_is_an_image(tmp_path, picture):
    frames = np.stack([picture, picture.T[:40, :40].repeat(2, 0)[:48], 255 - picture])
    radiograph(tmp_path / "a/film", frames, modality="XA")
    shown = list_images(tmp_path)
    assert shown["image"].tolist() == ["a/film#0", "a/film#1", "a/film#2"]
    for frame, (file, row) in enumerate(zip(shown["file"], shown["row"], strict=True)):
        assert np.array_equal(LoadSlice()(file, row)[0], frames[frame])
    for row in (-1, 3):
        with pytest.raises(ValueError, match=r"film: holds 3 images, asked for row"):
            LoadSlice()(shown["file"][0], row)


def test_what_is_no_image_is_left_out_and_damage_is_named_at_once(tmp_path, picture, caplog):
    files = series(tmp_path / "ct")
    radiograph(tmp_path / "scout", picture, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    report = pydicom.dcmread(files[0])
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    report.save_as(tmp_path / "report")
    (tmp_path / "notes.txt").write_text("no image")
    with caplog.at_level(logging.WARNING):
        assert len(list_images(tmp_path)) == SHAPE[2]
    assert "1 DICOM files left out, the first scout: a localizer" in caplog.text
    assert "1 DICOM files left out, the first report: no image (Basic Text SR Storage)" in caplog.text
    radiograph(tmp_path / "bad window", picture, WindowCenter="5", WindowWidth="0")
    radiograph(tmp_path / "bad function", picture, WindowCenter="5", WindowWidth="9", VOILUTFunction="CUBIC")
    (tmp_path / "cut").write_bytes(files[1].read_bytes()[:-100])
    radiograph(tmp_path / "endless", np.zeros((100_001, 1, 1), np.uint8))
    (problem,) = ImageData(tmp_path).problems
    assert "4 DICOM files cannot be used" in problem
    assert "endless (100,001 frames, the most is 100,000)" in problem
    for told in ("bad window (WindowWidth is below 1)", "bad function (VOILUTFunction is none", "cut (truncated"):
        assert told in problem
    assert "SECRET" not in problem + caplog.text


def test_damaged_pixels_are_named_on_reading(tmp_path, picture):
    plain = picture // 32 * 32
    file = radiograph(tmp_path / "x", plain)
    dataset = pydicom.dcmread(file)
    dataset.compress(RLELossless)
    dataset.save_as(file)
    assert np.array_equal(LoadSlice()(file)[0], plain)
    content = file.read_bytes()
    start = content.index(b"\xfe\xff\x00\xe0", content.index(b"\xe0\x7f\x10\x00") + 16) + 8
    file.write_bytes(content[: start + 64] + bytes(200) + content[start + 264 :])
    assert len(list_images(tmp_path)) == 1
    with pytest.raises(ValueError, match=r"x: pixels (cannot be read|are damaged)") as error:
        LoadSlice()(file)
    assert str(file) in str(error.value)


def test_dicom_beside_other_images_is_refused(tmp_path, picture):
    radiograph(tmp_path / "a", picture)
    cv2.imwrite(str(tmp_path / "b.png"), picture)
    (problem,) = ImageData(tmp_path).problems
    assert "holds 1 DICOM files (the first a) beside 1 other images (the first b.png)" in problem


def coloured(file, pixels, kind, syntax=None, **tags):
    """(rows, columns, 3) RGB, or places in a palette, as a DICOM image."""
    radiograph(file, pixels[..., 0] if pixels.ndim == 3 else pixels, modality="US", PhotometricInterpretation=kind)
    dataset = pydicom.dcmread(file)
    if pixels.ndim == 3:
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, tags.pop("PlanarConfiguration", 0)
    for name, value in tags.items():
        dataset.add_new(name, "US" if name.endswith("Descriptor") else "OW", value)
    dataset.PixelData = pixels.tobytes()
    if syntax:
        dataset.compress(syntax, encoding_plugin="pylibjpeg" if syntax == RLELossless else "")
    dataset.save_as(file)
    return file


@pytest.fixture(scope="module")
def photo():
    """(48, 40, 3) uint8, smooth, so that halved colours lose little."""
    rows, columns = np.mgrid[:48, :40]
    return np.stack([rows * 5, columns * 6, 255 - rows * 2 - columns * 2], axis=-1).astype(np.uint8)


def rgb(file, photo):
    coloured(file, photo, "RGB")


def planes(file, photo):
    content = np.ascontiguousarray(photo.transpose(2, 0, 1))
    coloured(file, photo, "RGB", PlanarConfiguration=1)
    dataset = pydicom.dcmread(file)
    dataset.PixelData = content.tobytes()
    dataset.save_as(file)


def run_lengths(file, photo):
    coloured(file, photo, "RGB", RLELossless)


def jpeg_2000(file, photo):
    coloured(file, photo, "RGB", JPEG2000Lossless)


def full(file, photo):
    luma = cv2.cvtColor(photo, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    coloured(file, np.ascontiguousarray(luma), "YBR_FULL")


def halved(file, photo):
    luma = cv2.cvtColor(photo, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    pairs = np.concatenate([luma[:, ::2, :1], luma[:, 1::2, :1], luma[:, ::2, 1:]], axis=-1)
    coloured(file, photo, "YBR_FULL_422")
    dataset = pydicom.dcmread(file)
    dataset.PixelData = np.ascontiguousarray(pairs).tobytes()
    dataset.save_as(file)


def jpeg(file, photo):
    coded = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    coloured(file, photo, "YBR_FULL_422")
    dataset = pydicom.dcmread(file)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([coded])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(file)


def palette(file, photo):
    colours, places = np.unique(photo.reshape(-1, 3) // 32 * 32, axis=0, return_inverse=True)
    assert len(colours) <= 256
    tags = {}
    for number, name in enumerate(("Red", "Green", "Blue")):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [len(colours), 0, 8]
        tags[f"{name}PaletteColorLookupTableData"] = colours[:, number].tobytes() + b"\0" * (len(colours) % 2)
    coloured(file, places.reshape(photo.shape[:2]).astype(np.uint8), "PALETTE COLOR", **tags)


@pytest.mark.parametrize("form", [rgb, planes, run_lengths, jpeg_2000, full, halved, jpeg, palette])
def test_colour_is_as_grey_as_its_png(tmp_path, photo, form):
    form(tmp_path / "dicom", photo)
    shown = photo // 32 * 32 if form is palette else photo
    cv2.imwrite(str(tmp_path / "x.png"), shown[..., ::-1])
    expected = LoadSlice()(tmp_path / "x.png")[0].numpy().astype(int)
    (tmp_path / "x.png").unlink()
    (row,) = list_images(tmp_path).itertuples()
    grey = LoadSlice()(row.file, row.row)[0].numpy()
    assert grey.dtype == np.uint8
    assert np.abs(grey - expected).max() <= (6 if form in (halved, jpeg) else 2 if form is full else 1)


def test_colour_that_cannot_be_read_is_named(tmp_path, photo):
    coloured(tmp_path / "x", photo, "CMYK")
    (problem,) = ImageData(tmp_path).problems
    assert "x (a colour image whose colours are none of RGB" in problem


def test_without_window_the_own_range_of_an_image_is_shown(tmp_path, picture, caplog):
    stored = picture.astype(np.uint16) * 3 + 700
    padded = stored.copy()
    padded[0] = 4095
    plain = radiograph(tmp_path / "a", stored, bits=12)
    radiograph(tmp_path / "b", stored, bits=12, WindowCenter="900", WindowWidth="500")
    negative = radiograph(tmp_path / "c", padded, bits=12, PixelPaddingValue=4095,
                          PhotometricInterpretation="MONOCHROME1")  # fmt: skip
    radiograph(tmp_path / "d", picture)
    assert len(list_images(tmp_path)) == 4
    assert "2 DICOM files of more than 8 bits have no window or look-up table (the first a); each" in caplog.text
    low, high = int(stored.min()), int(stored.max())
    np.testing.assert_array_equal(LoadSlice()(plain)[0], np.rint((stored - low) / (high - low) * 65535))
    low, high = int(stored[1:].min()), int(stored[1:].max())
    expected = np.rint((high - stored.astype(int)) / (high - low) * 65535)
    expected[0] = 0
    np.testing.assert_allclose(LoadSlice()(negative)[0], expected, atol=1)
    flat = radiograph(tmp_path / "flat", np.full((8, 8), 900, np.uint16), bits=12)
    assert not LoadSlice()(flat).any()


def test_ct_beside_radiographs_is_refused(tmp_path, picture):
    series(tmp_path / "ct")
    radiograph(tmp_path / "film", picture)
    (problem,) = ImageData(tmp_path).problems
    assert "6 CT (the first ct/" in problem
    assert "1 pictures (the first film), whose values mean something else; keep one kind there" in problem


def test_compressed_files_are_to_be_unpacked(tmp_path):
    for name in ("a/1.dcm.gz", "a/2.dcm.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\x1f\x8b")
    (problem,) = ImageData(tmp_path).problems
    assert "no images but 2 compressed files (the first a/1.dcm.gz); unpack them first" in problem


def test_labels_name_images_without_suffix(tmp_path, picture):
    rows = []
    for number in range(12):
        radiograph(tmp_path / f"data/{number % 2}/{number:03d}.dcm", picture)
        rows.append({"image": f"{number:03d}", "patient": f"p{number}", "finding": number // 2 % 2})
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    data = FinetuningData(tmp_path / "data", tmp_path / "labels.csv", fractions=(0.5, 0.25, 0.25))
    assert data.problems == []
    assert {item["id"] for item in data.items()} == {row["image"] for row in rows}
    for item in data.items():
        assert item["image"].endswith(f"{item['id']}.dcm")
    # a name that two images have is not guessed
    shutil.copy(tmp_path / "data/0/000.dcm", tmp_path / "data/1/000.dcm")
    again = FinetuningData(tmp_path / "data", tmp_path / "labels.csv", fractions=(0.5, 0.25, 0.25))
    assert "000" not in {item["id"] for item in again.items()}
