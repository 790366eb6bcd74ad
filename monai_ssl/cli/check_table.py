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

"""The table of `check` in a terminal: what it says, in a form that is read at 80 columns as at 200."""

from __future__ import annotations

import pandas as pd
import typer
from rich.cells import cell_len
from rich.console import Console, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

__all__ = ["print_table", "summary"]

_HEADINGS = {
    "series": "series",
    "slices": "slices",
    "size": "size",
    "spacing": "spacing, mm",
    "modality": "modality",
    "verdict": "verdict",
}
_STYLES = {"accept": "green", "warn": "yellow", "refuse": "red"}
_NUMBERS = ("slices", "size")
_GAP = 2
_INDENT = 4
_LEAST_FOR_REASONS = 60
_LEAST_FOR_SERIES = 20
# How `find_volumes` begins its reasons for what never was a volume.
_NO_IMAGE = ("neither ", "no image", "empty file", "a DICOMDIR")


def print_table(table: pd.DataFrame) -> None:
    """
    Print the table of `check_volumes`, refused files of one reason folded into one row.

    Reasons are a column where the terminal is wide enough, else stand below their row.

    Args:
        table: as `check_volumes` gives it.
    """
    console = Console(highlight=False)
    headings = {**_HEADINGS, "reasons": "reasons"}
    rows = _folded(table)[list(headings)].astype(object).fillna("").to_dict("records")
    for row in rows:
        row.update({name: _printable(str(row[name])) for name in _HEADINGS})
    widths = {name: max(cell_len(row[name]) for row in [headings, *rows]) for name in _HEADINGS}
    fixed = sum(widths.values()) + _GAP * len(widths) - widths["series"]
    room = console.width - fixed
    beside = room >= _LEAST_FOR_SERIES + _LEAST_FOR_REASONS
    above = room < min(widths["series"], _LEAST_FOR_SERIES)
    widths["series"] = min(widths["series"], max(room // 2 if beside else room, _LEAST_FOR_SERIES))
    columns = [name for name in widths if name != "series" or not above]
    # Numbers and verdicts are never broken: a narrower terminal breaks the line.
    console.width = max(console.width, fixed)
    for row in [headings, *rows]:
        is_heading = row is headings
        line = Table.grid(padding=(0, _GAP, 0, 0))
        for name in columns:
            justify: JustifyMethod = "right" if name in _NUMBERS else "left"
            line.add_column(width=widths[name], justify=justify, overflow="fold")
        cells = [Text(row[name], _STYLES.get(row[name], "")) for name in columns]
        reasons = Text("reasons") if is_heading else _listed(row["reasons"])
        line.add_row(*cells, *[reasons] * beside, style="bold" if is_heading else None)
        if above:
            _show(console, Text(row["series"], overflow="fold"))
        _show(console, line)
        if row["reasons"] and not beside and not is_heading:
            _show(console, Padding(reasons, (0, 0, 0, _INDENT)))


def _show(console: Console, what: RenderableType) -> None:
    with console.capture() as capture:
        console.print(what)
    for line in capture.get().splitlines():
        typer.echo(line.rstrip())


def summary(table: pd.DataFrame) -> str:
    """
    How many of each verdict, in one line.

    Args:
        table: as `check_volumes` gives it.
    """
    no_image = table["slices"].isna() & table["reasons"].str.startswith(_NO_IMAGE)
    counts = table.loc[~no_image, "verdict"].value_counts()
    accepted, warned, refused = (counts.get(verdict, 0) for verdict in _STYLES)
    files = int(no_image.sum())
    is_are = "file is" if files == 1 else "files are"
    return f"{accepted} series accepted, {warned} with warnings, {refused} refused; {files} {is_are} no image"


def _folded(table: pd.DataFrame) -> pd.DataFrame:
    """Files refused for one reason as one row, named by the first of them."""
    files = table["slices"].isna()
    alike = table[files].groupby("reasons", sort=False)["series"]
    first = table[files].drop_duplicates("reasons").copy()
    more = first["reasons"].map(alike.size()) - 1
    first["series"] = first["series"].where(more == 0, first["series"] + " and " + more.astype(str) + " more")
    return pd.concat([table[~files], first])


def _listed(reasons: str) -> Table:
    """One reason a line, wrapped behind its dash."""
    lines = Table.grid()
    lines.add_column(width=2)
    lines.add_column(overflow="fold")
    for reason in filter(None, reasons.split("\n")):
        lines.add_row("- ", Text(_printable(reason)))
    return lines


def _printable(text: str) -> str:
    # Names of files may hold anything, sequences that steer a terminal too.
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
