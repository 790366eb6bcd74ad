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

from monai_ssl.metrics.model_redraws import MACRO
from monai_ssl.metrics.redraws import redraw_counts

__all__ = ["SCORES", "localisation_summary"]

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
        ValueError: when no row has scores.

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
    labels, images = list(dict.fromkeys(scored["label"])), scored.drop_duplicates("image")
    named = bool((images["patient"].fillna("").astype(str) != "").all())
    patients = images["patient"].astype(str).to_numpy() if named else None
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
        for column, label in enumerate([*labels, MACRO] if len(labels) > 1 else labels):
            shown = np.isfinite(ours).any(axis=1) if label == MACRO else np.isfinite(ours[:, column])
            low, high = _interval(samples[:, column])
            difference_low, difference_high = _interval(differences[:, column])
            rows.append(
                {
                    **{"label": label, "metric": score, "value": means[0][column], "low": low, "high": high},
                    **{"centre": means[1][column], "difference": means[2][column]},
                    **{"difference_low": difference_low, "difference_high": difference_high},
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


def _interval(samples: np.ndarray) -> tuple[float, float]:
    kept = samples[np.isfinite(samples)]
    low, high = np.percentile(kept, (2.5, 97.5)) if len(kept) else (np.nan, np.nan)
    return float(low), float(high)
