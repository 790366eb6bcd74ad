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

"""Dropping near-duplicate slices: the one call behind the transform and the commands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monai_ssl.reduction.slices import Embed, Slices
from monai_ssl.reduction.strategies import STRATEGIES, Reduction, parse_strategy

__all__ = ["ORDERS", "check_order", "check_seed", "reduce_slices", "select_in_order"]


# In which order slices are compared: as they lie, or as the reference sorts the names that it gives them.
ORDERS = ("position", "name")


def reduce_slices(
    images: np.ndarray,
    strategy: str,
    *,
    window: tuple[float, float] | None = None,
    hashes: np.ndarray | None = None,
    embed: Embed | None = None,
    seed: int | Sequence[int] = 0,
    order: np.ndarray | None = None,
) -> Reduction:
    """
    Choose the slices that differ from one another.

    A slice is dropped when its distance to one that is kept is at most the threshold T. The strategies that look at
    places only, with a count or a share, are the controls that the others are to be held against.

    - "all": nothing is dropped.
    - "every_n:N": every N-th slice is kept, from the first; the distance is in slices.
    - "random:FRACTION": that share is kept, drawn at random; the nearest kept slice stands for a dropped one.
    - "dhash:T": bits, 0 to 64, in which the difference hash is another than that of any earlier kept slice; 6 is the
      best of the reference.
    - "embedding:T": 1 - cosine similarity, 0 to 2, of the features to those of any earlier kept slice.
    - "ssim:T": 1 - structural similarity, 0 to 1, to the last kept slice.
    - "mi:T": 1 - normalised mutual information, 0 to 1, with the last kept slice.

    Args:
        images: (N, H, W), any real dtype, in display orientation: a transpose has other hashes.
        strategy: one of the above, with its number.
        window: (low, high), in the unit of the images, of the 8-bit images that all strategies compare. None for each
            slice's own minimum and maximum, as in the reference; a fixed window is better where slices may be empty,
            since min-max turns their noise into structure.
        hashes: (N,) uint64, `hash_slices(images, window)` where it is known already; `dhash` reads no pixels then.
        embed: from 8-bit images (N, H, W) to features (N, D), for `embedding`; see `monai_ssl.networks.Embedder`.
        seed: of `random`, as `numpy.random.default_rng` takes it. With one seed, volumes of equal length keep the same
            places.
        order: (N,) int, a permutation of 0 to N - 1: the order in which slices are compared, so that those kept may be
            others. None for that of the images.

    Returns:
        The exemplar of each slice and the distance to it.

    Raises:
        ValueError: for an unknown strategy, a number out of range, images of another shape or an order that is none.

    Example:
        >>> reduce_slices(np.zeros((5, 64, 64)), "every_n:2").exemplar
        array([0, 0, 2, 2, 4])

    Source: Wolf et al. 2024, "Less is More", https://arxiv.org/abs/2410.14524.
    """
    name, number = parse_strategy(strategy)
    if np.ndim(images) != 3:
        raise ValueError(f"images must have shape (N, H, W), got {np.shape(images)}")
    if window is not None and not (len(window) == 2 and np.isreal(window).all() and window[0] < window[1]):
        raise ValueError(f"window must be None or (low, high) with low below high, got {window!r}")
    slices = Slices(images, window=window, hashes=hashes, embed=embed, seed=seed)
    if order is not None:
        order = np.asarray(order)
        if order.dtype.kind not in "iu" or not np.array_equal(np.sort(order), np.arange(len(slices))):
            raise ValueError(f"order must be the integers 0 to {len(slices) - 1}, each once, got {order}")
    return select_in_order(slices, name, number, order)


def select_in_order(slices: Slices, name: str, number: float, order: np.ndarray | None) -> Reduction:
    """
    Reduce slices in another order than the one they lie in.

    Args:
        slices: to be reduced.
        name: of the strategy.
        number: its number.
        order: (N,) int, a permutation; None for the order in which they lie.

    Returns:
        The reduction, slices as they lie.
    """
    if order is None:
        return STRATEGIES[name].select(slices, number)
    found = STRATEGIES[name].select(slices.in_order(order), number)
    result = Reduction(np.empty_like(found.exemplar), np.empty_like(found.distance))
    result.exemplar[order] = order[found.exemplar]
    result.distance[order] = found.distance
    return result


def check_order(order: str) -> None:
    """Refuse what is none of `ORDERS`, with a ValueError that names them."""
    if order not in ORDERS:
        raise ValueError(f"order must be one of {', '.join(ORDERS)}, got {order!r}")


def check_seed(seed: int) -> None:
    """Refuse what is no seed, a whole number of 0 or more, with a ValueError."""
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed must be a whole number of 0 or more, got {seed!r}")
