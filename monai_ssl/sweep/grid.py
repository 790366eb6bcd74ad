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

"""The scenarios of a sweep file: the product of its axes, some of them bound to an entry of another."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Scenario", "Sweep", "read_sweep"]

_KEYS = ("config_files", "settings", "grid")
# What decides on the test images and their labels: scenarios that differ in it cannot be held against each other.
_SHARED = {
    *("dataset_dir", "labels", "labels_layout", "label_names", "task", "fractions", "split_seed", "uncertain"),
}
# What the sweep itself gives each run.
_OWN = {"output_dir", "folds", "fold", "device", "config_file", "args_file"}


@dataclass(frozen=True)
class Scenario:
    """
    One combination of the grid.

    Attributes:
        name: of its folder, such as `resnet50_all_learning_rate=0.001`.
        axes: its place, the label on each axis.
        settings: what it gives the runs.
    """

    name: str
    axes: dict[str, str]
    settings: dict[str, Any]

    def joined(self, other: Scenario) -> Scenario:
        """Both at once."""
        name = "_".join(part for part in (self.name, other.name) if part)
        return Scenario(name, self.axes | other.axes, self.settings | other.settings)


@dataclass(frozen=True)
class Sweep:
    """
    What a sweep file says.

    Attributes:
        path: of the file.
        config_files: of the bundle, in order.
        settings: of every run.
        scenarios: in the order of the grid, the last axis fastest.
    """

    path: Path
    config_files: tuple[Path, ...]
    settings: dict[str, Any]
    scenarios: tuple[Scenario, ...]


def read_sweep(path: str | os.PathLike) -> Sweep:
    """
    Read a sweep file: `config_files` relative to it, `settings` of every run, and the `grid`.

    The grid has axes by name. An axis is a list of values of the setting of that name, or an object of named entries,
    each an object of settings; an entry may hold a `grid` of its own, whose axes belong to that entry alone. Names that
    begin with `_` are comments. A relative `checkpoint` is the name of a file in the folder of weights.

    Args:
        path: a JSON file.

    Raises:
        ValueError: naming everything that is wrong with it.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "sweep.json")
        >>> _ = file.with_name("train.json").write_text("{}")
        >>> head = {"trained_layers": "head", "grid": {"learning_rate": [0.01, 0.001]}}
        >>> grid = {"scheme": {"all": {"trained_layers": "all"}, "head": head}}
        >>> _ = file.write_text(json.dumps({"config_files": ["train.json"], "grid": grid}))
        >>> [scenario.name for scenario in read_sweep(file).scenarios]
        ['all', 'head_learning_rate=0.01', 'head_learning_rate=0.001']
    """
    path = Path(path)
    content = _read_object(path)
    problems = [f"unknown name {name!r}; known: {', '.join(_KEYS)}" for name in content if name not in _KEYS]
    files = content.get("config_files")
    if not isinstance(files, list) or not files or not all(isinstance(file, str) for file in files):
        problems.append(f"config_files must be a list of files relative to the sweep file, got {files!r}")
        files = []
    resolved = tuple((path.parent / file).resolve() for file in files)
    problems += [f"config_files: {file} does not exist" for file in resolved if not file.is_file()]
    settings = content.get("settings", {})
    if not isinstance(settings, dict):
        problems.append(f"settings must be an object, got {settings!r}")
        settings = {}
    scenarios = list(_product(content.get("grid"), "grid", problems))
    problems += _scenario_problems(scenarios, settings)
    if problems:
        raise ValueError("\n".join(f"{path}: {problem}" for problem in dict.fromkeys(problems)))
    return Sweep(path, resolved, _without_comments(settings), tuple(scenarios))


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must hold an object with {', '.join(_KEYS)}")
    return _without_comments(content)


def _product(grid: Any, where: str, problems: list[str]) -> Iterator[Scenario]:
    if not isinstance(grid, dict) or not grid:
        problems.append(f"{where} must be an object of axes, got {grid!r}")
        return
    scenarios = [Scenario("", {}, {})]
    for axis, entries in _without_comments(grid).items():
        options = list(_options(axis, entries, f"{where}::{axis}", problems))
        twice = sorted(_names(scenarios) & _names(options))
        problems.extend(f"{where}::{axis}: {name} is given by another axis too" for name in twice)
        scenarios = [first.joined(second) for first in scenarios for second in options]
    yield from scenarios


def _options(axis: str, entries: Any, where: str, problems: list[str]) -> Iterator[Scenario]:
    if isinstance(entries, list) and entries:
        for value in entries:
            label = value if isinstance(value, str) else json.dumps(value)
            yield Scenario(f"{axis}={label}", {axis: label}, {axis: value})
    elif isinstance(entries, dict) and entries:
        for name, entry in _without_comments(entries).items():
            if not isinstance(entry, dict):
                problems.append(f"{where}::{name} must be an object of settings, got {entry!r}")
                continue
            settings = _without_comments(entry)
            own = settings.pop("grid", None)
            first = Scenario(name, {axis: name}, settings)
            below = [Scenario("", {}, {})] if own is None else _product(own, f"{where}::{name}::grid", problems)
            yield from (first.joined(second) for second in below)
    else:
        problems.append(f"{where} must be a list of values or an object of named entries, got {entries!r}")


def _names(scenarios: list[Scenario]) -> set[str]:
    return {name for scenario in scenarios for name in (*scenario.axes, *scenario.settings)}


def _scenario_problems(scenarios: list[Scenario], settings: dict[str, Any]) -> list[str]:
    problems = [
        f"two scenarios are called {name!r}; give their entries other names"
        for name, count in Counter(scenario.name for scenario in scenarios).items()
        if count > 1
    ]
    problems += [
        f"scenario {scenario.name!r} names a folder: use letters, digits and . _ = + - only, a letter or digit first"
        for scenario in scenarios
        if not re.fullmatch(r"[A-Za-z0-9][\w.=+-]*", scenario.name, re.ASCII)
    ]
    varied = {name for scenario in scenarios for name in scenario.settings}
    problems += [
        f"the grid varies {name}, but scenarios are compared on the same test images; make a sweep of each"
        for name in sorted(varied & _SHARED)
    ]
    given = varied | settings.keys()
    return problems + [
        f"{name} is given to each run by the sweep itself; leave it out" for name in sorted(given & _OWN)
    ]


def _without_comments(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if not name.startswith("_")}
