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

"""The processes of one run: how they join, agree, and leave together."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from typing import Any, NoReturn, cast

import ignite.distributed as idist
import torch
import torch.distributed as dist

__all__ = ["agree", "gather", "join_process_group", "leave", "leave_at_once", "leave_process_group"]

logger = logging.getLogger(__name__)


def join_process_group() -> None:
    """
    Join the processes that torchrun started, NCCL on GPUs and gloo elsewhere, and leave them however this one ends.

    Handlers of ignite make collective calls when first used, so it is told of the group at once, on every rank: one
    that only rank 0 builds would otherwise wait for the others forever.

    Raises:
        SystemExit: code 2, when torchrun did not start this process.
    """
    if "LOCAL_RANK" not in os.environ:
        logger.error(
            "multi_gpu_train.json is for torchrun: torchrun --standalone --nproc_per_node N -m monai.bundle run ..."
        )
        raise SystemExit(2)
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    # A group that is alive when the interpreter ends can abort it, and hide the exit code.
    atexit.register(leave_process_group)
    idist.sync()


def leave_process_group() -> None:
    """Leave the group of processes, if this one is in any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def agree(value: int) -> int:
    """
    The largest of all processes' values; each must call this.

    Args:
        value: of this process.
    """
    return int(cast(float, idist.all_reduce(float(value), op="MAX")))


def gather(value: Any) -> list[Any]:
    """
    All processes' values by rank, on rank 0; elsewhere an empty list. Each must call this.

    Args:
        value: of this process, of any type that can be pickled.
    """
    if idist.get_world_size() == 1:
        return [value]
    values: list[Any] | None = [None] * idist.get_world_size() if idist.get_rank() == 0 else None
    dist.gather_object(value, values)
    return values or []


def leave(code: int) -> NoReturn:
    """
    End this process with `code`. Where there are several, each must call this, and they leave together.

    Raises:
        SystemExit: with `code`, in a process that is alone.
    """
    if idist.get_world_size() > 1:
        idist.barrier()
        leave_at_once(code)
    raise SystemExit(code)


def leave_at_once(code: int) -> NoReturn:
    """End this process with `code` now, whatever it is doing."""
    # Threads of a process group that DistributedDataParallel still holds abort some interpreters as they end, which
    # would hide the code; nothing is open that needs an orderly end.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
