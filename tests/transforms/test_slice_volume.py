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

import itertools

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, list_data_collate, set_track_meta
from monai.transforms import Compose, Flip, SplitDim
from monai.transforms.traits import MultiSampleTrait
from monai.utils import MetaKeys, SpaceKeys
from scipy.spatial.transform import Rotation

from monai_ssl.orientation import array_axis, slice_positions
from monai_ssl.transforms import ReduceSlices, SliceVolume, SliceVolumed

SHAPE = (4, 5, 6)
PLANES = ("axial", "coronal", "sagittal")


def world_volume(permutation=(0, 1, 2), signs=(1, 1, 1)):
    """A volume of three channels that hold each voxel's own place in the world, in millimetres."""
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", (15, -20, 10), degrees=True).as_matrix()
    affine[:3, :3] = turn @ (np.eye(3)[:, permutation] * signs * (0.7, 0.8, 2.5))
    affine[:3, 3] = (12.0, -30.0, 100.0)
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"))
    world = np.tensordot(affine[:3, :3], voxels, 1) + affine[:3, 3][:, None, None, None]
    return MetaTensor(torch.as_tensor(world), affine=torch.as_tensor(affine), meta={"filename_or_obj": "ct.nii"})


def assert_affine_finds_each_pixel(image):
    """The affine of a slice maps (row, column, 0) to the place that the pixel holds."""
    rows, columns = np.meshgrid(*map(np.arange, image.shape[1:]), indexing="ij")
    affine = image.affine.numpy()
    homogeneous = np.stack([rows, columns, np.zeros_like(rows), np.ones_like(rows)])
    np.testing.assert_allclose(np.tensordot(affine, homogeneous, 1)[:3], image.numpy(), atol=1e-9)


@pytest.mark.parametrize("axis", [*PLANES, 0, -1])
def test_affine_index_and_position_agree_with_the_world(axis):
    for permutation, signs in itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)):
        volume = world_volume(permutation, signs)
        affine = volume.affine.numpy()
        sliced = array_axis(affine, axis)
        slices = SliceVolume(axis)(volume)
        positions = slice_positions(affine, SHAPE, axis)
        assert len(slices) == SHAPE[sliced]
        for index, image in enumerate(slices):
            assert_affine_finds_each_pixel(image)
            np.testing.assert_array_equal(image.numpy(), volume.numpy().take(index, axis=sliced + 1))
            assert image.meta["patch_index"] == image.meta["index"] == index
            assert image.meta["position_mm"] == pytest.approx(positions[index])
            assert image.meta["filename_or_obj"] == "ct.nii"


def test_last_axis_equals_monais_split():
    volume = world_volume()
    for got, expected in zip(SliceVolume("axial")(volume), SplitDim(dim=-1, keepdim=False)(volume), strict=True):
        torch.testing.assert_close(got.as_tensor(), expected.as_tensor(), rtol=0, atol=0)
        torch.testing.assert_close(got.affine, expected.affine)


def test_slices_are_views_and_the_volume_stays_as_it_was():
    volume = world_volume()
    before = volume.affine.clone()
    slices = SliceVolume("coronal")(volume)
    slices[0].meta["filename_or_obj"] = "other"
    slices[0].affine[:] = 0
    assert slices[1].untyped_storage().data_ptr() == volume.untyped_storage().data_ptr()
    assert torch.equal(volume.affine, before)
    assert volume.meta["filename_or_obj"] == "ct.nii"
    assert slices[1].meta["filename_or_obj"] == "ct.nii"


def test_a_volume_in_lps_space_is_cut_in_the_same_place():
    volume = world_volume()
    expected = SliceVolume("sagittal")(volume)
    lps = MetaTensor(
        volume.as_tensor(), torch.diag(torch.tensor([-1.0, -1, 1, 1], dtype=torch.float64)) @ volume.affine
    )
    lps.meta[MetaKeys.SPACE] = SpaceKeys.LPS
    got = SliceVolume("sagittal")(lps)
    assert [image.meta["position_mm"] for image in got] == pytest.approx([i.meta["position_mm"] for i in expected])


