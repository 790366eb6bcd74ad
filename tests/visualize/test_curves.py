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

import json
import math
from pathlib import Path

import numpy as np
import pytest

from monai_ssl.visualize import curve_figure, curve_names, read_metrics


def _write(path: Path, rows: list[dict], tail: str = "") -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return path


def test_lines_come_back_and_a_cut_last_line_is_left_out(tmp_path: Path) -> None:
    rows = [{"epoch": e, "iteration": 10 * e, "loss": 1 / e, "val_auc": None if e % 2 else e / 9} for e in range(1, 7)]
    table = read_metrics(_write(tmp_path / "metrics.jsonl", rows, '{"epoch": 7, "lo'))
    assert table["loss"].tolist() == [1 / e for e in range(1, 7)]
    assert table["val_auc"].isna().tolist() == [True, False] * 3
    assert curve_names({"a": table}) == ["loss", "val_auc"]


def test_a_bad_line_in_between_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 1}\nnot json\n{"epoch": 2}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl, line 2: not JSON"):
        read_metrics(path)
    path.write_text("[1]\n")
    with pytest.raises(ValueError, match=r"line 1: must be an object"):
        read_metrics(path)


def test_figure_draws_the_series_its_best_epoch_and_the_chance_line(tmp_path: Path) -> None:
    rows = [
        {"epoch": e, "loss": 5.0 - e, "chance_loss": math.log(300), "val_auc": value, "name": "text"}
        for e, value in enumerate([0.5, 0.8, 0.7], start=1)
    ]
    table = read_metrics(_write(tmp_path / "metrics.jsonl", rows))
    assert curve_names({"a": table}) == ["loss", "val_auc"]
    [axes] = curve_figure({"a": table}, "val_auc").axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [(1, 0.5), (2, 0.8), (3, 0.7)])
    np.testing.assert_array_equal(axes.lines[1].get_xydata(), [(2, 0.8)])
    [axes] = curve_figure({"a": table}, "loss").axes
    assert [line.get_ydata()[0] for line in axes.lines] == [4.0, math.log(300)]
    with pytest.raises(ValueError, match="no run has a series 'x'; they have loss, val_auc"):
        curve_figure({"a": table}, "x")


def test_several_rows_an_epoch_are_drawn_along_iterations(tmp_path: Path) -> None:
    rows = [{"epoch": 1 + i // 3, "iteration": i, "loss": float(i)} for i in range(6)]
    [axes] = curve_figure({"a": read_metrics(_write(tmp_path / "m.jsonl", rows))}, "loss").axes
    assert axes.get_xlabel() == "iteration"
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), range(6))
