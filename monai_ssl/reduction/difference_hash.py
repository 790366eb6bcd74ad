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

"""The 64-bit difference hash of a slice, bit for bit that of `imagehash.dhash`, and the 8-bit image it is taken of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import cv2
import numpy as np

from monai_ssl.orientation import few_at_a_time

__all__ = ["difference_hash", "fill_invalid", "hash_slices", "to_uint8"]

_WIDTH, _HEIGHT = 9, 8
_ONE = 1 << 22  # Pillow's fixed point: 32 bits less 8 for the result and 2 for the overshoot of the filter
_MOST_MISSED = 8  # each costs a look at all pixels
_BLOCK = 1 << 16  # pixels converted to float64 at a time, so that they stay in the processor's cache


def difference_hash(images: np.ndarray) -> np.ndarray:
    """
    Hash 8-bit images: shrink to 9x8 by Lanczos, then one bit for each pixel that is darker than its right neighbour.

    Equal to `imagehash.dhash(hash_size=8)` in every bit, for every size. Pillow resamples in two passes of 22-bit
    fixed-point weights and rounds to 8 bits between them; as matrix products in float64 these sums are exact, and no
    compiler has to run first. Images of height > 2 * width - 10 are resampled vertically first, as since Pillow 13;
    an earlier Pillow gives other bits for these (https://github.com/python-pillow/Pillow/pull/9549).

    Args:
        images: (N, H, W) uint8, H and W at least 1.

    Returns:
        (N,) uint64; the first comparison, top left, is the highest bit.

    Raises:
        ValueError: for another shape or dtype.

    Example:
        >>> ramp = np.arange(64, dtype=np.uint8).reshape(1, 1, 64)
        >>> f"{difference_hash(ramp)[0]:016x}"
        'ffffffffffffffff'

    See https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html.
    """
    images = np.asarray(images)
    _check_stack(images)
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8, got {images.dtype}; convert them with to_uint8")
    return _hashes(images)


def to_uint8(images: np.ndarray, window: tuple[float, float] | None = None) -> np.ndarray:
    """
    The 8-bit images that are hashed: `(value - low) / (high - low) * 255` in float64, rounded to nearest, ties to even.

    Low and high are each slice's own minimum and maximum, as in the reference, or the window's. The rounding is also
    the reference's: it leaves it to `cv2.imwrite`, which does not truncate. A fixed window is the better choice where
    slices may be empty, since min-max spreads their noise over all 256 levels.

    Args:
        images: (N, H, W), any real dtype. NaN and infinite pixels take the slice's smallest finite value.
        window: (low, high) in the unit of the images; values outside are clipped. None for each slice's minimum and
            maximum; a constant slice becomes 0.

    Returns:
        (N, H, W) uint8.

    Raises:
        ValueError: for another shape or dtype, or a window that is not finite and low < high.

    Example:
        >>> to_uint8(np.array([[[-1000, 0, 1000]]]))
        array([[[  0, 128, 255]]], dtype=uint8)

    Source: `interval_mapping` of https://github.com/Wolfda95/Less_is_More.
    """
    images = np.asarray(images)
    _check_values(images, window)
    result = np.empty(images.shape, dtype=np.uint8)
    for source, target in zip(images, result, strict=True):
        target[:] = _quantize(source, window)
    return result


def hash_slices(images: np.ndarray, window: tuple[float, float] | None = None) -> np.ndarray:
    """
    `difference_hash(to_uint8(images, window))`, a few slices at a time, so that no copy of the volume is made.

    Args:
        images: (N, H, W), any real dtype, in display orientation.
        window: as in `to_uint8`.

    Returns:
        (N,) uint64.
    """
    images = np.asarray(images)
    _check_values(images, window)
    # One after another, so that the 8-bit image of each is still in the processor's cache.
    return _hashes(_quantize(image, window) for _, block in few_at_a_time(images) for image in block)


def fill_invalid(values: np.ndarray) -> np.ndarray:
    """`values` with NaN and infinity replaced by the smallest finite value, or 0 without one; itself where all are."""
    if values.dtype.kind != "f" or (finite := np.isfinite(values)).all():
        return values
    return np.where(finite, values, values[finite].min() if finite.any() else values.dtype.type(0))


def _check_stack(images: np.ndarray) -> None:
    if images.ndim != 3 or 0 in images.shape[1:]:
        raise ValueError(f"images must have shape (N, H, W) with H and W at least 1, got {images.shape}")


def _check_values(images: np.ndarray, window: tuple[float, float] | None) -> None:
    _check_stack(images)
    if images.dtype.kind not in "buif":
        raise ValueError(f"images must hold real numbers, got {images.dtype}")
    if window is not None and not (np.isfinite(window).all() and window[0] < window[1]):
        raise ValueError(f"window must be finite with low < high, got {tuple(window)}")


def _hashes(images: Iterable[np.ndarray]) -> np.ndarray:
    small = [_shrink(image) for image in images]
    if not small:
        return np.empty(0, dtype=np.uint64)
    bits = np.diff(small, axis=2) > 0
    return np.packbits(bits.reshape(-1, 64), axis=1).view(">u8").ravel().astype(np.uint64)


def _quantize(image: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    image = fill_invalid(image)
    smallest, largest = image.min(), image.max()
    low, high = (float(smallest), float(largest)) if window is None else window
    if not low < high:
        return np.zeros(image.shape, dtype=np.uint8)
    levels = int(largest) - int(smallest) + 1 if image.dtype.kind in "ui" else image.size
    if levels >= image.size:
        return _scale(image.astype(np.float64), low, high)
    # Fewer integer values than pixels: each value is scaled once, and the pixels by whatever gives the same.
    table = _scale(np.arange(levels) + float(smallest), low, high)
    if image.dtype == np.int16 and image.flags.c_contiguous:
        # OpenCV scales in float32, many times as fast as a look-up, and misses only values midway between two levels.
        line = (255 / (high - low), -low * (255 / (high - low)))
        values = np.arange(int(smallest), int(largest) + 1).astype(np.int16)
        missed = np.flatnonzero(cv2.convertScaleAbs(values, None, *line).ravel() != table)
        if len(missed) <= _MOST_MISSED:
            result = cv2.convertScaleAbs(image, None, *line)
            for k in missed:
                result[image == values[k]] = table[k]
            return result
    return table[np.subtract(image, smallest, dtype=np.intp, casting="unsafe")]


def _scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    # Halved, since the range of two finite float64 may be infinite; a power of two leaves every rounding as it was.
    scaled = (values / 2 - low / 2) / (high / 2 - low / 2) * 255
    return np.rint(scaled.clip(0, 255)).astype(np.uint8)


def _shrink(image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    columns, rows = _weights(width, _WIDTH), _weights(height, _HEIGHT)
    # Pillow's rule; where one of the sides keeps its length, both orders give the same.
    if height - _HEIGHT > 2 * max(width - _WIDTH, 0):
        return _two_passes(image.T, rows, columns).T
    return _two_passes(image, columns, rows)


def _two_passes(image: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    step = max(1, _BLOCK // image.shape[1])
    pixels = np.empty((min(step, len(image)), image.shape[1]))
    between = np.empty((len(image), first.shape[1]))
    for start in range(0, len(image), step):
        block = image[start : start + step]
        pixels[: len(block)] = block
        np.matmul(pixels[: len(block)], first, out=between[start : start + step])
    return _to_8_bits(second.T @ _to_8_bits(between))


def _to_8_bits(sums: np.ndarray) -> np.ndarray:
    return np.floor((sums + _ONE // 2) / _ONE).clip(0, 255)


@lru_cache(maxsize=64)
def _weights(length: int, size: int) -> np.ndarray:
    # Scalar arithmetic in Pillow's order of operations: a sum taken another way may round another weight.
    scale = length / size
    stretch = max(scale, 1.0)
    weights = np.zeros((length, size))
    for target in range(size):
        center = (target + 0.5) * scale
        first = max(int(center - 3 * stretch + 0.5), 0)
        last = min(int(center + 3 * stretch + 0.5), length)
        taps = [_lanczos((source - center + 0.5) * (1 / stretch)) for source in range(first, last)]
        total = 0.0
        for tap in taps:
            total += tap
        weights[first:last, target] = [int(tap / total * _ONE + math.copysign(0.5, tap)) for tap in taps]
    weights.setflags(write=False)
    return weights


def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / 3) if -3 <= x < 3 else 0.0


def _sinc(x: float) -> float:
    return math.sin(x * math.pi) / (x * math.pi) if x else 1.0
