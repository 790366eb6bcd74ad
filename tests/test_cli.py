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
import io
import re
import shlex
import subprocess
import sys
import warnings

import nibabel
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import monai_ssl.data.slicing
from monai_ssl.cli import app
from monai_ssl.cli.check_table import summary
from monai_ssl.cli.compare import compare_command
from monai_ssl.data import SliceStore, check_volumes, export_png, slice_volumes
from monai_ssl.metrics import METRICS


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
    assert re.search(r"1 entry rejected: .*rejected\.csv", result.stdout)
    assert re.search(r"0 warnings: .*warnings\.csv", result.stdout)
    assert "1 volume of a format that names no patient: each counts as a patient of its own" in result.stdout


def test_defaults_are_those_of_the_function(source, tmp_path, monkeypatch):
    def remember(input_dir, output_dir, **given):
        raise ValueError(f"given {given}")

    with monkeypatch.context() as patch:
        patch.setattr("monai_ssl.data.slice_volumes", remember)
        assert "given {}" in run("slice", source, tmp_path / "out").stderr
    assert "[default: (as sliced)]" in " ".join(run("reduce", "--help").stdout.split())
    shown = run("slice", "--help").stdout
    for name in ("axis", "reduce", "max_gib"):
        default = inspect.signature(monai_ssl.data.slicing.slice_volumes).parameters[name].default
        assert f"[default: ({default if isinstance(default, str) else f'{default:g}'})]" in shown


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--spacing", "2"], {"spacing": 2.0}),
        (["--spacing", "0.5,0.5,2"], {"spacing": (0.5, 0.5, 2.0)}),
        (
            ["--split-time", "--max-gib", "0.5", "--identifiers"],
            {"split_time": True, "max_gib": 0.5, "identifiers": True},
        ),
    ],
)
def test_slice_hands_over_its_options(tmp_path, monkeypatch, words, expected):
    def remember(input_dir, output_dir, **given):
        raise ValueError(f"given {given}")

    monkeypatch.setattr("monai_ssl.data.slice_volumes", remember)
    assert f"given {expected}" in run("slice", tmp_path, tmp_path / "out", *words).stderr


def test_check_prints_what_the_function_finds(source, monkeypatch):
    for name in ("=1+1.txt", "\x1b[31mred"):
        (source / name).write_text("text")
    table = check_volumes(source, workers=1)
    result = run("check", source, "--csv", "--workers", 1)
    assert result.exit_code == 0
    printed = pd.read_csv(
        io.StringIO(result.stdout), dtype={"slices": "Int64"}, keep_default_na=False, na_values={"slices": ""}
    )
    assert printed["series"].tolist()[1:] == ["\x1b[31mred", "'=1+1.txt", "notes.txt"]
    pd.testing.assert_frame_equal(printed.drop(columns="series"), table.drop(columns="series"))
    assert result.stderr.splitlines()[-1] == "1 series accepted, 0 with warnings, 0 refused; 3 files are no image"


