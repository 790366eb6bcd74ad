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

import base64
import io
import json
import re
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from monai_ssl.data import SliceStore, slice_volumes
from monai_ssl.report import compare_runs
from monai_ssl.report.dropped import find_dropped
from monai_ssl.report.runs import Run

_KEY = b"a key for tests, long enough to be one"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cubic volume of 40 slices in groups of alike ones, and stores of it: `reduced`, `all` and others."""
    folder = tmp_path_factory.mktemp("stores")
    rng = np.random.default_rng(0)
    groups = np.repeat(rng.random((7, 8, 8)), (3, 9, 1, 12, 5, 2, 8), axis=0)
    # Noise moves a few hash bits; the gain, which moves none, makes each slice one of a kind.
    coarse = 900 * groups * np.linspace(1, 2, 40)[:, None, None] + rng.normal(0, 9, groups.shape)
    slices = np.stack([cv2.resize(each, (40, 40), interpolation=cv2.INTER_CUBIC) for each in coarse])
    (folder / "input").mkdir()
    nib.save(
        nib.Nifti1Image(slices.T.round().astype(np.int16), np.diag([-1.0, -1, 1, 1])), folder / "input" / "v.nii.gz"
    )
    for name, changes in {
        "reduced": {},
        "all": {"reduce": "all"},
        "other_key": {"reduce": "all", "pseudonym_key": b"another key for tests, also long enough"},
        "sagittal": {"reduce": "all", "axis": "sagittal"},
        "some": {"reduce": "every_n:2"},
    }.items():
        options = {"reduce": "dhash:6", "pseudonym_key": _KEY, "workers": 1} | changes
        slice_volumes(folder / "input", folder / name, **options)
    return folder


def _run(dataset_dir: Path | str | None) -> Run:
    place = None if dataset_dir is None else str(dataset_dir)
    return Run("a", None, pd.DataFrame(), {}, {}, None, dataset_dir=place)


def test_the_store_of_a_run_is_found_when_it_holds_the_same_slices(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reduced = SliceStore.open(folder / "reduced")
    assert 0 < len(reduced) < 40
    found, reason = find_dropped(reduced, [_run(folder / "some"), _run(folder / "all")])
    assert (found is not None and found.path, reason) == (folder / "all", None)
    monkeypatch.chdir(folder)
    assert find_dropped(reduced, [_run("all")])[0] is not None
    assert find_dropped(SliceStore.open(folder / "all"), [_run("all")]) == (None, None)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (None, "the runs record no dataset_dir"),
        ("absent", "no slice store is found"),
        ("input", "no slice store is found"),
        ("other_key", "with another pseudonym key"),
        ("some", "does not hold them either"),
        ("reduced", "does not hold them either"),
        ("sagittal", "does not hold them either"),
    ],
)
def test_a_store_of_other_slices_is_refused_with_the_reason(folder: Path, place: str | None, reason: str) -> None:
    reduced = SliceStore.open(folder / "reduced")
    if place == "sagittal":  # the trap: equal names, other slices
        assert SliceStore.open(folder / place).table["slice"].tolist() == reduced.table["slice"].tolist()
    found, text = find_dropped(reduced, [_run(None if place is None else folder / place)])
    assert found is None
    assert text is not None
    assert reason in text
    assert str(folder) not in text


def test_a_damaged_store_leaves_the_report_without_dropped_slices(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "store.json").write_text("{")
    found, text = find_dropped(SliceStore.open(folder / "reduced"), [_run(tmp_path)])
    assert (found, text) == (None, "the store that the runs were trained on cannot be opened")
    assert "cannot be opened" in caplog.text


def _write_run(folder: Path, dataset_dir: Path) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"image": range(40), "split": "test", "x_true": [0, 1] * 20, "x_score": rng.random(40)})
    table.to_csv(folder / "predictions.csv", index=False)
    record = {"settings": {"dataset_dir": str(dataset_dir)}, "versions": {}}
    (folder / "settings.json").write_text(json.dumps(record))
    return folder


def test_the_page_shows_dropped_slices_beside_the_exemplar_that_the_table_names(folder: Path, tmp_path: Path) -> None:
    run = _write_run(tmp_path / "run", folder / "all")
    page = compare_runs([run], tmp_path / "out", redraws=20, store=folder / "reduced").read_text()
    table = SliceStore.open(folder / "reduced").table.set_index("index")
    picture = re.compile(r'<img src="data:image/jpeg;base64,([^"]+)" alt="(Kept|Dropped) slice (\d+)([^"]*)"')
    groups = [picture.findall(part) for part in page.split('<div class="group"')[1:]]
    indices = [int(index) for group in groups for _, _, index, _ in group]
    source = nib.load(folder / "input" / "v.nii.gz").get_fdata().T
    low, high = np.percentile(source[indices], (0.5, 99.5))
    expected = np.clip((source - low) * 255 / (high - low), 0, 255)

    assert page.count("<img") == len(indices) == len(set(indices))
    for group in groups:
        [exemplar, *others] = [int(index) for _, _, index, _ in group]
        assert [state for _, state, _, _ in group] == ["Kept", *["Dropped"] * len(others)]
        stands_for = table.index[(table["exemplar"] == table.loc[exemplar, "slice"]) & ~table["kept"]]
        assert set(others) <= set(stands_for)
        assert len(others) == min(len(stands_for), 40 // len(groups) - 1)
        for data, state, index, rest in group:
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), float)
            assert np.abs(expected - pixels).mean(axis=(1, 2)).argmin() == int(index)
            if state == "Dropped":
                assert rest == f", distance {table.loc[int(index), 'distance']:.3g} from slice {exemplar}"
    dropped = json.loads((tmp_path / "out" / "report.json").read_text())["reduction"]["dropped_pictures"]
    assert dropped["shown"] == len(indices) - len(groups) > 0
    assert "no picture" not in page


def test_the_page_says_why_dropped_slices_have_no_picture(folder: Path, tmp_path: Path) -> None:
    run = _write_run(tmp_path / "run", folder / "other_key")
    page = compare_runs([run], tmp_path / "out", redraws=20, store=folder / "reduced").read_text()
    assert "made with another pseudonym key. To see them" in page
    assert page.count("<img") == len(SliceStore.open(folder / "reduced"))
    assert 'alt="Dropped' not in page
