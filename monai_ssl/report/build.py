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

"""From run folders to `comparison.csv`, `report.json`, graphs and one self-contained `report.html`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from monai_ssl.data import SliceStore
from monai_ssl.files import atomic_path, lock_folder, write_json, write_table
from monai_ssl.metrics import METRICS, pair_table, redraw_data_sets
from monai_ssl.metrics.bootstrap import check_interval
from monai_ssl.metrics.names import check_metrics
from monai_ssl.report.dropped import find_dropped
from monai_ssl.report.localisation import saliency_pictures
from monai_ssl.report.numbers import report_numbers, with_interval
from monai_ssl.report.page import Picture, embed_drawn
from monai_ssl.report.pictures import show_slices
from monai_ssl.report.plots import SECTIONS, Plot, curve_plots, forest_plots, performance_plots, unique_names
from monai_ssl.report.runs import Run, read_run, read_runs
from monai_ssl.report.view import render_report

__all__ = ["build_report", "compare_runs"]

_FIGURES = "figures"


def compare_runs(
    runs: Sequence[str | os.PathLike],
    output_dir: str | os.PathLike,
    *,
    metrics: Sequence[str] = METRICS,
    redraws: int = 1000,
    seed: int = 0,
    split: str = "test",
    stratify: bool = False,
    interval: str = "percentile",
    store: str | os.PathLike | None = None,
    pretraining: str | os.PathLike | None = None,
) -> Path:
    """
    Compare finished runs and write the report, replacing an earlier one.

    It is `report.html`, with the numbers in `report.json`, `comparison.csv` and `models.csv`, the graphs as SVG in
    `figures/`, and a methods paragraph in `methods.txt`. One run alone is allowed: it gets intervals and no comparison.
    Nothing that names a patient or an image is written.

    Args:
        runs: run folders (`predictions.csv`, and `metrics.jsonl` and `settings.json` where there) or predictions files,
            as PATH, MODEL=PATH or MODEL@DATASET=PATH. The first ones of a pair are "a": differences are first minus
            second.
        output_dir: made when absent.
        metrics: names, see :py:func:`monai_ssl.metrics.compare`; the first one heads the report.
        redraws: of the bootstrap.
        seed: of the redraws.
        split: rows of the predictions to use.
        stratify: draw as many patients of each label as the data have.
        interval: that the report shows, "percentile" or "bca"; `comparison.csv` has both of the differences.
        store: the slice store the images came from, for what reduction kept and dropped. Where the `dataset_dir` of a
            run is a store of the same volumes that holds the dropped slices, they are shown too.
        pretraining: run folder of the self-supervised run, for its loss and settings.

    Returns:
        The path of `report.html`.

    Raises:
        ValueError: when runs cannot be read or compared; all problems are named, before anything is written.

    Example:
        >>> compare_runs(["runs/swav", "runs/scratch"], "report", store="slices")  # doctest: +SKIP
    """
    names = check_metrics(metrics)
    check_interval(interval)
    read = read_runs(runs, split)
    before = None if pretraining is None else read_run(pretraining, "pre-training", predictions=False)
    slices = None if store is None else SliceStore.open(store)
    tables, thresholds = _by_data_set(read)
    results = redraw_data_sets(tables, names, redraws, seed, split, stratify, thresholds)
    comparisons = pair_table(results)
    reduction, strip, tiles = (None, [], []) if slices is None else show_slices(slices, *find_dropped(slices, read))
    numbers = report_numbers(
        results,
        comparisons,
        read,
        seed=seed,
        split=split,
        stratified=stratify,
        interval=interval,
        pretraining=before,
        reduction=reduction,
    )
    plots = unique_names(
        [
            *forest_plots(with_interval(comparisons, interval)),
            *performance_plots(results, seed, stratify),
            *curve_plots({run.column: run.metrics for run in read}, "training"),
            *([] if before is None else curve_plots({before.name: before.metrics}, "pretraining")),
        ]
    )
    page = build_report(
        numbers,
        plots,
        {"strip": strip, "exemplars": tiles, "saliency": saliency_pictures({run.column: run.looked for run in read})},
    )
    output = Path(output_dir)
    with lock_folder(output), _all_at_once(output) as new:
        write_table(new / "comparison.csv", comparisons)
        write_table(new / "models.csv", pd.concat([result.intervals() for result in results], ignore_index=True))
        write_json(new / "report.json", numbers)
        _write_text(new / "methods.txt", numbers["methods"] + "\n")
        _write_text(new / "report.html", page)
        for plot in plots:
            plot.drawn.save(new / _FIGURES / f"{plot.name}.svg", plot.alt)
    return output / "report.html"


def build_report(
    numbers: Mapping[str, Any], plots: Sequence[Plot], pictures: Mapping[str, Sequence[Picture]] | None = None
) -> str:
    """
    Render the page: one file, nothing fetched from anywhere, and no script but the one that sorts tables.

    Args:
        numbers: the content of `report.json`; every number on the page comes from it.
        plots: the graphs; a section without any is left out.
        pictures: of slices, by section: "strip", "exemplars", "saliency".

    Returns:
        HTML.
    """
    embedded: dict[str, list[Picture]] = {name: list(shown) for name, shown in (pictures or {}).items()}
    for plot in plots:
        picture = Picture(plot.caption, embed_drawn(plot.drawn, plot.name, plot.alt), main=plot.main)
        embedded.setdefault(plot.section, []).append(picture)
    return render_report(numbers, embedded)


def _by_data_set(
    runs: Sequence[Run],
) -> tuple[dict[str, dict[str, pd.DataFrame]], dict[str, dict[str, Mapping[str, float]]]]:
    """Predictions and thresholds by data set and model."""
    tables: dict[str, dict[str, pd.DataFrame]] = {}
    thresholds: dict[str, dict[str, Mapping[str, float]]] = {}
    for run in runs:
        if run.predictions is not None:
            tables.setdefault(run.data_set, {})[run.name] = run.predictions
        if run.thresholds is not None:
            thresholds.setdefault(run.data_set, {})[run.name] = run.thresholds
    return tables, thresholds


@contextmanager
def _all_at_once(output: Path) -> Iterator[Path]:
    """
    A folder whose files replace those of an earlier report when the block ends without an error.

    A full disk, or a kill during the writing, leaves the earlier report whole. Of its figures those that have no
    successor go; other files stay.
    """
    new = output / ".new"
    shutil.rmtree(new, ignore_errors=True)
    try:
        yield new
        old = [path for path in (output / _FIGURES).glob("*.svg") if path.stem.startswith(SECTIONS)]
        for path in old:
            if not (new / _FIGURES / path.name).exists():
                path.unlink()
        for path in sorted(new.rglob("*.*"), key=lambda path: path.name == "report.html"):
            place = output / path.relative_to(new)
            place.parent.mkdir(exist_ok=True)
            path.replace(place)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _write_text(path: Path, text: str) -> None:
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
