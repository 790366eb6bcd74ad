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

"""Means of localisation over images, with intervals by patient, beside what looking at the middle would score."""

from __future__ import annotations

import numpy as np
import pandas as pd

from monai_ssl.metrics.intervals import percentile_interval
from monai_ssl.metrics.model_redraws import MACRO
from monai_ssl.metrics.prediction_table import first_of
from monai_ssl.metrics.redraws import redraw_counts

__all__ = ["SCORES", "check_scored", "localisation_summary"]

SCORES = ("dice", "iou", "hit", "pixel_auc")


def localisation_summary(table: pd.DataFrame, redraws: int = 1000, seed: int = 0) -> pd.DataFrame:
    """
    Mean scores per label with 95 % percentile intervals, patients redrawn, or images where no patients are named.

    Args:
        table: a row per image and label: `image`, `patient`, `label`, `truth_share` and, of the map and of a centred
            Gaussian, `dice`, `centre_dice` and so on for all :py:data:`SCORES`; rows with an empty `dice` are left out.
        redraws: of the bootstrap, shared by all labels and scores.
        seed: of the redraws.

    Returns:
        `label, metric, value, low, high, centre, difference, difference_low, difference_high, chance, images, patients,
        unit, redraws, left_out`. `centre` is the mean of the centred Gaussian, `difference` is paired with it, `chance`
        what random points and values score, where that is known. With several labels "macro" is the mean over them; a
        redraw without any image of a label is left out for it and counted. With fewer than 2 patients intervals are
        empty.

    Raises:
        ValueError: when no row has scores, or as :py:func:`check_scored`.

    Example:
        >>> scores = {name: 0.5 for name in SCORES} | {f"centre_{name}": 0.25 for name in SCORES}
        >>> table = pd.DataFrame([{"image": str(k), "patient": str(k), "label": "mass", "truth_share": 0.1} | scores
        ...                       for k in range(4)])
        >>> localisation_summary(table, redraws=20)[["value", "low", "difference"]].iloc[0].tolist()
        [0.5, 0.5, 0.25]
    """
    scored = table[table["dice"].notna()]
    if scored.empty:
        raise ValueError("no image has scores; give boxes or masks of images in the split")
    check_scored(scored)
    labels, images = list(dict.fromkeys(scored["label"])), scored.drop_duplicates("image")
    patients = images["patient"].astype(str).to_numpy() if _named(images).all() else None
    units = len(images) if patients is None else len(set(patients))
    counts = (
        np.hstack([*redraw_counts(len(images), redraws, patients, seed)]).astype(np.float64)
        if units > 1
        else np.empty((len(images), 0))
    )
    rows = []
    for score in SCORES:
        ours, centre = (_by_label(scored, name, images["image"], labels) for name in (score, f"centre_{score}"))
        chance = _by_label(scored, "truth_share", images["image"], labels)
        means = [_means(values, np.ones((len(images), 1)))[0] for values in (ours, centre, ours - centre, chance)]
        samples, differences = _means(ours, counts), _means(ours - centre, counts)
        (low, high), (difference_low, difference_high) = map(_interval, (samples, differences))
        for column, label in enumerate([*labels, MACRO] if len(labels) > 1 else labels):
            shown = np.isfinite(ours).any(axis=1) if label == MACRO else np.isfinite(ours[:, column])
            rows.append(
                {
                    **{"label": label, "metric": score, "value": means[0][column]},
                    **{"low": low[column], "high": high[column]},
                    **{"centre": means[1][column], "difference": means[2][column]},
                    **{"difference_low": difference_low[column], "difference_high": difference_high[column]},
                    "chance": {"hit": means[3][column], "pixel_auc": 0.5}.get(score, np.nan),
                    "images": int(shown.sum()),
                    "patients": None if patients is None else len(set(patients[shown])),
                    **{"unit": "image" if patients is None else "patient", "redraws": counts.shape[1]},
                    "left_out": int(np.isnan(samples[:, column]).sum()),
                }
            )
    summary = pd.DataFrame(rows)
    return summary.sort_values(
        "label", key=lambda names: names.map([*labels, MACRO].index), kind="stable", ignore_index=True
    )


def check_scored(scored: pd.DataFrame) -> None:
    """
    Refuse rows that have no summary; it needs no scores, so it can be known before the maps are made.

    Args:
        scored: `image, patient, label` of the rows that have scores, or will have.

    Raises:
        ValueError: naming the images that have a label twice or, among others that do, no patient; and for "macro" as
            one of several labels.

    Example:
        >>> check_scored(pd.DataFrame({"image": ["1", "2"], "patient": ["7", ""], "label": "mass"}))
        Traceback (most recent call last):
        ValueError: the scores cannot be summed up:
          1 of 2 images have no patient, such as 2; give every image its patient, or none, which redraws images
    """
    problems, named = [], _named(scored)
    if (repeated := scored.duplicated(["image", "label"])).any():
        twice = scored.loc[repeated, ["image", "label"]].drop_duplicates().astype(str).agg(" with ".join, axis=1)
        problems.append(f"{len(twice)} images have a label twice, such as {first_of(twice)}; keep one row for each")
    if named.any() and not named.all():
        nameless = scored.loc[~named, "image"]
        problems.append(
            f"{nameless.nunique()} of {scored['image'].nunique()} images have no patient, such as "
            f"{first_of(nameless)}; give every image its patient, or none, which redraws images"
        )
    if scored["label"].nunique() > 1 and (scored["label"] == MACRO).any():
        problems.append(f"a label is named {MACRO!r}, which stands for the mean over labels; rename it")
    if problems:
        raise ValueError("the scores cannot be summed up:\n  " + "\n  ".join(problems))


def _named(table: pd.DataFrame) -> pd.Series:
    return table["patient"].fillna("").astype(str).str.strip() != ""


def _by_label(table: pd.DataFrame, name: str, images: pd.Series, labels: list[str]) -> np.ndarray:
    wide = table.pivot(index="image", columns="label", values=name)
    return wide.reindex(index=images, columns=labels).to_numpy(np.float64)


def _means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(R, L) means, and their mean over the labels behind them where there are several."""
    known = np.isfinite(values)
    total = counts.T @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(total > 0, counts.T @ np.where(known, values, 0) / total, np.nan)
    return np.hstack([means, means.mean(axis=1, keepdims=True)]) if values.shape[1] > 1 else means


def _interval(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # NaN is left out: the row is for a lone patient, of whom there are no redraws
    return percentile_interval(np.vstack([samples, np.full(samples.shape[1], np.nan)]))
