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

"""All that is said of a model's predictions: ranking, decisions at a threshold from validation, calibration."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd

from monai_ssl.metrics.auc import check_predictions, one_class, roc_auc
from monai_ssl.metrics.calibration import calibration_error, calibration_line
from monai_ssl.metrics.model_redraws import MACRO
from monai_ssl.metrics.predictions import label_names, truth_and_scores
from monai_ssl.metrics.thresholds import youden_thresholds

# scikit-learn takes a second to import, and the report needs this room without it.

__all__ = ["evaluate_predictions", "validation_thresholds"]

_MANY = 5


def evaluate_predictions(
    table: pd.DataFrame, thresholds: Mapping[str, float] | None = None, task: str = "multilabel"
) -> pd.DataFrame:
    """
    A row of figures for each split and label, of several classes each against the others.

    What cannot be computed, as the AUC of a label with one class only, is NaN, with one warning for the table. An image
    whose `_true` cell is empty is left out for that label.

    Args:
        table: predictions: `split`, and `<label>_true` (0, 1 or empty), `<label>_score` (0 to 1) per label.
        thresholds: by label, of the run that trained the model; None chooses them by :py:func:`validation_thresholds`.
        task: `multilabel`, or `multiclass`: exactly one label per image.

    Returns:
        `split, label, images, positives, prevalence, threshold, auc, average_precision`; then, of images counted
        positive at score >= threshold, `sensitivity, specificity, ppv, npv, f1, accuracy`; then `brier` (mean squared
        error), `calibration_error` (10 bins of equal width), `calibration_intercept, calibration_slope`.
        With several labels each split ends in a row "macro": the means over the labels for which a figure is defined,
        all images, all positives. A multi-class table has two columns more, given in that row: `class_accuracy` and
        `class_balanced_accuracy` of taking the class with the highest score.

    Raises:
        ValueError: when columns are missing, values or the task are unfit, or one of several labels is named "macro".

    Example:
        >>> table = pd.DataFrame({"a_true": [0, 0, 1, 1], "a_score": [0.1, 0.4, 0.35, 0.8]}).assign(split="val")
        >>> evaluate_predictions(table)[["auc", "threshold", "sensitivity", "specificity"]].round(3).values.tolist()
        [[0.75, 0.6, 0.5, 1.0]]
    """
    if task not in ("multilabel", "multiclass"):
        raise ValueError(f"unknown task {task!r}; known: multilabel, multiclass")
    names = _checked_names(table)
    chosen = validation_thresholds(table) if thresholds is None else thresholds
    at = np.array([chosen.get(name, np.nan) for name in names], np.float64)
    parts, undefined = [], []
    for split in sorted(set(table["split"]), key=lambda split: (split == "test", split != "val", split)):
        truth, scores = truth_and_scores(table[table["split"] == split], names)
        check_predictions(truth, scores)
        undefined += [f"{names[column]} in {split}" for column in np.flatnonzero(one_class(truth))]
        rows = pd.DataFrame({"split": split, "label": names, **_figures(truth, scores, at)})
        if task == "multiclass":
            rows[["class_accuracy", "class_balanced_accuracy"]] = np.nan
        if len(names) > 1:
            rows.loc[len(names)] = _macro(rows, truth, scores)
        parts.append(rows)
    if undefined:
        more = f" and {len(undefined) - _MANY} more" if len(undefined) > _MANY else ""
        warnings.warn(
            f"one class only, so what needs both is empty: {', '.join(undefined[:_MANY])}{more}", stacklevel=2
        )
    return pd.concat(parts, ignore_index=True)


def validation_thresholds(table: pd.DataFrame) -> dict[str, float]:
    """
    The thresholds that :py:func:`youden_thresholds` finds in the rows of split `val`.

    Args:
        table: as :py:func:`evaluate_predictions`.

    Returns:
        One per label; NaN, with a warning, where there are no validation rows; NaN for a label with one class there.

    Raises:
        ValueError: as :py:func:`evaluate_predictions`.
    """
    names = _checked_names(table)
    rows = table[table["split"] == "val"]
    if rows.empty:
        warnings.warn("no rows of split 'val' to choose thresholds from: what needs one is empty", stacklevel=2)
        return dict.fromkeys(names, np.nan)
    return dict(zip(names, youden_thresholds(*truth_and_scores(rows, names)).tolist(), strict=True))


def _checked_names(table: pd.DataFrame) -> list[str]:
    names = label_names(table)
    wanted = ["split", *(f"{name}_score" for name in names)]
    missing = [name for name in wanted if name not in table.columns]
    if missing or not names or table.empty:
        raise ValueError(
            f"a predictions table has rows, split and pairs <label>_true, <label>_score; missing: "
            f"{', '.join(missing) or ('rows' if names else 'labels')}"
        )
    if len(names) > 1 and MACRO in names:
        raise ValueError(f"a label is named {MACRO!r}, which stands for the mean over labels; rename its columns")
    return names


def _figures(truth: np.ndarray, scores: np.ndarray, thresholds: np.ndarray) -> dict[str, np.ndarray]:
    positive, negative = truth == 1, truth == 0
    images, positives = (positive | negative).sum(axis=0), positive.sum(axis=0)
    called = scores >= thresholds
    known = np.where(np.isfinite(thresholds), 1.0, np.nan)
    tp, fp, fn, tn = (
        known * rows.sum(axis=0)
        for rows in (called & positive, called & negative, ~called & positive, ~called & negative)
    )
    intercept, slope = calibration_line(truth, scores)
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Mean of empty slice")
        return {
            "images": images,
            "positives": positives,
            "prevalence": positives / images,
            "threshold": thresholds,
            "auc": roc_auc(truth, scores),
            "average_precision": _average_precision(truth, scores),
            "sensitivity": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "ppv": tp / (tp + fp),
            "npv": tn / (tn + fn),
            "f1": np.where(positives > 0, 2 * tp / (2 * tp + fp + fn), np.nan),
            "accuracy": (tp + tn) / images,
            "brier": np.nanmean((scores - truth) ** 2, axis=0),
            "calibration_error": calibration_error(truth, scores),
            "calibration_intercept": intercept,
            "calibration_slope": slope,
        }


def _average_precision(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    from sklearn.metrics import average_precision_score

    values = np.full(truth.shape[1], np.nan)
    for column in np.flatnonzero(~one_class(truth)):
        known = np.isfinite(truth[:, column])
        values[column] = average_precision_score(truth[known, column], scores[known, column])
    return values


def _macro(rows: pd.DataFrame, truth: np.ndarray, scores: np.ndarray) -> dict[str, object]:
    known = np.isfinite(truth)
    row = rows.drop(columns=["split", "label"]).mean().to_dict() | {
        "split": rows["split"].iloc[0],
        "label": MACRO,
        "images": int(known.any(axis=1).sum()),
        "positives": int(rows["positives"].sum()),
        "threshold": np.nan,
    }
    if "class_accuracy" in row:
        whole = known.all(axis=1)
        true, taken = truth[whole].argmax(axis=1), scores[whole].argmax(axis=1)
        recalls = [np.mean(taken[true == number] == number) for number in np.unique(true)]
        row["class_accuracy"] = np.mean(true == taken) if len(true) else np.nan
        row["class_balanced_accuracy"] = np.mean(recalls) if len(true) else np.nan
    return row
