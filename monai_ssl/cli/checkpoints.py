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

"""`python -m monai_ssl checkpoints`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def checkpoints_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE ...]", help="Checkpoints; none to list what is known.", show_default=False),
    ] = None,
) -> None:
    """Say what checkpoint files are and which backbone they fit; without a file, list the layouts that are known."""
    from monai_ssl.cli.checkpoints_table import inspection_text, print_catalogue
    from monai_ssl.networks import inspect_checkpoint

    if not files:
        print_catalogue()
        return
    refused = False
    for file in files:
        try:
            typer.echo(inspection_text(inspect_checkpoint(file)))
        except (ValueError, OSError) as error:
            refused = True
            typer.echo(f"error: {error}", err=True)
    if refused:
        raise typer.Exit(2)
