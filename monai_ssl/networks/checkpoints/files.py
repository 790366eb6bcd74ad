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

"""Reading a checkpoint file safely, and saying what it seems to be when it does not serve."""

from __future__ import annotations

import argparse
import pickle
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

__all__ = ["CheckpointMismatchError", "describe", "read_checkpoint", "some"]

_FALSE_FILES = {
    b"version https://git-lfs": "a git-LFS pointer, not the file itself; fetch it with `git lfs pull`",
    b"<!doctype": "a web page, not a checkpoint; the download failed, repeat it",
    b"<html": "a web page, not a checkpoint; the download failed, repeat it",
}


class CheckpointMismatchError(ValueError):
    """A checkpoint that cannot be read safely or does not fit the backbone; the backbone is left as it was."""


# Files of DINO, SparK and others hold the arguments of their command line: names and plain values, no code.
_HARMLESS: list[Any] = [argparse.Namespace]


def read_checkpoint(path: Path, mapped: bool = False) -> Mapping[str, Any]:
    """
    Read a file of tensors and plain types; nothing in it is ever run.

    Args:
        path: the file.
        mapped: read values only where they are used, for a look at names and shapes; sums in the file are not checked.

    Raises:
        FileNotFoundError: when it is absent.
        CheckpointMismatchError: when it is damaged, is no checkpoint or holds other Python objects.
    """
    if not path.is_file():
        found = "a folder; name the file in it" if path.is_dir() else "no such checkpoint; check the path"
        raise FileNotFoundError(f"{path}: {found}")
    with open(path, "rb") as file:
        start = file.read(64)
    for beginning, meaning in _FALSE_FILES.items():
        if start.lstrip().lower().startswith(beginning):
            raise CheckpointMismatchError(f"{path}: {meaning}")
    if not start:
        raise CheckpointMismatchError(f"{path}: an empty file; repeat the download or the copy")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_HARMLESS):
            mapped = mapped and start.startswith(b"PK")
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # bytes that are no checkpoint end the reader in any kind of error
        raise CheckpointMismatchError(f"{path}: {_reason(path, start, error)}") from error
    if not isinstance(content, Mapping):
        raise CheckpointMismatchError(f"{path}: holds a {type(content).__name__}, not a dictionary of tensors")
    return content


def describe(content: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> str:
    """Say what `content` holds, and behind which leading text most of the `wanted` names stand."""
    flat = _flat_names(content)
    if not flat:
        return f"It holds no tensors; its keys are {some(map(str, content))}."
    endings = Counter(
        name[: -len(ending)] for name in flat for ending in _endings(name) if ending in wanted and ending != name
    )
    text = f"It holds {len(flat)} tensors such as {some(flat)}."
    if endings:
        prefix, count = endings.most_common(1)[0]
        text += f" Behind {prefix!r} stand {count} of the {len(wanted)} names wanted: save them without that beginning."
    else:
        text += " Create the backbone that the file was made for."
    return text


def some(names: Iterable[str], most: int = 4) -> str:
    """The first few of many names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "none"


def _reason(path: Path, start: bytes, error: Exception) -> str:
    if "TorchScript" in str(error):
        return "a TorchScript program, which could run code; save its state_dict alone"
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, pickle.UnpicklingError) and "Unsupported global" in str(error):
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path) if start.startswith(b"PK") else []
        return (
            f"holds Python objects ({', '.join(unsafe) or 'names not readable'}) beside tensors and plain types, and "
            "reading those could run code from the file; where you trust its source, save its tensors alone: "
            f"torch.save(torch.load({path.name!r}, weights_only=False)['state_dict'], 'weights.pt')"
        )
    if path.suffix == ".safetensors" or start.startswith(b"PK") or isinstance(error, EOFError):
        return f"truncated or damaged ({first_line}); repeat the download or the copy"
    return f"not a checkpoint of torch or safetensors ({first_line})"


def _flat_names(content: Mapping[str, Any], parents: str = "") -> list[str]:
    names = []
    for key, value in content.items():
        if isinstance(value, Tensor):
            names.append(f"{parents}{key}")
        elif isinstance(value, Mapping):
            names += _flat_names(value, f"{parents}{key}.")
    return names


def _endings(name: str) -> Iterable[str]:
    parts = name.split(".")
    return (".".join(parts[start:]) for start in range(1, len(parts)))
