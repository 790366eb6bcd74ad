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

import gzip

import cv2
import numpy as np
import pandas as pd
import pytest

from monai_ssl.data import FinetuningData
from monai_ssl.data.images import list_images
from monai_ssl.data.labels import LAYOUTS, label_columns, read_labels
from monai_ssl.data.labels.chexpert import CHEXPERT_LABELS
from monai_ssl.data.labels.recognise import looks_like


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def keys(table):
    return table[["image", "patient", "split"]].to_numpy().tolist()


STATED = ",".join(CHEXPERT_LABELS)
CHEXPERT = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{STATED}\n"


def chexpert(tmp_path):
    train = (
        "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,-1.0,0.0,,,,,,,,,,1.0\n"
        "CheXpert-v1.0-small/train/patient00002/study2/view2_lateral.jpg,Male,87,Lateral,,,,,,,,,,,,-1.0,,,\n"
    )
    write(tmp_path / "train.csv", CHEXPERT + train)
    valid = f"CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,{','.join('0' * 14)}\n"
    write(tmp_path / "valid.csv", CHEXPERT + valid)


@pytest.mark.parametrize(("uncertain", "value"), [("negative", 0), ("positive", 1), ("ignore", None)])
def test_chexpert(tmp_path, uncertain, value):
    chexpert(tmp_path)
    table = read_labels(tmp_path, "chexpert", uncertain)
    assert keys(table) == [
        ["train/patient00001/study1/view1_frontal.jpg", "patient00001", "train"],
        ["train/patient00002/study2/view2_lateral.jpg", "patient00002", "train"],
        ["valid/patient64541/study1/view1_frontal.jpg", "patient64541", "test"],
    ]
    assert label_columns(table) == list(CHEXPERT_LABELS)
    expected = {
        (0, "No Finding"): 1,
        (0, "Support Devices"): 1,
        (0, "Cardiomegaly"): value,
        (1, "Pleural Effusion"): value,
    }
    for row in range(3):
        for name in CHEXPERT_LABELS:
            wanted, got = expected.get((row, name), 0), table.loc[row, name]
            assert np.isnan(got) if wanted is None else got == wanted
    dtypes = {str(dtype) for dtype in table[list(CHEXPERT_LABELS)].dtypes}
    assert ("int8" in dtypes) == (uncertain != "ignore")


def test_one_file_of_chexpert_has_no_split_and_a_later_test_file_makes_valid_the_validation(tmp_path):
    chexpert(tmp_path)
    assert read_labels(tmp_path / "train.csv", "chexpert")["split"].tolist() == ["", ""]
    write(tmp_path / "test.csv", f"Path,{STATED}\ntest/patient64741/study1/view1_frontal.jpg,{','.join('1' * 14)}\n")
    assert read_labels(tmp_path, "chexpert")["split"].tolist() == ["train", "train", "val", "test"]


def test_wrong_values_of_chexpert_are_all_named(tmp_path):
    row = "CheXpert-v1.0/train/{}/study1/view1_frontal.jpg,F,1,Frontal,AP,{}" + "," * 13 + "{}\n"
    write(tmp_path / "train.csv", CHEXPERT + row.format("patient1", "yes", 2) + row.format("nobody", 1, 1) * 2)
    with pytest.raises(ValueError, match="4 problems") as error:
        read_labels(tmp_path / "train.csv", "chexpert")
    for part in ("2 paths name no patient", "'No Finding' must be 1 or 0 or -1 or empty, got 'yes' for 'train/patient1",
                 "'Support Devices' must be", "1 images are listed twice"):  # fmt: skip
        assert part in str(error.value)


