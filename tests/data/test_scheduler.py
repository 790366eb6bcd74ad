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

import hashlib
import os
import shutil
import signal
import socket
import sys
import threading
import time

import pytest
from volume_files import OTHER_SHAPE, axial_affine, world_values, write_nifti, write_series

import monai_ssl.data.slicing as slicing
from monai_ssl.data import reduce_store, slice_volumes
from monai_ssl.data.cluster import open_cluster
from monai_ssl.data.slice_parts import part_file
from monai_ssl.data.slice_volume import store_volume

distributed = pytest.importorskip("dask.distributed")

ANY_PORT = "127.0.0.1:0"
inside, most = [], []


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes, which stay in the folder that this one is in now."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=ANY_PORT) as cluster:
        yield cluster


@pytest.fixture
def in_process():
    """A scheduler with as many workers and threads as asked for, all in this process, reached by TCP."""
    clusters = []

    def start(workers, threads=1):
        options = {"processes": False, "protocol": "tcp://", "dashboard_address": ANY_PORT}
        clusters.append(distributed.LocalCluster(n_workers=workers, threads_per_worker=threads, **options))
        return clusters[-1]

    yield start
    for cluster in clusters:
        cluster.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A dozen volumes, one of them damaged."""
    root = tmp_path_factory.mktemp("source")
    affine = axial_affine()
    for number in range(4):
        values = world_values(affine, OTHER_SHAPE) + 10 * number
        write_series(root / str(number), affine, values, patient=f"p{number // 2}", uid=f"1.2.3.{number}")
    for number in range(8):
        write_nifti(root / f"{number}.nii.gz", affine, world_values(affine, (64, 60, 20)) - number)
    (root / "7.nii.gz").write_bytes((root / "7.nii.gz").read_bytes()[:-6])
    return root


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    return sliced(source, tmp_path_factory.mktemp("whole") / "out", workers=1)


def sliced(source, output, **options):
    store = slice_volumes(source, output, reduce="dhash:10", pseudonym_key="secret", identifiers=True, **options)
    return digests(store.path)


def digests(store):
    """All that is in it, hidden or not, but the lock."""
    files = [file for file in store.rglob("*") if file.name != ".lock"]
    return {
        file.relative_to(store).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
        for file in files
    }


def opened(cluster, *folders):
    return open_cluster(cluster.scheduler_address, folders)


def when_parts(output, count, action):
    """Do it as soon as that many volumes are done."""

    def wait():
        while len(list(output.glob(".parts/*.json"))) < count:
            time.sleep(0.001)
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_relative_folders_and_workers_that_are_elsewhere(cluster, source, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sliced(os.path.relpath(source), "out", scheduler=cluster.scheduler_address) == whole


def test_reducing_a_store(cluster, source, tmp_path):
    slice_volumes(source, tmp_path / "here", reduce="all", pseudonym_key="secret", workers=1)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    reduce_store(tmp_path / "here", "ssim:0.1", workers=1)
    reduce_store(tmp_path / "there", "ssim:0.1", scheduler=cluster.scheduler_address)
    assert digests(tmp_path / "there") == digests(tmp_path / "here")


def test_bringing_a_store_up_to_date(cluster, source, tmp_path):
    shutil.copytree(source, tmp_path / "in", ignore=shutil.ignore_patterns("2", "[45].nii.gz"))
    sliced(tmp_path / "in", tmp_path / "out", workers=1)
    shutil.copytree(source, tmp_path / "in", dirs_exist_ok=True)
    updated = sliced(tmp_path / "in", tmp_path / "out", update=True, scheduler=cluster.scheduler_address)
    assert updated == sliced(tmp_path / "in", tmp_path / "anew", workers=1)


def test_worker_killed_while_it_writes(cluster, source, whole, tmp_path, monkeypatch):
    dead = tmp_path / "dead"

    def store(task):
        def die(event, arguments):
            if event == "os.rename" and "/volumes/" in str(arguments[0]) and not dead.exists():
                dead.write_text(str(arguments[0]))
                os.kill(os.getpid(), signal.SIGKILL)

        if len(list(task.output.glob(".parts/*.json"))) >= 3:
            sys.addaudithook(die)
        return store_volume(task)

    monkeypatch.setattr(slicing, "store_volume", store)
    assert sliced(source, tmp_path / "out", scheduler=cluster.scheduler_address) == whole
    assert "/volumes/" in dead.read_text()  # which is not there any more


def test_volume_that_always_kills(cluster, source, whole, tmp_path, monkeypatch):
    def store(task):
        if task.volume.name == "3.nii.gz":
            os.kill(os.getpid(), signal.SIGKILL)
        return store_volume(task)

    monkeypatch.setattr(slicing, "store_volume", store)
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    with pytest.raises(OSError, match=r"died again and again .* --memory-limit.* the same command goes on"):
        sliced(source, tmp_path / "out", scheduler=cluster.scheduler_address)
    monkeypatch.undo()
    assert sliced(source, tmp_path / "out", scheduler=cluster.scheduler_address) == whole


def test_scheduler_that_goes_away(in_process, source, whole, tmp_path, monkeypatch):
    def store(task):
        time.sleep(0.3)
        return store_volume(task)

    monkeypatch.setattr(slicing, "store_volume", store)
    cluster = in_process(2)
    closing = when_parts(tmp_path / "out", 3, cluster.close)
    with pytest.raises(OSError, match=r"the scheduler tcp://\S+ is gone.* of 12 volumes are done .* goes on"):
        sliced(source, tmp_path / "out", scheduler=cluster.scheduler_address)
    closing.join()
    monkeypatch.undo()
    assert len(list(tmp_path.glob("out/.parts/*.json"))) >= 3
    assert sliced(source, tmp_path / "out", workers=1) == whole


def counted(task):
    inside.append(task)
    most.append(len(inside))
    try:
        return store_volume(task)
    finally:
        inside.remove(task)


def test_several_threads_take_turns(in_process, source, whole, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(slicing, "store_volume", counted)
    cluster = in_process(1, threads=3)
    assert sliced(source, tmp_path / "out", scheduler=cluster.scheduler_address) == whole
    assert most == [1] * 12
    assert "--nthreads 1" in caplog.text


def test_waits_for_the_first_worker_and_says_so(in_process, source, whole, tmp_path, caplog):
    cluster = in_process(0)

    def come():
        while "no worker is there; waiting for one: dask worker tcp://" not in caplog.text:
            time.sleep(0.01)
        cluster.scale(1)

    thread = threading.Thread(target=come, daemon=True)
    thread.start()
    assert sliced(source, tmp_path / "out", scheduler=cluster.scheduler_address) == whole
    thread.join()


def test_worker_that_sees_no_such_folder(in_process, tmp_path):
    told = rf"the worker on \S+ does not see {tmp_path}/absent; .* a disk that they share"
    with pytest.raises(OSError, match=told), opened(in_process(1), tmp_path, tmp_path / "absent") as executor:
        executor.submit(abs, -1).result()


def test_worker_of_another_version(in_process, monkeypatch):
    told = r"the worker on \S+ has monai_ssl \S+, and this is 99; install the same"
    with opened(in_process(1)) as executor:
        monkeypatch.setattr(executor, "_needs", ("99", ()))
        with pytest.raises(OSError, match=told):
            executor.submit(abs, -1).result()


def test_worker_without_the_package(in_process):
    told = r"a worker lacks what it needs \(No module .*\); install the same monai_ssl"
    with pytest.raises(OSError, match=told), opened(in_process(1)) as executor:
        executor.submit(__import__, "no_such_module").result()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tcp://127.0.0.1:{deaf}", "nonsense", "tls://127.0.0.1:9"])
def test_no_scheduler_there(source, tmp_path, monkeypatch, address):
    monkeypatch.setattr("monai_ssl.data.cluster._PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = address.format(deaf=deaf.getsockname()[1])
        start = time.monotonic()
        with pytest.raises(ValueError, match=f"scheduler {address} cannot be reached .*: dask scheduler"):
            sliced(source, tmp_path / "out", scheduler=address)
        assert time.monotonic() - start < 5
    assert not (tmp_path / "out" / "volumes").exists()


def test_without_dask(source, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(ValueError, match=r"pip install 'monai_ssl\[dask\]'"):
        sliced(source, tmp_path / "out", scheduler="tcp://127.0.0.1:9")


def test_worker_that_was_given_up_and_still_writes(source, whole, tmp_path, monkeypatch):
    tasks = []

    def twice(task):
        tasks.append(task)
        store_volume(task)
        return store_volume(task)

    monkeypatch.setattr(slicing, "store_volume", twice)
    assert sliced(source, tmp_path / "out", workers=1) == whole
    for task in tasks:
        with pytest.raises(OSError, match="the run is over"):
            store_volume(task)
    assert digests(tmp_path / "out") == whole


def test_what_others_wrote_may_show_late(source, whole, tmp_path, monkeypatch):
    def hidden(task):
        count = store_volume(task)
        part = part_file(task.output, task.name)
        part.rename(part.with_suffix(".hidden"))
        threading.Timer(0.5, part.with_suffix(".hidden").rename, [part]).start()
        return count

    monkeypatch.setattr(slicing, "store_volume", hidden)
    assert sliced(source, tmp_path / "out", workers=1) == whole
