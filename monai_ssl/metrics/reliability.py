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

"""Reliability curves with intervals from the same redraws as those of the numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from monai_ssl.metrics.auc import check_predictions
from monai_ssl.metrics.calibration import reliability_curve, score_bins
from monai_ssl.metrics.intervals import percentile_interval
from monai_ssl.metrics.kernels import weighted_sums
from monai_ssl.metrics.redraws import label_strata, redraw_counts

__all__ = ["reliability_bands"]


def reliability_bands(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    redraws: int = 1000,
    groups: Sequence | np.ndarray | None = None,
    seed: int = 0,
    bins: int = 10,
    stratify: bool = False,
) -> list[pd.DataFrame]:
    """
    The reliability curve of each label, with a 95 % interval of the share of positives in every bin.

    An interval of no width, in a bin whose images are all positive or all negative, says nothing: every redraw of them
    is the same. Redraws without an image in a bin are left out of its interval.

    Args:
        labels: (N,) or (N, L), 0, 1 or NaN: unknown, and the image is left out for that label.
        scores: the same shape, 0 to 1.
        redraws: how many.
        groups: (N,) patient of each image, or None to redraw images.
        seed: of the redraws; equal to the AUC's, so are the redraws.
        bins: of equal width, see :py:func:`monai_ssl.metrics.reliability_curve`.
        stratify: see :py:func:`monai_ssl.metrics.bootstrap_auc`.

    Returns:
        L tables, those of :py:func:`monai_ssl.metrics.reliability_curve` with `share_low` and `share_high`, which are
        NaN in empty bins.

    Raises:
        ValueError: as :py:func:`monai_ssl.metrics.reliability_curve`, or for groups or redraws that cannot be used.

    Example:
        >>> [table] = reliability_bands([0, 1, 0, 1], [0.1, 0.3, 0.6, 0.9], redraws=200, bins=2)
        >>> bool((table["share_low"] <= table["positive_share"]).all())
        True

    See Bröcker and Smith 2007, https://doi.org/10.1175/WAF993.1.
    """
    truth, values = check_predictions(labels, scores)
    columns = list(zip(truth.T, values.T, strict=True))
    tables = [reliability_curve(*column, bins) for column in columns]
    members = [_members(*column, bins) for column in columns]
    strata = label_strata(truth, groups) if stratify else None
    samples = np.empty((redraws, len(tables), bins))
    start = 0
    for counts in redraw_counts(len(truth), redraws, groups, seed, strata):
        for column, member in enumerate(members):
            negatives, positives = weighted_sums(*member, 2 * bins, counts).reshape(2, bins, -1)
            with np.errstate(invalid="ignore"):
                shares = positives / (negatives + positives)
            samples[start : start + counts.shape[1], column] = shares.T
        start += counts.shape[1]
    intervals = [percentile_interval(samples[:, column]) for column in range(len(tables))]
    return [table.assign(share_low=low, share_high=high) for table, (low, high) in zip(tables, intervals, strict=True)]


def _members(truth: np.ndarray, scores: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows whose label is known, the bin of each, positives counted on after the last one, and its weight, 1."""
    known = np.flatnonzero(np.isfinite(truth))
    place = score_bins(scores[known], bins) + bins * (truth[known] == 1)
    return known, place, np.ones(len(known))
