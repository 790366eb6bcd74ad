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


"""Where work runs: in this process, in several, or on a cluster; one interface for all three."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, TypeVar

import cv2
from threadpoolctl import threadpool_limits

__all__ = ["WORTH_A_PROCESS", "SerialExecutor", "Width", "check_workers", "make_executor", "one_thread", "run_all"]

Task = TypeVar("Task")
Result = TypeVar("Result")
# How many tasks run at once; machines may come and go meanwhile.
Width = int | Callable[[], int]

# Voxels that this process works through while a new one would only start.
WORTH_A_PROCESS = 2 * 10**8
_GLANCE = 10  # seconds


class SerialExecutor(Executor):
    """Runs each task at once, in this process."""

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """Run `fn` and return its finished future."""
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # what a worker process would hand back as well
            future.set_exception(error)
        return future


def check_workers(workers: int | None) -> None:
    """
    Refuse what is no number of processes.

    Raises:
        ValueError: when `workers` is neither None nor a whole number of at least 1.
    """
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise ValueError(f"workers must be None (one per CPU) or a whole number of at least 1, got {workers!r}")


class _Pool(ProcessPoolExecutor):
    """Workers are born deaf to Ctrl-C, which reaches all processes: the first one ends the others."""

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """As that of `ProcessPoolExecutor`, which starts a worker where none is free."""
        if not hasattr(signal, "pthread_sigmask"):
            return super().submit(fn, *args, **kwargs)
        resource_tracker.ensure_running()  # else started within, and deaf for ever
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def make_executor(
    workers: int | None, scheduler: str | None = None, tasks: int | None = None, folders: Sequence[Path] = ()
) -> Iterator[tuple[Executor, Width]]:
    """
    An executor, and how many tasks it runs at once. Each runs on one thread; processes start as tasks are submitted.

    Args:
        workers: processes; None for one per CPU, 1 for this process.
        scheduler: address of a dask scheduler, such as "tcp://host:8786", whose workers see the same folders.
        tasks: no more processes than this, where it is known already.
        folders: absolute paths that all workers of the scheduler must see.

    Raises:
        ValueError: for a bad number of workers; when `scheduler` is given and cannot be reached, or `dask.distributed`
            is not installed.
        OSError: when the scheduler is lost on the way, or its workers die.
    """
    check_workers(workers)
    if scheduler is not None:
        from monai_ssl.data.cluster import open_cluster

        with open_cluster(scheduler, folders) as cluster:
            yield cluster, cluster.width
        return
    count = workers or os.cpu_count() or 1
    if min(count, count if tasks is None else tasks) <= 1:
        with SerialExecutor() as serial, one_thread():
            yield serial, 1
        return
    # Forking a process that has threads (numba, torch) can hang.
    context = multiprocessing.get_context("spawn")
    with _Pool(count, mp_context=context, initializer=_become_worker) as pool:
        yield pool, count


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep libraries to one thread, of those that are loaded already."""
    threads = cv2.getNumThreads()
    with threadpool_limits(1):
        cv2.setNumThreads(1)
        try:
            yield
        finally:
            cv2.setNumThreads(threads)


def run_all(
    executor: Executor, width: Width, function: Callable[[Task], Result], tasks: Iterable[Task]
) -> Iterator[Result]:
    """
    The results of `function` over `tasks`, as they come; only twice `width` tasks are in the executor at a time.

    Raises:
        OSError: when a worker process died.
    """
    pending: set[Future] = set()
    tasks = iter(tasks)
    exhausted = False
    try:
        while pending or not exhausted:
            count = width() if callable(width) else width
            while not exhausted and len(pending) < (2 * count if count > 1 else 1):
                task = next(tasks, None)
                exhausted = task is None
                if task is not None:
                    pending.add(executor.submit(function, task))
            done, pending = wait(pending, _GLANCE, FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenExecutor as error:
        raise OSError(
            "a worker process died, for want of memory perhaps: run again with fewer workers; a script that starts "
            'workers needs `if __name__ == "__main__":`'
        ) from error
    finally:
        for future in pending:
            future.cancel()


def _become_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"  # torch comes with the first task that needs it
    threadpool_limits(1)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A worker whose parent was killed would wait for tasks for ever, or write into a store that is being resumed.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
