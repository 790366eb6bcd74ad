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

"""Dropping near-duplicate slices: one call, and one table of strategies."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monai_ssl.reduction.difference_hash import hash_slices
from monai_ssl.reduction.exemplars import hamming_distance, select_exemplars

__all__ = ["STRATEGIES", "Reduction", "Strategy", "parse_strategy", "reduce_slices"]


class Reduction(NamedTuple):
    """
    Which slice stands for which.

    Attributes:
        exemplar: (N,) int64, for each slice the index of the kept slice that stands for it; its own where it is kept.
        distance: (N,) float64, to that exemplar: bits that differ for `dhash`, slices apart for `every_n`; 0 for kept.
    """

    exemplar: np.ndarray
    distance: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """(N,) bool, true where a slice is its own exemplar."""
        return self.exemplar == np.arange(len(self.exemplar))


@dataclass(frozen=True)
class Strategy:
    """
    A way to reduce, as the table below lists it.

    Attributes:
        form: as the user writes it, "dhash:T".
        limits: what the number may be, for messages; empty when the strategy takes none.
        parse: from the text after the colon to the number; raises ValueError or returns None for a bad one.
        select: from (images, number, hashes or None) to the reduction.
    """

    form: str
    limits: str
    parse: Callable[[str], float | None]
    select: Callable[[np.ndarray, float, np.ndarray | None], Reduction]


def reduce_slices(images: np.ndarray, strategy: str, hashes: np.ndarray | None = None) -> Reduction:
    """
    Choose the slices that differ from one another.

    Args:
        images: (N, H, W), any real dtype, in display orientation: a transpose has other hashes.
        strategy: "all", "every_n:N" (every N-th slice, from the first) or "dhash:T" (a slice is dropped when its
            difference hash is within T bits, 0 to 64, of an earlier kept one; 6 is the best of the reference).
        hashes: (N,) uint64, `hash_slices(images)` where it is known already; the pixels are not read then.

    Returns:
        The exemplar of each slice and the distance to it.

    Raises:
        ValueError: for an unknown strategy, a number out of range or images of another shape.

    Example:
        >>> reduce_slices(np.zeros((5, 64, 64)), "every_n:2").exemplar
        array([0, 0, 2, 2, 4])

    Source: Wolf et al. 2024, "Less is More", https://arxiv.org/abs/2410.14524.
    """
    name, number = parse_strategy(strategy)
    if hashes is not None and len(hashes) != len(images):
        raise ValueError(f"hashes must have one entry per slice, got {len(hashes)} for {len(images)} slices")
    return STRATEGIES[name].select(images, number, hashes)


def parse_strategy(text: str) -> tuple[str, float]:
    """
    Read a strategy, so that a mistyped one is refused before hours of work.

    The number is always written out: what was run can be read off the settings, and no default hides here.

    Args:
        text: "all", "every_n:N" or "dhash:T".

    Returns:
        The name, a key of `STRATEGIES`, and the number, 0 where the strategy takes none.

    Raises:
        ValueError: naming the known strategies and the nearest, or the range of the number.

    Example:
        >>> parse_strategy("dhash:6")
        ('dhash', 6)
    """
    name, colon, argument = text.partition(":")
    if name not in STRATEGIES:
        known = ", ".join(strategy.form for strategy in STRATEGIES.values())
        nearest = difflib.get_close_matches(name.lower(), STRATEGIES, n=1, cutoff=0.5)
        hint = f"; did you mean {STRATEGIES[nearest[0]].form}?" if nearest else ""
        raise ValueError(f"unknown reduction strategy {text!r}; known are {known}{hint}")
    strategy = STRATEGIES[name]
    if not strategy.limits:
        if colon:
            raise ValueError(f"reduction strategy {name!r} takes no number, got {text!r}")
        return name, 0
    try:
        number = strategy.parse(argument)
    except ValueError:
        number = None
    if number is None:
        raise ValueError(f"reduction strategy must be written {strategy.form} with {strategy.limits}, got {text!r}")
    return name, number


def _keep_all(images: np.ndarray, number: float, hashes: np.ndarray | None) -> Reduction:
    return Reduction(np.arange(len(images)), np.zeros(len(images)))


def _keep_every_n(images: np.ndarray, number: float, hashes: np.ndarray | None) -> Reduction:
    index = np.arange(len(images))
    exemplar = index - index % (min(int(number), len(images)) or 1)
    return Reduction(exemplar, (index - exemplar).astype(np.float64))


def _keep_by_difference_hash(images: np.ndarray, number: float, hashes: np.ndarray | None) -> Reduction:
    hashes = hash_slices(images) if hashes is None else hashes
    exemplar = select_exemplars(hashes, int(number))
    return Reduction(exemplar, hamming_distance(hashes, hashes[exemplar]).astype(np.float64))


def _whole_number(low: int, high: float) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        return number if low <= (number := int(text)) <= high else None

    return parse


# A new strategy is one small file with its `select`, and one line here.
STRATEGIES = {
    "all": Strategy("all", "", _whole_number(0, 0), _keep_all),
    "every_n": Strategy("every_n:N", "N an integer of at least 1", _whole_number(1, float("inf")), _keep_every_n),
    "dhash": Strategy("dhash:T", "T an integer from 0 to 64 (bits)", _whole_number(0, 64), _keep_by_difference_hash),
}
