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

"""The mean over several data sets, each redrawn by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monai_ssl.metrics.model_redraws import MACRO, MEAN, ModelRedraws, count_cases

__all__ = ["mean_over_data_sets"]


def mean_over_data_sets(results: Sequence[ModelRedraws]) -> ModelRedraws | None:
    """
    The mean over data sets, of the models and labels that all of them have; None for one data set, or nothing common.

    Each data set weighs alike, and its patients are redrawn by themselves: test sets that share patients, as those of
    other labels on the same images, vary together, and the interval of their mean is then too narrow. Where the labels
    of the data sets differ, "macro" is the mean over the common ones, and there is no "micro".

    Args:
        results: one per data set, with the same metrics and number of redraws.
    """
    first = results[0]
    models = [name for name in first.models if all(name in other.models for other in results)]
    alike = all(set(other.labels) == set(first.labels) for other in results)
    common = [name for name in _labels(first) if all(name in _labels(other) for other in results)]
    labels = first.labels if alike else common
    if len(results) < 2 or not models or not labels:
        return None
    parts = [_part(each, models, labels) for each in results]
    values = np.mean([part[0][0] for part in parts], axis=0)
    samples = np.mean([part[1] for part in parts], axis=0)
    # Without a patient of one data set, the mean moves by that data set's share.
    jackknife = np.concatenate([values + (part[2] - part[0]) / len(parts) for part in parts])
    counts = [_totals([each.counts[each.labels.index(label)] for each in results]) for label in labels]
    if not alike and len(labels) > 1:
        usable = np.isfinite(values).all(axis=0)
        values, samples, jackknife = (_with_mean(array, usable) for array in (values, samples, jackknife))
        counts.append(_totals([_of_labels(each, labels) for each in results]))
        labels = [*labels, MACRO]
    unit = " and ".join(dict.fromkeys(each.unit for each in results))
    return ModelRedraws(MEAN, models, first.metrics, list(labels), values, samples, jackknife, None, counts, unit)


def _labels(result: ModelRedraws) -> list[str]:
    """Those of the data, without means."""
    return [] if result.data is None else result.data.labels


def _part(result: ModelRedraws, models: Sequence[str], labels: Sequence[str]) -> tuple[np.ndarray, ...]:
    """Values (1, M, K, L), samples and jackknife of some models and labels."""
    place = np.ix_(
        [result.models.index(name) for name in models],
        range(len(result.metrics)),
        [result.labels.index(name) for name in labels],
    )
    arrays = (result.values[None], result.samples, result.jackknife)
    return tuple(np.stack([each[place] for each in array]) for array in arrays)


def _with_mean(array: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """(..., K, L + 1): the mean over the usable labels, (K, L), last."""
    number = usable.sum(axis=-1)
    total = np.where(usable, array, 0.0).sum(axis=-1)
    mean = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
    return np.concatenate([array, mean[..., None]], axis=-1)


def _of_labels(result: ModelRedraws, labels: Sequence[str]) -> dict[str, int | None]:
    data = result.data
    if data is None:
        raise ValueError("a mean over data sets cannot be part of another one")
    return count_cases(data.truth[:, [data.labels.index(name) for name in labels]], data.patients)


def _totals(rows: Sequence[dict[str, int | None]]) -> dict[str, int | None]:
    """Sums, None where one is not known."""
    return {name: None if None in (found := [row[name] for row in rows]) else sum(found) for name in rows[0]}  # type: ignore[arg-type]