def mimic(folder, suffix=""):
    texts = {
        "chexpert": f"subject_id,study_id,{','.join(sorted(CHEXPERT_LABELS))}\n"
        f"10000032,50414267,{','.join('1' * 14)}\n10000764,57375967,-1.0{',' * 13}\n",
        "split": "dicom_id,study_id,subject_id,split\n02aa804e,50414267,10000032,train\n"
        "174413ec,50414267,10000032,train\n"
        "096052b7,57375967,10000764,validate\nffffffff,59999999,10000764,test\n",
    }
    for name, text in texts.items():
        file = write(folder / f"mimic-cxr-2.0.0-{name}.csv", text)
        if suffix:
            (folder / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mimic_cxr(tmp_path, suffix, caplog):
    mimic(tmp_path, suffix)
    table = read_labels(tmp_path, "mimic_cxr", "ignore")
    assert keys(table) == [
        ["files/p10/p10000032/s50414267/02aa804e.jpg", "10000032", "train"],
        ["files/p10/p10000032/s50414267/174413ec.jpg", "10000032", "train"],
        ["files/p10/p10000764/s57375967/096052b7.jpg", "10000764", "val"],
    ]
    assert (table.loc[:1, list(CHEXPERT_LABELS)] == 1).all(axis=None)
    assert np.isnan(table.loc[2, "Atelectasis"])
    assert table.loc[2, list(CHEXPERT_LABELS)].sum() == 0
    assert "1 images of 1 studies are left out" in caplog.text
    assert read_labels(tmp_path / f"mimic-cxr-2.0.0-chexpert.csv{suffix}", "mimic_cxr").equals(
        read_labels(tmp_path, "mimic_cxr")
    )


def test_vindr_cxr_is_the_majority_of_its_readers(tmp_path):
    names = ["Aortic enlargement", "Lung cavity", "Other diseases", "No finding"]
    generator = np.random.default_rng(0)
    votes = generator.integers(0, 2, (20, 3, 4))
    rows = [
        (f"id{image}", f"R{generator.integers(1, 18)}x{reader}", *votes[image, reader])
        for image in range(20)
        for reader in range(3)
    ]
    train = pd.DataFrame(rows, columns=["image_id", "rad_id", *names]).sample(frac=1, random_state=0)
    (tmp_path / "annotations").mkdir()
    train.to_csv(tmp_path / "annotations/image_labels_train.csv", index=False)
    test = pd.DataFrame([["t0", 0, 1, 1, 0]], columns=["image_id", *names]).rename(
        columns={"Other diseases": "Other disease"}
    )
    test.to_csv(tmp_path / "annotations/image_labels_test.csv", index=False)
    table = read_labels(tmp_path, "vindr_cxr").set_index("image")
    for image in range(20):
        for position, name in enumerate(names):
            assert table.loc[f"id{image}", name] == int(sum(votes[image, reader, position] for reader in range(3)) >= 2)
    assert table.loc["t0", names].tolist() == [0, 1, 1, 0]
    assert table["split"].value_counts().to_dict() == {"train": 20, "test": 1}
    # as many say yes as no
    even = "image_id,rad_id,No finding,Edema\na,R1,1,0\na,R2,0,0\n"
    values = [
        read_labels(write(tmp_path / "even.csv", even), "vindr_cxr", u)["No finding"][0]
        for u in ("negative", "positive", "ignore")
    ]
    assert values[:2] == [0, 1]
    assert np.isnan(values[2])
    with pytest.raises(ValueError, match="a reader has 1 images twice, such as 'a'"):
        read_labels(write(tmp_path / "twice.csv", even + "a,R2,1,1\n"), "vindr_cxr")


def test_padchest(tmp_path, caplog):
    header = ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,Report,Labels\n"
    rows = [
        "0,20536.png,0,20140915,1,007,\"un texto, con comas\",\"['pulmonary emphysema', 'pleural effusion']\"",
        "1,b.png,0,20140915,2,8,x,\"[' pleural effusion', '']\"",
        "2,c.png,0,20140915,2,8,x,['normal']",
        "3,d.png,0,20140915,2,8,x,[]",
        "4,e.png,0,20140915,2,8,x,",
    ]
    path = tmp_path / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
    path.write_bytes(gzip.compress((header + "\n".join(rows) + "\n").encode()))
    table = read_labels(tmp_path, "padchest")
    assert table.to_dict("list") == {
        "image": ["20536.png", "b.png", "c.png"],
        "patient": ["007", "8", "8"],
        "split": [""] * 3,
        "normal": [0, 0, 1],
        "pleural effusion": [1, 1, 0],
        "pulmonary emphysema": [1, 0, 0],
    }
    assert "2 of 5 rows have no label and are left out, such as 'd.png', 'e.png'" in caplog.text
    for bad in ("__import__('os')", "['a', 1]", "['a'", "('a',)"):
        text = header + rows[2] + f'\n9,bad.png,0,1,1,1,x,"{bad}"\n'
        with pytest.raises(ValueError, match=r"1 rows have Labels that are no list of words, such as .* of 'bad"):
            read_labels(write(tmp_path / "bad.csv", text), "padchest")


def test_rsna_pneumonia(tmp_path):
    header = "patientId,x,y,width,height,Target\n"
    rows = "00704310,264.0,152.0,213.0,379.0,1\n00704310,562.0,152.0,256.0,453.0,1\n0004cfab,,,,,0\n"
    write(tmp_path / "stage_2_train_labels.csv", header + rows)
    table = read_labels(tmp_path, "rsna_pneumonia")
    assert table.to_numpy().tolist() == [["00704310", "00704310", "", 1], ["0004cfab", "0004cfab", "", 0]]
    classes = "patientId,class\na,Lung Opacity\na,Lung Opacity\nb,No Lung Opacity / Not Normal\n0,Normal\n"
    table = read_labels(write(tmp_path / "stage_2_detailed_class_info.csv", classes), "rsna_pneumonia")
    assert label_columns(table) == ["Lung Opacity", "No Lung Opacity / Not Normal", "Normal"]
    assert table[label_columns(table)].to_numpy().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match="rows of 1 patients contradict each other, such as '00704310'"):
        read_labels(write(tmp_path / "bad.csv", header + rows + "00704310,,,,,0\n"), "rsna_pneumonia")


