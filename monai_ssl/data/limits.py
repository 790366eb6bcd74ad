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


"""How large a volume may be, asked before memory is taken for it."""

from __future__ import annotations

import math

__all__ = ["GIB", "MAX_GIB", "check_limit", "check_size", "most_bytes"]

GIB = 1 << 30
MAX_GIB = 4.0
# Scans compress two- to fivefold; beyond this only blank images do, and large ones are made to harm.
_MOST_INFLATION = 100
_HARMLESS_SHARE = 1 / 16
_BEYOND_SENSE = 1 << 54


def check_limit(max_gib: float) -> None:
    """
    Refuse what is no limit.

    Raises:
        ValueError: when `max_gib` is not a finite number above 0.
    """
    if not isinstance(max_gib, (int, float)) or not 0 < max_gib < math.inf:
        raise ValueError(f"max_gib must be a number of GiB above 0, got {max_gib!r}")


def most_bytes(stored: int, max_gib: float) -> int:
    """
    What a file may inflate to: `max_gib`, but more than a sixteenth of it only at less than a hundredfold inflation.

    Args:
        stored: bytes of the file, or of the part of it that is inflated.
        max_gib: the most that one volume may take, in GiB.
    """
    limit = int(max_gib * GIB)
    return min(limit, max(int(limit * _HARMLESS_SHARE), _MOST_INFLATION * stored))


def check_size(claimed: int, stored: int, max_gib: float) -> None:
    """
    Refuse what would take too much memory, whether by its header or by what it inflates to.

    Args:
        claimed: bytes that the header tells of, or that decompression would give.
        stored: bytes of the file that holds them.
        max_gib: the most that one volume may take, in GiB; see `most_bytes`.

    Raises:
        ValueError: naming the sizes and the option that raises the limit.

    Example:
        >>> check_size(512 * 512 * 300 * 2, 60_000_000, MAX_GIB)
    """
    if claimed <= most_bytes(stored, max_gib):
        return
    remedy = "if it is to be trusted, raise the limit with --max-gib (max_gib=...)"
    size = f"{claimed / GIB:,.2f} GiB of voxels" if claimed < _BEYOND_SENSE else "millions of GiB of voxels"
    if claimed > max_gib * GIB:
        raise ValueError(f"claims {size}, more than the limit of {max_gib:g} GiB; {remedy}")
    raise ValueError(f"inflates from {stored:,} bytes to {size}, as decompression bombs do; {remedy}")
