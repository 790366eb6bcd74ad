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

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from monai_ssl.data import SliceStore, box_mask, make_phantoms, read_boxes, slice_volumes
from monai_ssl.data.phantoms import draw_phantom

OFFICIAL = """Image Index,Finding Label,Bbox [x,y,w,h],,,
00013118_008.png,Atelectasis,225.084745762712,547.019216763771,86.7796610169491,79.1864406779661,,,
00014716_007.png,Infiltrate,686.101694915254,131.543498411017,185.491525423729,313.491525423729,,,
"""


def written(folder, text):
    path = folder / "BBox_List 2017.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_official_file_is_read_as_released(tmp_path):
    boxes = read_boxes(written(tmp_path, OFFICIAL))
    assert boxes["label"].tolist() == ["Atelectasis", "Infiltration"]
    corner = boxes.loc[1, ["x", "y", "width", "height"]].tolist()
    assert corner == pytest.approx([686.10169, 131.54350, 185.49153, 313.49153])
    assert set(boxes["image_width"]) == set(boxes["image_height"]) == {1024}
    shorter = read_boxes(written(tmp_path, OFFICIAL.replace(",,,", "")))
    pd.testing.assert_frame_equal(shorter, boxes)


def test_all_faults_of_a_file_are_told_at_once(tmp_path):
    text = "a.png,Tumour,1,2,3,4,,,\nb.png,Mass,x,2,3,4,,,\nc.png,Mass,1,2,0,4,,,\nd.png,Mass,1030,2,3,4,,,\n"
    with pytest.raises(ValueError) as error:  # noqa: PT011 (all of the message is looked at)
        read_boxes(written(tmp_path, OFFICIAL + text))
    told = str(error.value).splitlines()
    assert len(told) == 4
    for part in ("['Tumour'] are not among", "no number in x", "line 5", "not above 0, such as line 6", "line 7"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,label,x,y,width\na,m,1,2,3\n", "'height'"),
        ("label,x,y,width,height\nm,1,2,3,4\n", "needs the column 'image'"),
        ("image,label,x,y,width,height\n", "no boxes"),
        ("image,label,x,y,width,height,image_width,image_height\na,m,1,2,3,4,9,\n", "only one of image_width"),
        ("image,label,x,y,width,height\n,m,1,2,3,4\na,,1,2,3,4\n", "have no label.*\n.*name no image"),
        ("series,position_mm,label,x,y,width,height\ns,1,m,1,2,3,4\n", "only a slice store"),
    ],
)
def test_other_files_are_refused(tmp_path, text, said):
    with pytest.raises(ValueError, match=said):
        read_boxes(written(tmp_path, text))


def test_masks_are_those_of_a_loop_over_pixel_centres():
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = rng.uniform(0, 800, 2)
        boxes = pd.DataFrame({"x": [x, 0], "y": [y, 0], "width": [200, 90], "height": [150, 40]})
        boxes = boxes.assign(image_width=[1024, np.nan], image_height=[1024, np.nan])
        expected = np.zeros((40, 50), bool)
        for row in range(40):
            for column in range(50):
                left, top = (column + 0.5) * 1024 / 50, (row + 0.5) * 1024 / 40
                first = x <= left < x + 200 and y <= top < y + 150
                expected[row, column] = first or ((column + 0.5) * 6 < 90 and (row + 0.5) * 5 < 40)
        np.testing.assert_array_equal(box_mask(boxes, (40, 50), (200, 300)), expected)


def test_a_box_smaller_than_a_pixel_is_one_pixel():
    boxes = pd.DataFrame([{"x": 3.1, "y": 9.2, "width": 0.1, "height": 0.1, "image_width": 16, "image_height": 16}])
    assert np.argwhere(box_mask(boxes, (4, 4), (9, 9))).tolist() == [[2, 0]]


def test_boxes_of_phantoms_meet_the_nodules_in_the_slices_of_a_store(tmp_path):
    make_phantoms(tmp_path / "sample", patients=4, seed=1, size=64, slices=24)
    labels = tmp_path / "sample/labels.csv"
    slice_volumes(tmp_path / "sample/volumes", tmp_path / "store", reduce="all", labels=labels, workers=1)
    store = SliceStore.open(tmp_path / "store")
    boxes = read_boxes(tmp_path / "sample/boxes.csv", tmp_path / "store")
    positive = store.labels.index[store.labels["nodule"] == 1]
    assert len(positive) > 3
    assert set(boxes["image"]) == set(positive)
    drawn = {}
    for phantom in (draw_phantom(1, index, size=64, slices=24) for index in (0, 3)):
        drawn |= {hu.tobytes(): mask for hu, mask in zip(phantom.hu, phantom.mask, strict=True)}
    for image, rows in boxes.groupby("image"):
        nodules = drawn[store.read(image).tobytes()]
        filled = np.zeros_like(nodules)
        for part in ndimage.find_objects(ndimage.label(nodules)[0]):
            filled[part] = True
        np.testing.assert_array_equal(box_mask(rows, nodules.shape, nodules.shape), filled)


def test_a_store_of_other_series_or_another_axis_is_refused(tmp_path):
    for name, seed in (("sample", 1), ("other", 2)):
        make_phantoms(tmp_path / name, patients=2, seed=seed, size=32, slices=16)
    for axis in ("axial", "coronal"):
        slice_volumes(tmp_path / "sample/volumes/dicom", tmp_path / axis, axis=axis, workers=1)
    with pytest.raises(ValueError, match="none of its 1 series"):
        read_boxes(tmp_path / "other/boxes.csv", tmp_path / "axial")
    with pytest.raises(ValueError, match="coronal ones"):
        read_boxes(tmp_path / "sample/boxes.csv", tmp_path / "coronal")


def test_a_box_beyond_its_image_is_refused_where_no_size_is_given():
    box = {"image": "a", "label": "mass", "x": 600.0, "y": 10.0, "width": 80.0, "height": 20.0}
    boxes = pd.DataFrame([box | {"image_width": np.nan, "image_height": np.nan}])
    with pytest.raises(ValueError, match=r"reaches beyond its image of 256 x 256 pixels; .* give image_width"):
        box_mask(boxes, (64, 64), (256, 256))
    assert box_mask(boxes.assign(image_width=1024.0, image_height=1024.0), (64, 64), (256, 256)).any()
