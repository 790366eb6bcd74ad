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

"""At which score an image counts as positive."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monai_ssl.metrics.auc import check_predictions, one_class

__all__ = ["read_thresholds", "youden_thresholds"]


def youden_thresholds(labels: npt.ArrayLike, scores: npt.ArrayLike) -> np.ndarray:
    """
    The threshold of each label with the highest Youden index J = sensitivity + specificity - 1.

    An image counts as positive when score >= threshold. The threshold lies midway between the lowest score that counts
    and the next one below, so that a last digit does not decide; where there is none below, it is that score. Of
    several thresholds with the highest J it is the highest one, which raises the fewest alarms.

    Args:
        labels: (N,) or (N, L), 0, 1 or NaN: unknown, and the image is left out for that label.
        scores: the same shape, finite; of validation, since a threshold chosen on test images flatters there.

    Returns:
        (L,) float64, NaN for a label with one class only.

    Raises:
        ValueError: as :py:func:`monai_ssl.metrics.roc_auc`.

    Example:
        >>> youden_thresholds([0, 0, 1, 1, np.nan], [0.1, 0.4, 0.5, 0.75, 0.2])
        array([0.45])

    See Youden 1950, https://doi.org/10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3.
    """
    truth, values = check_predictions(labels, scores)
    thresholds = np.full(truth.shape[1], np.nan)
    for column in np.flatnonzero(~one_class(truth)):
        known = np.isfinite(truth[:, column])
        thresholds[column] = _best_threshold(truth[known, column] == 1, values[known, column].astype(np.float64))
    return thresholds


def read_thresholds(path: str | os.PathLike) -> dict[str, float]:
    """
    Read `thresholds.json`, as a run writes it.

    Args:
        path: of the file.

    Returns:
        The threshold of each label, NaN where validation lacked a class.

    Raises:
        ValueError: when it is anything else.
    """
    try:
        recorded = json.loads(Path(path).read_text(encoding="utf-8"))["thresholds"]
        return {str(name): math.nan if value is None else float(value) for name, value in recorded.items()}
    except (UnicodeDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the thresholds of a run ({error}); restore or remove it") from error


def _best_threshold(positive: np.ndarray, scores: np.ndarray) -> float:
    distinct, place = np.unique(scores, return_inverse=True)
    hits, alarms = (
        np.bincount(place[rows], minlength=len(distinct))[::-1].cumsum()[::-1] for rows in (positive, ~positive)
    )
    # J times positives times negatives: whole numbers, so that equal is equal
    index = hits * alarms[0] - alarms * hits[0]
    best = int(np.flatnonzero(index == index.max())[-1])
    lowest = distinct[best]
    middle = distinct[best - 1] / 2 + lowest / 2 if best else lowest
    return float(middle) if best and distinct[best - 1] < middle <= lowest else float(lowest)
