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

"""The report's figures as elements to stand inside the page: SVG for curves, PNG for slices, each with its alt text."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from monai_ssl.metrics import ModelRedraws, roc_bands
from monai_ssl.report.words import decimals, interval_text
from monai_ssl.visualize import (
    axis_strip,
    curve_figure,
    curve_names,
    exemplar_images,
    exemplar_table,
    figure_to_svg,
    roc_figure,
    typical_volume,
)
from monai_ssl.visualize.contact_sheet import caption
from monai_ssl.visualize.figures import GRID, INK, MODEL_COLORS, SOFT

__all__ = ["Picture", "curve_pictures", "roc_pictures", "slice_pictures"]

# The page sets these variables, for bright and for dark.
_VARIABLES = {INK: "var(--ink)", SOFT: "var(--dim)", GRID: "var(--line)"} | {
    color: f"var(--model-{position})" for position, color in enumerate(MODEL_COLORS)
}


@dataclass(frozen=True)
class Picture:
    """One figure: its caption, and either an SVG element or a PNG data URI with alt text."""

    caption: str
    svg: Markup | None = None
    png: str | None = None
    alt: str = ""


def roc_pictures(result: ModelRedraws, redraws: int, seed: int) -> list[Picture]:
    """The mean over labels first, where there are several, then one panel for each label with both classes."""
    data = result.data
    bands = [roc_bands(data.truth, scores, redraws, data.patients, seed) for scores in data.scores]
    order = sorted(range(len(result.labels)), key=lambda i: i < len(data.labels))
    intervals = result.intervals().set_index(["model", "label"])
    pictures = []
    for i in order:
        label = result.labels[i]
        curves = {model: band for model, of_model in zip(data.models, bands, strict=True) if (band := of_model[i])}
        if not curves:
            continue
        tested = sum(band is not None for band in bands[0][: len(data.labels)])
        title = f"Mean of {tested} labels" if i == len(data.labels) else label
        values = "; ".join(
            f"{model} AUC {interval_text(row['value'], row)}"
            for model, row in ((model, intervals.loc[(model, label)]) for model in curves)
        )
        alt = f"ROC curves with 95 % bands, {title}: {values}"
        pictures.append(Picture(title, _svg(roc_figure(curves, title), f"roc-{i}", alt)))
    return pictures


def curve_pictures(metrics: Mapping[str, pd.DataFrame], name: str) -> list[Picture]:
    """One panel per numeric series of the runs; `name` keeps the ids of several groups apart."""
    pictures = []
    for number, series in enumerate(curve_names(metrics)):
        ends = "; ".join(
            f"{run} from {decimals(values.iloc[0])} to {decimals(values.iloc[-1])}"
            for run, table in metrics.items()
            if series in table.columns and len(values := table[series].dropna())
        )
        alt = f"{series.replace('_', ' ')} over training: {ends}"
        pictures.append(Picture(series, _svg(curve_figure(metrics, series), f"{name}-{number}", alt)))
    return pictures


def slice_pictures(store: Any, limit: int) -> tuple[list[Picture], list[Picture]]:
    """The strip along the axis of the most typical volume, and its exemplars as thumbnails."""
    volume = typical_volume(store.table)
    exemplars = exemplar_table(store.table, volume, limit)
    rows = store.table[store.table["volume"].astype(str) == volume]
    alt = f"{int(rows['kept'].sum())} of {len(rows)} slices of one volume kept, along its axis"
    strip = Picture("along the axis", _svg(axis_strip(store.table, volume), "strip", alt))
    images = exemplar_images(store, exemplars["slice"].tolist(), size=224)
    tiles = []
    for image, exemplar in zip(images, exemplars.itertuples(), strict=True):
        text = caption(exemplar)
        tiles.append(Picture(text, png=_png(image), alt=f"Kept {text}"))
    return [strip], tiles


def _svg(figure: Figure, name: str, alt: str) -> Markup:
    svg = figure_to_svg(figure, name, alt)
    return Markup(re.sub("|".join(_VARIABLES), lambda found: _VARIABLES[found.group()], svg))


def _png(image: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
