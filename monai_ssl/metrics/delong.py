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

"""DeLong's test of two AUCs on the same images, by mid-ranks, and its form for patients of several images."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from monai_ssl.metrics.auc import check_predictions, one_class
from monai_ssl.metrics.redraws import group_index

__all__ = ["delong_covariance", "delong_test"]

# Below any variance that fewer than 10^14 pairs of images can have, and above what rounding leaves of zero.
_ZERO_VARIANCE = 1e-30
_ZERO_DIFFERENCE = 1e-12


def delong_test(
    labels: npt.ArrayLike,
    scores_a: npt.ArrayLike,
    scores_b: npt.ArrayLike,
    groups: Sequence | np.ndarray | None = None,
) -> float:
    """
    Two-sided p-value of the difference in AUC of two models on the same images, from its normal approximation.

    A difference of variance zero, such as that of a perfect ranking from a perfectly wrong one, has no z. Its p-value
    is then 2^(1 - patients), the smallest that exchanging the two models, patient by patient, could give. No p-value is
    exactly 0.

    Args:
        labels: (N,) of 0, 1 or NaN: unknown, and the image is left out.
        scores_a: (N,) finite scores of the first model, higher for more likely positive.
        scores_b: (N,) of the second.
        groups: (N,) patient of each image; each image is its own without.

    Returns:
        In (0, 1]; 1 where the models rank alike; NaN, with a warning, where a class is of less than two patients.

    Raises:
        ValueError: for shapes, labels, scores or groups that cannot be used.

    Example:
        >>> round(delong_test([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6], [1, 5, 4, 3, 2, 6]), 4)
        0.2207

    See DeLong, DeLong and Clarke-Pearson 1988, https://doi.org/10.2307/2531595; for groups Obuchowski 1997,
    https://doi.org/10.2307/2533958.
    """
    positive, wins, patient = _placements(labels, (scores_a, scores_b), groups)
    if wins is None:
        return np.nan
    # The covariance is that of sums of placements, so the difference of two models is one model of its own.
    mean, covariance = _mean_and_covariance(positive, wins[:1] - wins[1:], patient)
    difference, variance = abs(mean[0]), covariance[0, 0]
    if np.isnan(variance):
        return np.nan
    if variance > _ZERO_VARIANCE:
        p_value = 2 * norm.sf(difference / np.sqrt(variance))
    else:
        p_value = 1.0 if difference < _ZERO_DIFFERENCE else 2.0 ** (1 - len(np.unique(patient)))
    return float(max(p_value, np.finfo(np.float64).tiny))


def delong_covariance(
    labels: npt.ArrayLike, scores: npt.ArrayLike, groups: Sequence | np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """
    AUC of M models on the same images, and the covariance of their errors.

    Any contrast of the models follows: of AUCs a with covariance C, w . a has the variance w . C . w.

    Args:
        labels: (N,) of 0, 1 or NaN: unknown, and the image is left out.
        scores: (M, N) finite, higher for more likely positive.
        groups: (N,) patient of each image; what images of one patient have in common is then accounted for.

    Returns:
        AUC (M,) and covariance (M, M): NaN, with a warning, where a class is of less than two patients (the AUC only
        where it is of none).

    Raises:
        ValueError: for shapes, labels, scores or groups that cannot be used.

    Example:
        >>> auc, covariance = delong_covariance([0, 0, 1, 1], [[0.1, 0.4, 0.35, 0.8]])
        >>> auc, covariance
        (array([0.75]), array([[0.125]]))

    See Sun and Xu 2014, https://doi.org/10.1109/LSP.2014.2337313, for the mid-ranks; Obuchowski 1997,
    https://doi.org/10.2307/2533958, for groups.
    """
    values = np.asarray(scores)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"scores must be (M, N), a row per model, got shape {values.shape}")
    positive, wins, patient = _placements(labels, values, groups)
    if wins is None:
        return np.full(len(values), np.nan), np.full((len(values), len(values)), np.nan)
    return _mean_and_covariance(positive, wins, patient)


def _placements(
    labels: npt.ArrayLike, scores: Iterable[npt.ArrayLike], groups: Sequence | np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """
    Of the images with a known label: which are positive; (M, n) the share of the other class that each is on the right
    side of, ties counting half, None where there is one class; the number of its patient.
    """
    checked = [check_predictions(labels, row) for row in scores]
    truth = checked[0][0]
    if truth.shape[1] != 1:
        raise ValueError(f"labels must be (N,), one label at a time, got shape {truth.shape}")
    values = np.concatenate([value for _, value in checked], axis=1)
    patient, _ = group_index(len(truth), groups)
    known = np.isfinite(truth[:, 0])
    positive, values, patient = truth[known, 0] == 1, values[known].T, patient[known]
    if one_class(truth).any():
        warnings.warn(
            f"one class only ({positive.sum()} positives in {len(positive)} images), so AUC and test are NaN",
            stacklevel=3,
        )
        return positive, None, patient
    wins = rankdata(values, axis=1)
    for side in (positive, ~positive):
        wins[:, side] -= rankdata(values[:, side], axis=1)
    wins[:, positive] /= (~positive).sum()
    wins[:, ~positive] = 1 - wins[:, ~positive] / positive.sum()
    return positive, wins, patient


def _mean_and_covariance(positive: np.ndarray, wins: np.ndarray, patient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the placements, (M,), and its covariance, (M, M), from their sums within patients."""
    mean = wins[:, positive].mean(axis=1)
    _, patient = np.unique(patient, return_inverse=True)
    sums, factors = [], []
    for side in (positive, ~positive):
        deviations = (wins[:, side] - mean[:, None]) / side.sum()
        sums.append(np.stack([np.bincount(patient[side], row, patient.max() + 1) for row in deviations]))
        factors.append(_small_sample_factor(len(np.unique(patient[side]))))
    if np.isnan(factors).any():
        warnings.warn("a class is of one patient only, so the variance of the AUC is NaN", stacklevel=3)
    between = sums[0] @ sums[1].T
    covariance = sum(factor * part @ part.T for factor, part in zip(factors, sums, strict=True))
    return mean, covariance + _small_sample_factor(patient.max() + 1) * (between + between.T)


def _small_sample_factor(patients: int) -> float:
    return patients / (patients - 1) if patients > 1 else np.nan
