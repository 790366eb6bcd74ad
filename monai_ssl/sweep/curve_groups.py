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


"""Which runs of a sweep lie on one learning curve, and which of them drew the same training patients."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from monai_ssl.sweep.grid import Scenario

__all__ = ["FRACTION", "curve_groups", "draw_of"]

FRACTION = "train_fraction"
# What is drawn again at one size: the mean over it is a point.
_SUBSET, _SEED = "subset_seed", "seed"
_ONE_CURVE = "all scenarios"


def curve_groups(scenarios: Sequence[Scenario], common: Mapping[str, Any], fractions: Sequence[float]) -> list[str]:
    """
    The name of the curve that each scenario is part of.

    Scenarios of one curve have the same place on the axes that do not give the size, and equal settings but for
    `train_fraction`, `subset_seed` and `seed`: an entry that gives a size may give a network too, and runs of two
    networks are no repeats of each other. Where such settings differ, the names tell them.

    Args:
        scenarios: S of them.
        common: settings of every run.
        fractions: (S,) the share of the training patients.

    Returns:
        S names, equal for scenarios of one curve.

    Example:
        >>> runs = [Scenario("a", {"run": "a"}, {"train_fraction": 0.1, "backbone": "resnet50"}),
        ...         Scenario("b", {"run": "b"}, {"train_fraction": 1.0, "backbone": "resnet50"}),
        ...         Scenario("c", {"run": "c"}, {"train_fraction": 1.0, "backbone": "vit"})]
        >>> curve_groups(runs, {}, [0.1, 1.0, 1.0])
        ['backbone=resnet50', 'backbone=resnet50', 'backbone=vit']
    """
    kept = _kept_axes(scenarios, fractions)
    varied = dict.fromkeys(name for scenario in scenarios for name in scenario.settings)
    compared = [name for name in varied if name not in (FRACTION, _SUBSET, _SEED)]
    places = [[scenario.axes[axis] for axis in kept if axis in scenario.axes] for scenario in scenarios]
    given = [{**common, **scenario.settings} for scenario in scenarios]
    settings = [{name: each.get(name) for name in compared} for each in given]
    names: dict[str, str] = {}
    for place, own in zip(places, settings, strict=True):
        beside = [other for where, other in zip(places, settings, strict=True) if where == place]
        differing = [name for name in compared if any(other[name] != own[name] for other in beside)]
        name = ", ".join([*place, *(_named(name, own[name]) for name in differing)]) or _ONE_CURVE
        # paths are cut in names, so two curves may come to the same one
        taken = name in names.values()
        names.setdefault(_key(place, own), f"{name} ({len(names) + 1})" if taken else name)
    return [names[_key(place, own)] for place, own in zip(places, settings, strict=True)]


def draw_of(scenario: Scenario, common: Mapping[str, Any], fraction: float) -> tuple[Any, ...]:
    """
    What tells the draws of one size apart: the seeds of the subset and of the training.

    Args:
        scenario: of the sweep.
        common: settings of every run.
        fraction: its share of the training patients. All of them are one subset, whatever its seed.

    Example:
        >>> draw_of(Scenario("a", {}, {"subset_seed": 2}), {"seed": 5}, 0.1)
        (2, 5)
    """
    given = {**common, **scenario.settings}
    return given.get(_SUBSET) if fraction < 1 else None, given.get(_SEED)


def _kept_axes(scenarios: Sequence[Scenario], fractions: Sequence[float]) -> list[str]:
    """The axes that neither give the size nor repeat it."""
    sizes: dict[tuple[str, str], set[float]] = {}
    for scenario, fraction in zip(scenarios, fractions, strict=True):
        for place in scenario.axes.items():
            sizes.setdefault(place, set()).add(fraction)
    axes = dict.fromkeys(axis for scenario in scenarios for axis in scenario.axes)
    size_axes = {axis for axis in axes if all(len(found) == 1 for place, found in sizes.items() if place[0] == axis)}
    return [axis for axis in axes if axis not in size_axes and axis not in (_SUBSET, _SEED)]


def _key(place: list[str], settings: dict[str, Any]) -> str:
    return json.dumps([place, settings])


def _named(name: str, value: Any) -> str:
    from monai_ssl.report.runs import without_folders

    if value is None:
        return f"{name} not given"
    shown = without_folders(value)
    return f"{name}={shown if isinstance(shown, str) else json.dumps(shown)}"
