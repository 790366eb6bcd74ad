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

"""Runs started, watched, stopped and taken up again, several at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from monai_ssl.files import lock_folder
from monai_ssl.sweep.plan import SweepPlan
from monai_ssl.sweep.record import keep_record
from monai_ssl.sweep.redrawn import run_auc
from monai_ssl.sweep.runs import SweepRun
from monai_ssl.sweep.slots import Slot

__all__ = ["SweepOutcome", "run_sweep"]

_POLL_SECONDS = 0.2
_SHOWN_LINES = 5
_READ_BYTES = 65536


@dataclass
class SweepOutcome:
    """
    How the runs of one sweep ended.

    Attributes:
        failed: the last lines of each failed run's log, by its name.
        signal: that stopped the sweep, None when it came to its end.
        remaining: runs that are not finished.
    """

    failed: dict[str, list[str]] = field(default_factory=dict)
    signal: int | None = None
    remaining: int = 0


def run_sweep(plan: SweepPlan, slots: Sequence[Slot]) -> SweepOutcome:
    """
    Do the runs of a plan that are not finished; a line for each that starts or ends, and a bar on a terminal.

    A failed run does not stop the others. SIGINT, SIGTERM and SIGHUP end the sweep: its runs get SIGTERM, save and
    leave; a second one kills them. A run that a killed sweep left behind is waited for in its slot.

    Args:
        plan: from :py:func:`plan_sweep`.
        slots: from :py:func:`sweep_slots`.

    Raises:
        ValueError: when the folder is in use by another sweep, or belongs to one that differs.
    """
    with lock_folder(plan.output), _stop_signals() as signals:
        keep_record(plan.output, plan.record)
        sweep = _Running(plan, slots, signals)
        with sweep.bar:
            while sweep.goes_on():
                time.sleep(_POLL_SECONDS)
        return sweep.outcome


@dataclass
class _Job:
    run: SweepRun
    slot: str
    process: subprocess.Popen | None  # None: started by an earlier sweep
    log_begin: int

    def ended(self) -> bool:
        return self.run.held_by() is None if self.process is None else self.process.poll() is not None


class _Running:
    def __init__(self, plan: SweepPlan, slots: Sequence[Slot], signals: list[int]) -> None:
        self.slots, self.signals, self.outcome = slots, signals, SweepOutcome()
        self.waiting = deque(run for run in plan.runs if not run.finished())
        self.jobs: list[_Job] = []
        self._told = 0
        done = len(plan.runs) - len(self.waiting)
        self.bar = tqdm(total=len(plan.runs), initial=done, unit="run", disable=None, leave=False)
        for run in list(self.waiting):
            holder = run.held_by()
            if holder is not None:
                self.waiting.remove(run)
                self.jobs.append(_Job(run, holder["slot"], None, _size(run.log)))
                self._say(f"{run}: still runs (process {holder['process']}, of an earlier sweep); waiting for it")

    def goes_on(self) -> bool:
        """One look at everything; False when there is nothing left to wait for."""
        for job in [job for job in self.jobs if job.ended()]:
            self.jobs.remove(job)
            self._end(job)
        if self.signals:
            self._stop()
            return bool(self.jobs)
        for slot in self._free():
            if self.waiting:
                self._start(self.waiting.popleft(), slot)
        return bool(self.jobs)

    def _free(self) -> list[Slot]:
        taken = {job.slot for job in self.jobs}
        # A run of an earlier sweep may be on a device that this one does not name.
        return [slot for slot in self.slots if slot.name not in taken][: max(0, len(self.slots) - len(self.jobs))]

    def _start(self, run: SweepRun, slot: Slot) -> None:
        begin = _size(run.log)
        process = run.start(slot.name, slot.device, slot.environment)
        self.jobs.append(_Job(run, slot.name, process, begin))
        self._say(f"{run}: started{f' on {slot.name}' if slot.name else ''}")

    def _end(self, job: _Job) -> None:
        code = 0 if job.process is None else job.process.returncode
        if job.run.finished() and code == 0:
            self.bar.update()
            self._say(f"{job.run}: finished, test AUC {run_auc(job.run.folder):.3f}")
        elif self.signals:
            self._say(f"{job.run}: stopped")
            self.outcome.remaining += 1
        elif job.process is None:
            self.waiting.appendleft(job.run)
        else:
            last = _last_lines(job.run.log, job.log_begin)
            self.outcome.failed[str(job.run)] = [_ending(code), *last]
            self.outcome.remaining += 1
            self._say(f"{job.run}: failed, {_ending(code)}: {last[-1] if last else 'it said nothing'}")

    def _stop(self) -> None:
        if self.outcome.signal is None:
            self.outcome.signal = self.signals[0]
            self.outcome.remaining += len(self.waiting)
            self.waiting.clear()
            for job in [job for job in self.jobs if job.process is None]:
                self.jobs.remove(job)
                self.outcome.remaining += 1
                self._say(f"{job.run}: was started by an earlier sweep and runs on")
            if self.jobs:
                self._say(f"stopping {len(self.jobs)} runs, which save first; a second signal kills them")
        while self._told < len(self.signals):
            for job in self.jobs:
                if job.process is not None:
                    job.process.kill() if self._told else job.process.terminate()
            self._told += 1

    def _say(self, line: str) -> None:
        self.bar.write(line, file=sys.stdout)
        sys.stdout.flush()


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """The signals that came, in order, while the block runs."""
    came: list[int] = []

    def receive(number: int, _: Any) -> None:
        came.append(number)

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # nohup ignores SIGHUP, and it must stay so
    before = {number: signal.getsignal(number) for number in wanted if signal.getsignal(number) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, receive)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ending(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"left with code {code}"


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _last_lines(log: Path, begin: int) -> list[str]:
    """The last lines that a run wrote; those of errors where it names any."""
    with open(log, "rb") as file:
        file.seek(max(begin, _size(log) - _READ_BYTES))
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if " ERROR " in line]
    return (errors or lines)[-_SHOWN_LINES:]
