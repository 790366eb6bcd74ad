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
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import load_file
from torch import Tensor

from monai_ssl.networks.checkpoints.false_files import is_safetensors, what_is_wrong, why_unreadable

__all__ = ["CheckpointMismatchError", "describe", "networks_in", "read_checkpoint", "some"]


class CheckpointMismatchError(ValueError):
    """A checkpoint that cannot be read safely or does not fit the backbone; the backbone is left as it was."""


# Files of DINO, SparK and others hold the arguments of their command line: names and plain values, no code.
_HARMLESS: list[Any] = [argparse.Namespace]
_DEEPEST = 8  # dictionaries in dictionaries; a pickle may hold itself

_Tensors = dict[str, Tensor]


def read_checkpoint(path: Path, mapped: bool = False) -> Mapping[str, Any]:
    """
    Read a file of tensors and plain types; nothing in it is ever run.

    Args:
        path: the file.
        mapped: read values only where they are used, for a look at names and shapes; their sums in the file are not
            checked.

    Raises:
        FileNotFoundError: when it is absent.
        CheckpointMismatchError: when it is damaged, is no checkpoint or holds other Python objects.
    """
    if not path.is_file():
        found = "a folder; name the file in it" if path.is_dir() else "no such checkpoint; check the path"
        raise FileNotFoundError(f"{path}: {found}")
    with open(path, "rb") as file:
        start = file.read(512)
        try:
            wrong = what_is_wrong(path, start, whole=not mapped)
            content = None if wrong else _load(path, file, start, mapped)
        except Exception as error:  # bytes that are no checkpoint end the reader in any kind of error
            raise CheckpointMismatchError(f"{path}: {why_unreadable(path, start, error)}") from error
    if wrong is not None:
        raise CheckpointMismatchError(f"{path}: {wrong}")
    if not isinstance(content, Mapping):
        raise CheckpointMismatchError(f"{path}: holds a {type(content).__name__}, not a dictionary of tensors")
    _check_values(path, content)
    return content


def networks_in(content: Mapping[Any, Any], outer: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], _Tensors]]:
    """Every dictionary of named tensors in a file, by the keys that lead to it, from the outside in."""
    found = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if found:
        yield outer, found
    for key, value in content.items():
        if isinstance(key, str) and isinstance(value, Mapping) and len(outer) < _DEEPEST:
            yield from networks_in(value, (*outer, key))


def describe(content: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> str:
    """Say what `content` holds, and behind which leading text most of the `wanted` names stand."""
    flat = [".".join((*outer, name)) for outer, tensors in networks_in(content) for name in tensors]
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


def _load(path: Path, file: BinaryIO, start: bytes, mapped: bool) -> Any:
    suffix_of_safetensors = path.suffix.lower() == ".safetensors"
    if is_safetensors(start) or (suffix_of_safetensors and not start.startswith((b"PK", b"\x80"))):
        return load_file(path)
    file.seek(0)
    # By a path torch maps files, and takes the suffix for the content.
    by_path = mapped and start.startswith(b"PK") and not suffix_of_safetensors
    with torch.serialization.safe_globals(_HARMLESS):
        return torch.load(path if by_path else file, map_location="cpu", weights_only=True, mmap=by_path)


def _check_values(path: Path, content: Mapping[Any, Any]) -> None:
    for outer, tensors in networks_in(content):
        for name, tensor in tensors.items():
            if tensor.is_meta or tensor.is_quantized or tensor.layout is not torch.strided:
                kind = "without values" if tensor.is_meta else "quantised" if tensor.is_quantized else "sparse"
                raise CheckpointMismatchError(
                    f"{path}: tensors in it are {kind}, such as {'.'.join((*outer, name))}; save the plain ones"
                )


def _endings(name: str) -> Iterable[str]:
    parts = name.split(".")
    return (".".join(parts[start:]) for start in range(1, len(parts)))
