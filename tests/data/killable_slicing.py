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

"""`slice_volumes` in another process that can be killed at any moment, and what it leaves."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

KEY = "secret"
# Imports once, then slices in a fork for each line it reads; a fork kills itself at the given call that changes a file.
CHILD = """
import json, os, signal, sys
import monai_ssl.data as data
data.slice_volumes

def slice_in_fork(arguments, die_at):
    pid = os.fork()
    if pid:
        return pid
    calls = 0
    def counted(function):
        def wrapper(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        return wrapper
    for name in ("fsync", "fdatasync", "replace", "unlink", "rmdir", "posix_fallocate"):
        setattr(os, name, counted(getattr(os, name)))
    try:
        data.slice_volumes(*arguments.pop("folders"), **arguments)
    except BaseException as error:
        sys.stderr.write(repr(error))
        os._exit(1)
    os._exit(0)

print("ready", flush=True)
for line in sys.stdin:
    arguments, die_at = json.loads(line)
    pid = slice_in_fork(arguments, die_at)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class Slicer:
    """`slice_volumes` in another process that can be killed."""

    def __init__(self, process):
        self.process = process

    def run(self, source, output, *, kill_after=None, parts=0, die_at=0, **options):
        """The exit status; negative when killed: `kill_after` seconds after `parts` are done, or at call `die_at`."""
        arguments = {"folders": [str(source), str(output)], "pseudonym_key": KEY, **options}
        self.process.stdin.write(json.dumps([arguments, die_at]) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        if kill_after is not None:
            until = time.monotonic() + 30
            while len(list(output.glob(".parts/*.json"))) < parts and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(int(self.process.stdout.readline()))


@contextlib.contextmanager
def slicing_elsewhere():
    """A `Slicer`, and its end."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield Slicer(process)
        process.stdin.close()


def digests(store):
    """What is in each of its files."""
    files = [file for file in store.rglob("*") if file.name != ".lock"]
    return {
        file.relative_to(store).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        if file.is_file()
        else "folder"
        for file in files
    }


def stop_before_renaming(patch, name):
    """Ctrl-C just before a file of this name takes the place of the old one."""
    rename = os.replace

    def renamed(source, target):
        if os.path.basename(target) == name:
            raise KeyboardInterrupt
        return rename(source, target)

    patch.setattr(os, "replace", renamed)
