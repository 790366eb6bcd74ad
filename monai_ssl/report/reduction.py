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

"""From a slice store to `reduction.html` and `reduction.png`: what its reduction kept and dropped."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_ssl.data import SliceStore
from monai_ssl.data.slice_again import reduce_again, slice_again
from monai_ssl.files import atomic_path
from monai_ssl.report.page import Picture, render, setting_rows
from monai_ssl.report.pictures import show_slices
from monai_ssl.report.reduction_graphs import FEW_VOLUMES, graph_draws, graph_elements
from monai_ssl.report.reduction_numbers import ReductionCounts, count_reduction, reduction_numbers
from monai_ssl.report.reduction_pictures import ShownSlices, far_pairs, volume_rows
from monai_ssl.report.reduction_words import (
    axis_words,
    percent,
    reduction_caveats,
    reduction_sentences,
    threshold_words,
    window_words,
)
from monai_ssl.report.words import beside_text
from monai_ssl.visualize import typical_volume
from monai_ssl.visualize.reduction_curves import overview_figure

__all__ = ["build_reduction_report"]

_DPI = 150


def build_reduction_report(store: str | os.PathLike, *, thresholds: Mapping[float, float] | None = None) -> Path:
    """
    Show what reduction did to a slice store: `reduction.html`, a self-contained page, and `reduction.png`, its graphs.

    Both are written into the store, replacing earlier ones, and name nobody. Of a large store the tables are counted
    whole, and the pixels of a few volumes are read.

    Args:
        store: a finished slice store.
        thresholds: the share of slices, 0 to 1, that other thresholds of its strategy would keep. None to find out from
            the hashes in the store, where it was reduced by `dhash` or not at all; of a large store from a sample.

    Returns:
        The path of `reduction.html`.

    Raises:
        ValueError: when the store cannot be opened, has no slices or keeps none.
        OSError: when the store cannot be written.

    Example:
        >>> build_reduction_report("slices")  # doctest: +SKIP
        PosixPath('slices/reduction.html')
    """
    opened = SliceStore.open(store)
    counts = count_reduction(opened, thresholds)
    numbers = reduction_numbers(opened, counts)
    page = _page(opened, counts, numbers)
    title = f"{numbers['strategy']}: {reduction_sentences(numbers)[0]}"
    overview = overview_figure(list(graph_draws(counts).values()), title)
    with atomic_path(opened.path / "reduction.png") as partial:
        overview.savefig(partial, format="png", dpi=_DPI)
    with atomic_path(opened.path / "reduction.html") as partial:
        partial.write_text(page, encoding="utf-8")
    return opened.path / "reduction.html"


def _page(store: SliceStore, counts: ReductionCounts, numbers: dict[str, Any]) -> str:
    stored = ShownSlices(store)
    volume = typical_volume(store.table)
    window = stored.window(volume)
    dropped_from = stored if numbers["dropped_stored"] else None
    section, strip, tiles = show_slices(store, dropped_from, None, (window.low, window.high))
    most, least = volume_rows(stored, counts.volumes)
    pairs: list[Picture] = far_pairs(stored)
    return render(
        "reduction.html.j2",
        {"percent": percent},
        numbers=numbers,
        sentences=reduction_sentences(numbers),
        caveats=reduction_caveats(numbers),
        graphs=graph_elements(counts),
        counts=counts,
        few=len(counts.volumes) <= FEW_VOLUMES,
        along_text=axis_words(counts.axis),
        threshold_text=threshold_words(counts.strategy, counts.shares.empty, counts.sample, counts.scope),
        volume=volume,
        section=section,
        beside=beside_text(section),
        window_text=window_words(stored.windows),
        again=_again(store.settings),
        strip=strip,
        tiles=tiles,
        pairs=pairs,
        most=most,
        least=least,
        settings=setting_rows([numbers["settings"]]),
        versions=setting_rows([numbers["versions"]]),
        colors={},
    )


def _again(settings: dict[str, Any]) -> tuple[str, str]:
    """The commands that give a store reduced alike which holds the dropped slices too."""
    # A strategy that looks at pixels saw them before they were resized.
    whole = {**settings, "arguments": {**settings["arguments"], "resize": None}}
    return slice_again(Path("THIS_STORE"), whole, "OTHER_STORE"), reduce_again(settings, "OTHER_STORE")
