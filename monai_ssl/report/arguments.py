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

"""Which runs to compare: `PATH`, `MODEL=PATH` or `MODEL@DATASET=PATH`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["RunArgument", "run_arguments", "run_names"]


class RunArgument(NamedTuple):
    """Where a run lies, its model's name in the report, and its data set; "" where only one is compared."""

    path: Path
    name: str
    data_set: str


def run_arguments(texts: Sequence[str | os.PathLike]) -> tuple[list[RunArgument], list[str]]:
    """
    Tell names from paths. What exists is a path, even with `=` in it, as the folders of a sweep have.

    Args:
        texts: as given. A model without a name gets that of its folder, see :py:func:`run_names`.

    Returns:
        The runs in their order, and what is wrong with the names of them.

    Example:
        >>> run_arguments(["swav@vindr=out/swav", "scratch@vindr=out/scratch"])[0][0].data_set
        'vindr'
    """
    parts: list[tuple[str | None, str, Path]] = []
    problems: list[str] = []
    for text in texts:
        head, equals, path = str(text).partition("=")
        if not equals or Path(text).exists():
            parts.append((None, "", Path(text)))
            continue
        model, at, data_set = head.rpartition("@") if "@" in head else (head, "", "")
        if not (model.strip() and path and (data_set.strip() or not at)):
            problems.append(f"{text}: write PATH, MODEL=PATH or MODEL@DATASET=PATH, with no part empty")
            continue
        parts.append((model.strip(), data_set.strip(), Path(path).expanduser()))
    automatic = iter(run_names(path for name, _, path in parts if name is None))
    runs = [RunArgument(path, name or next(automatic), data_set) for name, data_set, path in parts]
    if any(run.data_set for run in runs) and not all(run.data_set for run in runs):
        unnamed = ", ".join(f"{run.name} ({run.path})" for run in runs if not run.data_set)
        problems.append(f"no data set named for {unnamed}; write MODEL@DATASET=PATH for all runs, or for none")
    first: dict[tuple[str, str], Path] = {}
    for place, run in enumerate(runs):
        key = (run.name, run.data_set)
        if key in first:
            where = f" on data set {run.data_set}" if run.data_set else ""
            problems.append(
                f"two runs are called {run.name}{where}: {first[key]} and {run.path}; name one as MODEL=PATH"
            )
            runs[place] = run._replace(name=f"{run.name} ({place + 1})")  # both are looked at, for other problems
        else:
            first[key] = run.path
    return runs, problems


def run_names(paths: Iterable[str | os.PathLike]) -> list[str]:
    """
    A short name per path: the folder's; with its parent's where two are alike; numbered where that is alike too.

    Example:
        >>> run_names(["runs/swav", "runs/scratch/predictions.csv", "other.csv"])
        ['swav', 'scratch', 'other']
        >>> run_names(["a/run", "b/run", "b/run"])
        ['a/run', 'b/run', 'b/run (2)']
    """
    parts = []
    for path in map(Path, paths):
        path = Path(os.path.abspath(path))
        path = (
            path.parent if path.name == "predictions.csv" else path.with_suffix("") if path.suffix == ".csv" else path
        )
        parts.append(path.parts)
    names = [own[-1] for own in parts]
    alike = {name for name in names if names.count(name) > 1}
    names = ["/".join(own[-2:]) if own[-1] in alike else own[-1] for own in parts]
    return [name if (n := names[:i].count(name)) == 0 else f"{name} ({n + 1})" for i, name in enumerate(names)]
