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

"""Arguments and options that several commands have, and how numbers are written in them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = [
    "ORDER",
    "Backbone",
    "Checkpoint",
    "Include",
    "MaxGib",
    "Modality",
    "PatientFolders",
    "Preset",
    "Reduce",
    "Scheduler",
    "Seed",
    "Source",
    "SplitTime",
    "Workers",
    "counted",
    "numbers",
    "preset_arguments",
]

Source = Annotated[
    Path, typer.Argument(metavar="INPUT", help="Folder of DICOM, NIfTI, NRRD and MHA files at any depth, or one file.")
]
SplitTime = Annotated[
    bool | None,
    typer.Option(
        "--split-time", help="Take each time point of a 4-D file as a volume.", show_default="refuse the file"
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        help="Options under a name; one given beside it counts. reference: LIDC and AutoPET as in Less is More.",
        show_default="none",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(help="Files to look at, such as CT.nii.gz; may be repeated.", show_default="all", metavar="GLOB"),
]
Modality = Annotated[str | None, typer.Option(help="Refuse volumes of another one, such as CT.", show_default="all")]
PatientFolders = Annotated[
    bool | None,
    typer.Option("--patient-folders", help="The first folder below INPUT is the patient, where files name none."),
]
MaxGib = Annotated[
    float | None, typer.Option(help="The most memory that one volume may take.", show_default="4", metavar="GIB")
]
Reduce = Annotated[
    str,
    typer.Option(
        help="What drops near-duplicates: all, every_n:N, random:FRACTION, dhash:T, ssim:T, mi:T, embedding:T."
    ),
]
ORDER = "In which slices are compared: position, or name as Less is More sorts its images."
Seed = Annotated[int | None, typer.Option(help="Of random; each volume draws anew.", show_default="0", metavar="N")]
Backbone = Annotated[
    str | None, typer.Option(help="Network in timm whose features embedding compares.", metavar="NAME")
]
Checkpoint = Annotated[Path | None, typer.Option(help="Weights of that network.", metavar="FILE")]
Scheduler = Annotated[str | None, typer.Option(help="Dask scheduler to run on instead, tcp://host:8786.")]
Workers = Annotated[int | None, typer.Option(help="Processes.", show_default="one per CPU", metavar="N")]


def counted(number: int, one: str, many: str = "") -> str:
    """`1 volume`, `2 volumes`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def numbers(option: str, text: str, counts: Collection[int]) -> float | tuple[float, ...]:
    """
    A number, or several with commas between.

    Args:
        option: its name, for the error.
        text: as the user wrote it.
        counts: how many there may be.

    Raises:
        ValueError: when it is anything else.
    """
    try:
        found = tuple(float(word) for word in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in counts:
        allowed = " or ".join(map(str, counts))
        raise ValueError(f"{option} must be {allowed} numbers with commas between and no spaces, got {text!r}")
    return found[0] if len(found) == 1 else found


def preset_arguments(preset: str | None) -> dict[str, Any]:
    """
    The arguments of `slice_volumes` that a preset stands for.

    Raises:
        ValueError: when there is none of this name.
    """
    from monai_ssl.data import SLICE_PRESETS

    if preset is not None and preset not in SLICE_PRESETS:
        raise ValueError(f"--preset must be one of {', '.join(SLICE_PRESETS)}, got {preset!r}")
    return SLICE_PRESETS.get(preset or "", {})
