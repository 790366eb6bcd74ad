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

"""`python -m monai_ssl check`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from monai_ssl.cli.application import given
from monai_ssl.cli.options import (
    Include,
    MaxGib,
    Modality,
    PatientFolders,
    Preset,
    Source,
    SplitTime,
    Workers,
    preset_arguments,
)

_NOTHING_TO_SLICE = 2


def check_command(
    path: Source,
    headers_only: Annotated[
        bool | None,
        typer.Option("--headers-only", help="Do not read the voxels: fast, but blind to damage in them."),
    ] = None,
    preset: Preset = None,
    include: Include = None,
    modality: Modality = None,
    patient_folders: PatientFolders = None,
    split_time: SplitTime = None,
    max_gib: MaxGib = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print all rows as CSV, for a spreadsheet.")] = False,
    workers: Workers = None,
) -> None:
    """Say what `slice` would make of each series, without writing anything."""
    from monai_ssl.cli.check_table import print_table, summary
    from monai_ssl.data import check_volumes
    from monai_ssl.data.selection import SELECTION
    from monai_ssl.files import write_rows

    options = given(
        headers_only=headers_only,
        include=tuple(include) if include else None,
        modality=modality,
        patient_folders=patient_folders,
        split_time=split_time,
        max_gib=max_gib,
        workers=workers,
    )
    looked_at = {name: value for name, value in preset_arguments(preset).items() if name in SELECTION}
    table = check_volumes(path, **(looked_at | options))
    if csv:
        write_rows(sys.stdout, table, header=True)
    else:
        print_table(table)
    typer.echo(summary(table), err=csv)
    if headers_only:
        typer.echo("Only headers were read; damage in the voxels is not looked for.", err=csv)
    if (table["verdict"] == "refuse").all():
        raise typer.Exit(_NOTHING_TO_SLICE)
