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
from scipy.spatial.transform import Rotation

from monai_ssl.orientation import array_axis, canonical_axes, slice_positions, to_display

SHAPE = (5, 6, 7)
PERMUTATIONS = list(itertools.permutations(range(3)))
SIGNS = list(itertools.product((1, -1), repeat=3))

# In RAS: the slices follow, the rows run to, the columns run to.
DIRECTIONS = {
    "axial": ((0, 0, 1), (0, -1, 0), (-1, 0, 0)),
    "coronal": ((0, -1, 0), (0, 0, -1), (-1, 0, 0)),
    "sagittal": ((-1, 0, 0), (0, 0, -1), (0, -1, 0)),
}


def make_affine(permutation, signs, angles=(0, 0, 0)):
    affine = np.eye(4)
    straight = np.eye(3)[:, permutation] * signs * (0.7, 0.8, 2.5)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ straight
    affine[:3, 3] = (12.0, -30.0, 100.0)
    return affine


def world_coordinates(affine):
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    return voxels @ affine[:3, :3].T + affine[:3, 3]


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -15, 10)])
@pytest.mark.parametrize("plane", DIRECTIONS)
def test_display_runs_in_the_stated_world_directions(plane, angles):
    towards, down, right = map(np.array, DIRECTIONS[plane])
    for permutation, signs in itertools.product(PERMUTATIONS, SIGNS):
        affine = make_affine(permutation, signs, angles)
        world = np.stack([to_display(axis, affine, plane) for axis in np.moveaxis(world_coordinates(affine), -1, 0)])
        steps = [np.diff(world, axis=axis) for axis in (2, 3)]
        assert (np.tensordot(down, steps[0], 1) > 0).all()
        assert (np.tensordot(right, steps[1], 1) > 0).all()
        # Every voxel of a slice, projected on the slice normal, lies at the slice's position.
        normal = np.cross(steps[1][:, 0, 0, 0], steps[0][:, 0, 0, 0])
        normal *= np.sign(normal @ towards) / np.linalg.norm(normal)
        projected = np.tensordot(normal, world, 1)
        positions = slice_positions(affine, SHAPE, plane)
        np.testing.assert_allclose(projected, np.broadcast_to(positions[:, None, None], projected.shape), atol=1e-9)


@pytest.mark.parametrize("plane", DIRECTIONS)
def test_display_is_nibabels_canonical_volume_turned(plane):
    volume = np.random.default_rng(0).integers(0, 1000, SHAPE).astype(np.int16)
    for permutation, signs in itertools.product(PERMUTATIONS, SIGNS):
        affine = make_affine(permutation, signs, (10, 20, -15))
        canonical = np.asarray(nibabel.as_closest_canonical(nibabel.Nifti1Image(volume, affine)).dataobj)
        expected = {
            "axial": canonical[::-1, ::-1].transpose(2, 1, 0),
            "coronal": canonical[::-1, :, ::-1].transpose(1, 2, 0),
            "sagittal": canonical[:, ::-1, ::-1].transpose(0, 2, 1),
        }[plane]
        # Canonical slices grow to right, anterior, superior; ours stay in the order of the source.
        order, axis_signs = canonical_axes(affine)
        world = ("sagittal", "coronal", "axial").index(plane)
        assert array_axis(affine, plane) == order[world]
        got = to_display(volume, affine, plane)
        np.testing.assert_array_equal(got, expected[:: axis_signs[world]])
        np.testing.assert_array_equal(got, to_display(volume, affine, order[world]))
        assert np.shares_memory(got, volume)


def test_position_of_a_sheared_volume_is_along_the_normal():
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    affine[1, 2] = 1.2  # gantry tilt: the stack leans, the slices stay axial
    np.testing.assert_allclose(slice_positions(affine, (4, 4, 5), "axial"), 3.0 * np.arange(5))


@pytest.mark.parametrize("axis", ["Axial", "z", 3, -4, True, None, 1.0])
def test_axis_is_refused_with_the_choices(axis):
    with pytest.raises(ValueError, match=r"axial, coronal, sagittal or an array axis -3 to 2, got"):
        array_axis(np.eye(4), axis)


@pytest.mark.parametrize(
    "affine",
    [np.eye(3), np.diag([1, 1, 0, 1]), np.diag([1, np.nan, 1, 1]), np.array([[1, 1, 0, 0]] * 2 + [[0] * 4] * 2)],
)
def test_affine_without_directions_is_refused(affine):
    with pytest.raises(ValueError, match="affine must"):
        canonical_axes(affine)


def test_volume_with_channels_is_refused():
    with pytest.raises(ValueError, match=r"\(X, Y, Z\), got \(1, 2, 3, 4\)"):
        to_display(np.zeros((1, 2, 3, 4)), np.eye(4))
