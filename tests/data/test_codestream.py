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

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import generate_frames
from volume_files import axial_affine, world_values, write_series

from monai_ssl.data.dicom.codestream import frame_of, is_lossy


@pytest.mark.parametrize("name", ["JPEG", "JPEG2000"])
@pytest.mark.parametrize("shape", [(1, 1), (17, 260), (300, 5)])
def test_size_is_the_one_that_pillow_wrote(name, shape):
    stream = io.BytesIO()
    options = {"progressive": True} if shape[0] == 17 and name == "JPEG" else {}
    if name == "JPEG2000":
        options["no_jp2"] = True
    Image.fromarray(np.zeros(shape, np.uint8)).save(stream, name, **options)
    content = stream.getvalue()
    assert frame_of(content[:4096]) == (*shape, 8)
    assert all(frame_of(content[:length]) in (None, (*shape, 8)) for length in range(len(content)))


@pytest.mark.parametrize("syntax", [pydicom.uid.JPEG2000Lossless, pydicom.uid.JPEGLSLossless])
def test_size_is_the_one_that_pydicom_wrote(tmp_path, syntax):
    values = world_values(axial_affine(), (40, 33, 1))
    (path,) = write_series(
        tmp_path, axial_affine(), values, change=lambda item, k: item.compress(syntax, generate_instance_uid=False)
    )
    assert frame_of(next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1))) == (33, 40, 16)


@pytest.mark.parametrize("irreversible", [False, True])
def test_loss_is_the_one_that_pillow_was_asked_for(irreversible):
    stream = io.BytesIO()
    Image.new("L", (40, 30)).save(stream, "JPEG2000", irreversible=irreversible)
    assert is_lossy(pydicom.uid.JPEG2000, stream.getvalue()) == irreversible


def test_other_content_tells_nothing():
    random = np.random.default_rng(0)
    assert all(frame_of(random.bytes(int(size))) is None for size in random.integers(0, 5000, 200))
    assert frame_of(b"\xff\xd8" + b"\xff" * 100) is None
