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

"""The report's graphs, drawn once: they stand in the page, and lie beside it as SVG files for papers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from monai_ssl.metrics import (
    MACRO,
    METRICS,
    AlignedPredictions,
    ModelRedraws,
    precision_recall_bands,
    reliability_bands,
    roc_bands,
)
from monai_ssl.report.words import decimals, interval_text, label_text, metric_text
from monai_ssl.visualize import (
    DrawnFigure,
    curve_figure,
    curve_names,
    draw_figure,
    forest_figure,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
)

__all__ = ["SECTIONS", "Plot", "curve_plots", "forest_plots", "performance_plots", "unique_names"]

SECTIONS = ("forest", "roc", "precision_recall", "reliability", "training", "pretraining")
_MANY_PAIRS = 6  # that are drawn label by label
_AUC, _AVERAGE_PRECISION, _CALIBRATION_ERROR = METRICS[0], METRICS[1], METRICS[-1]


@dataclass(frozen=True)
class Plot:
    """
    A graph of the report.

    Attributes:
        section: of the page, one of `SECTIONS`.
        name: of its file, without ending; its own among all.
        caption: label, mean or series that it shows.
        figure: the graph.
        alt: what a reader who cannot see it should know.
        main: whether it stands open on a page that has many.
    """

    section: str
    name: str
    caption: str
    figure: Figure
    alt: str
    main: bool = True

    @cached_property
    def drawn(self) -> DrawnFigure:
        """The figure as SVG."""
        return draw_figure(self.figure)


def performance_plots(results: Sequence[ModelRedraws], seed: int, stratified: bool) -> list[Plot]:
    """
    ROC, precision-recall and reliability curves with their bands: of each data set the mean first, then each label.

    Args:
        results: with the redraws that the bands are drawn anew for; means over data sets have no curve.
        seed: of the first data set's redraws.
        stratified: whether they were.
    """
    plots: list[Plot] = []
    several = sum(result.data is not None for result in results) > 1
    for number, result in enumerate(results):
        if result.data is not None:
            of_set = f"{result.data_set}: " if several else ""
            redrawn = {
                "redraws": len(result.samples),
                "groups": result.data.patients,
                "seed": seed + number,
                "stratify": stratified,
            }
            plots += _curves(result, of_set, redrawn)
            plots += _reliability(result, of_set, redrawn)
    return plots


def forest_plots(comparisons: pd.DataFrame) -> list[Plot]:
    """
    The paired differences of each metric, one figure each; of many pairs of models only the means over labels.

    Args:
        comparisons: from :py:func:`monai_ssl.metrics.pair_table`, with the interval to show as `low` and `high`.
    """
    plots: list[Plot] = []
    for metric, rows in comparisons.groupby("metric", sort=False):
        if rows["low"].notna().any():
            name = metric_text(str(metric))
            of = ""
            if len(rows[["model_a", "model_b"]].drop_duplicates()) > _MANY_PAIRS and (rows["label"] == MACRO).any():
                rows, of = (
                    _pairs_as_labels(rows[rows["label"] == MACRO]),
                    ", mean over labels, first minus second model",
                )
            found = rows[rows["q_value"] < 0.05]
            alt = (
                f"Forest plot of {len(rows)} paired differences in {name}{of} with 95 % intervals; below q = 0.05: "
                + (", ".join(f"{row.label} {decimals(row.difference, True)}" for row in found.itertuples()) or "none")
            )
            figure = forest_figure(rows, f"Difference in {name}{of}")
            plots.append(Plot("forest", f"forest_{_file_name(str(metric))}", name, figure, alt, not plots))
    return plots


def _pairs_as_labels(rows: pd.DataFrame) -> pd.DataFrame:
    """One line per pair, where each would get a heading of its own."""
    return rows.assign(label=rows["model_a"] + " \u2212 " + rows["model_b"]).drop(columns=["model_a", "model_b"])


def curve_plots(metrics: Mapping[str, pd.DataFrame], section: str) -> list[Plot]:
    """One plot per numeric series of the runs."""
    plots = []
    for series in curve_names(metrics):
        ends = "; ".join(
            f"{run} from {decimals(values.iloc[0])} to {decimals(values.iloc[-1])}"
            for run, table in metrics.items()
            if series in table.columns and len(values := table[series].dropna())
        )
        alt = f"{series.replace('_', ' ')} over training: {ends}"
        name = f"{section}_{_file_name(series)}"
        plots.append(Plot(section, name, series, curve_figure(metrics, series), alt))
    return plots


def unique_names(plots: Sequence[Plot]) -> list[Plot]:
    """The plots, numbered where labels leave them one name."""
    names = [plot.name for plot in plots]
    seen = [names[:i].count(name) for i, name in enumerate(names)]
    return [replace(plot, name=f"{plot.name}_{n + 1}") if n else plot for plot, n in zip(plots, seen, strict=True)]


def _curves(result: ModelRedraws, of_set: str, redrawn: Mapping[str, Any]) -> Iterator[Plot]:
    data = _of(result)
    prevalence = np.nanmean(data.truth, axis=0)
    kinds: tuple[tuple[str, str, str, Callable, Callable], ...] = (
        ("roc", "ROC", _AUC, roc_bands, lambda curves, title, _: roc_figure(curves, title)),
        (
            *("precision_recall", "Precision-recall", _AVERAGE_PRECISION, precision_recall_bands),
            lambda curves, title, share: precision_recall_figure(curves, share, title),
        ),
    )
    for section, kind, metric, bands_of, draw in kinds:
        bands = [bands_of(data.truth, scores, **redrawn) for scores in data.scores]
        tested = [i for i in range(len(data.labels)) if bands[0][i] is not None]
        for i in sorted(range(len(bands[0])), key=lambda i: i < len(data.labels)):
            curves = {model: of_model[i] for model, of_model in zip(data.models, bands, strict=True) if of_model[i]}
            if curves:
                mean = i == len(data.labels)
                label = MACRO if mean else data.labels[i]
                title = f"{of_set}mean of {len(tested)} labels" if mean else f"{of_set}{label}"
                share = float(np.mean(prevalence[tested])) if mean else float(prevalence[i])
                alt = f"{kind} curves with 95 % bands, {title}. {_in_words(result, metric, label)}"
                name = f"{section}_{_file_name(of_set + label)}"
                yield Plot(section, name, title, draw(curves, title, share), alt, mean or len(data.labels) == 1)


def _reliability(result: ModelRedraws, of_set: str, redrawn: Mapping[str, Any]) -> Iterator[Plot]:
    data = _of(result)
    fit = [model for model, probabilities in zip(data.models, data.probabilities, strict=True) if probabilities]
    bands = {model: reliability_bands(data.truth, data.scores[data.models.index(model)], **redrawn) for model in fit}
    for i, label in enumerate(data.labels):
        curves = {model: tables[i] for model, tables in bands.items() if tables[i]["images"].sum()}
        if curves:
            alt = f"Reliability curves, {of_set}{label}. {_in_words(result, _CALIBRATION_ERROR, label)}"
            figure = reliability_figure(curves, f"{of_set}{label}")
            name = f"reliability_{_file_name(of_set + label)}"
            yield Plot("reliability", name, f"{of_set}{label}", figure, alt, len(data.labels) == 1)


def _of(result: ModelRedraws) -> AlignedPredictions:
    if result.data is None:
        raise ValueError("a mean over data sets has no predictions of its own, so there is no curve to draw")
    return result.data


def _in_words(result: ModelRedraws, metric: str, label: str) -> str:
    """The metric of each model, where it was asked for."""
    if metric not in result.metrics:
        return ""
    k, i = result.metrics.index(metric), result.labels.index(label)
    told = [(result.values[m, k, i], result.ends_of(m, k, i)) for m in range(len(result.models))]
    texts = [decimals(value) if np.isnan(ends["low"]) else interval_text(value, ends) for value, ends in told]
    values = "; ".join(f"{model} {text}" for model, text in zip(result.models, texts, strict=True))
    return f"{metric_text(metric)}, {label_text(label)}: {values}"


def _file_name(text: str) -> str:
    """Fit for any file system and for an id."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").lower() or "label"
