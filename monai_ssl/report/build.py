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

"""From run folders to `comparison.csv`, `report.json` and one self-contained `report.html`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_ssl.data import SliceStore
from monai_ssl.files import atomic_path, lock_folder, write_json, write_table
from monai_ssl.metrics import redraw_models
from monai_ssl.report.numbers import report_numbers
from monai_ssl.report.page import Picture, render, setting_rows
from monai_ssl.report.pictures import curve_pictures, roc_pictures, show_slices
from monai_ssl.report.runs import find_dropped, read_run, read_runs
from monai_ssl.report.words import decimals, dropped_text, p_text
from monai_ssl.visualize.figures import MODEL_COLORS

__all__ = ["build_report", "compare_runs"]


def compare_runs(
    runs: Sequence[str | os.PathLike],
    output_dir: str | os.PathLike,
    *,
    redraws: int = 1000,
    seed: int = 0,
    split: str = "test",
    store: str | os.PathLike | None = None,
    pretraining: str | os.PathLike | None = None,
) -> Path:
    """
    Compare finished runs and write the report: `comparison.csv`, `report.json`, `report.html`, replacing earlier ones.

    One run alone is allowed: it gets intervals and no comparison. Nothing that names a patient or an image is written.

    Args:
        runs: run folders (`predictions.csv`, and `metrics.jsonl` and `settings.json` where there) or predictions files.
            The first ones of a pair are "a": differences are first minus second.
        output_dir: made when absent.
        redraws: of the bootstrap.
        seed: of the redraws.
        split: rows of the predictions to use.
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
    read = read_runs(runs, split)
    before = None if pretraining is None else read_run(pretraining, "pre-training", predictions=False)
    slices = None if store is None else SliceStore.open(store)
    result = redraw_models(
        {run.name: run.predictions for run in read if run.predictions is not None}, redraws, seed, split
    )
    reduction, strip, tiles = (None, [], []) if slices is None else show_slices(slices, *find_dropped(slices, read))
    numbers = report_numbers(result, read, seed, split, before, reduction)
    pictures = {
        "roc": roc_pictures(result, redraws, seed),
        "training": curve_pictures({run.name: run.metrics for run in read}, "training"),
        "pretraining": [] if before is None else curve_pictures({before.name: before.metrics}, "pretraining"),
        "strip": strip,
        "exemplars": tiles,
    }
    page = build_report(numbers, pictures)
    output = Path(output_dir)
    with lock_folder(output):
        write_table(output / "comparison.csv", result.pairs())
        write_json(output / "report.json", numbers)
        with atomic_path(output / "report.html") as partial:
            partial.write_text(page, encoding="utf-8")
    return output / "report.html"


def build_report(numbers: Mapping[str, Any], pictures: Mapping[str, Sequence[Picture]]) -> str:
    """
    Render the page: one file, no script, nothing fetched from anywhere.

    Args:
        numbers: the content of `report.json`; every number on the page comes from it.
        pictures: by section: "roc", "training", "pretraining", "strip", "exemplars"; an empty section is left out.

    Returns:
        HTML.
    """
    runs = numbers["runs"]
    reduction, before = numbers["reduction"], numbers["pretraining"]
    return render(
        "report.html.j2",
        {"decimals": decimals, "dropped_text": dropped_text, "p_text": p_text},
        numbers=numbers,
        pictures=pictures,
        names=[run["name"] for run in runs],
        colors={run["name"]: position % len(MODEL_COLORS) for position, run in enumerate(runs)},
        pairs=_by(numbers["comparisons"], "model_a", "model_b"),
        by_label=_by(numbers["models"], "label"),
        largest=_largest_difference(numbers["comparisons"]),
        lowest=_lowest_auc(numbers["models"]),
        settings=setting_rows([run["settings"] for run in runs]),
        versions=setting_rows([run["versions"] for run in runs]),
        earlier=[
            (title, setting_rows([values]))
            for title, values in (
                ("Pre-training", {} if before is None else before["settings"]),
                ("Slicing and reduction", {} if reduction is None else reduction["settings"]),
            )
            if values
        ],
    )


def _by(rows: Sequence[Mapping[str, Any]], *names: str) -> list[list[Mapping[str, Any]]]:
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return list(groups.values())


def _largest_difference(rows: Sequence[Mapping[str, Any]]) -> float:
    ends = [abs(row[end]) for row in rows for end in ("low", "high") if row[end] is not None]
    return max(ends, default=0.0) * 1.05 or 0.01


def _lowest_auc(rows: Sequence[Mapping[str, Any]]) -> float:
    # Down to chance at least, so that a look at the bars tells how far from it a model is.
    return min([0.48, *(row["low"] - 0.02 for row in rows if row["low"] is not None)])
