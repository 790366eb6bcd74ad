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

from pathlib import Path
from typing import Annotated

import typer

from monai_ssl.cli.application import given


def compare_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_A RUN_B [...]", help="Run folders with predictions.csv.")],
    output: Annotated[Path, typer.Option(help="Folder for report.html, comparison.csv and report.json.")],
    redraws: Annotated[int | None, typer.Option(help="Bootstrap redraws.", show_default="1000", metavar="N")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the redraws.", show_default="0", metavar="N")] = None,
    store: Annotated[Path | None, typer.Option(help="Slice store, for the contact sheet.")] = None,
    pretraining: Annotated[Path | None, typer.Option(help="Run folder of the pre-training, for its curves.")] = None,
) -> None:
    """Compare runs on the test set with paired statistics, and write a report."""
    from monai_ssl.report import compare_runs

    report = compare_runs(runs, output, **given(redraws=redraws, seed=seed, store=store, pretraining=pretraining))
    typer.echo(f"report: {report}")
