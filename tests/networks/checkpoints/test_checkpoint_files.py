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

from __future__ import annotations

import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from monai_ssl.networks import CheckpointMismatchError
from monai_ssl.networks.checkpoints.files import read_checkpoint


@pytest.fixture
def state() -> dict[str, Tensor]:
    return {"conv1.weight": torch.rand(64, 3, 7, 7), "bn1.weight": torch.rand(64), "bn1.bias": torch.rand(64)}


def _assert_read(path: Path, state: dict[str, Tensor]) -> None:
    for mapped in (False, True):
        found = read_checkpoint(path, mapped)
        assert found.keys() == state.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def _truncated(path: Path, state: dict[str, Tensor]) -> None:
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-1000])


def _truncated_safetensors(path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, path)
    path.write_bytes(path.read_bytes()[:-1000])


def _one_bit_changed(path: Path, state: dict[str, Tensor]) -> None:
    torch.save(state, path)
    whole = bytearray(path.read_bytes())
    place = whole.find(state["conv1.weight"].numpy().tobytes()[:64])
    assert place > 0
    whole[place + 3] ^= 1
    path.write_bytes(whole)


def _legacy(cut: int) -> Callable[[Path, dict[str, Tensor]], None]:
    def write(path: Path, state: dict[str, Tensor]) -> None:
        torch.save(state, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:cut])

    return write


class _Runs:
    """What a pickle with code in it is made of."""

    def __init__(self, function: Callable, argument: str) -> None:
        self.call = function, (argument,)

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return self.call


def _with_code(function: Callable, zipped: bool) -> Callable[[Path, dict[str, Tensor]], None]:
    def write(path: Path, state: dict[str, Tensor]) -> None:
        content = {"state_dict": state, "more": _Runs(function, "exit")}
        torch.save(content, path, _use_new_zipfile_serialization=zipped)

    return write


def _tar(path: Path, state: dict[str, Tensor]) -> None:
    torch.save(state, path.with_suffix(".inner"))
    with tarfile.open(path, "w") as archive:
        archive.add(path.with_suffix(".inner"), "model.pth")


def _zip(path: Path, state: dict[str, Tensor]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ResNet50.pt", b"0" * 100)


def _scripted(path: Path, state: dict[str, Tensor]) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.pt", _truncated, "truncated or damaged"),
        ("a.safetensors", _truncated_safetensors, "truncated or damaged"),
        (
            "a.pt",
            lambda p, s: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
            "git lfs pull",
        ),
        ("a.pt", lambda p, s: p.write_text("<!DOCTYPE html><html>404</html>"), "web page"),
        ("a.pt", lambda p, s: p.write_text("slice,kept\n1,2\n"), "not a checkpoint"),
        ("a.pt", lambda p, s: p.write_bytes(b""), "empty file"),
        ("a.pt", _scripted, "TorchScript"),
        ("a.pt", _one_bit_changed, r"damaged: .*/data/\d+ in it has not the sum"),
        ("a.pt", _legacy(1), "truncated, it has 1 bytes"),
        ("a.pt", _legacy(5), "truncated, it has 5 bytes"),
        ("a.pt", _legacy(20), "truncated or damaged"),
        ("a.pt", _legacy(3000), "truncated or damaged"),
        ("a.pt", _legacy(-1000), "truncated or damaged"),
        ("a.pt", _with_code(os.system, True), r"Python objects \(\w+\.system\)"),
        ("a.pt", _with_code(os.system, False), r"Python objects \(\w+\.system\)"),
        ("a.pt", _with_code(eval, True), r"Python objects \(.*eval\)"),
        ("a.pt", _with_code(eval, False), r"Python objects \(.*eval\)"),
        ("a.pkl", lambda p, s: p.write_bytes(pickle.dumps({"a": [1.0]}, 4)), "a pickle that torch.save did not write"),
        ("a.h5", lambda p, s: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)), "HDF5 file.*ResNet50.pt"),
        ("a.pth.tar", _tar, "a tar archive; unpack it"),
        ("a.pth", _zip, "a zip archive that torch.save did not write, of ResNet50.pt; unpack it"),
        ("a.pt", lambda p, s: p.write_text('<?xml version="1.0"?><Error>AccessDenied</Error>'), "XML"),
    ],
)
def test_damaged_and_false_files_are_refused(
    tmp_path: Path, state: dict[str, Tensor], name: str, write: Callable, message: str
) -> None:
    path = tmp_path / name
    write(path, state)
    with pytest.raises(CheckpointMismatchError, match=message) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}:")
    assert "Weights only load failed" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.pt", "a.SAFETENSORS", "a.bin"])
def test_safetensors_are_known_by_their_content(tmp_path: Path, state: dict[str, Tensor], name: str) -> None:
    save_file(state, tmp_path / name)
    _assert_read(tmp_path / name, state)


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_are_known_by_their_content(tmp_path: Path, state: dict[str, Tensor], zipped: bool) -> None:
    torch.save(state, tmp_path / "a.safetensors", _use_new_zipfile_serialization=zipped)
    _assert_read(tmp_path / "a.safetensors", state)


def test_files_that_torch_wrote_without_sums_are_read(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "a.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    _assert_read(tmp_path / "a.pt", state)
