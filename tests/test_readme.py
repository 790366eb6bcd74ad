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

"""What the README shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from monai_ssl.data import make_phantoms, slice_volumes

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def scans(tmp_path, monkeypatch):
    make_phantoms(tmp_path / "sample", patients=2, seed=0, size=64, slices=16)
    (tmp_path / "sample/volumes/dicom/PHANTOM-0000").rename(tmp_path / "one_dicom_series")
    slice_volumes(tmp_path / "one_dicom_series", tmp_path / "store", workers=1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_python_examples(block, scans):
    names: dict = {}
    exec(block, names)
    if "crops" in names:
        assert [tuple(crop.shape) for crop in names["crops"]] == [(1, 224, 224)] * 2 + [(1, 96, 96)] * 6
        assert all(float(crop.std()) > 0 for crop in names["crops"])
        assert names["item"]["image"].meta["index"] == 0
    else:
        assert names["image"].shape == (64, 64)
        assert names["image"].min() < -900


def test_every_named_file_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    assert len(links) > 5
    assert not [link for link in links if not (ROOT / link).exists()]
    commands = re.findall(r"(?:bundles|scripts)/[\w/]+\.(?:json|py)", text)
    assert commands
    assert not [name for name in commands if not (ROOT / name).exists()]
