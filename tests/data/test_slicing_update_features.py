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

import os
import shutil

import numpy as np
import pytest
import torch
from killable_slicing import KEY, digests
from volume_files import axial_affine, write_nifti

from monai_ssl.data import reduce_store, slice_volumes
from monai_ssl.networks import create_backbone

SHAPE = (24, 24, 2)
OPTIONS = {"pseudonym_key": KEY, "workers": 1}


def write(folder, number, change=0):
    values = np.random.default_rng(number + change).integers(0, 90, SHAPE, np.int16)
    write_nifti(folder / f"{number}.nii", axial_affine(), values)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("network") / "weights.pt"
    torch.save(create_backbone("test_resnet").state_dict(), file)
    return {"backbone": "test_resnet", "checkpoint": file}


@pytest.fixture
def source(tmp_path):
    for number in (1, 2, 3):
        write(tmp_path / "in", number)
    return tmp_path / "in"


def change_source(source):
    for number in (2, 5):
        write(source, number, change=1)
    (source / "1.nii").unlink()


def test_features_follow(source, tmp_path, network):
    options = {**OPTIONS, "reduce": "embedding:0.0001", **network}
    output = slice_volumes(source, tmp_path / "out", **options).path
    reduce_store(output, "embedding:0.01", scope="dataset")
    change_source(source)
    slice_volumes(source, output, update=True, **options)
    expected = slice_volumes(source, tmp_path / "expected", **options).path
    reduce_store(expected, "embedding:0.01", scope="dataset")
    assert digests(output) == digests(expected)


def test_features_of_a_copy_with_other_times_stay(source, tmp_path):
    output = slice_volumes(source, tmp_path / "out", **OPTIONS, reduce="all").path
    reduce_store(output, "every_n:2")
    features = output / "features" / "0123456789abcdef"
    features.mkdir(parents=True)
    for file in (output / "volumes").iterdir():
        (features / file.name).write_bytes(b"of another network")
    before = digests(features)
    copy = shutil.copytree(source, tmp_path / "copy")
    for file in copy.iterdir():
        os.utime(file, (7, 7))
    slice_volumes(copy, output, **OPTIONS, reduce="all", update=True)
    assert digests(features) == before
    write(copy, 2, change=1)
    slice_volumes(copy, output, **OPTIONS, reduce="all", update=True)
    assert len(digests(features)) == len(before) - 1


def test_features_that_slicing_does_not_make_are_told(source, tmp_path, network):
    output = slice_volumes(source, tmp_path / "out", **OPTIONS, reduce="all").path
    reduce_store(output, "embedding:0.0001", **network)
    change_source(source)
    with pytest.raises(ValueError, match=r"reduce the store by all, update it, and reduce it by embedding:0\.0"):
        slice_volumes(source, output, **OPTIONS, reduce="all", update=True)
    reduce_store(output, "all")
    slice_volumes(source, output, **OPTIONS, reduce="all", update=True)
    assert len(list(output.glob("features/*/*.npy"))) == 1  # those of what is gone or has changed went
    reduce_store(output, "embedding:0.0001", **network)
    expected = slice_volumes(source, tmp_path / "expected", **OPTIONS, reduce="all").path
    reduce_store(expected, "embedding:0.0001", **network)
    assert digests(output) == digests(expected)