def hemorrhage(images):
    names = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural", "any")
    generator = np.random.default_rng(0)
    return [(f"ID_{image:09x}_{name}", int(generator.random() < 0.3)) for image in range(images) for name in names]


def test_rsna_hemorrhage_is_pivoted_and_equal_rows_may_repeat(tmp_path):
    rows = hemorrhage(40)
    expected: dict[str, dict[str, int]] = {}
    for name, label in rows:
        image, what = name.rsplit("_", 1)
        expected.setdefault(image, {})[what] = label
    order = np.random.default_rng(1).permutation(len(rows))
    text = "ID,Label\n" + "".join(f"{rows[i][0]},{rows[i][1]}\n" for i in [*order, *order[:9]])
    write(tmp_path / "stage_2_train.csv", text)
    table = read_labels(tmp_path, "rsna_hemorrhage").set_index("image")
    assert table.drop(columns=["patient", "split"]).to_dict("index") == expected


def test_what_is_wrong_in_rsna_hemorrhage_is_named(tmp_path):
    rows = "".join(f"{name},{label}\n" for name, label in hemorrhage(4)[:-1])
    name, label = hemorrhage(4)[0]
    text = f"ID,Label\n{rows}{name},{1 - label}\nID_x_brain,0\nID_x_any,2\nfoo,1\n"
    with pytest.raises(ValueError, match="3 problems") as error:
        read_labels(write(tmp_path / "stage_2_train.csv", text), "rsna_hemorrhage")
    assert "3 of 27 rows are not ID_<uid>_<label>" in str(error.value)
    assert "'ID_x_brain,0', 'ID_x_any,2', 'foo,1'" in str(error.value)
    assert "rows of 1 images contradict each other, such as 'ID_000000000'" in str(error.value)
    assert "1 images have no row for some of the six labels, such as 'ID_000000003'" in str(error.value)


def test_mrnet(tmp_path):
    for name, labels in {"acl": [1, 0], "abnormal": [1, 1], "meniscus": [0, 1]}.items():
        write(tmp_path / f"train-{name}.csv", f"0000,{labels[0]}\n0001,{labels[1]}\n")
        write(tmp_path / f"valid-{name}.csv", "1130,0\n")
    table = read_labels(tmp_path, "mrnet")
    assert len(table) == 9
    assert label_columns(table) == ["abnormal", "acl", "meniscus"]
    rows = table.set_index("image")
    for plane in ("axial", "coronal", "sagittal"):
        assert rows.loc[f"train/{plane}/0000.npy"].tolist() == ["0000", "train", 1, 1, 0]
        assert rows.loc[f"train/{plane}/0001.npy"].tolist() == ["0001", "train", 1, 0, 1]
        assert rows.loc[f"valid/{plane}/1130.npy"].tolist() == ["1130", "test", 0, 0, 0]
    assert label_columns(read_labels(tmp_path / "train-acl.csv", "mrnet")) == ["acl"]
    write(tmp_path / "train-acl.csv", "0000,1\n0000,1\n")
    write(tmp_path / "train-abnormal.csv", "0000,3\n0001,1\n")
    with pytest.raises(ValueError, match="3 problems") as error:
        read_labels(tmp_path, "mrnet")
    assert "1 exams of train are in some files only, such as '0001'" in str(error.value)


