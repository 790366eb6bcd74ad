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

"""Whether scores are probabilities: of images scored 0.3, three in ten are positive."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from monai_ssl.metrics.auc import check_predictions

# scikit-learn takes a second to import, and the report needs this room without it.

__all__ = ["calibration_error", "calibration_line", "reliability_curve", "score_bins"]

_SURE = float(np.finfo(np.float32).eps)


def reliability_curve(labels: npt.ArrayLike, scores: npt.ArrayLike, bins: int = 10) -> pd.DataFrame:
    """
    Scores of one label in bins of equal width, with the share of positives in each.

    Args:
        labels: (N,), 0, 1 or NaN: unknown, and the image is left out.
        scores: (N,), 0 to 1.
        bins: how many, of [0, 1]; a score on the edge of two belongs to the upper one.

    Returns:
        A row for each bin: `low`, `high`, `images`, `mean_score`, `positive_share`; the last two are NaN in empty bins.

    Raises:
        ValueError: when shapes differ, a label is not 0, 1 or NaN, or a score is not in [0, 1].

    Example:
        >>> curve = reliability_curve([0, 0, 1, 1], [0.1, 0.3, 0.3, 1.0], bins=2)
        >>> curve["images"].tolist(), curve["positive_share"].round(2).tolist()
        ([3, 1], [0.33, 1.0])

    See DeGroot and Fienberg 1983, https://doi.org/10.2307/2987588.
    """
    [column] = _columns(labels, scores)
    return _curve(*column, bins)


def calibration_error(labels: npt.ArrayLike, scores: npt.ArrayLike, bins: int = 10) -> np.ndarray:
    """
    The expected calibration error of each label: |mean score - share of positives|, averaged over the images.

    Args:
        labels: (N,) or (N, L), 0, 1 or NaN.
        scores: the same shape, 0 to 1.
        bins: of equal width, see :py:func:`reliability_curve`.

    Returns:
        (L,) 0 to 1, NaN for a label that is unknown everywhere.

    Raises:
        ValueError: as :py:func:`reliability_curve`.

    Example:
        >>> calibration_error([0, 1], [0.25, 0.75])
        array([0.25])

    See Naeini et al. 2015, https://doi.org/10.1609/aaai.v29i1.9602.
    """
    return np.array([_error(_curve(*column, bins)) for column in _columns(labels, scores)])


def calibration_line(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """
    Intercept and slope of a logistic regression of each label on the logit of its score: 0 and 1 when calibrated.

    A slope below 1 tells of scores that are too extreme, an intercept below 0 (at slope 1) of scores that are too high,
    as those of a model trained with class weights are.

    Args:
        labels: (N,) or (N, L), 0, 1 or NaN.
        scores: the same shape, 0 to 1; brought to at least 1.2e-7 from either end, where float32 has no logit.

    Returns:
        intercepts and slopes, (L,) each; NaN for a label with one class only, or whose classes the score separates,
        since no line fits best there.

    Raises:
        ValueError: as :py:func:`reliability_curve`.

    Example:
        >>> intercept, slope = calibration_line([0, 0, 1, 0, 1, 1], [0.25, 0.25, 0.25, 0.75, 0.75, 0.75])
        >>> (intercept + slope * np.log(3)).round(3)  # two thirds of the images scored 0.75 are positive: log(2)
        array([0.693])

    See Cox 1958, https://doi.org/10.1093/biomet/45.3-4.562, and Van Calster et al. 2019,
    https://doi.org/10.1186/s12916-019-1466-7.
    """
    lines = np.array([_line(*column) for column in _columns(labels, scores)])
    return lines[:, 0], lines[:, 1]


def score_bins(scores: np.ndarray, bins: int) -> np.ndarray:
    """(N,) the number of the bin of equal width that each score, 0 to 1, lies in; on an edge it is the upper one."""
    return np.clip(np.searchsorted(np.arange(bins + 1) / bins, scores, side="right") - 1, 0, bins - 1)


def _columns(labels: npt.ArrayLike, scores: npt.ArrayLike) -> list[tuple[np.ndarray, np.ndarray]]:
    truth, values = check_predictions(labels, scores)
    if (outside := (values < 0) | (values > 1)).any():
        raise ValueError(
            f"scores must be probabilities, 0 to 1, got {outside.sum()} others, such as {values[outside][0]}"
        )
    known = np.isfinite(truth)
    return [(truth[rows, i], values[rows, i].astype(np.float64)) for i, rows in enumerate(known.T)]


def _curve(truth: np.ndarray, values: np.ndarray, bins: int) -> pd.DataFrame:
    edges, place = np.arange(bins + 1) / bins, score_bins(values, bins)
    images, score, positives = (np.bincount(place, weights, bins) for weights in (None, values, truth))
    with np.errstate(invalid="ignore"):
        shares = {"mean_score": score / images, "positive_share": positives / images}
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "images": images, **shares})


def _error(curve: pd.DataFrame) -> float:
    used = curve[curve["images"] > 0]
    if used.empty:
        return np.nan
    return float(np.average(np.abs(used["mean_score"] - used["positive_share"]), weights=used["images"]))


def _line(truth: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    from sklearn.linear_model import LogisticRegression

    sure = np.clip(scores, _SURE, 1 - _SURE)
    logits = np.log(sure) - np.log1p(-sure)
    negatives, positives = logits[truth == 0], logits[truth == 1]
    if not len(negatives) or not len(positives):
        return np.nan, np.nan
    if negatives.max() <= positives.min() or positives.max() <= negatives.min():
        return np.nan, np.nan
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(logits[:, None], truth)
    return float(model.intercept_[0]), float(model.coef_[0, 0])
