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
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import RLELossless
from volume_files import axial_affine, world_values, write_series

from monai_ssl.data import RejectedVolumeError, check_volumes, find_volumes
from monai_ssl.data.dicom import volume as dicom_volume
from monai_ssl.data.dicom.file import state_of
from monai_ssl.data.dicom.plain import StoredPixels

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


def compress(dataset, k):
    dataset.compress(RLELossless, generate_instance_uid=False)


@pytest.mark.parametrize("change", [None, compress])
def test_a_file_replaced_since_it_was_found_is_refused(tmp_path, change):
    paths = series(tmp_path, change=change)
    (volume,), _ = find_volumes(tmp_path)
    assert volume.read().array.shape == SHAPE
    before = paths[3].stat()
    paths[3].write_bytes(bytes(paths[4].read_bytes()[: before.st_size]).ljust(before.st_size, b"\0"))
    os.utime(paths[3], ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(RejectedVolumeError, match=f"{paths[3].name}.*changed since"):
        volume.read()


def run_over(dataset, k):
    """Run lengths that go on beyond the image, at which the decoder panics."""
    compress(dataset, k)
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([stream[:64] + b"\x81\7" * (len(stream) // 2)])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_decoder_that_panics_refuses_one_series_and_ends_no_run(tmp_path, workers):
    series(tmp_path / "good")
    series(tmp_path / "bad", change=run_over, uid="1.2.3.9")
    table = check_volumes(tmp_path, workers=workers)
    assert sorted(table["verdict"]) == ["accept", "refuse"]


def test_refusals_carry_no_errors_that_quote_the_file(tmp_path):
    series(tmp_path, change=run_over)
    (volume,), _ = find_volumes(tmp_path)
    with pytest.raises(RejectedVolumeError, match="pixels are damaged") as caught:
        volume.read()
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_files_whose_frames_interleave_are_parsed_once_each(tmp_path, monkeypatch):
    series(tmp_path)
    volume = find_volumes(tmp_path)[0][0]
    wanted = volume.read().array[..., :8]
    merged = []
    for first in (0, 1):
        whole = pydicom.dcmread(volume.files[first])
        whole.PixelData = b"".join(pydicom.dcmread(path).PixelData for path in volume.files[first:8:2])
        whole.NumberOfFrames = 4
        compress(whole, first)
        merged.append(tmp_path / f"merged{first}")
        whole.save_as(merged[-1])
    states = []
    for path in merged:
        with open(path, "rb") as stream:
            states.append(StoredPixels(state_of(stream), 0))
    woven = replace(
        volume, files=tuple(merged) * 4, frames=tuple(k // 2 for k in range(8)), plain=tuple(states) * 4,
        shape=(*SHAPE[:2], 8), offsets=volume.offsets[:8],
    )  # fmt: skip
    opened = []
    parse = dicom_volume.read_dataset
    monkeypatch.setattr(dicom_volume, "read_dataset", lambda stream: (opened.append(stream.name), parse(stream))[1])
    assert np.array_equal(woven.read().array, wanted)
    assert opened == list(map(str, merged))


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
