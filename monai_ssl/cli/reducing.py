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

"""`python -m monai_ssl reduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_ssl.cli.application import given
from monai_ssl.cli.options import ORDER, Backbone, Checkpoint, Reduce, Scheduler, Seed, Workers


def reduce_command(
    store_dir: Annotated[Path, typer.Argument(metavar="STORE", help="A slice store, best one of --reduce all.")],
    reduce: Reduce,
    scope: Annotated[
        str | None,
        typer.Option(
            help="Within what slices may stand for one another: volume; patient or dataset for dhash and embedding.",
            show_default="volume",
        ),
    ] = None,
    order: Annotated[str | None, typer.Option(help=ORDER, show_default="as sliced")] = None,
    seed: Seed = None,
    target_fraction: Annotated[
        float | None,
        typer.Option(
            help="Find the number that keeps this share of slices; --reduce then takes the name alone.",
            show_default="the number in --reduce",
            metavar="SHARE",
        ),
    ] = None,
    backbone: Backbone = None,
    checkpoint: Checkpoint = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Choose anew which slices of a store are kept; no slice is written or deleted."""
    from monai_ssl.data import reduce_store
    from monai_ssl.report import build_reduction_report

    options = given(
        scope=scope,
        order=order,
        seed=seed,
        target_fraction=target_fraction,
        backbone=backbone,
        checkpoint=checkpoint,
        workers=workers,
        scheduler=scheduler,
    )
    store = reduce_store(store_dir, reduce, **options)
    settings, counts = store.settings["reduction"], store.settings["counts"]
    typer.echo(
        f"{settings['strategy']} within each {settings['scope']}: {counts['kept']} of {counts['slices']} slices kept "
        f"({counts['kept'] / counts['slices']:.1%}): {store.path}"
    )
    typer.echo(f"what the reduction did: {build_reduction_report(store.path)}")
