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

"""What went wrong outside of our code, in words."""

from __future__ import annotations

import errno
import re

__all__ = ["explain"]

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def explain(error: BaseException) -> str:
    """
    What happened and what to do, for failures of the machine and of image files; empty for all others.

    Args:
        error: a full disk, a data loader's worker that died, or an image that cannot be read, in this process or in a
            worker, whose errors arrive as text.

    Example:
        >>> explain(OSError(28, "No space left on device"))
        'the disk is full (No space left on device); free space'
    """
    text = str(error)
    if unreadable := re.search(r"UnreadableImageError: (.+)", _chain(error)):
        return f"{unreadable[1]}; repair or remove the file"
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return f"the disk is full ({error.strerror}); free space"
    # torch.save tells a failed write by a RuntimeError of its C++ side
    if isinstance(error, RuntimeError) and ("PytorchStreamWriter" in text or "unexpected pos" in text):
        return "the file could not be written to its end, so the disk is full; free space"
    if isinstance(error, RuntimeError) and re.search(r"DataLoader worker \(pid", text):
        what = text.partition(". ")[0].rstrip(".")
        return f"a process that loads data died ({what}), often for want of memory; lower --num_workers or --batch_size"
    return ""


def _chain(error: BaseException | None) -> str:
    lines = []
    while isinstance(error, Exception):  # a SystemExit has been explained
        lines.append(f"{type(error).__name__}: {error}")
        error = error.__cause__
    return "\n".join(lines)
