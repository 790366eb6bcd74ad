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

"""What a file is that serves as no checkpoint, told from its bytes and from what its reader said."""

from __future__ import annotations

import pickle
import re
import zipfile
from contextlib import suppress
from pathlib import Path

import torch

__all__ = ["is_safetensors", "what_is_wrong", "why_unreadable"]

_AGAIN = "repeat the download or the copy"
_UNPACK = "unpack it and name the checkpoint that is in it"
_BEGINNINGS = {
    b"version https://git-lfs": "a git-LFS pointer, not the file itself; fetch it with `git lfs pull`",
    b"<": "a web page or another text in HTML or XML, not a checkpoint; the download failed, repeat it",
    b"\x89HDF\r\n\x1a\n": (
        "an HDF5 file, as Keras writes weights; networks of Keras differ from timm's. Take a file of PyTorch: "
        "RadImageNet publishes ResNet50.pt, DenseNet121.pt and InceptionV3.pt"
    ),
    b"\x1f\x8b": f"compressed by gzip; {_UNPACK}",
}
_ZIP, _PICKLE = b"PK", b"\x80"
_TORCH_PICKLE = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_TAR_MAGIC = slice(257, 262), b"ustar"
_FEWEST_BYTES = 8
_LARGEST_HEADER = 100_000_000  # of safetensors, which reads no larger one


def is_safetensors(start: bytes) -> bool:
    """Whether a file begins as safetensors does: the length of a JSON object, then the object."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LARGEST_HEADER


def what_is_wrong(path: Path, start: bytes, whole: bool) -> str | None:
    """
    What a file is when it is plainly no sound checkpoint, and what to do; None when it may be one.

    Args:
        path: the file.
        start: its first 512 bytes.
        whole: check the sums of all tensors of a zip file, not only those of their names.

    Raises:
        zipfile.BadZipFile: when it is truncated.
    """
    if not start:
        return f"an empty file; {_AGAIN}"
    if is_safetensors(start):
        return None
    for beginning, meaning in _BEGINNINGS.items():
        if start.lstrip().lower().startswith(beginning.lower()):
            return meaning
    if len(start) < _FEWEST_BYTES:
        return f"truncated, it has {len(start)} bytes; {_AGAIN}"
    place, magic = _TAR_MAGIC
    if start[place] == magic:
        return f"a tar archive; {_UNPACK}"
    return _wrong_in_zip(path, whole) if start.startswith(_ZIP) else None


def why_unreadable(path: Path, start: bytes, error: Exception) -> str:
    """
    Why a reader failed, in words of our own: torch's advise to read unsafely.

    Args:
        path: the file.
        start: its first bytes.
        error: what the reader raised.
    """
    message = str(error)
    if "TorchScript" in message:
        return "a TorchScript program, which could run code; save its state_dict alone"
    zipped = start.startswith(_ZIP)
    objects = _objects(path, message, zipped) if start.startswith((_ZIP, _PICKLE)) else []
    # The sums of a zip file were right, so that it holds what was saved.
    if objects or (zipped and isinstance(error, pickle.UnpicklingError)):
        return (
            f"holds Python objects ({', '.join(objects) or 'names not readable'}) beside tensors and plain types, and "
            "reading those could run code from the file; ask for its state_dict alone, or save that with the program "
            "that wrote the file: torch.save(model.state_dict(), 'weights.pt')"
        )
    if zipped or is_safetensors(start) or path.suffix.lower() == ".safetensors" or start.startswith(_TORCH_PICKLE):
        lines = message.strip().splitlines()
        told = f" ({lines[0]})" if lines and "Weights only load failed" not in message else ""
        return f"truncated or damaged{told}; {_AGAIN}"
    if start.startswith(_PICKLE):
        return "a pickle that torch.save did not write; save its tensors alone with torch.save"
    return "not a checkpoint of torch or safetensors"


def _wrong_in_zip(path: Path, whole: bool) -> str | None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member for member in members if member.filename.endswith("data.pkl")]
        if not names:
            held = ", ".join(member.filename for member in members[:3])
            return f"a zip archive that torch.save did not write, of {held or 'nothing'}; {_UNPACK}"
        if not any(member.CRC for member in members):  # torch was told to write none
            return None
        for member in members if whole else names:
            try:
                with archive.open(member) as content:
                    while content.read(1 << 20):
                        pass
            except zipfile.BadZipFile:
                return f"damaged: {member.filename} in it has not the sum that was saved with it; {_AGAIN}"
    return None


def _objects(path: Path, message: str, zipped: bool) -> list[str]:
    if zipped:
        with suppress(Exception):  # bytes that are no pickle end it in any kind of error
            if found := torch.serialization.get_unsafe_globals_in_checkpoint(path):
                return sorted(found)
    named = re.findall(r"GLOBAL (\S+)|unrecognized function (.+)|`add_safe_globals` but got (.+)", message)
    return [next(filter(None, names)) for names in named]
