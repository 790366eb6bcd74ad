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

"""`python -m monai_ssl phantoms`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_ssl.cli.application import given


def phantoms_command(
    output_dir: Annotated[Path, typer.Argument(metavar="OUTPUT", help="New folder for the phantoms and labels.csv.")],
    patients: Annotated[
        int | None, typer.Option(help="How many patients, half of them with nodules.", show_default="24", metavar="N")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed draws other patients.", show_default="0", metavar="N")
    ] = None,
) -> None:
    """Draw the embedded sample: CT phantoms with and without lung nodules, as DICOM and NIfTI, with labels."""
    from monai_ssl.data.phantoms import make_phantoms

    make_phantoms(output_dir, **given(patients=patients, seed=seed))
    typer.echo(f"phantoms and their labels: {output_dir}")
