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

"""Difference hashes of 512x512 slices: ours against `imagehash`, from 8-bit images and from a CT volume."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from peers import imagehash_hashes, reference_volume_hashes
from scipy.ndimage import gaussian_filter

from monai_ssl.reduction import difference_hash, hamming_distance, hash_slices, to_uint8

SLICES, SIZE, ROUNDS = 96, 512, 7


def main() -> None:
    volume = _synthetic_ct()
    images = to_uint8(volume)
    print(f"{SLICES} slices of {SIZE}x{SIZE}, median CPU time of {ROUNDS} rounds in turn, one thread")
    _compare("8-bit images -> hashes, imagehash", imagehash_hashes, difference_hash, images, reach=3)
    _compare("volume -> hashes, by way of PNG", reference_volume_hashes, hash_slices, volume, reach=5)


def _synthetic_ct() -> np.ndarray:
    # Smooth anatomy that drifts from slice to slice, under scanner noise, in HU.
    random = np.random.default_rng(0)
    anatomy = gaussian_filter(random.normal(size=(SLICES, SIZE, SIZE)).astype(np.float32), (3, 12, 12))
    return (anatomy / anatomy.std() * 400 + random.normal(0, 20, anatomy.shape)).astype(np.int16)


def _compare(
    what: str,
    peer: Callable[[np.ndarray], np.ndarray],
    ours: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    reach: float,
) -> None:
    bits = int(hamming_distance(peer(images), ours(images)).sum())
    times: dict[str, list[float]] = {"peer": [], "ours": []}
    for _ in range(ROUNDS):
        for name, function in (("peer", peer), ("ours", ours)):
            start = time.process_time()
            function(images)
            times[name].append(time.process_time() - start)
    slow, fast = (statistics.median(times[name]) for name in ("peer", "ours"))
    print(
        f"{what:36} peer {SLICES / slow:6.0f}/s  ours {SLICES / fast:6.0f}/s  "
        f"ratio {slow / fast:.1f}x (reach >= {reach}x)  {bits} differing bits (reach 0)"
    )


if __name__ == "__main__":
    main()
