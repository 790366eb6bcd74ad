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
from pydicom.uid import JPEG2000, RLELossless

from monai_ssl.data.dicom.intact import DamagedStreamError, check_intact

SHAPE = (96, 130)
OPTIONS = [
    {},
    {"irreversible": True},
    {"tile_size": (32, 48)},
    {"precinct_size": (32, 32), "codeblock_size": (16, 16), "num_resolutions": 2},
    {"quality_layers": [60, 20, 5, 1], "progression": "RPCL"},
    {"tile_size": (64, 64), "precinct_size": (64, 64), "codeblock_size": (8, 8), "progression": "CPRL"},
]


def images():
    """Blank and nearly blank ones, smooth ones and noise: (rows, columns) uint16."""
    rows, columns = np.indices(SHAPE)
    dot, half = np.zeros(SHAPE), np.zeros(SHAPE)
    dot[40, 50], half[:, 70:] = 4095, np.random.default_rng(0).integers(0, 65536, SHAPE)[:, 70:]
    noise = np.random.default_rng(1).integers(0, 65536, SHAPE)
    several = [np.zeros(SHAPE), dot, half, noise, noise & 0xFF00, noise & 0x8000, rows + columns, (rows + columns) % 2]
    return [image.astype(np.uint16) for image in several]


def jpeg_2000(image, **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG2000", no_jp2=True, **options)
    return stream.getvalue()


def run_lengths(image):
    encoder = pydicom.pixels.get_encoder(RLELossless)
    return encoder.encode(
        image, rows=SHAPE[0], columns=SHAPE[1], samples_per_pixel=1, photometric_interpretation="MONOCHROME2",
        pixel_representation=0, bits_allocated=16, bits_stored=16, number_of_frames=1,
    )  # fmt: skip


@pytest.mark.parametrize("image", images())
def test_whole_images_pass_however_blank(image):
    for options in OPTIONS:
        check_intact(jpeg_2000(image, **options), JPEG2000, SHAPE, 16, 16)
    check_intact(run_lengths(image), RLELossless, SHAPE, 16, 16)


@pytest.mark.parametrize("options", OPTIONS)
def test_lost_parts_of_jpeg_2000_are_noticed(options):
    stream = jpeg_2000(images()[3], **options)
    with pytest.raises(DamagedStreamError):
        check_intact(stream[: len(stream) // 2] + b"\xff\xd9", JPEG2000, SHAPE, 16, 16)
    start, size = len(stream) // 2, len(stream) // 4
    with pytest.raises(DamagedStreamError):
        check_intact(stream[:start] + bytes(size) + stream[start + size :], JPEG2000, SHAPE, 16, 16)
    # The last tile-part taken away as a whole, so that all lengths agree.
    last = stream.rfind(b"\xff\x90\x00\x0a")
    if last > stream.find(b"\xff\x90\x00\x0a"):
        with pytest.raises(DamagedStreamError):
            check_intact(stream[:last] + b"\xff\xd9", JPEG2000, SHAPE, 16, 16)


def test_lost_parts_of_run_lengths_are_noticed():
    stream = run_lengths(images()[2])
    for start, size in ((64, 100), (len(stream) // 2, 64), (len(stream) - 64, 64)):
        with pytest.raises(DamagedStreamError):
            check_intact(stream[:start] + bytes(size) + stream[start + size :], RLELossless, SHAPE, 16, 16)


def test_a_writer_that_repeats_nothing_is_read():
    image = images()[2]
    literal = b"".join(
        bytes([len(part) - 1]) + part
        for plane in (image >> 8, image & 255)
        for row in plane.astype(np.uint8)
        for part in (row[:128].tobytes(), row[128:].tobytes())
    )
    head = np.zeros(16, "<u4")
    head[:3] = 2, 64, 64 + len(literal) // 2
    stream = head.tobytes() + literal
    check_intact(stream, RLELossless, SHAPE, 16, 16)
    decoded = pydicom.pixels.get_decoder(RLELossless).as_array(
        pydicom.encaps.encapsulate([stream]), rows=SHAPE[0], columns=SHAPE[1], samples_per_pixel=1,
        photometric_interpretation="MONOCHROME2", pixel_representation=0, bits_allocated=16, bits_stored=16,
        number_of_frames=1, pixel_keyword="PixelData",
    )  # fmt: skip
    assert np.array_equal(decoded[0], image)
