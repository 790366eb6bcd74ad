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


"""What the files of a folder tell about a run of slicing there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["STATE_FILE", "differences", "finished_already", "is_finished"]

STATE_FILE = ".slicing.json"


def is_finished(output: Path) -> bool:
    """Whether a folder holds a store that is whole."""
    file = output / "store.json"
    return file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("complete", True)


def finished_already(output: Path) -> str:
    """What to tell whoever slices into a finished store."""
    return (
        f"{output}: already holds a finished store; use it as it is, bring it up to date with the input by --update "
        "(update=True), or choose another folder"
    )


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """In which arguments two runs differ, as an error tells it; empty when in none."""
    return "; ".join(
        "another input" if name == "input" else f"{name} was {before.get(name)}, now {value}"
        for name, value in now.items()
        if before.get(name) != value
    )