def test_slices_of_a_reduced_volume_know_their_place_in_the_source():
    for signs in itertools.product((1, -1), repeat=3):
        volume = world_volume((2, 0, 1), signs)
        source = SliceVolume("axial")(volume)
        slices = SliceVolume("axial")(ReduceSlices("every_n:2")(volume))
        assert [image.meta["index"] for image in slices] == list(range(0, len(source), 2))
        for place, image in enumerate(slices):
            assert_affine_finds_each_pixel(image)
            assert image.meta["patch_index"] == place
            assert image.meta["position_mm"] == pytest.approx(source[image.meta["index"]].meta["position_mm"])
            assert not any(key.startswith("kept") for key in image.meta)


def test_a_reduced_volume_that_was_flipped_is_refused():
    reduced = ReduceSlices("every_n:2")(world_volume())
    with pytest.raises(ValueError, match="flip, crop or resample before ReduceSlices"):
        SliceVolume("axial")(Flip(spatial_axis=2)(reduced))
    with pytest.raises(ValueError, match=r"\(3 kept, 2 now\)"):
        SliceVolume("axial")(reduced[..., :2])
    assert len(SliceVolume("axial")(Flip(spatial_axis=0)(reduced))) == 3
    assert len(SliceVolume("coronal")(reduced)) == 5


def test_arrays_and_untracked_tensors_give_plain_slices():
    array = np.arange(4 * 5 * 6, dtype=np.int16).reshape(1, 4, 5, 6)
    for got, expected in zip(SliceVolume("sagittal")(array), array.transpose(1, 0, 2, 3), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected)
        assert got.dtype == torch.int16
    set_track_meta(False)
    try:
        slices = SliceVolume("axial")(world_volume((2, 1, 0)))
    finally:
        set_track_meta(True)
    assert len(slices) == 4  # the affine still says that the first array axis is axial
    assert not isinstance(slices[0], MetaTensor)


def test_dictionary_version_through_compose_and_loader():
    volume = world_volume()
    transform = Compose([SliceVolumed(["image", "label"], axis="coronal")])
    items = transform({"image": volume, "label": volume * 2, "patient": ["p1"]})
    assert len(items) == 5
    for item, expected in zip(items, SliceVolume("coronal")(volume), strict=True):
        assert torch.equal(item["image"].as_tensor(), expected.as_tensor())
        assert torch.equal(item["label"].as_tensor(), expected.as_tensor() * 2)
    items[0]["patient"].append("changed")
    assert items[1]["patient"] == ["p1"]
    assert isinstance(SliceVolumed("image"), MultiSampleTrait)

    dataset = Dataset([{"image": volume}, {"image": volume}], transform=SliceVolumed("image", axis="coronal"))
    batch = next(iter(DataLoader(dataset, batch_size=2, collate_fn=list_data_collate)))["image"]
    assert batch.shape == (10, 3, 4, 6)
    assert batch.meta["index"].tolist() == [*range(5), *range(5)]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="axis must be one of axial, coronal, sagittal"):
        SliceVolume("transversal")
    with pytest.raises(ValueError, match=r"\(C, X, Y, Z\).*got \(4, 5, 6\); EnsureChannelFirst"):
        SliceVolume()(np.zeros(SHAPE))
    with pytest.raises(ValueError, match=r"equal numbers of slices along 'axial', got \{'a': 6, 'b': 7\}"):
        SliceVolumed(["a", "b"])({"a": np.zeros((1, 4, 5, 6)), "b": np.zeros((1, 4, 5, 7))})
    with pytest.raises(KeyError):
        SliceVolumed("a")({})
    assert len(SliceVolumed(["a", "b"], allow_missing_keys=True)({"a": np.zeros((1, 4, 5, 6))})) == 6
