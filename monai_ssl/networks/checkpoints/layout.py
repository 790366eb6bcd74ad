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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["Layout", "Reading", "provenance", "read_through", "recognise"]

# What torch puts in front of every name when a wrapped network is saved.
_WRAPPERS = ("module.", "_orig_mod.")


@dataclass(frozen=True)
class Layout:
    """
    How one kind of checkpoint is known, and how its names become timm's. All patterns are matched at the beginning.

    Attributes:
        name: for `load_backbone_weights(layout=...)`.
        what: in words.
        containers: keys that lead to the tensors, the first that exists is taken; `()` is the file itself.
        marks: patterns, each of which some name must match.
        absent: patterns that no name may match.
        prefix: pattern in front of the backbone's names, taken off; names without it are left behind.
        renames: (pattern, replacement), the first that matches what is behind the prefix is applied.
        left_behind: (pattern, reason) for names, as in the file, that are not the backbone.
        beside: (key, reason) for another network in the same file.
        convert: changes of values that some layouts need.
        mean, std: of the images it was trained on, scaled to [0, 1]; None when the layout does not tell.
        told_by: where mean and std are known from.
        like_timm: the names are timm's own, so that other networks' files look the same and mean, std are a guess.
        own: one of our files, known by what it keeps of its origin.
        refusal: why the network in it cannot be a timm backbone, and what would fit; None when it can.
    """

    name: str
    what: str
    containers: tuple[tuple[str, ...], ...] = ((),)
    marks: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    prefix: str = ""
    renames: tuple[tuple[str, str], ...] = ()
    left_behind: tuple[tuple[str, str], ...] = ()
    beside: tuple[tuple[str, str], ...] = ()
    convert: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    told_by: str = ""
    like_timm: bool = False
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


def recognise(content: Mapping[str, Any], layouts: Sequence[Layout]) -> Reading | None:
    """The file read through the first of `layouts` that it bears the marks of; None when there is none."""
    readings = (read_through(content, layout) for layout in layouts)
    return next((reading for reading in readings if reading is not None), None)


def read_through(content: Mapping[str, Any], layout: Layout) -> Reading | None:
    """The file read through `layout`, or None when it has not its marks."""
    if layout.own and provenance(content) is None:
        return None
    for container in layout.containers:
        found = _unwrapped(_inner(content, container))
        if found and _has_marks(found, layout):
            return _read(content, found, layout)
    return None


def provenance(content: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a file of ours keeps of its origin: an attribute of the flat `model.pt`, an entry of `checkpoint.pt`."""
    found = getattr(content, "provenance", None) or content.get("provenance")
    return found if isinstance(found, Mapping) else None


def _read(content: Mapping[str, Any], found: dict[str, tuple[str, Tensor]], layout: Layout) -> Reading:
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
        inner = _inner(content, (key,))
        left_behind |= {f"{key}.{name}": reason for name in (inner or {})}
    return Reading(layout, tensors, names, left_behind)


def _inner(content: Any, container: Iterable[str]) -> dict[str, Tensor] | None:
    for key in container:
        content = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping):
        return None
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}


def _unwrapped(tensors: dict[str, Tensor] | None) -> dict[str, tuple[str, Tensor]]:
    found = {name: (name, tensor) for name, tensor in (tensors or {}).items()}
    while found and (wrapper := next((w for w in _WRAPPERS if all(name.startswith(w) for name in found)), None)):
        found = {name.removeprefix(wrapper): entry for name, entry in found.items()}
    return found


def _has_marks(names: Iterable[str], layout: Layout) -> bool:
    def bears(pattern: str) -> bool:
        return any(re.match(pattern, name) for name in names)

    return all(map(bears, layout.marks)) and not any(map(bears, layout.absent))


def _renamed(name: str, renames: Iterable[tuple[str, str]]) -> str:
    for pattern, replacement in renames:
        if match := re.match(pattern, name):
            return match.expand(replacement) + name[match.end() :]
    return name


def _first(patterns: Iterable[tuple[str, str]], name: str) -> str | None:
    return next((reason for pattern, reason in patterns if re.match(pattern, name)), None)
