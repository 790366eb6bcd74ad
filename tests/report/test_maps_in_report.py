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
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monai_ssl.metrics import localisation_summary
from monai_ssl.metrics.localisation_summary import SCORES
from monai_ssl.report import compare_runs
from monai_ssl.report.localisation import localisation_numbers, read_looked, saliency_pictures


def _write_run(folder: Path, seed: int) -> Path:
    folder.mkdir()
    random = np.random.default_rng(seed)
    truth = np.arange(60) % 3 == 0
    pd.DataFrame(
        {"image": [f"i{n}" for n in range(60)], "patient": [f"p{n // 2}" for n in range(60)], "split": "test"}
        | {"mass_true": truth.astype(int), "mass_score": np.clip(random.random(60) * 0.7 + 0.3 * truth, 0, 1)}
    ).to_csv(folder / "predictions.csv", index=False)
    return folder


def _write_maps(folder: Path) -> pd.DataFrame:
    random = np.random.default_rng(4)
    saliency = random.random((2, 32, 32)).astype(np.float16)
    saliency[1] = 0
    np.savez_compressed(
        folder / "saliency.npz",
        image=random.integers(0, 255, (2, 32, 32)).astype(np.uint8),
        saliency=saliency,
        mask=random.random((2, 32, 32)) > 0.9,
        label=np.array(["mass", "mass"]),
        kind=np.array(["true positive", "miss"]),
        truth=np.array([1, 1], np.int8),
        score=np.array([0.9, 0.1], np.float32),
        threshold=np.array([0.5, 0.5], np.float32),
    )
    table = pd.DataFrame(
        {"image": [f"i{n}" for n in range(9)], "patient": [f"p{n}" for n in range(9)], "label": "mass"}
    )
    scores = {f"{side}{name}": random.random(9) for name in SCORES for side in ("", "centre_")}
    summary = localisation_summary(table.assign(truth_share=0.1, **scores), redraws=40)
    summary.to_csv(folder / "saliency_summary.csv", index=False)
    return summary


def test_the_report_shows_the_maps_and_the_scores_of_the_run_folder(tmp_path: Path) -> None:
    runs = [_write_run(tmp_path / name, seed) for seed, name in enumerate(("with", "without"))]
    summary = _write_maps(runs[0])
    text = compare_runs(runs, tmp_path / "out", redraws=20, metrics=("auc",)).read_text()
    table = re.search('<table id="localisation".*?</table>', text, flags=re.DOTALL).group()
    shown = [float(value) for value in re.findall('<data value="([^"]*)"', table)]
    names = ["value", "low", "high", "centre", "difference", "difference_low", "difference_high", "chance"]
    assert shown == [value for row in summary[names].to_numpy().tolist() for value in row if value == value]
    assert 'alt="Examples of mass with the maps of with: 1 true positive and 1 miss"' in text
    [entry] = json.loads((tmp_path / "out" / "report.json").read_text())["localisation"]
    assert (entry["run"], entry["examples"], entry["empty"]) == ("with", 2, 1)


def test_a_run_without_maps_has_no_section(tmp_path: Path) -> None:
    run = _write_run(tmp_path / "plain", 0)
    assert read_looked(run) is None
    assert 'id="saliency"' not in compare_runs([run], tmp_path / "out", redraws=20, metrics=("auc",)).read_text()


def test_maps_without_known_lesions_are_shown_without_scores(tmp_path: Path) -> None:
    run = _write_run(tmp_path / "run", 0)
    _write_maps(run)
    (run / "saliency_summary.csv").unlink()
    looked = {"run": read_looked(run)}
    assert localisation_numbers(looked)[0]["scores"] == []
    assert len(saliency_pictures(looked)) == 1


def test_damaged_maps_are_named(tmp_path: Path) -> None:
    run = _write_run(tmp_path / "run", 0)
    _write_maps(run)
    whole = (run / "saliency.npz").read_bytes()
    (run / "saliency.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"saliency\.npz: not the examples of a saliency run"):
        compare_runs([run], tmp_path / "out")
