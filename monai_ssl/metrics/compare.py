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

"""Several models on the same images: paired differences, tests, and correction over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.metrics.data_sets import mean_over_data_sets
from monai_ssl.metrics.delong import delong_test
from monai_ssl.metrics.intervals import bca_interval, deviation, paired_p_value, percentile_interval
from monai_ssl.metrics.mcnemar import mcnemar_test
from monai_ssl.metrics.model_redraws import MACRO, MEAN, MICRO, ModelRedraws, redraw_models
from monai_ssl.metrics.multiple_testing import benjamini_hochberg, holm
from monai_ssl.metrics.predictions import AlignedPredictions

__all__ = ["compare", "pair_table", "redraw_data_sets"]

_ENDS = ("low", "high", "low_bca", "high_bca")
_COLUMNS = (
    *("data_set", "model_a", "model_b", "label", "metric"),
    *("value_a", "low_a", "high_a", "value_b", "low_b", "high_b"),
    *("difference", "sd", *_ENDS, "p_value", "q_value", "p_holm", "p_delong", "p_mcnemar", "family"),
    *("images", "patients", "positives", "unit", "redraws", "left_out"),
)
Tables = Mapping[str, pd.DataFrame]


def compare(
    predictions: Tables | Mapping[str, Tables],
    metrics: Sequence[str] = ("auc",),
    redraws: int = 1000,
    seed: int = 0,
    split: str = "test",
    stratify: bool = False,
) -> pd.DataFrame:
    """
    Compare models pairwise on the same images, with paired tests and correction for their number.

    Patients are redrawn where the table names them, else images; the column `unit` says which. Redraws that lack a
    class of a label are left out of its interval and p-value and counted in `left_out`. With several labels a row
    "macro" holds the mean over those for which the metric is defined, which needs redraws that are valid for all of
    them, and a row "micro" all their decisions pooled. An image whose `_true` cell is empty is left out for that label,
    and its counts tell of the others. With several data sets, rows of `data_set` "mean" hold the mean over them.

    Args:
        predictions: a predictions table per model, in the order wanted: `image, patient, split` and a pair of columns
            `<label>_true` (0, 1 or empty), `<label>_score` per label. Two models at least. Of several data sets, such
            tables for each data set.
        metrics: `auc`, `average_precision`, `sensitivity_at_specificity:0.9` (or another specificity); `sensitivity`,
            `specificity`, `f1`, `accuracy` at the threshold that Youden's index takes from the table's own rows of
            split "val"; `brier`, `calibration_error` of scores that are probabilities. Of these last two, less is
            better.
        redraws: how many.
        seed: of the redraws, which all models share.
        split: rows to use.
        stratify: draw patients within strata of their rarest label, see
            :py:func:`monai_ssl.metrics.redraws.label_strata`.

    Returns:
        A row per data set, pair of models, metric and label: `data_set, model_a, model_b, label, metric, value_a,
        low_a, high_a, value_b, low_b, high_b, difference, sd, low, high, low_bca, high_bca, p_value, q_value, p_holm,
        p_delong, p_mcnemar, family, images, patients, positives, unit, redraws, left_out`. `difference` is a - b and
        `sd` that of its redraws; `low` and `high` are percentiles; `p_value` is that of
        :py:func:`monai_ssl.metrics.paired_p_value`; `q_value` (Benjamini-Hochberg) and `p_holm` (Holm) correct it for
        the `family`: all rows of that metric. `p_delong` stands beside the AUC of a label and "micro", `p_mcnemar`
        beside accuracy; both by patient. `patients` is empty when unknown. `calibration_error` has no
        interval and no test: chance alone makes it larger, and redraws add as much again.

    Raises:
        ValueError: when tables cannot be compared; every problem is named, with counts and first examples.

    Example:
        >>> table = pd.DataFrame({"image": ["1", "2", "3"], "patient": ["a", "b", "c"], "split": "test",
        ...                       "nodule_true": [0, 1, 0], "nodule_score": [0.2, 0.7, 0.4]})
        >>> compare({"swav": table, "scratch": table}, redraws=100)["p_value"].tolist()
        [1.0]

    See Benjamini and Hochberg 1995, https://doi.org/10.1111/j.2517-6161.1995.tb02031.x; Holm 1979,
    https://www.jstor.org/stable/4615733.
    """
    nested = any(isinstance(tables, Mapping) for tables in predictions.values())
    if nested and not all(isinstance(tables, Mapping) for tables in predictions.values()):
        raise ValueError("predictions must be tables by model, or such tables by data set, got both")
    data_sets: Mapping[str, Tables] = predictions if nested else {"": predictions}
    if all(len(tables) < 2 for tables in data_sets.values()):
        models = dict.fromkeys(model for tables in data_sets.values() for model in tables)
        raise ValueError(f"compare needs two models at least, got {len(models)}: {', '.join(models) or 'none'}")
    return pair_table(redraw_data_sets(data_sets, metrics, redraws, seed, split, stratify))


def redraw_data_sets(
    data_sets: Mapping[str, Tables],
    metrics: Sequence[str] = ("auc",),
    redraws: int = 1000,
    seed: int = 0,
    split: str = "test",
    stratify: bool = False,
    thresholds: Mapping[str, Mapping[str, Mapping[str, float]]] | None = None,
) -> list[ModelRedraws]:
    """
    Redraw each data set by itself; the mean over several comes last.

    Args:
        data_sets: by name, tables by model.
        metrics, redraws, seed, split, stratify: as :py:func:`compare`. The n-th data set has seed + n.
        thresholds: by data set, model and label.

    Raises:
        ValueError: naming what is wrong with the tables of all data sets.
    """
    known = thresholds or {}
    results, problems = [], []
    if MEAN in data_sets and len(data_sets) > 1:
        problems.append(f"a data set is called {MEAN!r}, which stands for the mean over data sets; call it otherwise")
    for number, (name, tables) in enumerate(data_sets.items()):
        try:
            results.append(
                redraw_models(tables, metrics, redraws, seed + number, split, stratify, known.get(name), name)
            )
        except ValueError as error:
            problems.append(f"data set {name}: {error}" if name else str(error))
    if problems:
        raise ValueError("\n".join(problems))
    mean = mean_over_data_sets(results)
    return results if mean is None else [*results, mean]


def pair_table(results: Sequence[ModelRedraws]) -> pd.DataFrame:
    """
    The table that :py:func:`compare` returns, without rows where no data set has two models.

    Args:
        results: from :py:func:`redraw_data_sets`.
    """
    rows = [row for result in results for row in _pairs(result)]
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).assign(family="")
    for metric, members in table.groupby("metric", sort=False):
        table.loc[members.index, "q_value"] = benjamini_hochberg(members["p_value"].to_numpy(np.float64))
        table.loc[members.index, "p_holm"] = holm(members["p_value"].to_numpy(np.float64))
        table.loc[members.index, "family"] = _family(str(metric), members)
    return table


def _pairs(result: ModelRedraws) -> Iterator[dict[str, Any]]:
    for a, b in combinations(range(len(result.models)), 2):
        difference, samples, jackknife = (
            array[..., a, :, :] - array[..., b, :, :] for array in (result.values, result.samples, result.jackknife)
        )
        ends = (*percentile_interval(samples), *bca_interval(samples, difference, jackknife))
        sd, p_value = deviation(samples), paired_p_value(samples, difference)
        for k, metric in enumerate(result.metrics):
            for i, label in enumerate(result.labels):
                row: dict[str, Any] = {"data_set": result.data_set, "model_a": result.models[a],
                                       "model_b": result.models[b], "label": label, "metric": metric}  # fmt: skip
                for side, model in (("a", a), ("b", b)):
                    own = result.ends_of(model, k, i)
                    row |= {f"value_{side}": result.values[model, k, i]}
                    row |= {f"{end}_{side}": own[end] for end in ("low", "high")}
                row |= {"difference": difference[k, i], "sd": sd[k, i], "p_value": p_value[k, i]}
                row |= {name: end[k, i] for name, end in zip(_ENDS, ends, strict=True)}
                row |= _other_tests(result.data, metric, label, a, b)
                yield row | result.counts_of(i) | {"left_out": int(np.isnan(samples[:, k, i]).sum())}


def _other_tests(data: AlignedPredictions | None, metric: str, label: str, a: int, b: int) -> dict[str, float]:
    """DeLong's for AUC, McNemar's for accuracy; images of a patient, and labels of an image, count as one cluster."""
    tests = {"p_delong": np.nan, "p_mcnemar": np.nan}
    if data is None or metric not in ("auc", "accuracy") or label not in (*data.labels, MICRO):
        return tests
    columns = slice(None) if label not in data.labels else [data.labels.index(label)]
    truth, clusters = data.truth[:, columns], data.images if data.patients is None else data.patients
    known = np.isfinite(truth)
    groups = np.repeat(clusters, known.sum(axis=1))
    one, two = data.scores[a][:, columns][known], data.scores[b][:, columns][known]
    of_class = truth[known] == 1
    if len(set(groups.tolist())) < 2:
        return tests
    if metric == "auc" and of_class.any() and not of_class.all():
        tests["p_delong"] = delong_test(truth[known], one, two, groups)
    thresholds = [np.broadcast_to(data.thresholds[model][columns], truth.shape)[known] for model in (a, b)]
    if metric == "accuracy" and len(of_class) and np.isfinite(thresholds).all():
        right_a, right_b = ((scores >= at) == of_class for scores, at in zip((one, two), thresholds, strict=True))
        tests["p_mcnemar"] = mcnemar_test(right_a, right_b, groups)
    return tests


def _family(metric: str, rows: pd.DataFrame) -> str:
    tested = rows[rows["p_value"].notna()]
    if tested.empty:
        return f"{metric}: no test"
    labels, averaged = tested["label"].unique(), MEAN in set(tested["data_set"]) and tested["data_set"].nunique() > 1
    means = " and their means" if len(labels) > 1 and {MACRO, MICRO} & set(labels) else ""
    counted = (
        (len(set(labels) - {MACRO, MICRO}) if means else len(labels), "label", "labels"),
        (len(tested[["model_a", "model_b"]].drop_duplicates()), "pair of models", "pairs of models"),
        (len(set(tested["data_set"]) - ({MEAN} if averaged else set())), "data set", "data sets"),
    )
    parts = [f"{number} {one if number == 1 else many}" for number, one, many in counted]
    tests = "1 test" if len(tested) == 1 else f"{len(tested)} tests"
    return f"{metric}: {tests} ({parts[0]}{means}, {parts[1]}, {parts[2]}{' and their mean' if averaged else ''})"
