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

"""What would become of a folder of volumes, found out without writing anything."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from monai_ssl.data.limits import MAX_GIB
from monai_ssl.data.parallel import make_executor, run_all
from monai_ssl.data.selection import select_volumes
from monai_ssl.data.volume import Volume, no_patient
from monai_ssl.data.volumes import find_volumes
from monai_ssl.data.voxels import RejectedVolumeError, Rejection
from monai_ssl.orientation import canonical_axes

__all__ = ["check_volumes"]

_COLUMNS = ("series", "slices", "size", "spacing", "modality", "format", "verdict", "reasons")


class _Finding(NamedTuple):
    warnings: tuple[str, ...]
    rejection: Rejection | None


def check_volumes(
    path: str | os.PathLike,
    *,
    headers_only: bool = False,
    include: Sequence[str] | None = None,
    modality: str | None = None,
    patient_folders: bool = False,
    split_time: bool = False,
    max_gib: float = MAX_GIB,
    workers: int | None = None,
) -> pd.DataFrame:
    """
    Find and read all volumes as `slice_volumes` does, and tell what it would make of each. Nothing is written.

    What labels tell and what resampling would refuse is not looked at.

    Args:
        path: a folder of volumes at any depth, or one file; see `find_volumes`.
        headers_only: do not read the voxels, which is fast but misses what only they can tell, such as damage.
        include: see `find_volumes`.
        modality: see `slice_volumes`.
        patient_folders: see `slice_volumes`.
        split_time: take each time point of a 4-D file as a volume, instead of refusing the file.
        max_gib: the most memory that one volume may take, in GiB.
        workers: processes; None for one per CPU, 1 for this process. More than one are started by "spawn", so a script
            that calls this needs `if __name__ == "__main__":`.

    Returns:
        A row per volume and then a row per refused file, all text but `slices`: `series` (the first file of the volume,
        relative to `path`), `slices` (of the source, missing for a refused file), `size` (columns x rows), `spacing`
        (mm), `modality`, `format`, `verdict` ("accept", "warn" or "refuse") and `reasons` (one a line).

    Raises:
        FileNotFoundError: when `path` is absent.
        ValueError: when `workers` is no number of processes, or `include` matches no file.

    Example:
        >>> check_volumes("scans")[["series", "verdict", "reasons"]]  # doctest: +SKIP
    """
    with make_executor(workers) as (executor, width):
        volumes, rejections = find_volumes(
            path, include=include, split_time=split_time, max_gib=max_gib, executor=executor
        )
        volumes, others = select_volumes(volumes, modality=modality, patient_folders=patient_folders)
        findings: dict[int, _Finding] = {}
        if not headers_only:
            found = run_all(executor, width, _read, enumerate(volumes))
            findings = dict(tqdm(found, total=len(volumes), unit="volume", desc="checking", disable=None))
    rows = [_volume_row(volume, findings.get(k)) for k, volume in enumerate(volumes)]
    rows += [{"series": each.file, "verdict": "refuse", "reasons": each.reason} for each in [*rejections, *others]]
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    texts = [column for column in _COLUMNS if column != "slices"]
    return table.astype({"slices": "Int64"}).fillna(dict.fromkeys(texts, ""))


def _read(task: tuple[int, Volume]) -> tuple[int, _Finding]:
    """What reading tells, refusals as `store_volume` words them; the voxels themselves stay in the worker."""
    number, volume = task
    try:
        voxels = volume.read()
        canonical_axes(voxels.affine)
    except RejectedVolumeError as error:
        return number, _Finding((), error.rejection)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a decoder may panic; one odd volume must not end a look at thousands
        reason = f"cannot be sliced ({type(error).__name__}: {str(error)[:200]})"
        return number, _Finding((), Rejection(volume.name, reason))
    return number, _Finding(voxels.warnings, None)


def _volume_row(volume: Volume, finding: _Finding | None) -> dict[str, Any]:
    warnings = [*volume.warnings, *no_patient(volume), *(finding.warnings if finding else ())]
    rejection = finding.rejection if finding else None
    if rejection is not None:
        named = "" if rejection.file == volume.name else f"{rejection.file}: "
        warnings = [named + rejection.reason]
    columns, rows, slices = volume.shape
    return {
        "series": volume.name,
        "slices": slices,
        "size": f"{columns}x{rows}",
        "spacing": "x".join(np.format_float_positional(s, 3, fractional=False, trim="-") for s in volume.spacing),
        # A tag that holds more than a code may hold anything.
        "modality": volume.modality if re.fullmatch("[A-Z]{2}", volume.modality) else "other" * bool(volume.modality),
        "format": volume.format,
        "verdict": "refuse" if rejection else "warn" if warnings else "accept",
        "reasons": "\n".join(warnings),
    }
