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


"""The arguments of slicing, looked at before any work; all that is wrong is told at once."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_ssl.data.label_join import SourceLabels
from monai_ssl.data.limits import check_limit
from monai_ssl.data.parallel import check_workers
from monai_ssl.data.pseudonyms import KEY_FILE, read_key
from monai_ssl.data.slice_parts import VOLUME_FOLDER
from monai_ssl.data.slicing_state import STATE_FILE, finished_already
from monai_ssl.data.store_swap import UPDATE_FOLDER
from monai_ssl.data.stored_slices import make_embedder
from monai_ssl.data.update_checks import update_problem
from monai_ssl.data.windows import window_limits
from monai_ssl.files import folder_problem
from monai_ssl.reduction import STRATEGIES, check_seed, parse_strategy

if TYPE_CHECKING:
    from monai_ssl.networks import Embedder

__all__ = ["find_problems", "load_embedder", "read_source_labels", "read_spacing", "read_window"]

_RESIZE = range(8, 4097)


def find_problems(
    source: Path,
    output: Path,
    resize: int | None,
    seed: int,
    max_gib: float,
    key: str | bytes | os.PathLike | None,
    workers: int | None,
    update: bool,
) -> list[str]:
    """What speaks against the input, the output, or one of these arguments."""
    problems = []
    if resize is not None and (not isinstance(resize, int) or resize not in _RESIZE):
        problems.append(f"resize must be None or a whole number from 8 to 4096, got {resize!r}")
    checks = (partial(check_seed, seed), partial(check_limit, max_gib), partial(check_workers, workers))
    for check in (*checks, partial(read_key, key)):
        try:
            check()
        except ValueError as error:
            problems.append(str(error))
    if not source.exists():
        problems.append(f"{source}: does not exist; give a folder of DICOM or NIfTI files, or one file")
    if update and (problem := update_problem(output)):
        problems.append(problem)
    elif not update and (output / "store.json").exists() and not (output / STATE_FILE).exists():
        problems.append(finished_already(output))
    elif not update and (output / UPDATE_FOLDER).exists():
        problems.append(f"{output}: an update was stopped here; repeat it, with --update (update=True)")
    elif problem := folder_problem(output, apart_from=source, ours=_left_behind(output, update)):
        problems.append(problem)
    return problems


def _left_behind(output: Path, update: bool) -> list[str]:
    """What a run may have left in a folder: a stopped one anything, one that refused all its volumes two tables."""
    if update or (output / STATE_FILE).exists():
        return os.listdir(output)
    empty = [VOLUME_FOLDER] if not any((output / VOLUME_FOLDER).glob("*")) else []
    return [*empty, "rejected.csv", "warnings.csv"] if (output / KEY_FILE).exists() else []


def read_spacing(spacing: Any, problems: list[str]) -> tuple[float, float, float] | None:
    """Three lengths in mm, or None, with what is wrong added to `problems`."""
    if spacing is None:
        return None
    try:
        x, y, z = map(float, (spacing,) * 3 if isinstance(spacing, (int, float)) else spacing)
        valid = all(0 < length < math.inf for length in (x, y, z)) and not isinstance(spacing, (bool, str))
    except (TypeError, ValueError):
        valid = False
    if not valid:
        problems.append(
            "spacing must be None, a number of millimetres above 0, or three of them (right-left, anterior-posterior, "
            f"superior-inferior), got {spacing!r}"
        )
        return None
    return x, y, z


def read_window(window: Any, problems: list[str]) -> tuple[float, float] | None:
    """The limits of a window, or None, with what is wrong added to `problems`."""
    try:
        return None if window is None else window_limits(window)
    except (ValueError, TypeError) as error:
        problems.append(str(error))
        return None


def load_embedder(
    reduce: str, backbone: str | None, checkpoint: str | os.PathLike | None, problems: list[str]
) -> tuple[Embedder | None, dict[str, Any] | None]:
    """As `make_embedder`, where the strategy needs it, with what is wrong added to `problems`."""
    try:
        needed = STRATEGIES[parse_strategy(reduce)[0]].compares == "features"
        if needed and backbone is None and checkpoint is None:
            raise ValueError(f"{reduce} needs a network: give --backbone NAME and --checkpoint FILE")
        return make_embedder(needed, backbone, checkpoint)
    except (ValueError, OSError) as error:
        problems.append(str(error))
    return None, None


def read_source_labels(labels: str | os.PathLike | None, output: Path, problems: list[str]) -> SourceLabels | None:
    """The table of labels, or None, with what is wrong added to `problems`."""
    if labels is not None and Path(labels).resolve().is_relative_to(output.resolve()):
        problems.append(f"{labels}: lies in the output {output}, where it would be overwritten; move it elsewhere")
        return None
    try:
        return None if labels is None else SourceLabels(labels)
    except FileNotFoundError:
        problems.append(f"{labels}: does not exist; give a csv of labels")
    except IsADirectoryError:
        problems.append(f"{labels}: is a folder; give a csv of labels")
    except (ValueError, OSError) as error:
        problems.append(str(error))
    return None
