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

import re
from pathlib import Path

import imagehash
import numpy as np
import pydicom
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from monai_ssl.reduction import STRATEGIES, difference_hash, hash_slices, parse_strategy, reduce_slices, to_uint8

CT_CHEST = Path(__file__).parents[2] / "../shared/data/ct_chest_dicom"


def smooth_volume(slices=60):
    volume = gaussian_filter(np.random.default_rng(0).normal(size=(slices, 80, 96)), (4, 8, 8))
    return (volume / volume.std() * 400).astype(np.int16)


def kept_by_imagehash(images, threshold):
    """The reference: min-max to 8 bits, `imagehash.dhash`, the first remaining one drops its neighbours."""
    images = images.astype(np.float64)
    low, high = (function(axis=(1, 2), keepdims=True) for function in (images.min, images.max))
    pixels = np.rint((images - low) / (high - low) * 255).astype(np.uint8)
    hashes = [imagehash.dhash(Image.fromarray(image)) for image in pixels]
    remaining, kept = list(range(len(hashes))), []
    while remaining:
        kept.append(remaining[0])
        remaining = [i for i in remaining if hashes[i] - hashes[kept[-1]] > threshold]
    return kept


@pytest.mark.parametrize("threshold", [0, 6, 20, 64])
def test_dhash_keeps_what_the_reference_keeps(threshold):
    images = smooth_volume()
    reduction = reduce_slices(images, f"dhash:{threshold}")
    assert np.flatnonzero(reduction.kept).tolist() == kept_by_imagehash(images, threshold)
    hashes = difference_hash(to_uint8(images))
    expected = [bin(int(a) ^ int(b)).count("1") for a, b in zip(hashes, hashes[reduction.exemplar], strict=True)]
    assert reduction.distance.tolist() == expected
    assert reduction.distance.dtype == np.float64
    assert not reduction.distance[reduction.kept].any()


def test_known_hashes_spare_the_pixels():
    images = smooth_volume()
    expected = reduce_slices(images, "dhash:6")
    got = reduce_slices(np.zeros_like(images), "dhash:6", hashes=hash_slices(images))
    np.testing.assert_array_equal(got.exemplar, expected.exemplar)
    with pytest.raises(ValueError, match="got 3 for 60 slices"):
        reduce_slices(images, "dhash:6", hashes=hash_slices(images[:3]))


@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("step", [1, 3, 7, 10**30])
def test_every_n_keeps_every_nth_from_the_first(count, step):
    reduction = reduce_slices(np.zeros((count, 4, 4)), f"every_n:{step}")
    assert np.flatnonzero(reduction.kept).tolist() == list(range(0, count, step))
    np.testing.assert_array_equal(reduction.exemplar + reduction.distance, np.arange(count))


def test_all_keeps_all_without_distance():
    reduction = reduce_slices(np.zeros((5, 4, 4)), "all")
    assert reduction.kept.all()
    assert reduction.distance.tolist() == [0.0] * 5


@pytest.mark.parametrize("strategy", ["all", "every_n:2", "dhash:6"])
def test_odd_volumes_do_not_crash(strategy):
    for images in (np.zeros((0, 8, 8)), np.zeros((1, 1, 1)), np.full((3, 8, 8), np.nan), np.full((3, 8, 8), 7)):
        reduction = reduce_slices(images, strategy)
        assert reduction.exemplar.shape == reduction.distance.shape == (len(images),)
        assert reduction.exemplar.dtype == np.int64
        assert reduction.kept[:1].all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dash:6", r"unknown reduction strategy 'dash:6'; known are all, .*every_n:N, .*did you mean dhash:T\?"),
        ("DHash:6", r"did you mean dhash:T\?"),
        ("every:2", r"did you mean every_n:N\?"),
        ("", r"known are all, "),
        ("dhash", r"must be written dhash:T with T an integer from 0 to 64 \(bits\), got 'dhash'"),
        ("dhash:65", "from 0 to 64"),
        ("dhash:-1", "from 0 to 64"),
        ("dhash:6.5", "from 0 to 64"),
        ("dhash:nan", "from 0 to 64"),
        ("every_n:0", "at least 1"),
        ("every_n:", "at least 1"),
        ("all:3", "takes no number"),
    ],
)
def test_bad_strategies_are_refused_with_what_is_allowed(text, message):
    with pytest.raises(ValueError, match=message):
        parse_strategy(text)


def test_every_form_in_the_table_parses():
    for name, strategy in STRATEGIES.items():
        assert parse_strategy(re.sub(":.*", f":{strategy.high if strategy.high < 3 else 3}", strategy.form))[0] == name


@pytest.mark.skipif(not CT_CHEST.is_dir(), reason="shared/data/ct_chest_dicom is absent")
def test_real_ct_keeps_what_the_reference_keeps():
    slices = []
    for path in sorted(CT_CHEST.glob("*.dcm")):
        dataset = pydicom.dcmread(path, force=True)
        if "PixelData" in dataset:
            slices.append((float(dataset.ImagePositionPatient[2]), dataset.pixel_array))
    images = np.stack([pixels for _, pixels in sorted(slices, key=lambda item: item[0])])
    assert len(images) == 275
    kept = np.flatnonzero(reduce_slices(images, "dhash:6").kept).tolist()
    assert kept == kept_by_imagehash(images, 6)
    assert 1 < len(kept) < 275


@pytest.mark.parametrize(
    ("images", "options", "told"),
    [
        (np.zeros((5, 5)), {}, r"images must have shape \(N, H, W\), got \(5, 5\)"),
        (np.zeros((3, 5, 5)), {"window": "lung"}, r"window must be None or \(low, high\)"),
        (np.zeros((3, 5, 5)), {"window": (1, 1)}, r"window must be None or \(low, high\)"),
        (np.zeros((3, 5, 5)), {"order": [0.0, 1, 2]}, "order must be the integers 0 to 2, each once"),
        (np.zeros((3, 5, 5)), {"order": [0, 1, 1]}, "order must be the integers 0 to 2, each once"),
    ],
)
@pytest.mark.parametrize("strategy", ["all", "every_n:2", "dhash:6"])
def test_bad_arguments_are_refused(images, options, told, strategy):
    with pytest.raises(ValueError, match=told):
        reduce_slices(images, strategy, **options)


def test_an_embedder_that_loses_images_is_refused():
    with pytest.raises(ValueError, match=r"embed must make features of shape \(5, D\) of 5 images, got \(1, 3\)"):
        reduce_slices(np.zeros((5, 16, 16)), "embedding:0.1", embed=lambda images: np.ones((1, 3)))
