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


"""Stored numbers as true ones, in as little memory as they need, and what that costs of them."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["scaled"]

_PIECE = 1 << 17  # voxels, so that a few float64 copies of them stay in the cache
_EXACT = 2**24
_EXACT_DOUBLE = 2.0**53
_INT16 = np.iinfo(np.int16)
_BLUR = 1e-5  # of the range of values: a hundredth of what 10 bits of grey can show
_FINE = 2.0**-24 / _BLUR  # where values differ by more than this part of the largest, none is off by _BLUR
_NOISE = 1e-13  # of the values: what arithmetic in float64 leaves of a constant


def scaled(raw: np.ndarray, slope: float = 1.0, intercept: float = 0.0) -> tuple[np.ndarray, tuple[str, ...]]:
    """
    Stored values as true ones, a piece at a time: beside `raw` only the result takes memory, and nothing for int16.

    Args:
        raw: (N,) of any real type and byte order; overwritten.
        slope: value of one stored unit.
        intercept: value of a stored 0.

    Returns:
        (N,) int16 when every value is an integer that fits, else float32; and warnings of what float32 cannot hold.

    Raises:
        ValueError: when finite values exceed float32, or differ by less than it can tell.
    """
    if not raw.dtype.isnative:
        raw = raw.byteswap(inplace=True).view(raw.dtype.newbyteorder("="))
    plain = (slope, intercept) == (1, 0)
    if plain and raw.dtype in (np.int16, np.float32):
        return raw, ()

    def pieces() -> list[slice]:
        return [slice(start, start + _PIECE) for start in range(0, raw.size, _PIECE)]

    def values(piece: slice) -> np.ndarray:
        part = raw[piece]
        return part if plain else part.astype(np.float64) * slope + intercept

    if all(_fits_int16(values(piece)) for piece in pieces()):
        result = np.empty(raw.size, np.int16)
        for piece in pieces():
            result[piece] = values(piece)
        return result, ()
    result = np.empty(raw.size, np.float32)
    loss = _Loss()
    for piece in pieces():
        exact = values(piece)
        with np.errstate(over="ignore", invalid="ignore"):
            result[piece] = exact
            loss.add(exact, result[piece])
    return result, loss.told(raw.size)


def _fits_int16(values: np.ndarray) -> bool:
    low, high = values.min(), values.max()
    if not (low >= _INT16.min and high <= _INT16.max):  # also where one is NaN
        return False
    return values.dtype.kind in "iu" or bool((values == np.rint(values)).all())


class _Loss:
    """What becomes of values in float32, piece by piece."""

    def __init__(self) -> None:
        self.rounded = self.vanished = 0
        self.off = 0.0
        self.low, self.high = math.inf, -math.inf
        self.stored_low, self.stored_high = math.inf, -math.inf

    def add(self, exact: np.ndarray, stored: np.ndarray) -> None:
        low, high = stored.min().item(), stored.max().item()
        if not math.isfinite(low) or not math.isfinite(high):  # NaN shows in both
            finite = np.isfinite(exact)
            exact, stored = exact[finite], stored[finite]
            if not exact.size:
                return
            low, high = stored.min().item(), stored.max().item()
            if not math.isfinite(low) or not math.isfinite(high):
                raise ValueError("values exceed float32")
        self.stored_low, self.stored_high = min(self.stored_low, low), max(self.stored_high, high)
        integers, largest = exact.dtype.kind in "iu", max(-low, high)
        if not integers and low <= 0 <= high:
            self.vanished += int(np.count_nonzero(exact) - np.count_nonzero(stored))
        if largest >= _EXACT:
            whole = integers or exact == np.rint(exact)
            # Beyond these, comparing integers with floats rounds them as well.
            beyond = integers and np.abs(stored) >= _EXACT_DOUBLE
            self.rounded += int(np.count_nonzero(whole & ((stored != exact) | beyond)))
        # Elsewhere rounding cannot be seen, and most volumes cost no more than the looks so far.
        if high - low <= _FINE * largest and (not integers or largest >= _EXACT):
            low, high = exact.min().item(), exact.max().item()
            self.off = max(self.off, float(np.abs(exact - stored.astype(np.float64)).max()))
        self.low, self.high = min(self.low, low), max(self.high, high)

    def told(self, size: int) -> tuple[str, ...]:
        span = float(self.high - self.low)
        noise = _NOISE * max(abs(self.low), abs(self.high)) if isinstance(self.low, float) else 0
        varied = span > noise
        if varied and self.stored_low == self.stored_high:
            raise ValueError(
                f"values from {self.low!r} to {self.high!r} are all {self.stored_low:g} in float32; "
                "take an offset off them, or scale them up"
            )
        told = []
        if self.rounded:
            told.append(f"{self.rounded} of {size} voxels hold whole numbers beyond {_EXACT}, rounded to float32")
        if varied and self.off > _BLUR * span:
            told.append(
                f"values from {self.low:.10g} to {self.high:.10g} are rounded to float32, by up to {self.off:.3g}, "
                f"which is {self.off / span:.2g} of their range; an offset taken off them first would keep more"
            )
        if self.vanished:
            told.append(f"{self.vanished} of {size} voxels are too close to 0 for float32, and become 0")
        return tuple(told)
