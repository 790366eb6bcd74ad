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

"""Work on the machines of a dask cluster."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_ssl import __version__
from monai_ssl.data.parallel import one_thread

if TYPE_CHECKING:
    from dask.distributed import Client

__all__ = ["Cluster", "open_cluster"]

logger = logging.getLogger(__name__)

_PATIENCE = 10  # seconds for connecting
# Warnings of pydicom are silenced by process, and one volume at a time is what a worker's memory is made for.
_turn = threading.Lock()


class Cluster(Executor):
    """
    The workers behind a dask scheduler.

    Args:
        client: connected to it.
        address: of it.
        folders: absolute paths that every worker must see.
    """

    def __init__(self, client: Client, address: str, folders: Sequence[Path]) -> None:
        self._client = client
        self._address = address
        self._executor = client.get_executor(pure=False)
        self._needs = __version__, tuple(map(os.fspath, folders))
        self._told = False
        self.width()  # tells when there is no worker
        if any(threads > 1 for threads in client.nthreads().values()):
            logger.warning(
                "workers with several threads use one of them; start more workers instead: dask worker --nworkers N "
                "--nthreads 1"
            )

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """Run `fn` on a worker, on one thread and with nothing else of ours in its process."""
        import cloudpickle

        content = cloudpickle.dumps((fn, args, kwargs))
        # In bytes: unpickling any of it, a scheduler or worker without this package would break, and others wait.
        return self._executor.submit(pickle.loads, pickle.dumps(_Call(*self._needs, content)))

    def width(self) -> int:
        """How many tasks can run at once: workers come and go."""
        try:
            count = len(self._client.nthreads()) if self._client.status == "running" else 1
        except OSError:  # the scheduler is gone, as the futures will tell
            count = 1
        if count == 0 and not self._told:
            logger.warning("no worker is there; waiting for one: dask worker %s --nthreads 1", self._address)
        self._told = count == 0
        return max(count, 1)


@contextmanager
def open_cluster(address: str, folders: Sequence[Path]) -> Iterator[Cluster]:
    """
    Connect to a scheduler, for as long as the block lasts.

    Args:
        address: such as "tcp://host:8786".
        folders: absolute paths that every worker must see.

    Raises:
        ValueError: when it cannot be reached, or `dask.distributed` is not installed.
        OSError: when it is lost on the way, or its workers die of a task.
    """
    try:
        from dask.distributed import Client, KilledWorker
    except ImportError as error:
        raise ValueError("a scheduler needs dask: pip install 'monai_ssl[dask]'") from error
    try:
        with ThreadPoolExecutor(1) as thread:  # this one may have an event loop, as in a notebook
            thread.submit(asyncio.run, _greet(address)).result()
    except Exception as error:  # many kinds, as what answers may be no scheduler at all
        reason = str(error) or "what answers there is none"
        raise ValueError(f"scheduler {address} cannot be reached ({reason}); start one with: dask scheduler") from None
    with _quietly(), Client(address, timeout=_PATIENCE, set_as_default=False) as client:
        try:
            yield Cluster(client, address, folders)
        except KilledWorker as error:
            raise OSError(
                "workers of the cluster died again and again over one task, for want of memory perhaps: start fewer "
                "on each machine, or give them more (dask worker --memory-limit)"
            ) from error
        except ImportError as error:
            raise OSError(f"a worker lacks what it needs ({error}); install the same monai_ssl everywhere") from error
        except CancelledError as error:
            raise OSError(f"the scheduler {address} is gone, or has cancelled the work") from error


@contextmanager
def _quietly() -> Iterator[None]:
    # What goes wrong is logged with its traceback, and raised as well.
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


async def _greet(address: str) -> None:
    # Client does not bound this, and one that failed takes long to close.
    from dask.distributed import Security
    from distributed.comm import connect

    async with asyncio.timeout(_PATIENCE + 1):
        link = await connect(address, timeout=_PATIENCE, **Security().get_connection_args("client"))
        await link.close()


class _Call:
    """A call that is made where it is unpickled."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Callable, tuple]:
        return _in_turn, self._arguments


def _in_turn(version: str, folders: Sequence[str], content: bytes) -> Any:
    here = f"the worker on {platform.node()}"
    if version != __version__:
        raise OSError(f"{here} has monai_ssl {__version__}, and this is {version}; install the same one everywhere")
    for folder in folders:
        if not os.path.exists(folder):
            raise OSError(f"{here} does not see {folder}; all must see it under that path, on a disk that they share")
    function, args, kwargs = pickle.loads(content)
    with _turn, one_thread():
        return function(*args, **kwargs)
