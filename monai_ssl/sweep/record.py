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

"""What a sweep's folder belongs to: another sweep, or the same with other settings, would mix unlike runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monai_ssl.files import write_json
from monai_ssl.run_folder import MAY_DIFFER

__all__ = ["keep_record", "record_problems"]

_NAME = "sweep.json"


def keep_record(folder: Path, record: dict[str, Any]) -> None:
    """
    Write what defines the sweep into its folder.

    Args:
        folder: of the sweep.
        record: plain values in nested objects.

    Raises:
        ValueError: when the folder belongs to another sweep, naming the differences.
    """
    problems = record_problems(folder, record)
    if problems:
        raise ValueError("\n".join(problems))
    write_json(folder / _NAME, record)


def record_problems(folder: Path, record: dict[str, Any]) -> list[str]:
    """
    What keeps a sweep from starting or going on in a folder; settings that runs may change do not.

    Args:
        folder: of the sweep.
        record: see :py:func:`keep_record`.
    """
    file = folder / _NAME
    if not file.is_file():
        held = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        held = [name for name in held if not name.startswith(".")]
        return [f"{folder}: holds {', '.join(held[:3])} but no {_NAME}; give --output a new folder"] if held else []
    try:
        earlier, now = _flat(json.loads(file.read_text(encoding="utf-8"))), _flat(record)
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        return [f"{file}: not the record of a sweep ({error}); restore it or give --output a new folder"]
    different = [
        f"{name} was {earlier.get(name)!r}, now {now.get(name)!r}"
        for name in dict.fromkeys((*earlier, *now))
        if earlier.get(name) != now.get(name)
        and name.split("::")[-1] not in MAY_DIFFER
        # a scenario more changes none of the others
        and not (name.startswith("scenarios::") and name not in earlier)
    ]
    if not different:
        return []
    shown = "; ".join(different[:5]) + (f"; and {len(different) - 5} more" if len(different) > 5 else "")
    return [f"{folder}: belongs to another sweep: {shown}; restore that or give --output a new folder"]


def _flat(content: dict[str, Any]) -> dict[str, Any]:
    """One level of names: `folds`, `settings::image_size`, `scenarios::resnet50_all`."""
    flat: dict[str, Any] = {}
    for name, value in content.items():
        below = value.items() if isinstance(value, dict) else ()
        flat |= {f"{name}::{key}": entry for key, entry in below} if below else {name: value}
    return flat
