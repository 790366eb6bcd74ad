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

import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

import pandas as pd
import pydicom
import pytest
from killable_slicing import KEY, digests, slicing_elsewhere
from volume_files import OTHER_SHAPE, axial_affine, world_values, write_nifti, write_series, write_source

from monai_ssl.data import SliceStore, slice_volumes

LABELS = "series,position_mm,nodule,note\n1.2.3.0,-71.75,1,a\n1.2.3.1,-69.25,0,=b\n9.9.9,1,1,c\n"


@pytest.fixture(scope="module")
def slicer():
    with slicing_elsewhere() as slicer:
        yield slicer


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A dozen volumes, one of them damaged, litter and labels."""
    root = tmp_path_factory.mktemp("source")
    affine = axial_affine()
    for number in range(4):
        values = world_values(affine, OTHER_SHAPE) + 10 * number
        write_series(root / "in" / str(number), affine, values, patient=f"p{number // 2}", uid=f"1.2.3.{number}")
    for number in range(8):
        write_nifti(root / "in" / f"{number}.nii.gz", affine, world_values(affine, (64, 60, 20)) - number)
    (root / "in" / "7.nii.gz").write_bytes((root / "in" / "7.nii.gz").read_bytes()[:-6])
    (root / "in" / "notes.txt").write_text("no image")
    (root / "labels.csv").write_text(LABELS)
    return root


@pytest.fixture(scope="module")
def options(source):
    return {"labels": str(source / "labels.csv"), "identifiers": True, "reduce": "dhash:10", "workers": 1}


@pytest.fixture(scope="module")
def whole(source, options, tmp_path_factory):
    store = slice_volumes(source / "in", tmp_path_factory.mktemp("whole") / "out", pseudonym_key=KEY, **options)
    return digests(store.path)


def test_killed_at_ten_random_moments_the_store_is_the_same(slicer, source, options, whole, tmp_path):
    start = time.monotonic()
    assert slicer.run(source / "in", tmp_path / "timed", **options) == 0
    length = time.monotonic() - start
    assert digests(tmp_path / "timed") == whole
    draw = random.Random(0)
    kills = 0
    for number in range(30):
        # What is done is not done again, so that a store may be whole before the tenth kill, and another begins.
        output = tmp_path / str(number)
        while not finished(output):
            delay = draw.uniform(0.1, 0.9) * length if kills < 10 else None
            status = slicer.run(source / "in", output, kill_after=delay, **options)
            assert status in (0, -signal.SIGKILL)
            kills += status != 0
        assert digests(output) == whole
        if kills == 10:
            return
    pytest.fail(f"only {kills} kills came in time")


def test_killed_with_two_workers_the_store_is_the_same(slicer, source, options, whole, tmp_path):
    options = {**options, "workers": 2}
    draw = random.Random(1)
    for parts in (draw.randint(1, 4), draw.randint(5, 9)):
        status = slicer.run(source / "in", tmp_path / "out", kill_after=draw.uniform(0, 0.01), parts=parts, **options)
        assert status in (0, -signal.SIGKILL)
    if not finished(tmp_path / "out"):
        assert slicer.run(source / "in", tmp_path / "out", **options) == 0
    assert digests(tmp_path / "out") == whole


def test_killed_at_any_change_of_a_file_the_store_is_the_same(slicer, tmp_path):
    source = tmp_path / "in"
    write_nifti(source / "v.nii.gz", axial_affine(), world_values(axial_affine(), OTHER_SHAPE))
    write_series(source / "s", axial_affine(), world_values(axial_affine(), OTHER_SHAPE))
    expected = digests(slice_volumes(source, tmp_path / "whole", pseudonym_key=KEY, identifiers=True, workers=1).path)
    for die_at in range(1, 1000):
        output = tmp_path / str(die_at)
        status = slicer.run(source, output, die_at=die_at, workers=1, identifiers=True)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        if not finished(output):
            assert slicer.run(source, output, workers=1, identifiers=True) == 0
        assert digests(output) == expected
    assert die_at > 30
    assert digests(output) == expected


def finished(output):
    return (output / "store.json").exists() and not (output / ".slicing.json").exists()


def stopped(slicer, source, output, die_at=50, **options):
    """A store whose slicing was killed half-way."""
    assert slicer.run(source, output, die_at=die_at, **options) == -signal.SIGKILL
    assert list((output / ".parts").glob("*.json"))
    return output


def test_done_volumes_are_not_done_again_and_changed_ones_are(slicer, source, options, tmp_path):
    copy = tmp_path / "in"
    shutil.copytree(source / "in", copy)
    output = stopped(slicer, copy, tmp_path / "out", **options)
    names = [file.with_suffix(".npy").name for file in (output / ".parts").glob("*.json")]
    done = {name: (output / "volumes" / name).stat().st_mtime_ns for name in names}
    assert len(done) > 2
    changed = copy / "0" / sorted(os.listdir(copy / "0"))[0]
    dataset = pydicom.dcmread(changed)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(changed)
    (copy / "1.nii.gz").unlink()
    store = slice_volumes(copy, output, pseudonym_key=KEY, **options)
    expected = slice_volumes(copy, tmp_path / "expected", pseudonym_key=KEY, **options)
    assert digests(output) == digests(expected.path)
    now = {file.name: file.stat().st_mtime_ns for file in (output / "volumes").glob("*.npy")}
    assert len(now) == len(store.table["volume"].unique()) == 10
    kept = [name for name, written in done.items() if now.get(name) == written]
    assert len(done) - 2 <= len(kept) < len(now)


def test_other_arguments_are_refused_and_named(slicer, source, options, tmp_path):
    output = stopped(slicer, source / "in", tmp_path / "out", **options)
    before = digests(output)
    with pytest.raises(
        ValueError, match=r"axis was axial, now coronal; spacing was None, now \[1\.0, 1\.0, 1\.0\]; repeat"
    ):
        slice_volumes(source / "in", output, **{**options, "axis": "coronal", "spacing": 1})
    shutil.copytree(source / "in", tmp_path / "other")
    with pytest.raises(ValueError, match="another input; repeat"):
        slice_volumes(tmp_path / "other", output, **options)
    with pytest.raises(ValueError, match="another key"):
        slice_volumes(source / "in", output, **{**options, "pseudonym_key": "other"})
    assert digests(output) == before
    with pytest.raises(ValueError, match="was stopped: repeat the command that began it"):
        SliceStore.open(output)


def test_labels_and_the_limit_of_memory_may_differ(slicer, source, options, whole, tmp_path):
    first = {**options, "labels": None, "identifiers": False, "max_gib": 1e-4}
    output = stopped(slicer, source / "in", tmp_path / "out", **first)
    slice_volumes(source / "in", output, **options)
    assert digests(output) == whole


def test_parts_name_nothing_of_the_source(slicer, tmp_path):
    source = write_source(tmp_path / "in")
    output = stopped(slicer, source, tmp_path / "out", die_at=25, workers=1)
    texts = "".join(file.read_text() for file in (output / ".parts").glob("*.json"))
    texts += (output / ".slicing.json").read_text() + "".join(os.listdir(output / ".parts"))
    for secret in ("1.2.840", "007", "Doe", str(tmp_path)):
        assert secret not in texts.replace("_0007", "")
    assert (output / ".parts" / "reserve").stat().st_blocks > 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_polite_stop_says_that_the_command_goes_on(source, options, whole, tmp_path, number, code):
    command = (
        "import json, sys, monai_ssl.data as data, monai_ssl.data.slicing as slicing\n"
        "def told(task, work=slicing.store_volume):\n"
        "    print('slicing', flush=True)\n"
        "    import time; time.sleep(0.2)\n"
        "    return work(task)\n"
        "slicing.store_volume = told\n"
        "try:\n"
        "    data.slice_volumes(sys.argv[1], sys.argv[2], **json.loads(sys.argv[3]))\n"
        "except KeyboardInterrupt as stop:\n"
        "    print(stop, file=sys.stderr)\n"
        "    sys.exit(130)\n"
    )
    arguments = [source / "in", tmp_path / "out", json.dumps({**options, "pseudonym_key": KEY})]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", command, *arguments], **pipes) as process:
        assert process.stdout.readline() == process.stdout.readline() == "slicing\n"
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == code
    (line,) = [line for line in errors.splitlines() if "stopped" in line]
    assert line.endswith("stopped, 1 of 12 volumes are done; the same command goes on")
    assert "Traceback" not in errors
    slice_volumes(source / "in", tmp_path / "out", pseudonym_key=KEY, **options)
    assert digests(tmp_path / "out") == whole


def test_ctrl_c_in_a_terminal_ends_all_processes_without_a_traceback(source, tmp_path):
    words = ["slice", source / "in", tmp_path / "out", "--workers", "2"]
    command = [sys.executable, "-m", "monai_ssl", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        until = time.monotonic() + 90
        while not list((tmp_path / "out").glob(".parts/*.json")) and time.monotonic() < until:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert re.fullmatch(r".*out: stopped, \d+ of 12 volumes are done; the same command goes on\n", errors)


def test_workers_die_with_a_killed_parent(source, options, tmp_path):
    psutil = pytest.importorskip("psutil")
    command = "import sys, json, monai_ssl.data as data; data.slice_volumes(*sys.argv[1:3], **json.loads(sys.argv[3]))"
    arguments = [source / "in", tmp_path / "out", json.dumps({**options, "workers": 2})]
    with subprocess.Popen([sys.executable, "-c", command, *arguments], stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 90
        while not list((tmp_path / "out").glob(".parts/*.json")) and time.monotonic() < until:
            time.sleep(0.01)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert children
    assert not alive


def test_identifiers_lead_back_to_the_source_and_are_private(tmp_path):
    source = write_source(tmp_path / "in")
    store = slice_volumes(source, tmp_path / "out", identifiers=True, workers=1)
    file = store.path / "identifiers.csv"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    table = pd.read_csv(file, dtype=str, keep_default_na=False).set_index("volume")
    assert sorted(table["source_series"]) == ["1.2.840.7", "1.2.840.8", "n/Doe Jane.nii.gz"]
    seven = table[table["source_patient"] == "007"]
    assert seven["source_series"].tolist() == ["1.2.840.7"]
    assert (source / seven["file"].iloc[0]).parent == source / "a"
    patients = store.table.drop_duplicates("volume").set_index("volume")["patient"]
    assert patients.to_dict() == table["patient"].to_dict()
    assert not (slice_volumes(source, tmp_path / "plain", workers=1).path / "identifiers.csv").exists()
