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

"""What the report's template needs beside the numbers: rows in order, scales, headings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monai_ssl.metrics import MACRO, MEAN, MICRO
from monai_ssl.metrics.names import AT_THRESHOLD
from monai_ssl.report.page import Picture, render, setting_rows
from monai_ssl.report.words import decimals, defined_metrics, dropped_text, label_text, metric_text, p_text, rows_of
from monai_ssl.visualize.figures import MODEL_COLORS

__all__ = ["render_report"]

_MEANS = (MACRO, MICRO)
_MANY = 6  # graphs that still stand open
_LONG = 60  # rows of a table that still stands open
_GRAPHS = (
    "forest",
    "roc",
    "precision_recall",
    "reliability",
    "saliency",
    "training",
    "pretraining",
    "strip",
    "exemplars",
)
_MEASURES = {"dice": "Dice", "iou": "IoU", "hit": "pointing game", "pixel_auc": "AUC over pixels"}
_HEADINGS = {
    "roc": ("roc", "ROC curves"),
    "precision_recall": ("precision-recall", "Precision and recall"),
    "reliability": ("reliability", "Reliability"),
    "saliency": ("saliency", "Where the models look"),
}


def render_report(numbers: Mapping[str, Any], pictures: Mapping[str, Sequence[Picture]]) -> str:
    """
    The page.

    Args:
        numbers: the content of `report.json`.
        pictures: by section; one that is missing is empty.

    Returns:
        HTML.
    """
    shown = {name: list(pictures.get(name, [])) for name in _GRAPHS}
    runs, reduction, before = numbers["runs"], numbers["reduction"], numbers["pretraining"]
    names = list(dict.fromkeys(run["name"] for run in runs))
    metric = numbers["headline"]["metric"]
    known = defined_metrics(numbers["models"])
    # of a metric without any value the caveats say why
    metrics = [name for name in numbers["metrics"] if name in known]
    compared = _means_first(rows_of(numbers["comparisons"], metric=metric))
    tested = defined_metrics(numbers["comparisons"], "difference")
    others = [
        row
        for row in numbers["comparisons"]
        if row["metric"] in tested - {metric}
        and (row["label"] in _MEANS or len(numbers["data_sets"][0]["labels"]) == 1)
    ]
    headline = rows_of(numbers["models"], **numbers["headline"])
    return render(
        "report.html.j2",
        {
            "data_set_text": lambda name: "mean of all" if name == MEAN else name,
            "decimals": decimals,
            "dropped_text": dropped_text,
            "label_text": label_text,
            "measure_text": lambda name: _MEASURES.get(name, name),
            "metric_text": metric_text,
            "p_text": p_text,
        },
        sortable=True,
        numbers=numbers,
        pictures=shown,
        sections=_sections(numbers, shown),
        names=names,
        columns=[run["column"] for run in runs],
        colors={run["column"]: names.index(run["name"]) % len(MODEL_COLORS) for run in runs}
        | {name: position % len(MODEL_COLORS) for position, name in enumerate(names)},
        means=_MEANS,
        many=_MANY,
        long=_LONG,
        several=any(len(data_set["labels"]) > 1 for data_set in numbers["data_sets"]),
        headline=headline,
        headline_pairs=rows_of(numbers["comparisons"], **numbers["headline"]),
        compared=compared,
        only=compared[0] if compared else None,
        pairs=len({(row["model_a"], row["model_b"]) for row in compared}),
        family_size=sum(row["p_value"] is not None for row in compared),
        delong=any(row["p_delong"] is not None for row in compared),
        others=others,
        mcnemar=any(row["p_mcnemar"] is not None for row in others),
        models=_by_model(numbers, metrics),
        others_corrected=any(row["p_holm"] != row["p_value"] for row in others),
        model_tables=_model_tables(metrics),
        any_left_out=any(
            row["left_out"] for row in rows_of(numbers["models"], metric=metric) if row["value"] is not None
        ),
        localised=[row | {"run": entry["run"]} for entry in numbers["localisation"] for row in entry["scores"]],
        settings=setting_rows([run["settings"] for run in runs]),
        versions=setting_rows([run["versions"] for run in runs]),
        checksums=setting_rows([run["checksums"] for run in runs]),
        earlier=[
            (title, setting_rows([values]))
            for title, values in (
                ("Pre-training", {} if before is None else before["settings"]),
                ("Slicing and reduction", {} if reduction is None else reduction["settings"]),
            )
            if values
        ],
    )


def _sections(numbers: Mapping[str, Any], pictures: Mapping[str, Sequence[Picture]]) -> list[tuple[str, str]]:
    """The anchor and the name of each section that the page has."""
    found = [("summary", "Summary")]
    if numbers["comparisons"]:
        found.append(("differences", "Differences"))
    found.append(("models-each", "Each model"))
    found += [heading for name, heading in _HEADINGS.items() if pictures[name]]
    if pictures["training"] or pictures["pretraining"]:
        found.append(("training", "Training"))
    if numbers["reduction"]:
        found.append(("slices", "Slices"))
    return [*found, ("settings", "Settings"), ("method", "Method")]


def _means_first(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The mean over data sets before them, and that over labels before those."""
    return sorted(rows, key=lambda row: (row["data_set"] != MEAN, row["label"] not in _MEANS))


def _model_tables(metrics: Sequence[str]) -> list[dict[str, Any]]:
    """The metrics in tables that fit a page."""
    parts = (
        ("models", [name for name in metrics if name not in AT_THRESHOLD]),
        ("models-at-threshold", [name for name in metrics if name in AT_THRESHOLD]),
    )
    return [{"id": name, "metrics": part} for name, part in parts if part]


def _by_model(numbers: Mapping[str, Any], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """An entry per data set, label and model, with the row of each metric."""
    entries: dict[tuple, dict[str, Any]] = {}
    for row in _means_first(row for row in numbers["models"] if row["metric"] in metrics):
        key = {name: row[name] for name in ("data_set", "label", "model")}
        entries.setdefault(tuple(key.values()), key | {"rows": []})["rows"].append(row)
    places = {label: place for place, label in enumerate(dict.fromkeys(row["label"] for row in numbers["models"]))}
    return sorted(
        entries.values(),
        key=lambda entry: (
            entry["data_set"] != MEAN,
            entry["data_set"],
            entry["label"] not in _MEANS,
            places[entry["label"]],
        ),
    )
