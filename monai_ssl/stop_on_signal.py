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

"""Leave in good order when the system asks for it, so that a script can submit the run again."""

from __future__ import annotations

import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any, NoReturn

import ignite.distributed as idist

from monai_ssl.processes import leave_at_once

__all__ = ["REQUEUE", "REQUEUE_CODE", "StopOnSignal"]

logger = logging.getLogger(__name__)

REQUEUE = "REQUEUE"
REQUEUE_CODE = 75  # EX_TEMPFAIL of sysexits.h: try again later


class StopOnSignal:
    """
    On SIGTERM leave with code 75 and a file `REQUEUE` in the run folder, which says what happened.

    Schedulers send SIGTERM some time before they kill. While :py:attr:`waits` is set, the signal is only noted, for the
    training loop to save first; else the process leaves at once. torchrun replaces the code by one of its own, hence
    the file, which goes when the run goes on.

    Args:
        folder: of the run.

    Attributes:
        requested: whether the signal has come.
        waits: whether someone looks at `requested` and calls :py:meth:`leave`.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.marker = Path(folder, REQUEUE)
        self.requested = False
        self.waits = False
        self._before: Any = None
        self._installed = False

    def install(self) -> None:
        """Listen from now on. Only the main thread of a program can."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._receive)
            self._installed = True

    def remove(self) -> None:
        """Listen no more."""
        if self._installed:
            signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)
            self._installed = False

    def forget(self) -> None:
        """Remove what an earlier stop left."""
        self.marker.unlink(missing_ok=True)

    def leave(self, where: str) -> NoReturn:
        """
        Write the marker and leave with code 75, all processes together.

        Args:
            where: the run stands, such as `after iteration 120`.
        """
        if idist.get_rank() == 0:
            self._mark(where)
        idist.barrier()
        # An orderly end waits for the workers of data loaders, longer than some schedulers do.
        leave_at_once(REQUEUE_CODE)

    def _receive(self, *_: Any) -> None:
        self.requested = True
        if not self.waits:
            self._mark("outside of training")
            leave_at_once(REQUEUE_CODE)  # torchrun ends the other processes

    def _mark(self, where: str) -> None:
        text = f"stopped by SIGTERM {where}; the same command goes on from there"
        self.marker.write_text(text + "\n", encoding="utf-8")
        logger.warning("%s: %s", self.marker.parent, text)
