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

"""Similarity of neighbouring 512x512 slices: SSIM against scikit-image and MONAI, mutual information against numpy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from monai.metrics.regression import SSIMMetric
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from monai_ssl.reduction import to_uint8
from monai_ssl.reduction.mutual_information import keep_by_mutual_information
from monai_ssl.reduction.ssim import keep_by_ssim

PAIRS, SIZE, ROUNDS = 24, 512, 7
LEVELS = 64


def main() -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    images = to_uint8(_synthetic_ct())
    print(f"{PAIRS} pairs of {SIZE}x{SIZE}, median CPU time of {ROUNDS} rounds in turn, one thread")
    _compare("SSIM, scikit-image", _skimage, keep_by_ssim, images, "ratio >= 6x, error <= 1e-5")
    _compare("SSIM, MONAI in float32", _monai, keep_by_ssim, images, "none, for information")
    _compare("MI, numpy histogram2d", _histogram2d, keep_by_mutual_information, images, "ratio >= 10x, error <= 1e-12")


def _synthetic_ct() -> np.ndarray:
    # Smooth anatomy that drifts from slice to slice, under scanner noise, in HU.
    random = np.random.default_rng(0)
    anatomy = gaussian_filter(random.normal(size=(PAIRS + 1, SIZE, SIZE)).astype(np.float32), (3, 12, 12))
    return (anatomy / anatomy.std() * 400 + random.normal(0, 20, anatomy.shape)).astype(np.int16)


def _skimage(a: np.ndarray, b: np.ndarray) -> float:
    return structural_similarity(a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)


def _monai(a: np.ndarray, b: np.ndarray) -> float:
    pair = (torch.from_numpy(image)[None, None].float() for image in (a, b))
    return torch.as_tensor(SSIMMetric(spatial_dims=2, data_range=255)(*pair)).item()


def _histogram2d(a: np.ndarray, b: np.ndarray) -> float:
    joint = np.histogram2d(a.ravel(), b.ravel(), bins=LEVELS, range=[[0, 256], [0, 256]])[0] / a.size
    of_a, of_b, of_both = (_entropy(shares) for shares in (joint.sum(axis=1), joint.sum(axis=0), joint))
    return 2 * (of_a + of_b - of_both) / (of_a + of_b)


def _entropy(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return -float((shares * np.log(shares)).sum())


def _compare(
    what: str,
    peer: Callable[[np.ndarray, np.ndarray], float],
    keep: Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]],
    images: np.ndarray,
    reach: str,
) -> None:
    # Threshold 1 keeps the first slice alone: its pairs with all others.
    contestants = {
        "peer": lambda: np.array([1 - peer(images[0], image) for image in images[1:]]),
        "ours": lambda: keep(images, 1.0)[1][1:],
    }
    worst = np.abs(contestants["peer"]() - contestants["ours"]()).max()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, function in contestants.items():
            start = time.process_time()
            function()
            times[name].append(time.process_time() - start)
    slow, fast = (statistics.median(times[name]) for name in ("peer", "ours"))
    print(
        f"{what:22} peer {PAIRS / slow:5.1f}/s  ours {PAIRS / fast:6.1f}/s  "
        f"ratio {slow / fast:.1f}x  largest error {worst:.0e}  (reach: {reach})"
    )


if __name__ == "__main__":
    main()
