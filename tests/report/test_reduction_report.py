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
import csv
import io
import json
import re
import shutil
import subprocess
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from monai_ssl.data import SliceStore, slice_volumes
from monai_ssl.reduction import hamming_distance, select_exemplars
from monai_ssl.report import build_reduction_report

_BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_KEY = b"a key for tests, long enough to be one"
_VOID = {"meta", "link", "img", "br"}


def _volume(seed: int, slices: int) -> np.ndarray:
    """Slices in groups, (N, 40, 40), some of which other volumes have too; noise moves hash bits within a group."""
    rng = np.random.default_rng(seed)
    groups = np.random.default_rng(0).random((16, 8, 8))[np.sort(rng.integers(0, 16, slices))]
    coarse = 900 * groups * np.linspace(1, 2, slices)[:, None, None] + rng.normal(0, 9, groups.shape)
    return np.stack([cv2.resize(each, (40, 40), interpolation=cv2.INTER_CUBIC) for each in coarse])


def _write(folder: Path, volumes: dict[str, np.ndarray], dtype: type = np.int16) -> Path:
    folder.mkdir(parents=True)
    for name, slices in volumes.items():
        image = slices.T.round() if dtype is np.int16 else slices.T
        nib.save(nib.Nifti1Image(image.astype(dtype), np.diag([-1.0, -1, 2, 1])), folder / f"{name}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    return _write(folder / "jane", {f"secret-{i}": _volume(i, n) for i, n in enumerate((40, 23, 1, 31))})


@pytest.fixture(scope="module")
def reduced(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("reduced") / "store"
    slice_volumes(sources, store, reduce="dhash:6", pseudonym_key=_KEY, workers=1)
    build_reduction_report(store)
    return store


class _Page(HTMLParser):
    """Exact values by table and row; attributes of all elements; every tag that is opened and closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: dict[str, list[list[float]]] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self.open_tags: list[str] = []
        self.closed_tags: list[str] = []
        self.texts: list[str] = []
        self._table = "cards"
        self.values["cards"] = [[]]
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attributes]
        self.open_tags.append(tag)
        found = dict(attributes)
        if tag == "table":
            self._table = found.get("id") or ""
            self.values[self._table] = []
        elif tag == "tr":
            self.values[self._table].append([])
        elif tag == "data":
            self.values[self._table][-1].append(float(found["value"] or "nan"))

    def handle_endtag(self, tag: str) -> None:
        self.closed_tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def rows(self, table: str) -> list[list[float]]:
        return [row for row in self.values[table] if row]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))


def _page(store: Path) -> _Page:
    return _Page((store / "reduction.html").read_text(encoding="utf-8"))


def _rows(store: Path) -> list[dict[str, Any]]:
    with open(store / "slices.csv", newline="") as stream:
        return [
            row
            | {"kept": row["kept"] == "True", "index": int(row["index"])}
            | {"distance": float(row["distance"] or "nan"), "position_mm": float(row["position_mm"])}
            for row in csv.DictReader(stream)
        ]


def _by_volume(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    volumes = defaultdict(list)
    for row in rows:
        volumes[row["volume"]].append(row)
    return volumes


def _kept_by_plain_loop(hashes: list[int], threshold: int) -> int:
    kept: list[int] = []
    for value in hashes:
        if all((value ^ other).bit_count() > threshold for other in kept):
            kept.append(value)
    return len(kept)


def test_numbers_of_the_page_are_those_of_plain_loops_over_the_table(reduced: Path) -> None:
    page, rows = _page(reduced), _rows(reduced)
    volumes = _by_volume(rows)
    counts = {name: (sum(row["kept"] for row in of), len(of)) for name, of in volumes.items()}
    kept, total = sum(row["kept"] for row in rows), len(rows)
    shares = sorted(k / n for k, n in counts.values())
    middle = (shares[1] + shares[2]) / 2
    assert page.rows("cards") == [[kept / total, kept, total, 4, 4, middle, shares[0], shares[-1]]]
    assert f"Of {total} slices in 4 volumes of 4 patients, {kept} were kept" in page.text

    by_share = sorted(counts.items(), key=lambda item: (item[1][0] / item[1][1], -item[1][1], item[0]))
    expected = [[k, n, k / n] for _, (k, n) in by_share]
    assert page.rows("by-volume") == page.rows("most") == expected
    assert [text for text in page.texts if text in counts][: len(counts)] == [name for name, _ in by_share]

    parts = [[0, 0] for _ in range(10)]  # of four slices in the longest volume, which has 40
    for of in volumes.values():
        for rank, row in enumerate(sorted(of, key=lambda row: row["position_mm"])):
            part = next(i for i in range(10) if (2 * rank + 1) * 10 < (i + 1) * 2 * len(of))
            parts[part][0] += row["kept"]
            parts[part][1] += 1
    assert page.rows("along") == [[k, n, k / n] for k, n in parts]

    dropped = [row["distance"] for row in rows if not row["kept"]]
    assert page.rows("distances") == [[dropped.count(bits)] for bits in range(7)]
    hashes = [[int(row["hash"], 16) for row in of] for of in volumes.values()]
    curve = [sum(_kept_by_plain_loop(of, threshold) for of in hashes) / total for threshold in range(17)]
    assert page.rows("thresholds") == [[share] for share in curve]
    assert curve[6] == kept / total


def test_page_is_self_contained_accessible_and_names_nobody(reduced: Path) -> None:
    page, text = _page(reduced), (reduced / "reduction.html").read_text(encoding="utf-8")
    for tag, name, value in page.attributes:
        if name in ("src", "href", "srcset", "action", "xlink:href"):
            assert value.startswith(("data:", "#")), (tag, name, value)
        assert not name.startswith("on")
    assert not re.search(r"https?:|@import|<script|url\((?!#)", text)
    assert not re.search("secret|jane", text)
    assert str(reduced.parent) not in text
    for tag in set(page.open_tags) - _VOID:
        assert page.open_tags.count(tag) == page.closed_tags.count(tag), tag
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for tag, name, value in page.attributes if tag == "a" and name == "href"} <= set(ids)
    images = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    graphs = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert page.open_tags.count("img") == len(images)
    assert page.open_tags.count("svg") == len(graphs) == 5  # four graphs and the strip
    assert all(images + graphs)
    assert page.open_tags.count("table") == page.open_tags.count("caption")


def test_a_store_that_never_stored_what_it_dropped_says_how_to_see_it(reduced: Path) -> None:
    page = _page(reduced)
    assert "Dropped slices have no picture" in page.text
    assert "slice INPUT OTHER_STORE --reduce all --pseudonym-key THIS_STORE/.pseudonym_key" in page.text
    assert "reduce OTHER_STORE --reduce dhash:6" in page.text
    assert not any("Dropped" in value for tag, name, value in page.attributes if (tag, name) == ("img", "alt"))


def test_a_reduction_that_was_stopped_is_told_of(reduced: Path, tmp_path: Path) -> None:
    stopped = "Reducing the store by dhash:6 was stopped as it was written"
    assert stopped not in _page(reduced).text
    store = Path(shutil.copytree(reduced, tmp_path / "store"))
    settings = json.loads((store / "store.json").read_text())
    settings["reduction"]["complete"] = False
    (store / "store.json").write_text(json.dumps(settings))
    build_reduction_report(store)
    assert stopped in _page(store).text


def test_the_overview_is_a_readable_picture_and_nothing_else_is_left(reduced: Path) -> None:
    with Image.open(reduced / "reduction.png") as image:
        image.load()
        assert min(image.size) > 800
        assert image.convert("RGB").getpixel((0, 0)) == (255,) * 3  # whatever it is shown on
        assert len(image.convert("RGB").getcolors(1 << 20)) > 20
    assert not list(reduced.glob("*.partial")) + list(reduced.glob(".*.partial"))


def _reduce_later(store: Path, threshold: int, scope: str, monkeypatch: pytest.MonkeyPatch) -> SliceStore:
    """A store of all slices with the kept ones chosen anew, as `python -m monai_ssl reduce` leaves it."""
    found = SliceStore.open(store)
    table = found.table.copy()
    for rows in [table] if scope == "dataset" else [rows for _, rows in table.groupby(scope)]:
        hashes = np.array([int(value, 16) for value in rows["hash"]], np.uint64)
        exemplar = select_exemplars(hashes, threshold)
        table.loc[rows.index, "exemplar"] = rows["slice"].to_numpy()[exemplar]
        table.loc[rows.index, "distance"] = hamming_distance(hashes, hashes[exemplar]).astype(float)
        table.loc[rows.index, "kept"] = exemplar == np.arange(len(rows))
    settings = found.settings | {"reduction": {"strategy": f"dhash:{threshold}", "scope": scope}}
    later = SliceStore(store, settings, table, None)
    monkeypatch.setattr(SliceStore, "open", lambda path: later)
    return later


@pytest.mark.parametrize(("scope", "threshold"), [("volume", 6), ("dataset", 12)])
def test_dropped_slices_stand_beside_what_replaced_them(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, threshold: int
) -> None:
    slice_volumes(sources, tmp_path / "store", reduce="all", pseudonym_key=_KEY, workers=1)
    later = _reduce_later(tmp_path / "store", threshold, scope, monkeypatch)
    text = build_reduction_report(tmp_path / "store").read_text(encoding="utf-8")
    table = later.table.set_index("slice")
    assert f"dhash:{threshold}, scope {scope}" in text
    assert f'"{table["kept"].mean()}"' in text

    least = text[text.index('<section id="pairs">') : text.index('<section id="volumes">')]
    pairs = [
        re.findall(r'base64,([^"]+)" alt="(?:Kept|Dropped) slice (\d+)(?: of volume (\w+))?([^"]*)"', part)
        for part in least.split('<div class="group"')[1:]
    ]
    dropped = table[~table["kept"]]
    distances = sorted(dropped.groupby("exemplar")["distance"].max(), reverse=True)
    assert 1 < len(pairs) <= min(9, len(distances))
    shown = []
    for (kept_data, kept_index, kept_volume, _), (data, index, volume, rest) in pairs:
        exemplar = f"{kept_volume}_{int(kept_index):04d}"
        name = f"{volume or kept_volume}_{int(index):04d}"
        assert table.loc[name, "exemplar"] == exemplar
        assert rest.startswith(f", distance {table.loc[name, 'distance']:g} from slice {kept_index}")
        shown.append(table.loc[name, "distance"])
        others = dropped[dropped["exemplar"] == exemplar]
        apart = (others["index"] - int(kept_index)).abs().where(others["volume"] == kept_volume, np.inf)
        assert (shown[-1], apart[name]) == max(zip(others["distance"], apart, strict=True))
        for pixels, which in ((kept_data, exemplar), (data, name)):
            _assert_shows(pixels, tmp_path / "store", table, which)
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == distances[0]
    if scope == "dataset":
        assert any(volume for _, (_, _, volume, _) in pairs)
        assert " in other volumes" in text


def _assert_shows(data: str, store: Path, table: Any, name: str) -> None:
    """The picture is nearer to this slice than to any other of its volume, at any gain and offset."""
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), float).ravel()
    rows = table[table["volume"] == table.loc[name, "volume"]]
    volume = np.load(store / rows["file"].iloc[0]).reshape(len(rows), -1).astype(float)
    spread = np.linspace(0, len(volume) - 1, min(8, len(volume))).round().astype(int)
    low, high = np.percentile(volume[spread], [0.5, 99.5])
    expected = np.clip((volume - low) * 255 / (high - low), 0, 255)
    assert rows.index[np.abs(expected - picture).mean(axis=1).argmin()] == name


@pytest.mark.parametrize("case", ["one constant slice", "float32 without distances", "every_n"])
def test_odd_stores_have_pages_too(tmp_path: Path, case: str) -> None:
    volumes, dtype, reduce = {"a": _volume(0, 9), "b": np.full((6, 40, 40), 3.5)}, np.float32, "dhash:4"
    if case == "one constant slice":
        volumes, dtype, reduce = {"a": np.full((1, 40, 40), 7)}, np.int16, "all"
    elif case == "every_n":
        volumes, dtype, reduce = {"a": _volume(0, 9)}, np.int16, "every_n:4"
    store = tmp_path / "store"
    slice_volumes(_write(tmp_path / "in", volumes, dtype), store, reduce=reduce, pseudonym_key=_KEY, workers=1)
    if case == "float32 without distances":
        table = pd.read_csv(store / "slices.csv", dtype=str, keep_default_na=False).assign(distance="")
        table.to_csv(store / "slices.csv", index=False)
    with np.errstate(all="raise"):
        build_reduction_report(store)
    page = _page(store)
    assert "nan" not in page.text.lower()
    for tag in set(page.open_tags) - _VOID:
        assert page.open_tags.count(tag) == page.closed_tags.count(tag), tag
    if case == "one constant slice":
        assert page.rows("cards") == [[1, 1, 1, 1, 1]]
        assert "Nothing was dropped: all keeps every slice." in page.text
        assert "1 slice holds one value only" in page.text
        assert page.rows("along") == [[1, 1, 1]]
    elif case == "float32 without distances":
        assert "No dropped slice has a distance in slices.csv." in page.text
        assert "distances" not in page.values
        assert "6 slices hold one value only" in page.text
        assert "1 volume of several slices keeps only one" in page.text
    else:
        assert page.rows("distances") == [[0], [2], [2], [2]]  # 0 to 3 apart, of 9 slices by fours
        assert "every_n has no threshold" in page.text


def test_thresholds_may_be_given_and_equal_stores_give_equal_bytes(tmp_path: Path) -> None:
    source = _write(tmp_path / "in", {"a": _volume(0, 9)})
    files = []
    for name in ("x", "y"):
        slice_volumes(source, tmp_path / name, reduce="dhash:6", pseudonym_key=_KEY, workers=1)
        path = build_reduction_report(tmp_path / name, thresholds={6.5: 0.25, 0.5: 0.75})
        files.append((path.read_bytes(), path.with_suffix(".png").read_bytes()))
    assert files[0] == files[1]
    assert _page(tmp_path / "x").rows("thresholds") == [[0.75], [0.25]]


def test_a_store_without_slices_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _write(tmp_path / "in", {"a": _volume(0, 5)})
    store = slice_volumes(source, tmp_path / "store", pseudonym_key=_KEY, workers=1)
    empty = SliceStore(store.path, store.settings, store.table.iloc[:0], None)
    monkeypatch.setattr(SliceStore, "open", lambda path: empty)
    with pytest.raises(ValueError, match="store: has no slices, so nothing to report"):
        build_reduction_report(store.path)
    assert not (store.path / "reduction.html").exists()


@pytest.mark.skipif(_BROWSER is None, reason="no Chromium here")
def test_page_renders_in_chromium(reduced: Path, tmp_path: Path) -> None:
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --enable-logging=stderr --dump-dom"
    command = [str(_BROWSER), *flags.split(), f"--user-data-dir={tmp_path / 'browser'}"]
    path = reduced / "reduction.html"
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=60, check=True)
    assert "CONSOLE" not in done.stderr
    # What the browser understood has the parts that were written: nothing is lost to bad nesting.
    written, understood = _page(reduced), _Page(done.stdout)
    for tag in ("section", "table", "tr", "td", "figure", "svg", "path", "data", "img", "details"):
        assert understood.open_tags.count(tag) == written.open_tags.count(tag)
    strategy = json.loads((reduced / "store.json").read_text())["arguments"]["reduce"]
    assert f"<title>Slice reduction, {strategy}: " in done.stdout
