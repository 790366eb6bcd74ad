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

"""How a bundle leaves when it cannot work."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["derived", "refuse", "refuse_run_folder"]

logger = logging.getLogger(__name__)


def refuse(problems: list[str]) -> None:
    """
    Log every problem and leave with code 2, or do nothing when there is none.

    Args:
        problems: one line each, saying what was wrong, what was got, what is allowed and what to do.

    Raises:
        SystemExit: code 2, when there is any problem.
    """
    for problem in problems:
        logger.error("%s", problem)
    if problems:
        raise SystemExit(2)


def derived(formula: Callable[[], Any]) -> Any:
    """
    A default computed from other settings, or None where these are unfit, which `check` then says in words.

    Args:
        formula: called at once; a function, so that its error can be caught.

    Example:
        >>> from monai_ssl.preflight import derived
        >>> derived(lambda: 0.16 / 16), derived(lambda: "nan" / 16)
        (0.01, None)
    """
    try:
        return formula()
    except (ArithmeticError, TypeError, ValueError):
        return None


def refuse_run_folder(output_dir: str | os.PathLike) -> None:
    """
    Leave when results would be written into the folder of a training run, over its own; over others they are, and a
    warning says so.

    Raises:
        SystemExit: code 2.
    """
    if Path(output_dir, "settings.json").is_file():
        refuse([f"--output_dir {output_dir}: is the folder of a training run, with results of its own; give another"])
    if Path(output_dir, "predictions.csv").is_file():
        logger.warning("%s: its predictions.csv is replaced", output_dir)
