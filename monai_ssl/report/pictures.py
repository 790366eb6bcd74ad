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

"""The report's figures as elements to stand inside the page: SVG curves, JPEG slices, each with its alt text."""

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
    dropped_table,
    exemplar_images,
    exemplar_table,
    figure_to_svg,
    roc_figure,
    typical_volume,
)
from monai_ssl.visualize.contact_sheet import caption, dropped_caption
from monai_ssl.visualize.figures import GRID, INK, MODEL_COLORS, SOFT

__all__ = ["Picture", "curve_pictures", "roc_pictures", "slice_pictures"]

# The page sets these variables, for bright and for dark.
_VARIABLES = {INK: "var(--ink)", SOFT: "var(--dim)", GRID: "var(--line)"} | {
    color: f"var(--model-{position})" for position, color in enumerate(MODEL_COLORS)
}


@dataclass(frozen=True)
class Picture:
    """
    One figure: its caption, and either an SVG element or an image as data URI with alt text.

    Attributes:
        beside: of an exemplar, the dropped slices to stand beside it.
    """

    caption: str
    svg: Markup | None = None
    image: str | None = None
    alt: str = ""
    beside: tuple[Picture, ...] = ()


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


def slice_pictures(
    store: Any, limit: int, dropped_from: Any = None, each: int = 0
) -> tuple[list[Picture], list[Picture]]:
    """
    The strip along the axis of the most typical volume, and its exemplars as thumbnails.

    Args:
        store: a :py:class:`monai_ssl.data.SliceStore`.
        limit: exemplars shown at most.
        dropped_from: a store of the same volumes that holds what `store` dropped, or None.
        each: dropped slices at most beside an exemplar.
    """
    volume = typical_volume(store.table)
    exemplars = exemplar_table(store.table, volume, limit)
    dropped = dropped_table(store.table, volume, exemplars["slice"], 0 if dropped_from is None else each)
    rows = store.table[store.table["volume"].astype(str) == volume]
    alt = f"{int(rows['kept'].sum())} of {len(rows)} slices of one volume kept, along its axis"
    strip = Picture("along the axis", _svg(axis_strip(store.table, volume), "strip", alt))
    names = [*exemplars["slice"], *dropped["slice"]]
    images = map(_jpeg, exemplar_images(store, names, size=224, dropped_from=dropped_from))
    image_of = dict(zip(names, images, strict=True))
    tiles = []
    for exemplar in exemplars.itertuples():
        text = caption(exemplar)
        beside = tuple(
            Picture(
                dropped_caption(row),
                image=image_of[row.slice],
                alt=f"Dropped slice {row.index}, distance {row.distance:.3g} from slice {exemplar.index}",
            )
            for row in dropped[dropped["exemplar"] == exemplar.slice].itertuples(index=False)
        )
        tiles.append(Picture(text, image=image_of[exemplar.slice], alt=f"Kept {text}", beside=beside))
    return [strip], tiles


def _svg(figure: Figure, name: str, alt: str) -> Markup:
    svg = figure_to_svg(figure, name, alt)
    return Markup(re.sub("|".join(_VARIABLES), lambda found: _VARIABLES[found.group()], svg))


def _jpeg(image: Any) -> str:
    # A third of a PNG's bytes for the noise of real CT, and 40 pictures must go into one page.
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