def test_covid_ct(tmp_path):
    names = {
        "COVID": ["2020.01.24.919183-p27-132.png", "PIIS0140673620303603%8.png"],
        "NonCOVID": ["1%0.jpg", "a b.png"],
    }
    for kind, images in names.items():
        write(tmp_path / f"Data-split/{kind}/trainCT_{kind}.txt", "\r\n".join(images) + "\r\n")
        write(tmp_path / f"Data-split/{kind}/valCT_{kind}.txt", f"v{kind}.png\n\n")
        write(tmp_path / f"Data-split/{kind}/testCT_{kind}.txt", f"t{kind}.png")
    table = read_labels(tmp_path, "covid_ct")
    assert table.equals(read_labels(tmp_path / "Data-split", "covid_ct"))
    found = {(row.image, row.split, row.COVID) for row in table.itertuples()}
    assert found == {(f"CT_{kind}/{name}", split, int(kind == "COVID"))
                     for kind, images in names.items()
                     for split, some in (("train", images), ("val", [f"v{kind}.png"]), ("test", [f"t{kind}.png"]))
                     for name in some}  # fmt: skip
    (tmp_path / "Data-split/COVID/valCT_COVID.txt").unlink()
    with pytest.raises(ValueError, match=r"valCT_COVID\.txt: no such list"):
        read_labels(tmp_path, "covid_ct")


def test_medmnist(tmp_path):
    labels = {"train": [[2], [0], [1]], "val": [[1]], "test": [[3], [0]]}
    np.savez_compressed(
        tmp_path / "c.npz", **{f"{split}_labels": np.array(rows, np.uint8) for split, rows in labels.items()}
    )
    table = read_labels(tmp_path / "c.npz", "medmnist")
    assert table["image"].tolist() == ["train/0", "train/1", "train/2", "val/0", "test/0", "test/1"]
    assert table["split"].tolist() == ["train"] * 3 + ["val"] + ["test"] * 2
    assert table[label_columns(table)].to_numpy().argmax(1).tolist() == [2, 0, 1, 1, 3, 0]
    assert (table[label_columns(table)].sum(axis=1) == 1).all()
    np.savez(tmp_path / "b.npz", train_labels=np.array([[0], [1]]), test_labels=np.array([[0]]))
    assert read_labels(tmp_path / "b.npz", "medmnist")["class_1"].tolist() == [0, 1, 0]
    several = np.random.default_rng(0).integers(0, 2, (5, 14))
    np.savez(tmp_path / "m.npz", train_labels=several[:3], test_labels=several[3:])
    table = read_labels(tmp_path / "m.npz", "medmnist")
    assert label_columns(table) == [f"label_{label}" for label in range(14)]
    np.testing.assert_array_equal(table[label_columns(table)], several)
    for bad in (write(tmp_path / "x.npz", "no"), write(tmp_path / "empty.npz", "")):
        with pytest.raises(ValueError, match=rf"{bad.name}: not a \.npz of MedMNIST"):
            read_labels(bad, "medmnist")
    np.savez(tmp_path / "t.npz", train_labels=np.array([["a"]]))
    with pytest.raises(ValueError, match=r"t\.npz: labels must be whole numbers"):
        read_labels(tmp_path / "t.npz", "medmnist")


