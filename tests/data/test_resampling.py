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
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import Spacing
from volume_files import axial_affine, world_values, write_nifti, write_series

from monai_ssl.data import Voxels, slice_volumes
from monai_ssl.data.resampling import axis_weights, resample
from monai_ssl.data.slice_volume import _resized
from monai_ssl.orientation import slice_positions

SHAPE = (15, 13, 11)


def make_voxels(array, affine=None, valid=None, offsets=None):
    affine = np.diag([1.0, 1.0, 1.0, 1.0]) if affine is None else affine
    offsets = np.arange(array.shape[2], dtype=np.float64) if offsets is None else offsets
    return Voxels(array, affine, valid, np.asarray(offsets, dtype=np.float64))


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_finer_is_linear_interpolation_as_scipy_does_it(random):
    array = random.normal(size=SHAPE).astype(np.float32)
    new = resample(make_voxels(array), (0.7, 1.0, 0.4), 1)
    places = [np.arange(size) * pitch for size, pitch in zip(new.array.shape, (0.7, 1.0, 0.4), strict=True)]
    expected = scipy.ndimage.map_coordinates(array, np.meshgrid(*places, indexing="ij"), order=1)
    np.testing.assert_allclose(new.array, expected, atol=1e-5)
    np.testing.assert_allclose(new.affine, np.diag([0.7, 1, 0.4, 1]))


def test_finer_is_as_monai_spacing(random):
    affine = axial_affine((0.9, 0.8, 1.0))
    array = random.normal(size=SHAPE).astype(np.float32)
    new = resample(make_voxels(array, affine), (0.5, 0.8, 0.7), 1)
    image = MetaTensor(torch.from_numpy(array)[None], affine=torch.from_numpy(affine))
    peer = Spacing((0.5, 0.8, 0.7), mode="bilinear", padding_mode="border", dtype=torch.float64)(image)
    np.testing.assert_allclose(peer.affine, new.affine, atol=1e-9)
    # MONAI rounds the size, and may add a voxel beyond the last of the source.
    common = peer[0].numpy()[tuple(slice(0, size) for size in new.array.shape)]
    np.testing.assert_allclose(new.array, common, atol=1e-4)


@pytest.mark.parametrize("pitch", [1.2, 2.5, 4.0])
def test_coarser_is_a_triangle_average_of_the_lines_between_samples(random, pitch):
    positions = np.concatenate([np.arange(12.0), [14.0, 14.5], np.arange(16.0, 22)])
    line = random.normal(size=positions.size)
    gaps = np.diff(positions)
    for j, weights in enumerate(axis_weights(positions, pitch).toarray()):
        place = pitch * j
        gap = gaps[np.clip(np.searchsorted(positions, place, side="right") - 1, 0, len(gaps) - 1)]
        half = min(np.sqrt(max(pitch**2 - gap**2, 0)), place, positions[-1] - place)
        grid = place + max(half, 1e-9) * np.linspace(-1, 1, 20001)
        triangle = 1 - np.abs(np.linspace(-1, 1, 20001))
        expected = (np.interp(grid, positions, line) * triangle).sum() / triangle.sum()
        np.testing.assert_allclose(weights @ line, expected, atol=1e-5)


def test_what_is_finer_than_the_new_grid_does_not_alias():
    # A pattern above the new Nyquist frequency is gone instead of folded into a lower one.
    matrix = axis_weights(np.arange(41.0), 2.5).toarray()
    assert np.abs(matrix[2:-2] @ (-1.0) ** np.arange(41)).max() < 0.02
    assert np.abs(matrix[2:-2] @ np.cos(2 * np.pi * 0.4 * np.arange(41))).max() < 0.1


