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


"""Tables that sort, driven by mouse and keyboard in a real browser."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import BROWSER, Page, chromium

from monai_ssl.report.page import render

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here")

_ROWS = [("b10", 0.51), ("b9", 0.49), ("a", None), ("c", -2.0), ("b9", 0.5), ("d", 0.49)]
_HEADS = "<thead><tr><th>name</th><th>value</th><th class=unsorted>graph</th></tr></thead>"
# What the rows are known by, whatever is sorted.
_ORDER = "[...document.querySelectorAll('{}')].map(row => row.dataset.n).join('')"


def _body(group: str, numbers: range) -> str:
    rows = [
        f'<tr data-n={n} class="{group}"><td>{_ROWS[n][0]}</td><td>'
        + (f'<data value="{_ROWS[n][1]}">same</data>' if _ROWS[n][1] is not None else '<span class="empty">-</span>')
        + "</td><td>x</td></tr>"
        for n in numbers
    ]
    return f'<tbody><tr data-n="{group}" class="{group}"><th colspan=3>group</th></tr>{"".join(rows)}</tbody>'


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One table of six rows in one group, one of two groups, and one that does not sort, inside the real frame."""
    folder = tmp_path_factory.mktemp("page")
    html = render("page.html.j2", {}, sortable=True)
    tables = f"<table id=one class=sortable>{_HEADS}{_body('one', range(6))}</table>"
    tables += f"<table id=two class=sortable>{_HEADS}{_body('x', range(3))}{_body('y', range(3, 6))}</table>"
    tables += f"<table id=plain>{_HEADS}{_body('plain', range(6))}</table>"
    (folder / "page.html").write_text(html.replace("<body>", f"<body>{tables}"))
    with chromium(folder / "profile") as shown:
        shown.open(folder / "page.html")
        yield shown
        assert shown.complaints == []


def _order(page: Page, group: str) -> str:
    return page.value(_ORDER.format(f".{group}"))


def test_a_click_sorts_numbers_exactly_with_empty_cells_last_and_ties_as_they_were(page: Page) -> None:
    button = "#one th:nth-child(2) button"
    page.click(button)
    # the heading of the group stays first
    expected = sorted((n for n in range(6) if n != 2), key=lambda n: _ROWS[n][1])
    assert _order(page, "one") == "one" + "".join(map(str, expected)) + "2"
    assert page.value("document.querySelector('#one th:nth-child(2)').getAttribute('aria-sort')") == "ascending"
    page.click(button)
    falling = sorted(expected, key=lambda n: -_ROWS[n][1])
    assert _order(page, "one") == "one" + "".join(map(str, falling)) + "2"
    assert page.value("document.querySelector('#one th:nth-child(2)').getAttribute('aria-sort')") == "descending"


def test_the_keyboard_sorts_text_with_numbers_in_it_by_their_size(page: Page) -> None:
    page.value("document.querySelector('#two th button').focus()")
    page.press("Enter")
    assert (_order(page, "x"), _order(page, "y")) == ("x210", "y435")  # each group by itself
    page.press("Tab")
    page.press(" ")
    assert (_order(page, "x"), _order(page, "y")) == ("x102", "y354")
    sorts = "[...document.querySelectorAll('#two th[aria-sort]')].map(head => head.textContent).join()"
    assert page.value(sorts) == "value"


def test_only_tables_and_columns_that_sort_have_buttons(page: Page) -> None:
    count = "document.querySelectorAll('{} button').length"
    assert [page.value(count.format(f"#{name}")) for name in ("one", "two", "plain")] == [2, 2, 0]
    assert _order(page, "plain") == "plain012345"


def test_paper_has_no_arrows(page: Page) -> None:
    arrow = "getComputedStyle(document.querySelector('#one button'), '::after').display"
    assert page.value(arrow) != "none"
    page.media("print")
    assert page.value(arrow) == "none"
    page.media()


def test_the_policy_allows_this_script_and_no_other() -> None:
    html = render("page.html.j2", {}, sortable=True)
    [script] = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'\"" in html
    without = render("page.html.j2", {})
    assert "<script" not in without
    assert "script-src" not in without


def test_another_script_does_not_run(tmp_path: Path) -> None:
    html = render("page.html.j2", {}, sortable=True)
    (tmp_path / "page.html").write_text(html.replace("<body>", "<body><script>document.title = 'ran'</script>"))
    with chromium(tmp_path / "profile") as shown:
        shown.open(tmp_path / "page.html")
        assert shown.value("document.title") != "ran"
        # and the driver hears of it
        assert any("Content Security Policy" in complaint for complaint in shown.complaints)
