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

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Flip, Orientation, Rotate90
from scipy.ndimage import gaussian_filter

from monai_ssl.orientation import slice_positions, to_display
from monai_ssl.reduction import reduce_slices
from monai_ssl.transforms import ReduceSlices, ReduceSlicesd, SliceVolume, SliceVolumed


def smooth_image():
    """A volume whose neighbouring slices are alike, as a NIfTI image in RAS with uneven spacing."""
    volume = gaussian_filter(np.random.default_rng(0).normal(size=(40, 44, 48)), 4)
    volume = (volume / volume.std() * 400).astype(np.int16)
    affine = np.diag([0.8, 0.9, 2.0, 1.0])
    affine[:3, 3] = (-10, 20, 300)
    return nibabel.Nifti1Image(volume, affine)


def as_tensor(image):
    return MetaTensor(torch.as_tensor(np.array(image.dataobj))[None], affine=torch.as_tensor(image.affine))


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_same_slices_are_kept_however_the_array_lies(plane):
    image = smooth_image()
    expected = reduce_slices(to_display(np.asarray(image.dataobj), image.affine, plane), "dhash:6").kept
    positions = slice_positions(image.affine, image.shape, plane)[expected]
    assert 1 < len(positions) < len(expected)
    world = ("sagittal", "coronal", "axial").index(plane)
    for order, signs in itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)):
        if signs[world] < 0:  # the slices then come in another order, and the first ones are kept
            continue
        turned = image.as_reoriented(np.stack([order, signs], axis=1))
        reduced = ReduceSlices("dhash:6", plane)(as_tensor(turned))
        np.testing.assert_allclose(reduced.meta["kept_positions_mm"], positions)
        np.testing.assert_array_equal(reduced.meta["kept_indices"], np.flatnonzero(expected))
        axis = order[world]
        assert reduced.meta["kept_axis"] == axis
        kept = np.asarray(turned.dataobj).take(np.flatnonzero(expected), axis=axis)
        np.testing.assert_array_equal(reduced[0].numpy(), kept)
        assert reduced.dtype == torch.int16


def test_invalid_voxels_compare_as_the_smallest_value_of_the_volume():
    volume = as_tensor(smooth_image()).float()
    volume[:, :9, :9] = torch.nan
    filled = torch.where(volume.isnan(), volume[~volume.isnan()].min(), volume)
    reduced = ReduceSlices("dhash:2")(volume)
    np.testing.assert_array_equal(reduced.meta["kept_indices"], ReduceSlices("dhash:2")(filled).meta["kept_indices"])
    assert reduced.isnan().any()


def test_origin_is_that_of_the_first_kept_slice():
    volume = as_tensor(smooth_image())
    volume[..., :3] = 7  # equal slices, of which the first is kept
    reduced = ReduceSlices("dhash:0")(volume)
    torch.testing.assert_close(reduced.affine, volume.affine)
    later = ReduceSlices().take(volume, np.array([5, 9]))
    expected = volume.affine.clone()
    expected[2, 3] = 300 + 5 * 2.0
    torch.testing.assert_close(later.affine, expected)
    assert later.meta["kept_indices"].tolist() == [5, 9]
    assert later.meta["kept_positions_mm"].tolist() == [310.0, 318.0]
    assert volume.affine[2, 3] == 300
    assert "kept_indices" not in volume.meta


def test_indices_stay_those_of_the_source_after_a_second_reduction():
    twice = ReduceSlices("every_n:3")(ReduceSlices().take(as_tensor(smooth_image()), np.arange(4, 48, 4)))
    assert twice.meta["kept_indices"].tolist() == [4, 16, 28, 40]
    np.testing.assert_allclose(twice.meta["kept_positions_mm"], 300 + 2.0 * np.array([4, 16, 28, 40]))
    assert twice.affine[2, 3] == 300 + 4 * 2.0


def test_first_key_decides_for_the_others():
    image = as_tensor(smooth_image())
    label = MetaTensor(torch.arange(48.0).expand(1, 40, 44, 48).contiguous(), affine=image.affine)
    kept = ReduceSlices("dhash:6")(image).meta["kept_indices"].tolist()
    reduced = ReduceSlicesd(["image", "label"], "dhash:6")({"image": image, "label": label, "patient": "p1"})
    assert reduced["label"][0, 0, 0].tolist() == kept
    assert reduced["image"].shape[-1] == len(kept)
    assert reduced["patient"] == "p1"


def test_reduce_then_slice_is_one_way_through():
    image = as_tensor(smooth_image())
    items = Compose([ReduceSlicesd("image", "dhash:6"), SliceVolumed("image")])({"image": image})
    assert [item["image"].meta["index"] for item in items] == ReduceSlices()(image).meta["kept_indices"].tolist()
    for item in items:
        assert torch.equal(item["image"].as_tensor(), image[..., item["image"].meta["index"]].as_tensor())


@pytest.mark.parametrize(
    "change", [Orientation("SPL", labels=None), Rotate90(1, spatial_axes=(0, 2)), Flip(2), Rotate90(1, (1, 2))]
)
def test_axes_changed_after_the_reduction_are_refused(change):
    # Their order tells no longer which axis is uneven, and its positions would be those of an even one.
    reduced = ReduceSlices("every_n:5")(as_tensor(smooth_image()))
    with pytest.raises(ValueError, match="before ReduceSlices"):
        SliceVolume("axial")(change(reduced))


def test_turning_in_the_slice_plane_keeps_the_positions():
    reduced = ReduceSlices("every_n:5")(as_tensor(smooth_image()))
    turned = SliceVolume("axial")(Rotate90(1, spatial_axes=(0, 1))(reduced))
    assert [image.meta["position_mm"] for image in turned] == [300.0 + 10 * k for k in range(10)]


def test_volumes_that_lie_otherwise_are_refused():
    image = as_tensor(smooth_image())
    shifted = MetaTensor(image.as_tensor(), affine=image.affine.clone())
    shifted.affine[2, 3] += 2
    for other in (shifted, image[..., 1:], image.as_tensor().permute(0, 3, 2, 1)):
        with pytest.raises(ValueError, match="'label' does not lie as 'image'"):
            ReduceSlicesd(["image", "label"])({"image": image, "label": other})


def test_bad_settings_are_refused_at_once():
    with pytest.raises(ValueError, match=r"unknown reduction strategy 'dhsh:6'.*did you mean dhash:T"):
        ReduceSlices("dhsh:6")
    with pytest.raises(ValueError, match="from 0 to 64"):
        ReduceSlicesd("image", "dhash:99")
    with pytest.raises(ValueError, match="axis must be one of"):
        ReduceSlicesd("image", axis="up")
    for shape in ((4, 5, 6), (1, 4, 5, 0), (0, 4, 5, 6)):
        with pytest.raises(ValueError, match="none of them 0, got"):
            ReduceSlices()(np.zeros(shape))
    with pytest.raises(KeyError):
        ReduceSlicesd("image")({})
    assert ReduceSlicesd("image", allow_missing_keys=True)({}) == {}


def test_random_draws_by_seed_and_volume():
    first, second = torch.rand(2, 1, 8, 8, 40)
    kept = [
        tuple(ReduceSlices("random:0.3", seed=seed)(MetaTensor(volume)).meta["kept_indices"])
        for seed, volume in ((0, first), (0, first), (0, second), (1, first))
    ]
    assert kept[0] == kept[1]
    assert len(set(kept)) == 3


def test_embedding_without_an_embedder_is_refused_at_once():
    with pytest.raises(ValueError, match=r"embedding:0.1 needs embed="):
        ReduceSlices("embedding:0.1")
