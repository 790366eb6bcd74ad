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


"""GDCM in a process of its own, one for each that needs it, started anew when a damaged image has ended it."""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

from monai_ssl.data.dicom.intact import DamagedStreamError

__all__ = ["decode_by_gdcm"]

_WORKER = Path(__file__).with_name("gdcm_worker.py")
_lock = threading.Lock()
_process: subprocess.Popen | None = None


def decode_by_gdcm(*request: bytes | str | int) -> bytes:
    """
    The pixels of a JPEG image.

    Args:
        request: what `gdcm_worker` decodes.

    Raises:
        DamagedStreamError: when the codec had to make something up, or ended its process.
    """
    global _process
    with _lock:
        if _process is None:
            # -P: modules beside the script must not hide those of Python.
            command = [sys.executable, "-P", os.fspath(_WORKER)]
            _process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert _process.stdin is not None
        assert _process.stdout is not None
        try:
            pickle.dump(request, _process.stdin, pickle.HIGHEST_PROTOCOL)
            _process.stdin.flush()
            content, said = pickle.load(_process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            _end()
            raise DamagedStreamError("the decoder broke down over them") from None
        except BaseException:  # such as Ctrl-C: the answer would be taken for that to the next request
            _end()
            raise
    if said:
        raise DamagedStreamError("parts of the compressed image are missing or make no sense")
    return content


@atexit.register
def _end() -> None:
    global _process
    if _process is not None:
        _process.kill()
        _process.communicate()
    _process = None


def _forget() -> None:
    # A forked process has pipes to a worker that answers another one.
    global _lock, _process
    _lock, _process = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
