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

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from chromium import BROWSER, Page, chromium
from report_runs import ReadPage, write_run

from monai_ssl.report import compare_runs

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here")

_LONG = "a_very_long_name_of_a_model_without_any_place_to_break_it_0123456789"
_LABELS = ("nodule", "mass <b>&", "x" * 60)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("100 % of it")
    runs = [write_run(folder / name, seed, _LABELS, val=True) for seed, name in enumerate((_LONG, "scratch $x$_"))]
    return compare_runs(runs, folder / "out", redraws=20)


@pytest.fixture(scope="module")
def page(path: Path) -> Iterator[Page]:
    with chromium(path.parent / "profile") as shown:
        shown.open(path)
        yield shown


def test_nothing_is_complained_of_or_fetched_and_nothing_is_lost_to_bad_nesting(path: Path, page: Page) -> None:
    understood, written = ReadPage(page.value("document.documentElement.outerHTML")), ReadPage(path.read_text())
    for tag in ("section", "table", "tr", "td", "figure", "svg", "path", "data", "details"):
        assert understood.open_tags.count(tag) == written.open_tags.count(tag)
    assert page.complaints == []
    headings = page.value("[...document.querySelectorAll('h1, h2, h3')].map((heading) => Number(heading.tagName[1]))")
    assert headings[0] == 1
    assert 1 not in headings[1:]
    assert all(after <= before + 1 for before, after in pairwise(headings))


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_never_scrolls_sideways(page: Page, width: int) -> None:
    page.size(width)
    page.value("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.value("document.documentElement.scrollWidth") <= width
    page.value("document.querySelectorAll('details').forEach((part) => { part.open = false; })")


def test_tables_with_short_names_fit_a_desktop_page(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, seed, ("nodule", "mass"), val=True) for seed, name in enumerate("ab")]
    with chromium(tmp_path / "profile") as shown:
        shown.size(1280)
        shown.open(compare_runs(runs, tmp_path / "out", redraws=20))
        wide = "[...document.querySelectorAll('.scroll')].filter((part) => part.scrollWidth > part.clientWidth).length"
        assert shown.value("document.querySelectorAll('.scroll').length") >= 6
        assert shown.value(wide) == 0


def test_a_click_sorts_by_the_exact_values(page: Page) -> None:
    page.size(1280)
    values = (
        "[...document.querySelectorAll('#comparisons tbody tr')].map((row) => row.cells[3].querySelector('data').value)"
    )
    for _ in range(2):
        before = [float(value) for value in page.value(values)]
        page.click("#comparisons thead th:nth-child(4) button")
        after = [float(value) for value in page.value(values)]
        assert sorted(before) == sorted(after)
        rising = page.value("document.querySelectorAll('#comparisons th')[3].ariaSort") == "ascending"
        assert after == sorted(after, reverse=not rising)


@pytest.mark.parametrize(("medium", "scheme"), [("screen", "light"), ("screen", "dark"), ("print", "light")])
def test_text_stands_out_and_lines_too(page: Page, medium: str, scheme: str) -> None:
    page.media(medium, scheme)
    names = ["ink", "soft", "accent", "warn", "dim", *(f"model-{number}" for number in range(6))]
    colors = {
        name: page.value(f"getComputedStyle(document.documentElement).getPropertyValue('--{name}').trim()")
        for name in [*names, "card", "page", "faint"]
    }
    for name in names:
        text = name in ("ink", "soft", "accent", "warn")
        for back in ("card", "page", "faint") if text else ("card",):
            assert _contrast(colors[name], colors[back]) >= (4.5 if text else 3), (name, back)
    page.media()


def test_on_paper_folded_graphs_are_open(page: Page) -> None:
    heights = "[...document.querySelectorAll('details')].map((part) => part.getBoundingClientRect().height)"
    folded = page.value(heights)
    page.media("print")
    assert all(after > before + 100 for before, after in zip(folded, page.value(heights), strict=True))
    page.media()


def _contrast(one: str, other: str) -> float:
    """See https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    bright, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
