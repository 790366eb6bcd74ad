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

"""Stages import earlier stages only, so that any of them can be used alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "monai_ssl"
# A room may import rooms of its own level and below.
LEVELS = {
    **{"files": 0, "orientation": 0, "processes": 0, "stop_on_signal": 0},
    **{"reduction": 1, "networks": 1},
    **{"data": 2, "transforms": 2},
    **{"losses": 3, "optimizers": 3, "metrics": 3, "engines": 3},
    **{"handlers": 4, "model_export": 4, "run_folder": 4, "preflight": 4, "visualize": 4},
    **{"report": 5, "saliency": 5, "sweep": 5},
    **{"cli": 6, "__main__": 7},
}


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import hides which room it means; write monai_ssl...."
            # `from monai_ssl import report` names the room after the import
            names += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (
            room for name in names if name.startswith("monai_ssl.") and (room := name.split(".")[1]) != "__version__"
        )


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_stage_imports_a_later_one(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts == ("__init__",):
        return
    later = {room for room in imported_rooms(path) if LEVELS[room] > LEVELS[parts[0]]}
    assert not later
