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

from pathlib import Path

import numpy as np
import pydicom
import pytest
from skimage.metrics import structural_similarity
from sklearn.metrics import normalized_mutual_info_score

from monai_ssl.reduction import to_uint8
from monai_ssl.reduction.last_kept import keep_by_last_kept
from monai_ssl.reduction.mutual_information import keep_by_mutual_information
from monai_ssl.reduction.ssim import keep_by_ssim

CT_CHEST = Path(__file__).parents[2] / "../shared/data/ct_chest_dicom"
STRATEGIES = [keep_by_ssim, keep_by_mutual_information]


def plain_loop(images, threshold, similarity):
    exemplar, distance = [], []
    for index, image in enumerate(images):
        apart = 1 - similarity(images[exemplar[-1]], image) if index else np.inf
        exemplar.append(exemplar[-1] if apart <= threshold else index)
        distance.append(apart if apart <= threshold else 0.0)
    return exemplar, distance


def keep_by_brightness(images, threshold):
    threshold += 1e-12  # for rounding
    return keep_by_last_kept(images, threshold, lambda a, b: 1 - abs(a.mean() - b.mean()) / 255)


def levels(values):
    return np.stack([np.full((3, 4), value, np.uint8) for value in values])


def test_each_slice_is_compared_with_the_last_kept_one():
    exemplar, distance = keep_by_brightness(levels([0, 51, 102, 102, 0, 51]), 0.2)
    # 102 is within 0.2 of 51, but 51 was dropped; the second 0 is not compared with the first.
    assert exemplar.tolist() == [0, 0, 2, 2, 4, 4]
    assert distance.tolist() == pytest.approx([0.0, 0.2, 0.0, 0.0, 0.0, 0.2])
    assert exemplar.dtype == np.int64
    assert distance.dtype == np.float64


@pytest.mark.parametrize("keep", STRATEGIES)
def test_slices_may_come_one_at_a_time_in_one_array(keep):
    images = np.random.default_rng(0).integers(0, 60, (6, 30, 40), dtype=np.uint8)[[0, 0, 1, 2, 2, 3, 3, 3]]
    images[1::2] += 1

    def reuse():
        room = np.empty((30, 40), np.uint8)
        for image in images:
            room[:] = image
            yield room

    for got, expected in zip(keep(reuse(), 0.2), keep(images, 0.2), strict=True):
        np.testing.assert_array_equal(got, expected)
    turned = np.ascontiguousarray(images.transpose(2, 1, 0)[::-1, ::-1])[::-1, ::-1].transpose(2, 1, 0)
    for got, expected in zip(keep(turned, 0.2), keep(images, 0.2), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("keep", STRATEGIES)
def test_odd_volumes_do_not_crash(keep):
    for images, kept in (
        (np.zeros((0, 8, 8), np.uint8), []),
        (np.zeros((1, 1, 1), np.uint8), [0]),
        (np.full((3, 20, 20), 7, np.uint8), [0, 0, 0]),
        ([], []),
    ):
        exemplar, distance = keep(images, 0.1)
        assert exemplar.tolist() == kept
        assert exemplar.dtype == np.int64
        assert distance.tolist() == [0.0] * len(kept)
        assert distance.dtype == np.float64


@pytest.mark.parametrize("keep", STRATEGIES)
def test_0_drops_copies_only(keep):
    images = np.random.default_rng(0).integers(0, 256, (4, 30, 30), dtype=np.uint8)
    exemplar, distance = keep(images[[0, 0, 1, 1, 1, 2, 3]], 0)
    assert exemplar.tolist() == [0, 0, 2, 2, 2, 5, 6]
    assert distance.tolist() == [0.0] * 7


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), "0.1", True, None])
@pytest.mark.parametrize("keep", STRATEGIES)
def test_threshold_outside_its_range_is_refused(keep, threshold):
    with pytest.raises(ValueError, match=r"from 0 to 1 \(1 - similarity\), got"):
        keep(np.zeros((3, 8, 8), np.uint8), threshold)


@pytest.mark.parametrize("keep", STRATEGIES)
def test_other_slices_are_refused(keep):
    with pytest.raises(ValueError, match=r"uint8, got .* int16; convert other values with to_uint8"):
        keep(np.zeros((3, 8, 8), np.int16), 0.1)
    with pytest.raises(ValueError, match=r"one size, got \(8, 8\) and \(8, 9\)"):
        keep([np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8)], 0.1)


@pytest.mark.skipif(not CT_CHEST.is_dir(), reason="shared/data/ct_chest_dicom is absent")
def test_real_ct_keeps_what_a_plain_loop_with_skimage_and_sklearn_keeps():
    datasets = [pydicom.dcmread(path) for path in sorted(CT_CHEST.glob("*.dcm"))[100:140:2]]
    datasets.sort(key=lambda dataset: float(dataset.ImagePositionPatient[2]))
    images = to_uint8(np.stack([dataset.pixel_array for dataset in datasets]))

    def ssim(a, b):
        return structural_similarity(
            a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )

    def mutual_information(a, b):
        return normalized_mutual_info_score(a.ravel() // 4, b.ravel() // 4, average_method="arithmetic")

    for keep, threshold, similarity in (
        (keep_by_ssim, 0.2, ssim),
        (keep_by_mutual_information, 0.55, mutual_information),
    ):
        exemplar, distance = keep(images, threshold)
        expected_exemplar, expected_distance = plain_loop(images, threshold, similarity)
        assert exemplar.tolist() == expected_exemplar
        np.testing.assert_allclose(distance, expected_distance, rtol=0, atol=1e-12)
        assert 1 < len(set(expected_exemplar)) < len(images)
