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

"""Whatever the order, orientation, spacing and scale of writing: each place in the world keeps its value."""

from __future__ import annotations

import gzip
import itertools
import struct
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from volume_files import write_series

from monai_ssl.data import find_volumes

FEW = settings(derandomize=True, deadline=None, max_examples=60)
SIGNS = list(itertools.product((1, -1), repeat=3))
AXES = [np.diag(signs)[:, order] for order in itertools.permutations(range(3)) for signs in SIGNS]
SHAPES = st.tuples(*[st.integers(2, 7)] * 3)


@st.composite
def affines(draw):
    """Any axes, turned by up to 45 degrees about all of them, spaced 0.3 to 5 mm, up to 400 mm off the origin."""
    turn = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-45, 45)] * 3)), degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ draw(st.sampled_from(AXES)) * draw(st.tuples(*[st.floats(0.3, 5)] * 3))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-400, 400)] * 3))
    return affine


def read_only(folder):
    (volume,), rejections = find_volumes(folder)
    assert not rejections
    voxels = volume.read()
    assert volume.warnings == voxels.warnings == ()
    return voxels


def check_every_place(voxels, affine, written, values):
    """Each voxel that was read, through the world, is the one that was written there."""
    places = np.stack(np.meshgrid(*map(np.arange, voxels.array.shape), indexing="ij"), axis=-1).astype(float)
    places[..., 2] = voxels.offsets
    world = places @ voxels.affine[:3, :3].T + voxels.affine[:3, 3]
    exact = (world - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    index = np.rint(exact).astype(int)
    assert np.abs(exact - index).max() < 2e-3
    assert len(np.unique(np.ravel_multi_index(tuple(index.reshape(-1, 3).T), written.shape))) == written.size
    np.testing.assert_allclose(voxels.array, values[tuple(np.moveaxis(index, -1, 0))], rtol=1e-6)


@FEW
@given(
    affine=affines(),
    shape=SHAPES,
    slope=st.sampled_from([1, 1, 2, 0.5, 0.0371]),
    intercept=st.sampled_from([0, -1024, 3.25]),
    kind=st.sampled_from([("<i2", 16), ("<u2", 16), ("<u2", 12), ("<i2", 12)]),
    seed=st.integers(0, 2**16),
)
def test_dicom_keeps_every_place(affine, shape, slope, intercept, kind, seed):
    dtype, bits = kind
    low, high = (-(1 << bits - 1), 1 << bits - 1) if "i" in dtype else (0, 1 << bits)
    stored = np.random.default_rng(seed).integers(low, high, shape)

    def change(dataset, k):
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, int("i" in dtype)
        dataset.RescaleSlope, dataset.RescaleIntercept = str(slope), str(intercept)
        dataset.PixelData = stored[:, :, k].T.astype(dtype).tobytes()

    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder), affine, np.zeros(shape), seed=seed, change=change)
        voxels = read_only(folder)
    check_every_place(voxels, affine, stored, stored * slope + intercept)


@FEW
@given(
    affine=affines(),
    shape=SHAPES,
    scale=st.sampled_from([(1, 0), (2, 0), (0.125, -3)]),
    dtype=st.sampled_from(["i2", "u2", "u1", "i4", "f4", "f8"]),
    endian=st.sampled_from("<>"),
    form=st.sampled_from(["sform", "qform", "both"]),
    zipped=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_nifti_keeps_every_place(affine, shape, scale, dtype, endian, form, zipped, seed):
    stored = np.random.default_rng(seed).integers(0, 250, shape)
    header = nibabel.Nifti1Header(endianness=endian)
    header.set_data_dtype(np.dtype(dtype))
    image = nibabel.Nifti1Image(stored.astype(dtype), affine, header)
    image.set_sform(affine if form != "qform" else None, int(form != "qform"))
    image.set_qform(affine if form != "sform" else None, int(form != "sform"))
    image.header.set_xyzt_units("mm")
    content = bytearray(image.to_bytes())
    content[112:120] = struct.pack(f"{endian}2f", *scale)  # nibabel would choose a scale of its own
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a").write_bytes(gzip.compress(content) if zipped else content)
        voxels = read_only(folder)
    check_every_place(voxels, affine, stored, stored * scale[0] + scale[1])
