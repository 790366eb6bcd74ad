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

"""What a layout is, and reading a file's tensors through one: names are changed at their beginning only."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from monai_ssl.networks.checkpoints.files import networks_in

__all__ = ["AVERAGED_COUNT", "Layout", "Reading", "provenance", "recognise"]

# What torch puts in front of every name when a wrapped network is saved.
_WRAPPERS = ("module.", "_orig_mod.")
# How many sets of weights were averaged, which torch keeps beside them, outside the wrapper.
AVERAGED_COUNT = "n_averaged"
_AVERAGED = "_ema"

_Networks = Mapping[tuple[str, ...], Mapping[str, tuple[str, Tensor]]]


@dataclass(frozen=True)
class Layout:
    """
    How one kind of checkpoint is known, and how its names become timm's. All patterns are matched at the beginning.

    Attributes:
        name: for `load_backbone_weights(layout=...)`.
        what: in words.
        containers: keys that lead to the tensors, `()` is the file itself; None looks everywhere in the file.
        keys: of which the file has at least one beside the tensors.
        marks: patterns, each of which some name must match.
        absent: patterns that no name may match.
        only_if: what the tensors must be like, where names do not tell.
        prefix: pattern in front of the backbone's names, taken off; names without it are left behind.
        renames: (pattern, replacement), the first that matches what is behind the prefix is applied.
        left_behind: (pattern, reason) for names, as in the file, that are not the backbone.
        beside: (key, reason) for another network in the same file.
        convert: changes of values that some layouts need.
        mean, std: of the images it was trained on, scaled to [0, 1]; None when the layout does not tell.
        told_by: where mean and std are known from.
        like_timm: the names are timm's own, so that a tag of timm in `--backbone` says whose weights they are.
        guess: other networks' files look the same, so mean and std are no more than likely.
        own: one of our files, known by what it keeps of its origin.
        refusal: why the network in it cannot be a timm backbone, and what would fit; None when it can.
    """

    name: str
    what: str
    containers: tuple[tuple[str, ...], ...] | None = None
    keys: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    only_if: Callable[[Mapping[str, Tensor]], bool] | None = None
    prefix: str = ""
    renames: tuple[tuple[str, str], ...] = ()
    left_behind: tuple[tuple[str, str], ...] = ()
    beside: tuple[tuple[str, str], ...] = ()
    convert: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    told_by: str = ""
    like_timm: bool = False
    guess: bool = False
    own: bool = False
    refusal: str | None = None


@dataclass(frozen=True)
class Reading:
    """
    A file's tensors as one layout sees them.

    Attributes:
        layout: the layout.
        tensors: by the backbone's (timm's) names.
        names: the backbone's name -> the name in the file.
        left_behind: name in the file -> why it is not taken.
    """

    layout: Layout
    tensors: dict[str, Tensor]
    names: dict[str, str]
    left_behind: dict[str, str]


def recognise(content: Mapping[str, Any], layouts: Sequence[Layout], wanted: Collection[str] = ()) -> Reading | None:
    """
    The file read through the first of `layouts` that it bears the marks of; None when there is none.

    Args:
        content: of the file.
        layouts: to try.
        wanted: names of the backbone. Of several networks in the file the one is taken that has most of them, then an
            average of weights, as timm does, then the one with most tensors.
    """
    networks = {container: _unwrapped(tensors) for container, tensors in networks_in(content)}
    readings = (_read_through(content, networks, layout, set(wanted)) for layout in layouts)
    return next((reading for reading in readings if reading is not None), None)


def _read_through(content: Mapping[str, Any], networks: _Networks, layout: Layout, wanted: set[str]) -> Reading | None:
    if layout.own and provenance(content) is None:
        return None
    if layout.keys and not any(key in content for key in layout.keys):
        return None
    containers = networks if layout.containers is None else [c for c in layout.containers if c in networks]
    readings = {c: _read(content, networks[c], layout) for c in containers if _has_marks(networks[c], layout)}
    if not readings:
        return None

    def merit(container: tuple[str, ...]) -> tuple[int, bool, int]:
        tensors = readings[container].tensors
        return len(wanted & tensors.keys()), bool(container) and container[-1].endswith(_AVERAGED), len(tensors)

    best = max(readings, key=merit)
    others = [c for c in containers if c != best and networks[c].keys() & networks[best].keys()]
    kind = "not averaged; " if best and best[-1].endswith(_AVERAGED) else ""
    for container in others:
        reason = f"another set of weights, {kind}{'.'.join(best) or 'the outer one'} is taken"
        readings[best].left_behind.update(
            {".".join((*container, entry[0])): reason for entry in networks[container].values()}
        )
    return readings[best]


def provenance(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a file of ours keeps of its origin: an attribute of the flat `model.pt`, an entry of `checkpoint.pt`."""
    found = getattr(content, "provenance", None) or content.get("provenance")
    return found if isinstance(found, Mapping) else None


def _read(content: Mapping[str, Any], found: Mapping[str, tuple[str, Tensor]], layout: Layout) -> Reading:
    tensors, names, left_behind = {}, {}, {}
    for name, (name_in_file, tensor) in found.items():
        reason = _first(layout.left_behind, name)
        match = re.match(layout.prefix, name)
        if reason is not None or match is None:
            left_behind[name_in_file] = reason or "outside the backbone"
            continue
        new_name = _renamed(name[match.end() :], layout.renames)
        tensors[new_name], names[new_name] = tensor, name_in_file
    if layout.convert is not None:
        tensors = layout.convert(tensors)
        names = {name: names.get(name, name) for name in tensors}
    for key, reason in layout.beside:
        inner = content.get(key)
        left_behind |= {f"{key}.{name}": reason for name in (inner if isinstance(inner, Mapping) else ())}
    return Reading(layout, tensors, names, left_behind)


def _unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, tuple[str, Tensor]]:
    found = {name: (name, tensor) for name, tensor in tensors.items()}
    while wrapper := next((w for w in _WRAPPERS if _all_behind(w, found.keys() - {AVERAGED_COUNT})), None):
        found = {name.removeprefix(wrapper): entry for name, entry in found.items()}
    return found


def _all_behind(wrapper: str, names: Collection[str]) -> bool:
    return bool(names) and all(name.startswith(wrapper) for name in names)


def _has_marks(network: Mapping[str, tuple[str, Tensor]], layout: Layout) -> bool:
    def bears(pattern: str) -> bool:
        return any(re.match(pattern, name) for name in network)

    if not all(map(bears, layout.marks)) or any(map(bears, layout.absent)):
        return False
    return layout.only_if is None or layout.only_if({name: tensor for name, (_, tensor) in network.items()})


def _renamed(name: str, renames: Iterable[tuple[str, str]]) -> str:
    for pattern, replacement in renames:
        if match := re.match(pattern, name):
            return match.expand(replacement) + name[match.end() :]
    return name


def _first(patterns: Iterable[tuple[str, str]], name: str) -> str | None:
    return next((reason for pattern, reason in patterns if re.match(pattern, name)), None)
