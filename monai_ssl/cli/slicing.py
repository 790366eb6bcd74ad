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

"""`python -m monai_ssl slice`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monai_ssl.cli.application import given
from monai_ssl.cli.options import (
    ORDER,
    Backbone,
    Checkpoint,
    Include,
    MaxGib,
    Modality,
    PatientFolders,
    Preset,
    Scheduler,
    Seed,
    Source,
    SplitTime,
    Workers,
    counted,
    numbers,
    preset_arguments,
)


def slice_command(
    input_dir: Source,
    output_dir: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="Folder of the store; new unless with --update.")
    ],
    preset: Preset = None,
    reduce: Annotated[
        str | None,
        typer.Option(
            help="How near-duplicate slices of a volume are dropped: all, every_n:N, random:FRACTION, dhash:T, ssim:T, "
            "mi:T, embedding:T.",
            show_default="dhash:6",
        ),
    ] = None,
    order: Annotated[str | None, typer.Option(help=ORDER, show_default="position")] = None,
    seed: Seed = None,
    axis: Annotated[str | None, typer.Option(help="axial, coronal or sagittal.", show_default="axial")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Csv of labels by patient, by series, or by series and position_mm.", metavar="CSV"),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(
            help="Resample volumes to MM between voxels, one number or X,Y,Z.",
            show_default="as in the source",
            metavar="MM",
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            help="Window of the 8-bit images that are compared: lung, ..., or LOW,HIGH; stored values stay.",
            show_default="each slice's minimum and maximum",
        ),
    ] = None,
    backbone: Backbone = None,
    checkpoint: Checkpoint = None,
    resize: Annotated[
        int | None,
        typer.Option(help="Height and width of stored slices in pixels.", show_default="as in the source", metavar="N"),
    ] = None,
    include: Include = None,
    modality: Modality = None,
    patient_folders: PatientFolders = None,
    split_time: SplitTime = None,
    max_gib: MaxGib = None,
    pseudonym_key: Annotated[
        Path | None,
        typer.Option(
            help="The .pseudonym_key of another store, so that both name patients alike.", show_default="a random key"
        ),
    ] = None,
    identifiers: Annotated[
        bool | None,
        typer.Option("--identifiers", help="Also write identifiers.csv: whom and what each pseudonym stands for."),
    ] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    update: Annotated[
        bool | None,
        typer.Option(
            "--update",
            help="Bring a finished store up to date with INPUT, by the options it was made with: only what is new or "
            "changed is sliced.",
        ),
    ] = None,
) -> None:
    """Turn volumes into a slice store: read, slice, drop near-duplicates, pseudonymise, join labels."""
    from monai_ssl.data import slice_volumes
    from monai_ssl.report import build_reduction_report

    options = preset_arguments(preset) | given(
        reduce=reduce,
        order=order,
        seed=seed,
        axis=axis,
        labels=labels,
        spacing=None if spacing is None else numbers("--spacing", spacing, (1, 3)),
        window=numbers("--window", window, (2,)) if window and "," in window else window,
        backbone=backbone,
        checkpoint=checkpoint,
        resize=resize,
        include=tuple(include) if include else None,
        modality=modality,
        patient_folders=patient_folders,
        split_time=split_time,
        max_gib=max_gib,
        pseudonym_key=pseudonym_key,
        identifiers=identifiers,
        workers=workers,
        scheduler=scheduler,
        update=update,
    )
    store = slice_volumes(input_dir, output_dir, **options)
    counts = store.settings["counts"]
    share = counts["kept"] / counts["slices"]
    typer.echo(
        f"{counted(counts['volumes'], 'volume')} of {counted(counts['patients'], 'patient')}, "
        f"{counted(counts['slices'], 'slice')}, {counts['kept']} kept ({share:.0%}), {counts['labelled']} labelled: "
        f"{store.path}"
    )
    typer.echo(f"{counted(counts['rejected'], 'entry', 'entries')} rejected: {store.path / 'rejected.csv'}")
    typer.echo(f"{counted(counts['warnings'], 'warning')}: {store.path / 'warnings.csv'}")
    typer.echo(f"what the reduction did: {build_reduction_report(store.path)}")
    if counts["nameless"]:
        typer.echo(
            f"{counted(counts['nameless'], 'volume')} of a format that names no patient: each counts as a patient of "
            "its own; a labels table with the columns series and patient tells whose they are, or --patient-folders"
        )
