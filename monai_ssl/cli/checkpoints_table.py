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

"""What `checkpoints` prints, read at 80 columns as at 160."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

import typer
from rich.console import Console
from rich.table import Table

from monai_ssl.networks import Inspection
from monai_ssl.networks.checkpoints import CATALOGUE
from monai_ssl.networks.checkpoints.files import some

__all__ = ["inspection_text", "print_catalogue"]

_HEADINGS = ("layout", "--backbone", "mean / std", "licence")
_WIDTHS = (21, 25, 15, 14)
_WIDE_ENOUGH_FOR_URLS = 130
_KEY_WIDTH = 14
_WIDEST_TEXT = 120


def print_catalogue() -> None:
    """List the layouts that are known: for which backbones, what their images are like, licence, where published."""
    console = Console(highlight=False)
    beside = console.width >= _WIDE_ENOUGH_FOR_URLS
    table = Table.grid(padding=(0, 1, 0, 0))
    for width in _WIDTHS:
        table.add_column(width=width, overflow="fold")
    table.add_column(overflow="fold")
    headings = [*_HEADINGS, *(["published"] if beside else [])]
    table.add_row(*headings, style="bold")
    console.width = max(console.width, sum(_WIDTHS) + len(_WIDTHS))
    rows = [(name, entry.backbones, entry.images, entry.licence, entry.url) for name, entry in CATALOGUE.items()]
    for row in rows:
        table.add_row(*(row if beside else row[:-1]))
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        typer.echo(line.rstrip())
    if not beside:
        urls: dict[str, list[str]] = {}
        for name, *_, url in rows:
            urls.setdefault(url, []).append(name)
        typer.echo("\npublished:")
        for url, names in urls.items():
            typer.echo(
                textwrap.fill(", ".join(names), 80, initial_indent="  ", subsequent_indent="  ") + f"\n    {url}"
            )


def inspection_text(found: Inspection) -> str:
    """
    What a file is, a fact a line.

    Args:
        found: as `inspect_checkpoint` gives it.
    """
    width = min(Console().width, _WIDEST_TEXT)
    indent = " " * (_KEY_WIDTH + 2)
    lines = [found.path]
    for key, text in _facts(found):
        lines += textwrap.wrap(
            text, width, initial_indent=f"  {key:<{_KEY_WIDTH}}", subsequent_indent=indent, break_on_hyphens=False
        )
    return "\n".join(lines)


def _facts(found: Inspection) -> Iterator[tuple[str, str]]:
    yield "layout", f"{found.layout.name}: {found.layout.what}"
    if found.layout.refusal is not None:
        yield "refused", found.layout.refusal
    elif found.backbone is None:
        yield (
            "seems to be",
            "no architecture that is known here; --backbone takes the name in timm that it was made for",
        )
    else:
        yield "seems to be", f"{found.words}, for --backbone {found.backbone}"
        yield "channels", f"{found.channels}"
    yield "tensors", f"{found.tensors}, {found.elements / 1e6:.1f} million numbers"
    if found.broken:
        yield "broken", f"NaN or infinite values in {some(found.broken)}"
    for reason, count in Counter(found.left_behind.values()).items():
        yield "left behind", f"{count} {'tensor' if count == 1 else 'tensors'}: {reason}"
    if found.layout.refusal is None:
        yield "images", f"{found.normalisation}" if found.normalisation else "what mean and std they had is not known"
    yield "sha256", found.checksum
    if found.provenance is not None:
        for part in ("settings", "versions"):
            values = found.provenance.get(part)
            if isinstance(values, dict):
                yield part, ", ".join(f"{name} {value}" for name, value in values.items())
