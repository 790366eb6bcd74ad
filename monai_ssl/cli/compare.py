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

"""`python -m monai_ssl compare`."""

from __future__ import annotations

import json
import shutil
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from monai_ssl.cli.application import given

_READABLE = 100  # columns; longer lines are hard to follow


def compare_command(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="Run folder or predictions.csv: PATH, MODEL=PATH to name it, or MODEL@DATASET=PATH with several data "
            "sets.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for report.html, tables, methods.txt and figures as SVG.")],
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Some of auc, average_precision, sensitivity_at_specificity:0.9 (or another one), sensitivity, "
            "specificity, f1, accuracy, brier, calibration_error; with commas; the first one heads the report.",
            show_default="all",
            metavar="NAMES",
        ),
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help="percentile or bca.", show_default="percentile", metavar="KIND")
    ] = None,
    stratify: Annotated[
        bool, typer.Option("--stratify", help="Redraw patients within strata of their rarest label.")
    ] = False,
    redraws: Annotated[int | None, typer.Option(help="Bootstrap redraws.", show_default="1000", metavar="N")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the redraws.", show_default="0", metavar="N")] = None,
    split: Annotated[
        str | None, typer.Option(help="Rows of the predictions to use.", show_default="test", metavar="NAME")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Slice store, for the contact sheet.")] = None,
    pretraining: Annotated[Path | None, typer.Option(help="Run folder of the pre-training, for its curves.")] = None,
) -> None:
    """Compare runs on the test set with paired statistics, and write a report."""
    from monai_ssl.report import compare_runs

    names = None if metrics is None else [name.strip() for name in metrics.split(",")]
    options = given(metrics=names, interval=interval, redraws=redraws, seed=seed, split=split, store=store)
    report = compare_runs(runs, output, **options, **given(stratify=stratify or None, pretraining=pretraining))
    width = min(shutil.get_terminal_size().columns, _READABLE)
    for sentence in json.loads(report.with_name("report.json").read_text(encoding="utf-8"))["summary"]:
        typer.echo(textwrap.fill(sentence, width))
    typer.echo(f"report: {report}, beside it comparison.csv, models.csv, report.json, methods.txt and figures/")
