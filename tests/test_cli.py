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

import inspect
import re
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

import monai_ssl.data.slicing
from monai_ssl.cli import app
from monai_ssl.data import SliceStore, slice_volumes


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    values = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 8)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / "scan.nii.gz")
    (folder / "notes.txt").write_text("text")
    return folder


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_slice_makes_the_store_of_the_function_and_sums_up(source, tmp_path):
    key = tmp_path / "key"
    key.write_text("00ff\n")
    options = ("--axis", "coronal", "--reduce", "every_n:3", "--workers", 1, "--pseudonym-key", key)
    result = run("slice", source, tmp_path / "out", *options)
    assert result.exit_code == 0
    expected = slice_volumes(
        source, tmp_path / "expected", axis="coronal", reduce="every_n:3", pseudonym_key=b"\x00\xff", workers=1
    )
    store = SliceStore.open(tmp_path / "out")
    assert store.table.equals(expected.table)
    assert "20 slices, 7 kept (35%)" in result.stdout
    assert re.search(r"1 files rejected: .*rejected\.csv", result.stdout)
    assert re.search(r"1 warnings: .*warnings\.csv", result.stdout)


def test_defaults_are_those_of_the_function(source, tmp_path, monkeypatch):
    def remember(input_dir, output_dir, **given):
        raise ValueError(f"given {given}")

    with monkeypatch.context() as patch:
        patch.setattr("monai_ssl.data.slice_volumes", remember)
        assert "given {}" in run("slice", source, tmp_path / "out").stderr
    shown = run("slice", "--help").stdout
    for name in ("axis", "reduce"):
        default = inspect.signature(monai_ssl.data.slicing.slice_volumes).parameters[name].default
        assert f"[default: ({default})]" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["slice", "{tmp}/absent", "{tmp}/out"], "absent: does not exist"),
        (["slice", "{tmp}/in", "{tmp}/out", "--axis", "up"], "axis must be one of axial, coronal, sagittal, got 'up'"),
        (["slice", "{tmp}/in/notes.txt", "{tmp}/out"], "rejected.csv"),
        (["slice", "{tmp}/in", "{tmp}/out", "--labels", "{tmp}/none.csv"], "none.csv: does not exist"),
    ],
)
def test_bad_input_ends_with_a_line_and_exit_2(source, tmp_path, words, told):
    result = run(*(word.format(tmp=tmp_path) for word in words))
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert told in line
    assert result.stdout == ""


def test_other_commands_hand_over_what_was_given(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("monai_ssl.data.phantoms.make_phantoms", lambda *args, **given: calls.append((args, given)))
    assert run("phantoms", tmp_path / "p", "--seed", 3).exit_code == 0
    assert calls == [((tmp_path / "p",), {"seed": 3})]

    def compare_runs(*args, **given):
        calls.append((args, given))
        return tmp_path / "report.html"

    monkeypatch.setattr("monai_ssl.report.compare_runs", compare_runs, raising=False)
    result = run("compare", tmp_path / "a", tmp_path / "b", "--output", tmp_path / "r", "--redraws", 50)
    assert calls[1] == (([tmp_path / "a", tmp_path / "b"], tmp_path / "r"), {"redraws": 50})
    assert "report.html" in result.stdout


def test_module_runs_and_help_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['x', '--help']\n"
        "try:\n    import runpy; runpy.run_module('monai_ssl', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'monai', 'pandas', 'numpy'} & set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "slice" in done.stdout


def test_slicing_workers_load_neither_torch_nor_monai():
    code = "import sys, monai_ssl.data.slice_volume; assert not {'torch', 'monai'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
