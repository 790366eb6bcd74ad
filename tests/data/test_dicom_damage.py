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
import pytest
from volume_files import axial_affine, world_values, write_series

from monai_ssl.data import RejectedVolumeError, find_volumes

SHAPE = (14, 11, 9)


def series(folder, **options):
    return write_series(folder, axial_affine(), world_values(axial_affine(), SHAPE), **options)


def test_damage_is_refused_by_name_and_spares_the_rest(tmp_path):
    paths = series(tmp_path, seed=3)
    cut, broken, empty = paths[8], tmp_path / "broken", tmp_path / "empty"
    cut.write_bytes(cut.read_bytes()[:450])
    broken.write_bytes(b"\0" * 128 + b"DICM" + np.random.default_rng(0).bytes(300))
    empty.touch()
    (tmp_path / "text.dcm").write_text("not an image\n" * 40)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / ".DS_Store").write_bytes(b"litter")
    volumes, rejections = find_volumes(tmp_path)
    assert [volume.shape for volume in volumes] == [(14, 11, 8)]
    assert {r.file for r in rejections} == {cut.name, "broken", "empty", "text.dcm", "dangling"}
    assert find_volumes(tmp_path) == (volumes, rejections)


def test_pixels_lost_after_the_header_are_refused_on_reading(tmp_path):
    paths = series(tmp_path)
    (volume,), _ = find_volumes(tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:-60])
    with pytest.raises(RejectedVolumeError, match=paths[3].name):
        volume.read()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda dataset, k: setattr(dataset, "RescaleSlope", "0"), "slope"),
        (lambda dataset, k: setattr(dataset, "NumberOfFrames", 4), "truncated"),
        (lambda dataset, k: setattr(dataset, "PhotometricInterpretation", "RGB"), "colour"),
        (lambda dataset, k: (setattr(dataset, "Rows", 65535), setattr(dataset, "Columns", 65535)), "truncated"),
        (lambda dataset, k: delattr(dataset, "Rows"), "no image"),
    ],
)
def test_what_is_no_slice_is_refused_with_its_reason(tmp_path, change, reason):
    series(tmp_path, change=change)
    volumes, rejections = find_volumes(tmp_path)
    assert not volumes
    assert len(rejections) == SHAPE[2]
    assert all(reason in rejection.reason for rejection in rejections)
