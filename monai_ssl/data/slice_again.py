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

"""The commands that slice the source of a store anew, keeping all slices, and reduce that as the store is."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from monai_ssl.data.pseudonyms import KEY_FILE

__all__ = ["reduce_again", "slice_again"]

_DEFAULTS = {"axis": "axial", "order": "position"}
_VALUES = ("axis", "order", "window", "spacing", "resize", "modality")
_FLAGS = ("patient_folders", "split_time")


def slice_again(path: Path, settings: dict[str, Any], output: str = "OUTPUT") -> str:
    """
    The command that makes a store of all slices, under the same names and of the same 8-bit images.

    Args:
        path: of a store whose key is taken.
        settings: of that store.
        output: what to write for the folder of the new one.

    Example:
        >>> slice_again(Path("my store"), {"arguments": {"order": "name"}})
        "python -m monai_ssl slice INPUT OUTPUT --reduce all --order name --pseudonym-key 'my store/.pseudonym_key'"
    """
    arguments = settings["arguments"]
    words = ["slice", "INPUT", output, "--reduce", "all"]
    for name in _VALUES:
        value = arguments.get(name)
        if value is not None and value != _DEFAULTS.get(name):
            words += [f"--{name}", ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    for pattern in arguments.get("include") or ():
        words += ["--include", pattern]
    words += [f"--{name.replace('_', '-')}" for name in _FLAGS if arguments.get(name)]
    if arguments.get("labels"):
        words += ["--labels", "LABELS_CSV"]
    return _command(*words, "--pseudonym-key", str(path / KEY_FILE))


def reduce_again(settings: dict[str, Any], store: str = "OUTPUT") -> str:
    """
    The command that reduces a store of all slices as another one is.

    Args:
        settings: of the other one.
        store: what to write for the folder.

    Example:
        >>> reduction = {"strategy": "dhash:6", "scope": "patient", "order": "position"}
        >>> reduce_again({"arguments": {}, "reduction": reduction})
        'python -m monai_ssl reduce OUTPUT --reduce dhash:6 --scope patient'
    """
    arguments, reduction = settings["arguments"], settings["reduction"]
    words = ["reduce", store, "--reduce", reduction["strategy"]]
    if reduction["scope"] != "volume":
        words += ["--scope", reduction["scope"]]
    sliced = arguments.get("order", "position")
    if (order := reduction.get("order", sliced)) != sliced:
        words += ["--order", order]
    if reduction.get("seed"):
        words += ["--seed", str(reduction["seed"])]
    if reduction["strategy"].partition(":")[0] == "embedding":
        words += ["--backbone", settings["features"]["backbone"], "--checkpoint", "CHECKPOINT"]
    return _command(*words)


def _command(*words: str) -> str:
    return f"python -m monai_ssl {shlex.join(words)}"