def test_radimagenet(tmp_path):
    for split, label in (("train", "abd-normal"), ("val", "knee-acl tear"), ("test", "abd-normal")):
        text = (
            f"filename,label\nradiology_ai/MR/{split}/0001.png,{label}\nradiology_ai/CT/{split}/0001.png,af-fracture\n"
        )
        write(tmp_path / f"RadiologyAI_{split}.csv", text)
    table = read_labels(tmp_path, "radimagenet")
    assert label_columns(table) == ["abd-normal", "af-fracture", "knee-acl tear"]
    assert keys(table)[0] == ["radiology_ai/MR/train/0001.png", "", "train"]
    assert table["split"].tolist() == ["train", "train", "val", "val", "test", "test"]
    assert table[label_columns(table)].to_numpy().argmax(1).tolist() == [0, 1, 2, 1, 0, 1]


def test_a_folder_per_class(tmp_path):
    for name in ("covid/b.png", "covid/deep/a.jpg", "normal/a.JPG", "normal/notes.txt"):
        write(tmp_path / "plain" / name, "")
    table = read_labels(tmp_path / "plain", "folders")
    assert table.to_numpy().tolist() == [
        ["covid/b.png", "", "", 1, 0], ["covid/deep/a.jpg", "", "", 1, 0], ["normal/a.JPG", "", "", 0, 1]
    ]  # fmt: skip
    for name in ("train/covid/b.png", "valid/normal/a.png", "test/covid/a.png"):
        write(tmp_path / "split" / name, "")
    table = read_labels(tmp_path / "split", "folders")
    assert table.to_numpy().tolist() == [
        ["test/covid/a.png", "", "test", 1, 0], ["train/covid/b.png", "", "train", 1, 0],
        ["valid/normal/a.png", "", "val", 0, 1],
    ]  # fmt: skip
    write(tmp_path / "plain/loose.png", "")
    with pytest.raises(ValueError, match="1 images lie in no folder of a class, such as 'loose"):
        read_labels(tmp_path / "plain", "folders")


def test_hidden_files_and_folders_are_no_classes_and_no_images(tmp_path):
    for kind in ("covid", "normal"):
        for number in range(8):
            cv2.imwrite(str(write(tmp_path / f"{kind}/{number}.png", "")), np.zeros((8, 8), np.uint8))
    wanted = keys(read_labels(tmp_path, "folders"))
    for litter in (".ipynb_checkpoints/1-checkpoint.png", "covid/.ipynb_checkpoints/1-checkpoint.png", "covid/._1.png",
                   "__MACOSX/covid/2.png", "covid/@eaDir/3.png", ".git/4.dcm"):  # fmt: skip
        write(tmp_path / litter, "no image")
    assert keys(read_labels(tmp_path, "folders")) == wanted
    assert list_images(tmp_path)["image"].tolist() == [image for image, _, _ in wanted]
    data = FinetuningData(tmp_path, tmp_path, layout="folders", fractions=(0.5, 0.25, 0.25))
    assert (data.problems, data.label_names, data.count()) == ([], ["covid", "normal"], 16)


def official(tmp_path):
    """One file or folder of every layout."""
    chexpert(tmp_path / "chexpert") if (tmp_path / "chexpert").mkdir() is None else None
    (tmp_path / "mimic_cxr").mkdir()
    mimic(tmp_path / "mimic_cxr")
    write(tmp_path / "vindr_cxr/image_labels_train.csv", "image_id,rad_id,Edema,No finding\na,R1,1,0\n")
    write(
        tmp_path / "padchest/PADCHEST_chest_x_ray_images_labels_160K.csv",
        "ImageID,PatientID,Labels\na.png,1,['normal']\n",
    )
    write(tmp_path / "rsna_pneumonia/stage_2_train_labels.csv", "patientId,x,y,width,height,Target\na,,,,,0\n")
    write(
        tmp_path / "rsna_hemorrhage/stage_2_train.csv", "ID,Label\n" + "".join(f"{n},{v}\n" for n, v in hemorrhage(1))
    )
    write(tmp_path / "mrnet/train-acl.csv", "0000,1\n")
    for kind in ("COVID", "NonCOVID"):
        for split in ("train", "val", "test"):
            write(tmp_path / f"covid_ct/{kind}/{split}CT_{kind}.txt", f"{split}{kind}.png\n")
    np.savez(tmp_path / "medmnist.npz", train_labels=np.array([[0], [1]]))
    write(tmp_path / "radimagenet/RadiologyAI_train.csv", "filename,label\na.png,b\n")
    write(tmp_path / "folders/a/b.png", "")
    write(tmp_path / "csv/labels.csv", "image,nodule\na,1\n")
    write(tmp_path / "chestxray14/Data_Entry_2017_v2020.csv", "Image Index,Patient ID,Finding Labels\na.png,1,Edema\n")
    places = {layout: tmp_path / layout for layout in LAYOUTS}
    return places | {"medmnist": tmp_path / "medmnist.npz", "csv": tmp_path / "csv/labels.csv"}


