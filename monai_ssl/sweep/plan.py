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

"""From a sweep file and a command to the runs: everything that is wrong is found before the first one starts."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from monai_ssl.files import file_checksum
from monai_ssl.sweep.grid import Scenario, Sweep, read_sweep
from monai_ssl.sweep.record import record_problems
from monai_ssl.sweep.runs import SweepRun

__all__ = ["SweepPlan", "plan_sweep"]

# Settings that are paths: a sweep may be taken up from another folder.
_PATHS = ("dataset_dir", "labels", "checkpoint")
_NAMED = 6


@dataclass(frozen=True)
class SweepPlan:
    """
    What a sweep is to do.

    Attributes:
        output: its folder.
        scenarios: all of the sweep file.
        folds: of the cross-validation; None for one split.
        all_runs: of each scenario, by its name, one per fold.
        not_run: why the others do not, by the scenario's name.
        record: what must not change while the sweep goes on.
    """

    output: Path
    scenarios: tuple[Scenario, ...]
    folds: int | None
    all_runs: Mapping[str, tuple[SweepRun, ...]]
    not_run: Mapping[str, str]
    record: dict[str, Any]

    @property
    def runs(self) -> tuple[SweepRun, ...]:
        """Those of the scenarios that can and shall run, scenario by scenario."""
        return tuple(run for name, runs in self.all_runs.items() if name not in self.not_run for run in runs)

    def lines(self) -> list[str]:
        """What is to be done, in words."""
        split = "one split" if self.folds is None else f"{self.folds} folds, by patient"
        finished = sum(run.finished() for run in self.runs)
        lines = [
            f"{len(self.scenarios)} scenarios, {split}: {len(self.scenarios) * (self.folds or 1)} runs, of which "
            f"{finished} are finished and {len(self.runs) - finished} are to be done"
        ]
        left_out: dict[str, list[str]] = {}
        for name, reason in self.not_run.items():
            left_out.setdefault(reason, []).append(name)
        return lines + [
            f"not run: {reason}: " + (", ".join(names) if len(names) <= _NAMED else f"{len(names)} scenarios")
            for reason, names in left_out.items()
        ]


def plan_sweep(
    path: str | os.PathLike,
    output: str | os.PathLike,
    settings: Mapping[str, Any] | None = None,
    *,
    weights: str | os.PathLike | None = None,
    folds: int | None = None,
    only: str | None = None,
) -> SweepPlan:
    """
    Work out the runs of a sweep, and refuse what cannot be done, all problems at once.

    Args:
        path: the sweep file, see :py:func:`read_sweep`.
        output: the folder of all runs, `<scenario>/fold_<k>`.
        settings: of every run, over those of the sweep file.
        weights: folder of the weight files that the scenarios name. A scenario whose file is absent is not run.
        folds: k >= 2 of a patient-wise cross-validation; None trains once on one split.
        only: run scenarios whose name matches, such as `resnet50_*`; the others stay part of the sweep.

    Raises:
        ValueError: naming everything that is wrong.
    """
    from monai.bundle import ConfigParser

    sweep, output, given = read_sweep(path), Path(os.path.abspath(output)), dict(settings or {})
    common = sweep.settings | given
    paths = [name for name in _PATHS if common.get(name) is not None and (name in given or name != "checkpoint")]
    common |= {name: os.path.abspath(str(common[name])) for name in paths}
    config = ConfigParser.load_config_files([str(file) for file in sweep.config_files])
    problems = _argument_problems(sweep, given, folds, only)
    problems += _setting_problems(sweep, [*common, *(("folds", "fold") if folds else ())], config)
    problems += [f"--{name} {common[name]}: does not exist" for name in paths if not Path(common[name]).exists()]
    starts, not_run = _starts(sweep, common, given, weights, problems)
    for scenario in sweep.scenarios:
        if only is not None and not fnmatchcase(scenario.name, only):
            not_run.setdefault(scenario.name, "left out by --only")
    record = {
        "config_files": {
            f"{place} {file.name}": file_checksum(file)
            for place, file in enumerate(sweep.config_files, start=1)
            if file.is_file()
        },
        "folds": folds,
        "weights": None if weights is None else os.path.abspath(weights),
        "settings": common,
        "scenarios": {scenario.name: scenario.settings for scenario in sweep.scenarios},
    }
    epochs = {"max_epochs": config["max_epochs"]} if "max_epochs" in config else {}
    all_runs = {
        scenario.name: tuple(
            SweepRun(
                scenario.name,
                output / scenario.name / name,
                {
                    "config_file": [str(file) for file in sweep.config_files],
                    **(epochs | common | scenario.settings | starts.get(scenario.name, {})),
                    **({} if folds is None else {"folds": folds, "fold": fold}),
                },
            )
            for fold, name in enumerate(_fold_names(folds))
        )
        for scenario in sweep.scenarios
    }
    plan = SweepPlan(output, sweep.scenarios, folds, all_runs, not_run, json.loads(json.dumps(record)))
    problems += record_problems(output, plan.record)
    if problems:
        raise ValueError("\n".join(problems))
    return plan


def _argument_problems(sweep: Sweep, given: Mapping[str, Any], folds: int | None, only: str | None) -> list[str]:
    problems = []
    if folds is not None and folds < 2:
        problems.append(f"--folds must be 2 or more, got {folds}; leave it out for one split")
    own = {
        "output_dir": "--output",
        "device": "--devices",
        "fold": "--folds",
        "config_file": "config_files of the file",
    }
    problems += [f"--{name} is given to each run by the sweep; use {own[name]}" for name in own if name in given]
    varied = {name for scenario in sweep.scenarios for name in scenario.settings}
    problems += [f"--{name} is what the sweep varies; leave it out" for name in sorted(varied & given.keys())]
    names = [scenario.name for scenario in sweep.scenarios]
    if only is not None and not any(fnmatchcase(name, only) for name in names):
        shown = ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
        problems.append(f"--only {only!r} matches no scenario; they are called {shown}")
    return problems


def _setting_problems(sweep: Sweep, common: Sequence[str], config: Any) -> list[str]:
    from monai_ssl.preflight import hint_if_unknown

    names = dict.fromkeys([*common, *(name for scenario in sweep.scenarios for name in scenario.settings)])
    hints = {name: hint_if_unknown(name, config) for name in names}
    files = ", ".join(file.name for file in sweep.config_files)
    return [f"--{name}: no such setting in {files}; {hint}" for name, hint in hints.items() if hint]


def _starts(
    sweep: Sweep,
    common: Mapping[str, Any],
    given: Mapping[str, Any],
    weights: str | os.PathLike | None,
    problems: list[str],
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The weight file of each scenario that names one, and the scenarios whose file is absent."""
    starts, absent = {}, {}
    for scenario in sweep.scenarios:
        name = scenario.settings.get("checkpoint", common.get("checkpoint"))
        if name is None or "checkpoint" in given:
            continue
        if weights is None:
            problems.append(f"the scenarios start from files such as {name}: give --weights, the folder that has them")
            break
        file = Path(os.path.abspath(weights), str(name))
        starts[scenario.name] = {"checkpoint": str(file)}
        if not file.is_file():
            absent[scenario.name] = f"{name} is not in {weights}"
    if weights is not None and not Path(weights).is_dir():
        problems.append(f"--weights {weights}: no such folder")
    elif absent and len(absent) == len(sweep.scenarios):
        problems.append(f"--weights {weights}: has none of the files that the scenarios start from: {_listed(absent)}")
    return starts, absent


def _listed(reasons: Mapping[str, str]) -> str:
    return ", ".join(dict.fromkeys(reason.split(" is not in ")[0] for reason in reasons.values()))


def _fold_names(folds: int | None) -> list[str]:
    return ["run"] if folds is None else [f"fold_{fold}" for fold in range(folds)]