@settings(max_examples=200, deadline=None)
@given(
    pitch=st.floats(0.05, 30),
    gaps=st.lists(st.floats(0.1, 5), min_size=1, max_size=40) | st.integers(1, 60).map(lambda size: [1.0] * size),
)
def test_a_ramp_stays_a_ramp_up_to_both_ends(pitch, gaps):
    positions = np.concatenate([[0.0], np.cumsum(gaps)])
    weights = axis_weights(positions, pitch).toarray()
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    places = np.minimum(pitch * np.arange(len(weights)), positions[-1])
    np.testing.assert_allclose(weights @ positions, places, atol=1e-6 * positions[-1])
    assert len(weights) == int(positions[-1] / pitch + 1e-6 * len(positions)) + 1
    reach = pitch + 2 * max(gaps)
    assert not weights[np.abs(places[:, None] - positions) > reach].any()


def test_uneven_slices_count_where_they_lie():
    places = np.array([0.0, 1.0, 3.0, 4.0, 7.0])
    array = np.broadcast_to((10 * places).astype(np.float32), (4, 5, 5)).copy()
    new = resample(make_voxels(array, np.diag([1, 1, 2.0, 1]), offsets=places), (1, 1, 1), 1)
    np.testing.assert_allclose(new.array[2, 2], 5 * np.arange(15.0), atol=1e-4)
    np.testing.assert_allclose(slice_positions(new.affine, new.array.shape), np.arange(15.0))


@pytest.mark.parametrize("spacing", [(0.6, 0.6, 0.6), (1.7, 1.0, 3.1)])
def test_padding_never_blends_into_values(random, spacing):
    array = random.integers(100, 200, SHAPE).astype(np.int16)
    valid = random.random(SHAPE) > 0.2
    valid[:5] = False
    clean, dirty = array.copy(), array.copy()
    clean[~valid], dirty[~valid] = 100, -3000
    one, other = (resample(make_voxels(each, valid=valid), spacing, 1) for each in (clean, dirty))
    np.testing.assert_array_equal(one.valid, other.valid)
    np.testing.assert_array_equal(one.array, other.array)
    assert one.array.dtype == np.int16
    assert 100 <= one.array.min() <= one.array.max() <= 200
    assert not one.valid[0].any()
    # The slow way: the share of the weight that lies on valid voxels.
    weights = [
        axis_weights(np.arange(size, dtype=float), each).toarray() for size, each in zip(SHAPE, spacing, strict=True)
    ]
    support = np.einsum("ia,jb,kc,abc->ijk", *weights, valid)
    values = np.einsum("ia,jb,kc,abc->ijk", *weights, array * valid) / np.maximum(support, 1e-9)
    clear = np.abs(support - 0.5) > 1e-3
    np.testing.assert_array_equal(one.valid[clear], support[clear] > 0.5)
    both = one.valid & clear
    np.testing.assert_allclose(one.array[both], values[both], atol=0.51)


def test_an_equal_grid_changes_nothing(random):
    array = random.integers(-1000, 3000, SHAPE).astype(np.int16)
    new = resample(make_voxels(array, axial_affine((0.7, 0.7, 2.5))), (0.7, 0.7, 2.5), 1)
    np.testing.assert_array_equal(new.array, array)
    np.testing.assert_allclose(new.affine, axial_affine((0.7, 0.7, 2.5)), atol=1e-12)


def test_one_slice_stays_and_tilt_is_named(random):
    array = random.normal(size=(9, 15, 1)).astype(np.float32)
    affine = axial_affine((1, 1, 5))
    affine[1, 2] = 1.5
    new = resample(make_voxels(array, affine), (0.5, 2, 1), 1)
    assert new.array.shape == (17, 8, 1)
    np.testing.assert_array_equal(new.affine[:3, 2], affine[:3, 2])
    assert "gantry tilt" in new.warnings[0]


