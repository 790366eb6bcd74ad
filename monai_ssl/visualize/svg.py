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

"""The way of figures into pages and papers: SVG of equal bytes for equal figures, text as text."""

from __future__ import annotations

import io
import os
import re
import warnings
from typing import NamedTuple

import matplotlib
from markupsafe import escape
from matplotlib.figure import Figure

from monai_ssl.files import atomic_path

__all__ = ["DrawnFigure", "draw_figure", "figure_to_svg", "save_svg"]


class DrawnFigure(NamedTuple):
    """
    A figure drawn once, for a page as well as for a file; drawing is what takes the time.

    Attributes:
        opening: the `<svg ...>` tag.
        content: all that follows it, without metadata.
        title: of the first panel that has one, or "".
    """

    opening: str
    content: str
    title: str

    def element(self, name: str, alt: str) -> str:
        """As :py:func:`figure_to_svg`."""
        content = re.sub(r"(\bid=\"|url\(#|href=\"#)", rf"\g<1>{name}-", self.content.replace("xlink:href", "href"))
        size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', self.opening)
        return f'<svg role="img" aria-label="{escape(alt)}" {size.group(0) if size else ""}>{content}'

    def save(self, path: str | os.PathLike, alt: str = "") -> None:
        """As :py:func:`save_svg`."""
        told = {"title": self.title.replace(r"\$", "$").replace("\n", " "), "desc": alt}
        with atomic_path(path) as partial:
            partial.write_text(
                f'<?xml version="1.0" encoding="utf-8"?>\n{self.opening}\n'
                + "".join(f" <{name}>{escape(text)}</{name}>\n" for name, text in told.items() if text)
                + f' <rect width="100%" height="100%" fill="#ffffff"/>\n {self.content}\n',
                encoding="utf-8",
            )


def figure_to_svg(figure: Figure, name: str, alt: str) -> str:
    """
    The figure as an SVG element to stand inside a page, the same text for the same figure.

    Args:
        figure: any figure.
        name: prefix of every id in it, so that several figures share a page; letters, digits, hyphens.
        alt: what a reader who cannot see it should know.

    Returns:
        `<svg ...>` without prolog, metadata, date and namespaces.
    """
    return draw_figure(figure).element(name, alt)


def save_svg(figure: Figure, path: str | os.PathLike, alt: str = "") -> None:
    """
    Write a figure as an SVG file for a paper: on white, text as text, the same bytes for the same figure.

    Args:
        figure: any figure.
        path: of the file, replaced whole or not at all.
        alt: what a reader who cannot see it should know; it becomes the description, and a panel's title the title.

    Raises:
        OSError: when the file cannot be written.

    Example:
        >>> save_svg(Figure(), "figure.svg", "nothing yet")  # doctest: +SKIP
    """
    draw_figure(figure).save(path, alt)


def draw_figure(figure: Figure) -> DrawnFigure:
    """Draw a figure as SVG, the same text for the same figure."""
    buffer = io.StringIO()
    # Text stays text: small, searchable, and in the font of the page or of who opens the file.
    with matplotlib.rc_context({"svg.hashsalt": "monai_ssl", "svg.fonttype": "none"}), warnings.catch_warnings():
        # What the font here lacks, as Chinese, the font of the page will have.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", buffer.getvalue(), flags=re.DOTALL)
    start = svg.index("<svg")
    end = svg.index(">", start) + 1
    title = next((text for axes in figure.axes if (text := axes.get_title(loc="left"))), "")
    return DrawnFigure(svg[start:end], svg[end:].strip(), title)