@pytest.mark.parametrize("width", [80, 120, 200])
def test_check_is_a_table_that_fits(source, tmp_path, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for number in range(40):
        (source / f"picture {number:02d}.png").write_bytes(b"\x89PNG")
    (source / "\x1b[31mred\n").write_text("text")
    deep = source / "a folder of a long name" / "and another of a still longer one" / "scan.nii"
    deep.parent.mkdir(parents=True)
    wide = np.arange(512 * 512, dtype=np.int32).reshape(512, 512, 1)
    nibabel.save(nibabel.Nifti1Image(wide, np.diag([0.7812, 0.7812, 1, 1])), deep)
    result = run("check", source, "--workers", 1)
    lines = result.stdout.splitlines()
    assert "\x1b" not in result.stdout
    assert max(map(len, lines)) <= width
    for heading, cells in (("slices", ["8", "1"]), ("size", ["20x20", "512x512"])):
        right = lines[0].index(heading) + len(heading)
        for cell in cells:
            assert any(re.search(rf"\s{cell}$", line[:right]) for line in lines), (heading, cell)
    words = " ".join(result.stdout.split())
    assert "\\x1b[31mred\\n and 41 more" in words
    assert lines[-1] == "2 series accepted, 0 with warnings, 0 refused; 42 files are no image"
    reasons = check_volumes(source, workers=1)["reasons"]
    if width == 80:  # below their row, so that no other column is among the words
        assert all(" ".join(reason.split()) in words for text in reasons for reason in text.splitlines())
    beside = [line for line in lines if "refuse" in line and "- neither" in line]
    assert bool(beside) == (width == 200)


def test_narrow_table_of_check_breaks_no_number(source, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "45")
    lines = run("check", source, "--workers", 1).stdout.splitlines()
    assert lines[0] == "series"
    at = lines.index("scan.nii.gz")
    assert lines[at + 1].split()[:2] == ["8", "20x20"]
    assert lines[at + 1].endswith("accept")
    assert not any(line != line.rstrip() for line in lines)


def test_a_reader_that_leaves_gets_no_error(source):
    words = [sys.executable, "-m", "monai_ssl", "check", str(source), "--csv", "--workers", "1"]
    command = f"{shlex.join(words)} | head -c 0"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (ended.returncode, "rror" in ended.stderr) == (0, False)


def test_ctrl_c_during_imports_leaves_no_traceback():
    code = "import signal, monai_ssl.__main__; print(signal.getsignal(signal.SIGINT) is signal.SIG_DFL)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"


def test_check_counts_by_verdict_and_files_that_never_were_a_volume_apart():
    rows = [
        (8, "accept", ""),
        (8, "accept", ""),
        (8, "warn", "constant"),
        (8, "refuse", "truncated"),
        (None, "refuse", "two patients under one SeriesInstanceUID (all 20 files of the series)"),
        (None, "refuse", "empty file"),
        (None, "refuse", "neither DICOM, NIfTI, NRRD nor MetaImage"),
        (None, "refuse", "no image (RT Structure Set Storage)"),
        (None, "refuse", "a DICOMDIR, not an image; the files it lists are found without it"),
    ]
    table = pd.DataFrame(rows, columns=["slices", "verdict", "reasons"])
    assert summary(table) == "2 series accepted, 1 with warnings, 2 refused; 4 files are no image"


def test_check_of_headers_says_so_and_of_nothing_ends_with_2(source, tmp_path):
    result = run("check", source, "--headers-only", "--workers", 1)
    assert result.exit_code == 0
    assert "damage in the voxels is not looked for" in result.stdout
    (source / "scan.nii.gz").unlink()
    result = run("check", source, "--workers", 1)
    assert result.exit_code == 2
    assert result.stdout.splitlines()[-1] == "0 series accepted, 0 with warnings, 0 refused; 1 file is no image"
    (source / "notes.txt").unlink()
    assert run("check", source, "--workers", 1).exit_code == 2


def test_scheduler_prints_what_processes_print(source, tmp_path):
    distributed = pytest.importorskip("dask.distributed")
    options = ("--reduce", "every_n:3", "--workers", 1)
    here = run("slice", source, tmp_path / "here", *options)
    cluster = {"n_workers": 1, "processes": False, "protocol": "tcp://", "dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(**cluster) as cluster:
        there = run("slice", source, tmp_path / "there", *options, "--scheduler", cluster.scheduler_address)
    assert there.exit_code == 0
    assert there.stdout == here.stdout.replace(str(tmp_path / "here"), str(tmp_path / "there"))
    nowhere = run("slice", source, tmp_path / "nowhere", "--scheduler", "tcp:nowhere")
    assert nowhere.exit_code == 2
    assert re.fullmatch(r"error: scheduler tcp:nowhere cannot be reached .*: dask scheduler\n", nowhere.stderr)


@pytest.mark.parametrize(("word", "window"), [("bone", "bone"), ("-160,240", (-160, 240)), ("minmax", "minmax")])
def test_export_writes_the_pictures_of_the_function(source, tmp_path, word, window):
    store = slice_volumes(source, tmp_path / "store", workers=1)
    result = run("export", store.path, tmp_path / "png", "--window", word, "--workers", 1)
    assert result.exit_code == 0
    assert f"{len(store)} images, window {word}: " in result.stdout
    expected = export_png(store, tmp_path / "expected", window, workers=1)
    ours, theirs = (
        {file.name: file.read_bytes() for file in folder.iterdir()} for folder in (tmp_path / "png", expected)
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("function", "words", "told"),
    [
        ("slice_volumes", ["slice", "a", "b"], "stopped; the same command goes on"),
        ("check_volumes", ["check", "a"], "stopped"),
        ("phantoms.make_phantoms", ["phantoms", "a"], "stopped"),
    ],
)
def test_interrupt_is_a_line_and_exit_130(monkeypatch, function, words, told):
    def interrupt(*args, **given):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"monai_ssl.data.{function}", interrupt)
    result = run(*words)
    assert result.exit_code == 130
    assert (result.stdout, result.stderr.strip()) == ("", told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["slice", "{tmp}/absent", "{tmp}/out"], "absent: does not exist"),
        (["slice", "{tmp}/in", "{tmp}/out", "--axis", "up"], "axis must be one of axial, coronal, sagittal, got 'up'"),
        (["slice", "{tmp}/in/notes.txt", "{tmp}/out"], "rejected.csv"),
        (["slice", "{tmp}/in", "{tmp}/out", "--labels", "{tmp}/none.csv"], "none.csv: does not exist"),
        (["slice", "{tmp}/in", "{tmp}/out", "--spacing", "1,2"], "--spacing must be 1 or 3 numbers with commas"),
        (["slice", "{tmp}/in", "{tmp}/out", "--spacing", "1mm"], "got '1mm'"),
        (["check", "{tmp}/absent"], "absent: does not exist"),
        (["export", "{tmp}/in", "{tmp}/out", "--window", "lung"], "not a finished slice store"),
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
        (tmp_path / "r").mkdir()
        (tmp_path / "r/report.json").write_text('{"summary": ["a and b are alike."]}')
        return tmp_path / "r/report.html"

    monkeypatch.setattr("monai_ssl.report.compare_runs", compare_runs, raising=False)
    result = run("compare", tmp_path / "a", tmp_path / "b", "--output", tmp_path / "r", "--redraws", 50)
    assert calls[1] == (([str(tmp_path / "a"), str(tmp_path / "b")], tmp_path / "r"), {"redraws": 50})
    beside = "beside it comparison.csv, models.csv, report.json, methods.txt and figures/"
    assert result.stdout == f"a and b are alike.\nreport: {tmp_path / 'r/report.html'}, {beside}\n"


def test_a_warning_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("monai_ssl.data.phantoms.make_phantoms", lambda *_, **__: warnings.warn("odd", stacklevel=1))
    assert run("phantoms", tmp_path / "p").stderr == "warning: odd\n"


def test_the_help_of_compare_names_every_metric():
    options = inspect.signature(compare_command).parameters["metrics"].annotation
    assert [name for name in METRICS if name not in options] == []


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


@pytest.mark.parametrize("module", ["data.slice_volume", "data.check", "data.export", "report"])
def test_commands_without_networks_load_neither_torch_nor_monai(module):
    code = f"import sys, monai_ssl.{module}; assert not {{'torch', 'monai'}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
