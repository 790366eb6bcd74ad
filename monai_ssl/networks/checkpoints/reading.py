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

"""Reading a file's content through its layout, for a backbone, or refusing it in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from monai_ssl.networks.checkpoints.architectures import architecture_of
from monai_ssl.networks.checkpoints.files import CheckpointMismatchError, describe, some
from monai_ssl.networks.checkpoints.known_layouts import LAYOUTS
from monai_ssl.networks.checkpoints.layout import Reading, recognise

__all__ = ["read_layout", "seems"]


def read_layout(path: Path, content: Mapping[str, Any], layout: str, wanted: Mapping[str, Tensor]) -> Reading:
    """
    The content of `path` through the layout named, or the one that it bears the marks of.

    Raises:
        CheckpointMismatchError: when there is none, nothing in it has a name that is wanted, or it can never fit.
    """
    reading = recognise(content, [entry for entry in LAYOUTS if layout in ("auto", entry.name)], wanted)
    other = reading or recognise(content, LAYOUTS)
    if other is not None and other.layout.refusal is not None:
        raise CheckpointMismatchError(
            f"{path}: seems to be {other.layout.what} (layout {other.layout.name}): {other.layout.refusal}"
        )
    if reading is None and other is not None:
        raise CheckpointMismatchError(f"{path}: has not the names of layout {layout}. {seems(other)}")
    if reading is None or not wanted.keys() & reading.tensors.keys():
        known = seems(reading) if reading is not None and architecture_of(reading.tensors) else ""
        raise CheckpointMismatchError(
            f"{path}: nothing in it fits the backbone. {known or describe(content, wanted)} Wanted: {some(wanted)}."
        )
    values = {name: tensor for name, tensor in reading.tensors.items() if name in wanted}
    whole = [f"{name} ({t.dtype})" for name, t in values.items() if _is_whole(t) and not _is_whole(wanted[name])]
    if whole:
        raise CheckpointMismatchError(
            f"{path}: {len(whole)} of its tensors hold no floating-point numbers: {some(whole)}. It may be quantised; "
            "take the weights from before that"
        )
    return reading


def _is_whole(tensor: Tensor) -> bool:
    return not tensor.is_floating_point()


def seems(reading: Reading) -> str:
    """What a file seems to be and which backbone would fit, as sentences."""
    layout = reading.layout
    found = architecture_of(reading.tensors)
    if found is not None:
        return (
            f"It seems to be {found.words} (layout {layout.name}, {layout.what}): it fits --backbone {found.backbone}."
        )
    if any(tensor.ndim == 5 for tensor in reading.tensors.values()):
        return f"It seems to be a 3-D network (layout {layout.name}, {layout.what}); backbones here are 2-D."
    return (
        f"It was read as layout {layout.name}, {layout.what}, and has {len(reading.tensors)} tensors such as "
        f"{some(reading.tensors)}. Create the backbone that it was made for."
    )
