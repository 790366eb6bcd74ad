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

"""`python -m monai_ssl export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_ssl.cli.application import given
from monai_ssl.cli.options import Workers, numbers


def export_command(
    store_dir: Annotated[Path, typer.Argument(metavar="STORE", help="A slice store.")],
    output_dir: Annotated[Path, typer.Argument(metavar="OUTPUT", help="New folder for the images and labels.csv.")],
    window: Annotated[
        str,
        typer.Option(
            help="lung, mediastinum, abdomen, bone or brain; LOW,HIGH in HU; or minmax for what has no HU, such as MR.",
            metavar="WINDOW",
        ),
    ],
    workers: Workers = None,
) -> None:
    """Write the kept slices of a store as 8-bit PNG through a window; the store keeps its HU."""
    from monai_ssl.data import SliceStore, export_png

    store = SliceStore.open(store_dir)
    limits = numbers("--window", window, (2,)) if "," in window else window
    export_png(store, output_dir, limits, **given(workers=workers))  # type: ignore[arg-type]
    typer.echo(f"{len(store)} images, window {window}: {output_dir}")
