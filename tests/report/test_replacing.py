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


from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from report_runs import write_run

from monai_ssl.files import lock_folder
from monai_ssl.report import compare_runs
from monai_ssl.visualize import DrawnFigure


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*") if path.suffix}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "swav", 1, ("nodule",))


def test_a_second_report_takes_the_place_of_the_first_and_leaves_other_files(run: Path, tmp_path: Path) -> None:
    out, fresh = tmp_path / "100 % of it", tmp_path / "fresh"
    compare_runs([run, write_run(tmp_path / "b", 2, ("nodule",))], out, redraws=20)
    (out / "figures" / "my_drawing.svg").write_text("mine")
    (out / "notes.txt").write_text("mine")
    (out / ".new" / "figures").mkdir(parents=True)  # as a killed process leaves it
    (out / ".new" / "figures" / "roc_old.svg").write_text("half of a")
    compare_runs([run], out, redraws=20, metrics=("auc",))
    compare_runs([run], fresh, redraws=20, metrics=("auc",))
    assert _files(out) == _files(fresh) | {"figures/my_drawing.svg": b"mine", "notes.txt": b"mine"}
    assert not (out / ".new").exists()


def test_a_full_disk_leaves_the_first_report_whole(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare_runs([run], tmp_path / "out", redraws=20)
    before = _files(tmp_path / "out")
    saved = []

    def fill(drawn: DrawnFigure, path: Path, alt: str = "", **_: Any) -> None:
        saved.append(path)
        if len(saved) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(DrawnFigure, "save", fill)
    with pytest.raises(OSError, match="No space left"):
        compare_runs([run], tmp_path / "out", redraws=30)
    assert _files(tmp_path / "out") == before
    assert not (tmp_path / "out" / ".new").exists()


def test_two_reports_cannot_be_written_at_once(run: Path, tmp_path: Path) -> None:
    with lock_folder(tmp_path / "out"), pytest.raises(ValueError, match="in use by another process"):
        compare_runs([run], tmp_path / "out", redraws=20)
    assert _files(tmp_path / "out") == {}