def test_too_large_too_coarse_and_disordered_are_refused():
    voxels = make_voxels(np.zeros(SHAPE, dtype=np.int16))
    with pytest.raises(ValueError, match="1 x 1 x 1 voxels would be left, and 8 are the fewest"):
        resample(voxels, (100, 100, 100), 1)
    with pytest.raises(ValueError, match="15 x 1 x 3 voxels would be left"):
        resample(voxels, (1, 100, 4), 1)
    assert resample(voxels, (1, 1, 100), 1).array.shape == (15, 13, 1)
    with pytest.raises(ValueError, match="millions of GiB"):
        resample(voxels, (1e-30, 1e-30, 1e-30), 1)
    with pytest.raises(ValueError, match="more than the limit"):
        resample(voxels, (1e-3, 1e-3, 1e-3), 0.5)
    with pytest.raises(ValueError, match="slices at one position"):
        resample(make_voxels(np.zeros((3, 3, 3)), offsets=[0, 1, 1]), (1, 1, 1), 1)


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_store_of_resampled_slices_knows_where_they_lie(tmp_path, axis):
    # A field that is linear in the world is kept by linear resampling, in any axes of the source.
    base = axial_affine((1.0, 1.25, 2.5))
    grid = np.stack(np.meshgrid(*(np.arange(size) for size in (16, 17, 9)), indexing="ij"), axis=-1)
    world = grid @ base[:3, :3].T + base[:3, 3]
    along = {"axial": (2, 1), "coronal": (1, -1), "sagittal": (0, -1)}[axis]
    values = (world[..., along[0]] * along[1] * 64).astype(np.float32)
    turned = np.ascontiguousarray(values.transpose(2, 0, 1))
    write_nifti(tmp_path / "in" / "v.nii", base[:, [2, 0, 1, 3]], turned)
    store = slice_volumes(
        tmp_path / "in", tmp_path / "out", axis=axis, reduce="all", spacing=(1.0, 0.5, 0.625), workers=1
    )
    shape = {"axial": (41, 16), "coronal": (33, 16), "sagittal": (33, 41)}[axis]
    assert len(store) == {"axial": 33, "coronal": 41, "sagittal": 16}[axis]
    assert store.table["index"].tolist() == list(range(len(store)))
    for i in range(len(store)):
        assert store[i].shape == shape
        np.testing.assert_allclose(store[i], 64 * store.kept["position_mm"][i], atol=0.01)


def test_store_at_one_spacing_for_all(tmp_path):
    affine = axial_affine((0.8, 0.9, 2.5))
    write_series(tmp_path / "in", affine, world_values(affine, (20, 16, 5)))
    store = slice_volumes(tmp_path / "in", tmp_path / "out", reduce="all", spacing=1.0, workers=1)
    assert store[0].shape == (14, 16)
    assert (store.table["dtype"] == "int16").all()
    np.testing.assert_allclose(store.table["position_mm"], -71.75 + np.arange(11.0))
    assert store.settings["arguments"]["spacing"] == [1.0, 1.0, 1.0]
    refused = tmp_path / "refused"
    with pytest.raises(ValueError, match=r"rejected\.csv"):
        slice_volumes(tmp_path / "in", refused, spacing=0.001, workers=1)
    assert "at a spacing of 0.001 x 0.001 x 0.001 mm: claims" in (refused / "rejected.csv").read_text()


@pytest.mark.parametrize("shape", [(512, 100), (100, 512), (300, 260), (100, 90), (224, 100), (224, 512)])
def test_each_side_is_resized_by_its_own_method(random, shape):
    image = random.normal(size=shape).astype(np.float32)
    found = _resized(image, 224)
    assert found.shape == (224, 224)
    step = image
    for axis in sorted((0, 1), key=lambda axis: -shape[axis]):  # what shrinks comes first
        size = (step.shape[1], 224) if axis == 0 else (224, step.shape[0])
        method = cv2.INTER_AREA if shape[axis] >= 224 else cv2.INTER_LINEAR
        step = cv2.resize(step, size, interpolation=method)
    np.testing.assert_allclose(found, step, atol=1e-5)
    if shape[0] == 512:  # stripes finer than the new pixels do not come back as coarse ones
        stripes = np.repeat((np.arange(512)[:, None] % 2).astype(np.float32), shape[1], axis=1)
        assert np.ptp(_resized(stripes, 224)) < 0.3
