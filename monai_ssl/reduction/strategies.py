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

"""The strategies that choose slices, by name and number."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monai_ssl.reduction.embedding import cosine_distance, select_by_cosine
from monai_ssl.reduction.exemplars import hamming_distance, select_exemplars
from monai_ssl.reduction.mutual_information import keep_by_mutual_information
from monai_ssl.reduction.random_slices import keep_at_random
from monai_ssl.reduction.slices import Slices
from monai_ssl.reduction.ssim import keep_by_ssim

__all__ = ["SCOPES", "STRATEGIES", "Reduction", "Strategy", "find_strategy", "parse_strategy"]

# Within what slices may stand for one another.
SCOPES = ("volume", "patient", "dataset")


class Reduction(NamedTuple):
    """
    Which slice stands for which.

    Attributes:
        exemplar: (N,) int64, for each slice the index of the kept slice that stands for it; its own where it is kept.
        distance: (N,) float64, to that exemplar, in the unit of the strategy; 0 for kept.
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
        select: from slices and the number to the reduction.
        low: the smallest number.
        high: the largest.
        kind: of the number, int or float.
        compares: what it looks at: "hashes", "features", "images", or nothing but places.
    """

    form: str
    limits: str
    select: Callable[[Slices, float], Reduction]
    low: float = 0
    high: float = 0
    kind: type[int] | type[float] = int
    compares: str = ""

    @property
    def scopes(self) -> tuple[str, ...]:
        """Within what slices can stand for one another: what has an index can be compared across volumes."""
        return SCOPES if self.compares in ("hashes", "features") else SCOPES[:1]

    def parse(self, text: str) -> float:
        """
        The number.

        Raises:
            ValueError: when it is none, or out of range.
        """
        if not re.fullmatch(r"[0-9.]+(e-?[0-9]+)?", text):  # Python reads +1_0 and inf as numbers too
            raise ValueError(f"no number: {text!r}")
        number = self.kind(text)
        if not self.low <= number <= self.high:
            raise ValueError(text)
        return number


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
    strategy = find_strategy(text)
    if not strategy.limits:
        if colon:
            raise ValueError(f"reduction strategy {name!r} takes no number, got {text!r}")
        return name, 0
    try:
        return name, strategy.parse(argument)
    except ValueError:
        raise ValueError(
            f"reduction strategy must be written {strategy.form} with {strategy.limits}, got {text!r}"
        ) from None


def find_strategy(text: str) -> Strategy:
    """
    The strategy of a name, with or without its number, which is not looked at.

    Raises:
        ValueError: naming the known ones and the nearest.
    """
    name = text.partition(":")[0]
    if name not in STRATEGIES:
        known = ", ".join(strategy.form for strategy in STRATEGIES.values())
        nearest = difflib.get_close_matches(name.lower(), STRATEGIES, n=1, cutoff=0.5)
        hint = f"; did you mean {STRATEGIES[nearest[0]].form}?" if nearest else ""
        raise ValueError(f"unknown reduction strategy {text!r}; known are {known}{hint}")
    return STRATEGIES[name]


def _keep_all(slices: Slices, number: float) -> Reduction:
    return Reduction(np.arange(len(slices)), np.zeros(len(slices)))


def _keep_every_n(slices: Slices, number: float) -> Reduction:
    index = np.arange(len(slices))
    exemplar = index - index % (min(int(number), len(slices)) or 1)
    return Reduction(exemplar, (index - exemplar).astype(np.float64))


def _keep_at_random(slices: Slices, number: float) -> Reduction:
    return Reduction(*keep_at_random(len(slices), number, slices.seed))


def _keep_by_difference_hash(slices: Slices, number: float) -> Reduction:
    exemplar = select_exemplars(slices.hashes, int(number))
    return Reduction(exemplar, hamming_distance(slices.hashes, slices.hashes[exemplar]).astype(np.float64))


def _keep_by_embedding(slices: Slices, number: float) -> Reduction:
    exemplar = select_by_cosine(slices.features, number)
    return Reduction(exemplar, cosine_distance(slices.features, slices.features[exemplar]))


def _keep_by_ssim(slices: Slices, number: float) -> Reduction:
    return Reduction(*keep_by_ssim(slices.eight_bit(), number))


def _keep_by_mutual_information(slices: Slices, number: float) -> Reduction:
    return Reduction(*keep_by_mutual_information(slices.eight_bit(), number))


# A new strategy is one small file with what it does, and a line here.
STRATEGIES = {
    strategy.form.partition(":")[0]: strategy
    for strategy in (
        Strategy("all", "", _keep_all),
        Strategy("every_n:N", "N an integer of at least 1", _keep_every_n, 1, math.inf),
        Strategy("random:FRACTION", "FRACTION above 0, at most 1", _keep_at_random, math.ulp(0), 1, float),
        Strategy("dhash:T", "T an integer from 0 to 64 (bits)", _keep_by_difference_hash, 0, 64, int, "hashes"),
        Strategy("ssim:T", "T from 0 to 1 (1 - SSIM)", _keep_by_ssim, 0, 1, float, "images"),
        Strategy("mi:T", "T from 0 to 1 (1 - NMI)", _keep_by_mutual_information, 0, 1, float, "images"),
        Strategy("embedding:T", "T from 0 to 2 (1 - cosine)", _keep_by_embedding, 0, 2, float, "features"),
    )
}