def test_every_layout_is_recognised_and_another_one_is_told_so(tmp_path):
    places = official(tmp_path)
    for layout, place in places.items():
        assert len(read_labels(place, layout)) > 0
        assert looks_like(place) == layout
        for other in LAYOUTS:
            if other in (layout, "folders"):
                continue
            with pytest.raises((ValueError, FileNotFoundError), match=f"this looks like the layout {layout}$"):
                read_labels(place, other)


def test_tables_as_spreadsheets_and_windows_write_them(tmp_path):
    rows = ["image,patient,nodule,mass", "a\\1.png,007,1,0", '"b\\2, x.png",8,0,1']
    plain = read_labels(write(tmp_path / "plain.csv", "\n".join(rows)))
    assert plain["image"].tolist() == ["a/1.png", "b/2, x.png"]
    (tmp_path / "windows.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(rows).encode() + b"\r\n")
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    for name in ("windows.csv", "packed.csv.gz"):
        assert read_labels(tmp_path / name).equals(plain)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a CSV table"),
        (b"image,nodule\n", "a header and no rows"),
        (b"image;nodule\na;1\n", "has semicolons between its cells; write it with commas"),
        (b"image\tnodule\na\t1\n", "has tabs between its cells"),
        (b"image,nodule\na,1\n,0\n", "1 of 2 rows name no image"),
        (b"image,nodule\na,1\nb,0,1,1\n", "not a CSV table"),
        (b"\xff\xfe\x00", "not a CSV table"),
        (b"image,nodule\na,nan\nb,\n", r"'nodule' must be 0 or 1, got an empty cell for 'a' \(2 rows in all\)"),
    ],
)
def test_damaged_tables_are_named(tmp_path, content, message):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"labels\.csv: .*{message}"):
        read_labels(tmp_path / "labels.csv")


def test_a_gz_cut_short_is_named(tmp_path):
    packed = gzip.compress(b"image,nodule\n" + b"".join(b"%d,1\n" % i for i in range(5000)))
    (tmp_path / "labels.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ValueError, match=r"labels\.csv\.gz: the compressed file is cut short"):
        read_labels(tmp_path / "labels.csv.gz")
    (tmp_path / "labels.csv.gz").write_text("image,nodule\na,1\n")
    with pytest.raises(ValueError, match=r"labels\.csv\.gz: the compressed file is cut short or damaged"):
        read_labels(tmp_path / "labels.csv.gz")


def test_all_problems_of_a_table_come_at_once(tmp_path):
    text = "image,patient,split,nodule,mass\na,1,train,2,1\na,1,test,1,0\nb,1,val,0,x\n,1,val,0,1\n"
    with pytest.raises(ValueError, match="4 problems") as error:
        read_labels(write(tmp_path / "labels.csv", text))
    for part in ("1 of 4 rows name no image", "1 images are listed twice, 1 of them in two splits, the first 'a'",
                 "'nodule' must be 0 or 1", "'mass' must be 0 or 1, got 'x' for 'b'"):  # fmt: skip
        assert part in str(error.value)


def test_empty_cells_of_our_csv_are_unknown_where_that_is_asked_for(tmp_path):
    path = write(tmp_path / "labels.csv", "image,nodule,mass\na,1,0\nb,,1\n")
    table = read_labels(path, uncertain="ignore")
    assert np.isnan(table.loc[1, "nodule"])
    assert table["mass"].tolist() == [0, 1]
    table.to_csv(tmp_path / "again.csv", index=False)
    pd.testing.assert_frame_equal(read_labels(tmp_path / "again.csv", uncertain="ignore"), table)
    with pytest.raises(ValueError, match="uncertain must be one of negative, positive, ignore, got 'skip'"):
        read_labels(path, uncertain="skip")
