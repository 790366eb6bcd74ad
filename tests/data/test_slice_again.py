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

import html
import re
import shlex

import numpy as np
import pytest
from typer.testing import CliRunner
from volume_files import axial_affine, write_nifti

from monai_ssl.cli import app
from monai_ssl.data import SliceStore, reduce_store, slice_volumes
from monai_ssl.data.slice_again import reduce_again


def run(words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Slices that change slowly and come back to what they were, so that order, axis and window decide."""
    folder = tmp_path_factory.mktemp("a dir 100% x") / "in"
    random = np.random.default_rng(0)
    for number in range(3):
        steps = np.cumsum(random.normal(0, 60, (24, 20, 15)), axis=-1)
        values = np.concatenate([steps, steps[..., ::-1] + random.normal(0, 60, steps.shape)], axis=-1)
        (folder / f"p{number % 2}").mkdir(parents=True, exist_ok=True)
        for name in ("CT", "PET"):
            path = folder / f"p{number % 2}" / f"{number}{name}.nii.gz"
            write_nifti(path, axial_affine(), values.astype(np.int16))
    (folder / "labels.csv").write_text("patient,sick\np0,1\np1,0\n")
    return folder


@pytest.mark.parametrize(
    "options",
    [
        "--order name --reduce dhash:6 --include *CT.nii.gz --include no*thing --patient-folders --labels LABELS_CSV",
        "--reduce random:0.3 --seed 7 --window -300,-20.5 --resize 8 --modality CT --split-time",
        "--axis coronal --reduce ssim:0.8 --spacing 2,1.5,2.1 --resize 9",
    ],
)
def test_the_commands_of_the_page_give_a_store_that_keeps_the_same(source, tmp_path, options):
    labels = {"LABELS_CSV": str(source / "labels.csv")}
    given = [labels.get(word, word) for word in options.split()]
    run(["slice", source, tmp_path / "a b", *given, "--workers", 1])
    page = html.unescape((tmp_path / "a b" / "reduction.html").read_text(encoding="utf-8"))
    commands = re.search(r"<pre[^>]*><code>(.*?)</code>", page, re.DOTALL)[1].splitlines()
    placeholders = labels | {"INPUT": str(source), "OTHER_STORE": str(tmp_path / "other")}
    assert len(commands) == 2
    for command in commands:
        start, *words = shlex.split(command)[2:]
        assert start == "monai_ssl"
        words = [placeholders.get(word, word).replace("THIS_STORE", str(tmp_path / "a b")) for word in words]
        run([*words, "--workers", 1])
    first, second = (SliceStore.open(tmp_path / name) for name in ("a b", "other"))
    same = ["slice", "patient", "kept", "exemplar", "distance", "hash"]
    assert first.table[same].equals(second.table[same])
    assert 0 < len(first) < len(second.table) == second.table["row"].notna().sum()
    assert ", in order of name" in page or "--order" not in given


def test_the_command_of_an_error_can_be_pasted(source, tmp_path):
    store = slice_volumes(source, tmp_path / "it's 100% x", order="name", include="*CT*", workers=1)
    with pytest.raises(ValueError, match="never stored") as refused:
        reduce_store(store.path, "all")
    _, words = str(refused.value).split("python -m monai_ssl ")
    output = tmp_path / "whole"
    run({"INPUT": source, "OUTPUT": output}.get(word, word) for word in shlex.split(words))
    reduce_store(output, "dhash:6")
    assert SliceStore.open(output).kept["slice"].equals(store.kept["slice"])


def test_reducing_again_goes_by_what_the_store_was_reduced_by_last():
    settings = {
        "arguments": {"order": "name"},
        "features": {"backbone": "resnet18"},
        "reduction": {"strategy": "embedding:0.1", "scope": "dataset", "order": "position"},
    }
    assert reduce_again(settings) == (
        "python -m monai_ssl reduce OUTPUT --reduce embedding:0.1 --scope dataset --order position "
        "--backbone resnet18 --checkpoint CHECKPOINT"
    )
