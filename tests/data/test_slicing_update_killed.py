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

import shutil
import signal

import numpy as np
import pytest
from killable_slicing import KEY, digests, slicing_elsewhere
from volume_files import axial_affine, write_nifti

from monai_ssl.data import SliceStore, reduce_store, slice_volumes

SHAPE = (10, 9, 2)


def write(folder, number, change=0):
    values = np.random.default_rng(number + change).integers(0, 90, SHAPE, np.int16)
    write_nifti(folder / f"{number}.nii", axial_affine(), values)


@pytest.fixture(scope="module")
def slicer():
    with slicing_elsewhere() as slicer:
        yield slicer


def test_killed_at_any_change_of_a_file_the_same_command_completes_it(slicer, tmp_path):
    source, old = tmp_path / "in", tmp_path / "old"
    options = {"identifiers": True, "reduce": "all", "workers": 1}
    for number in (1, 2, 3):
        write(source, number)
    labels = tmp_path / "labels.csv"
    labels.write_text("series,nodule\n1.nii,1\n2.nii,0\n")
    slice_volumes(source, old, pseudonym_key=KEY, labels=labels, **options)
    before = reduce_store(old, "every_n:2").table
    (source / "1.nii").unlink()
    for number in (2, 4):
        write(source, number, change=1)
    # Labels without a column of any, so that a table goes.
    labels.write_text("series,patient\n2.nii,p\n")
    options["labels"] = str(labels)
    expected = slice_volumes(source, tmp_path / "expected", pseudonym_key=KEY, **options).path
    after = reduce_store(expected, "every_n:2").table
    seen = set()
    for die_at in range(1, 1000):
        output = shutil.copytree(old, tmp_path / str(die_at))
        status = slicer.run(source, output, die_at=die_at, update=True, **options)
        if (output / "store.json").exists():
            table = SliceStore.open(output).table
            assert table.equals(before) or table.equals(after)
            seen.add("before" if table.equals(before) else "after")
        else:
            seen.add("between")
            with pytest.raises(ValueError, match="was stopped: repeat the command that began it"):
                SliceStore.open(output)
            with pytest.raises(ValueError, match="an update was stopped here; repeat it, with --update"):
                slice_volumes(source, output, pseudonym_key=KEY, **options)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        assert slicer.run(source, output, update=True, **options) == 0
        assert digests(output) == digests(expected)
        shutil.rmtree(output)
    assert die_at > 40
    assert seen == {"before", "between", "after"}
    assert digests(output) == digests(expected)
