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

"""The bootstrap's engine: redraws as integer counts shared by all models, scores sorted once, exact rank sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numba
import numpy as np
import pandas as pd

__all__ = ["redraw_auc", "redraw_counts"]

# One row of counts is one cache line of int32, so that a gather in score order costs one memory access for 16 redraws.
_BLOCK = 16


def redraw_counts(
    images: int, redraws: int, groups: Sequence | np.ndarray | None = None, seed: int = 0
) -> Iterator[np.ndarray]:
    """
    How often each image occurs in each redraw, a block of redraws at a time, so that memory does not grow with them.

    Args:
        images: N >= 1.
        redraws: R >= 1.
        groups: (N,) patient of each image; a patient is drawn with all images or not at all.
        seed: of the draws. They depend on the set of patients, not on the order of the images.

    Yields:
        (N, at most 16) int32; R columns in all.

    Raises:
        ValueError: for redraws < 1, or groups of another length, with an empty entry or of one patient only.
    """
    if redraws < 1:
        raise ValueError(f"redraws must be at least 1, got {redraws}; 1000 is usual")
    member, units = _group_index(images, groups)
    generator = np.random.default_rng(seed)
    for start in range(0, redraws, _BLOCK):
        counts = np.empty((images, min(_BLOCK, redraws - start)), np.int32)
        for column in range(counts.shape[1]):
            drawn = np.bincount(generator.integers(units, size=units), minlength=units)
            counts[:, column] = drawn[member]
        yield counts


def redraw_auc(
    labels: np.ndarray,
    scores: np.ndarray,
    redraws: int,
    groups: Sequence | np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """
    AUC of every redraw, model and label, the redraws shared by all models.

    Scores are sorted once; a redraw is then one pass over its counts in that order, with exact integer rank sums.

    Args:
        labels: (N, L) of 0, 1 and NaN; an image whose label is unknown is drawn, and counts for nothing there.
        scores: (M, N, L) of M models, finite.
        redraws: R.
        groups: (N,) or None.
        seed: of the redraws.

    Returns:
        (R, M, L) float64, NaN where the redraw lacks a class of the label.
    """
    models, images, columns = scores.shape
    known = [np.flatnonzero(np.isfinite(column)) for column in labels.T]
    rankings = [[_ranking(model[:, column], known[column]) for column in range(columns)] for model in scores]
    positive = np.ascontiguousarray(labels.T == 1)
    samples = np.empty((redraws, models, columns))
    start = 0
    for counts in redraw_counts(images, redraws, groups, seed):
        block = samples[start : start + counts.shape[1]]
        for model in range(models):
            for column in range(columns):
                block[:, model, column] = _weighted_auc(*rankings[model][column], positive[column], counts)
        start += counts.shape[1]
    return samples


def _ranking(scores: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows by rising score, and which of them is the last of its score."""
    order = rows[scores[rows].argsort(kind="stable")].astype(np.int32)
    ranked = scores[order]
    return order, np.append(ranked[1:] != ranked[:-1], True)


@numba.njit(cache=True, nogil=True)
def _weighted_auc(order: np.ndarray, tie_ends: np.ndarray, positive: np.ndarray, counts: np.ndarray) -> np.ndarray:
    redraws = counts.shape[1]
    below = np.zeros(redraws, np.int64)  # negatives below the present score
    tied_negatives = np.zeros(redraws, np.int64)
    tied_positives = np.zeros(redraws, np.int64)
    positives = np.zeros(redraws, np.int64)
    twice_wins = np.zeros(redraws, np.int64)
    alone = True
    for rank in range(order.shape[0]):
        image = order[rank]
        if alone and tie_ends[rank]:
            if positive[image]:
                for r in range(redraws):
                    positives[r] += counts[image, r]
                    twice_wins[r] += 2 * counts[image, r] * below[r]
            else:
                for r in range(redraws):
                    below[r] += counts[image, r]
            continue
        if positive[image]:
            for r in range(redraws):
                tied_positives[r] += counts[image, r]
        else:
            for r in range(redraws):
                tied_negatives[r] += counts[image, r]
        alone = tie_ends[rank]
        if alone:
            for r in range(redraws):
                twice_wins[r] += tied_positives[r] * (2 * below[r] + tied_negatives[r])
                below[r] += tied_negatives[r]
                positives[r] += tied_positives[r]
                tied_negatives[r] = 0
                tied_positives[r] = 0
    auc = np.full(redraws, np.nan)
    for r in range(redraws):
        if positives[r] > 0 and below[r] > 0:
            auc[r] = twice_wins[r] / (2.0 * positives[r] * below[r])
    return auc


def _group_index(images: int, groups: Sequence | np.ndarray | None) -> tuple[np.ndarray, int]:
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
        raise ValueError(f"all {images} images are of one patient; redrawing patients needs two at least")
    return codes, len(unique)
