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

"""`python -m monai_ssl saliency`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_ssl.cli.application import given


def saliency_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of a fine-tuning.")],
    boxes: Annotated[
        Path | None, typer.Option(help="Boxes of lesions: ChestX-ray14's BBox_List_2017.csv, or a csv of your own.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of PNG masks of lesions, named as the images; a folder per label.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of predictions.csv.", show_default="test")] = None,
    method: Annotated[str | None, typer.Option(help="gradcam or occlusion.", show_default="gradcam")] = None,
    limit: Annotated[int | None, typer.Option(help="Images per label.", show_default="all", metavar="N")] = None,
    dataset_dir: Annotated[
        Path | None, typer.Option(help="Where the images lie now.", show_default="where the run says")
    ] = None,
) -> None:
    """Show where a trained classifier looks, and score it against boxes or masks of the lesions."""
    from monai_ssl.saliency import saliency_of_run

    options = given(boxes=boxes, masks=masks, split=split, method=method, limit=limit, dataset_dir=dataset_dir)
    table = saliency_of_run(run, **options)
    scored = table["dice"].notna()
    typer.echo(
        f"{len(table)} maps, {int(scored.sum())} scored, {int(table['empty_map'].sum())} empty: {run / 'saliency.csv'}"
    )
    for label, rows in table[scored].groupby("label", sort=False):
        typer.echo(
            f"{label}: Dice {rows['dice'].mean():.3f} (the middle: {rows['centre_dice'].mean():.3f}), points into "
            f"{rows['hit'].mean():.0%} of {len(rows)} (the middle: {rows['centre_hit'].mean():.0%}, chance: "
            f"{rows['truth_share'].mean():.0%})"
        )
    if scored.any():
        typer.echo(f"with intervals by patient: {run / 'saliency_summary.csv'}")
    typer.echo(f"examples: {run / 'saliency.png'}")
