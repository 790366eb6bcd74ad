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

"""Redraws as counts: how often each image, with all those of its patient, is in a redrawn test set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["group_index", "label_strata", "leave_out_counts", "redraw_counts"]

# One row of counts is one cache line of int32, so that a gather in score order costs one memory access for 16 redraws.
_BLOCK = 16
_LEFT_OUT = 1000


def redraw_counts(
    images: int,
    redraws: int,
    groups: Sequence | np.ndarray | None = None,
    seed: int = 0,
    strata: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """
    How often each image occurs in each redraw, a block of redraws at a time, so that memory does not grow with them.

    Args:
        images: N >= 1.
        redraws: R >= 1.
        groups: (N,) patient of each image; a patient is drawn with all images or not at all.
        seed: of the draws. They depend on the set of patients, not on the order of the images.
        strata: (N,) whole numbers, equal for the images of a patient: a redraw then holds as many patients of each
            stratum as the data do. See :py:func:`label_strata`.

    Yields:
        (N, at most 16) int32; R columns in all.

    Raises:
        ValueError: for redraws < 1, groups of another length, with an empty entry or of one patient only, or a patient
            in two strata.
    """
    if redraws < 1:
        raise ValueError(f"redraws must be at least 1, got {redraws}; 1000 is usual")
    member, units = group_index(images, groups)
    parts = _strata(member, units, strata)
    generator = np.random.default_rng(seed)
    for start in range(0, redraws, _BLOCK):
        counts = np.empty((images, min(_BLOCK, redraws - start)), np.int32)
        for column in range(counts.shape[1]):
            drawn = [part[generator.integers(len(part), size=len(part))] for part in parts]
            counts[:, column] = np.bincount(np.concatenate(drawn), minlength=units)[member]
        yield counts


def leave_out_counts(images: int, groups: Sequence | np.ndarray | None = None, seed: int = 0) -> Iterator[np.ndarray]:
    """
    The jackknife as counts: each patient, or image where there are no groups, left out once.

    More than 1000 are left out in 1000 blocks, put together at random. The skewness that a BCa interval takes from the
    values does not change by that: blocks of d make it smaller by the root of d, and their number makes up for it.

    Args:
        images: N >= 2.
        groups: (N,) patient of each image.
        seed: of the blocks.

    Yields:
        (N, at most 16) int32 of zeros and ones; as many columns in all as there are patients, 1000 at most.

    Raises:
        ValueError: as :py:func:`redraw_counts`.

    See Efron 1987, https://doi.org/10.1080/01621459.1987.10478410, and Shao and Wu 1989 for blocks,
    https://doi.org/10.1214/aos/1176347263.
    """
    member, units = group_index(images, groups)
    blocks = min(units, _LEFT_OUT)
    block = np.arange(units) % blocks
    if units > blocks:
        block = np.random.default_rng(seed).permutation(block)
    for start in range(0, blocks, _BLOCK):
        left_out = np.arange(start, min(start + _BLOCK, blocks))
        yield (block[member][:, None] != left_out).astype(np.int32)


def label_strata(labels: np.ndarray, groups: Sequence | np.ndarray | None = None) -> np.ndarray:
    """
    The stratum of each image: the rarest label that its patient has in any image, or none.

    A redraw within these strata has as many patients of the rarest label as the data have, and never lacks it; what
    remains left to chance is how often the commoner labels of a stratum occur in it.

    Args:
        labels: (N, L) of 0, 1 and NaN.
        groups: (N,) patient of each image, or None: each image is its own.

    Returns:
        (N,) number of the label, L for none.

    Example:
        >>> label_strata(np.array([[1, 1], [1, 0], [0, 0], [0, 0]]), ["a", "b", "c", "c"])
        array([1, 0, 2, 2])
    """
    member, units = group_index(len(labels), groups)
    has = np.zeros((units, labels.shape[1]), bool)
    np.logical_or.at(has, member, labels == 1)
    order = has.sum(axis=0).argsort(kind="stable")
    rarest = np.append(order, labels.shape[1])[np.column_stack([has[:, order], np.ones(units, bool)]).argmax(axis=1)]
    return rarest[member]


def _strata(member: np.ndarray, units: int, strata: npt.ArrayLike | None) -> list[np.ndarray]:
    """The units of each stratum."""
    if strata is None:
        return [np.arange(units)]
    of_image = np.asarray(strata)
    if of_image.shape != member.shape:
        raise ValueError(f"strata must give a number for each of the {len(member)} images, got shape {of_image.shape}")
    of_unit = np.empty(units, of_image.dtype)
    of_unit[member] = of_image
    if (torn := of_unit[member] != of_image).any():
        raise ValueError(
            f"{len(np.unique(member[torn]))} patients have images in several strata; give each patient one"
        )
    return [np.flatnonzero(of_unit == stratum) for stratum in np.unique(of_unit)]


def group_index(images: int, groups: Sequence | np.ndarray | None) -> tuple[np.ndarray, int]:
    """
    The number of each image's patient, and how many patients there are.

    Args:
        images: N >= 1.
        groups: (N,) patient of each image, or None: each image is its own.

    Returns:
        (N,) numbers from 0 on, by the sorted names; their number.

    Raises:
        ValueError: for groups of another length, with an empty entry or of one patient only.

    Example:
        >>> group_index(3, ["b", "a", "b"])
        (array([1, 0, 1]), 2)
    """
    if groups is None:
        return np.arange(images), images
    names = pd.Series(list(groups), dtype=object)
    if len(names) != images:
        raise ValueError(f"groups must name one patient for each of the {images} images, got {len(names)}")
    empty = names.isna() | (names.astype(str).str.strip() == "")
    if empty.any():
        raise ValueError(f"{empty.sum()} of {images} images have no patient; give all of them one, or groups=None")
    codes, unique = pd.factorize(names.astype(str), sort=True)
    if len(unique) < 2:
        raise ValueError(f"all {images} images are of one patient; redraws and tests of patients need two at least")
    return codes, len(unique)
