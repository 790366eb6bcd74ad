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

"""One self-contained page from a template: nothing fetched, no script but for sorting; figures stand in it as SVG."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from monai_ssl.visualize import DrawnFigure, draw_figure
from monai_ssl.visualize.figures import GRID, INK, MODEL_COLORS, PAPER, SOFT

__all__ = ["Picture", "embed_drawn", "embed_figure", "embed_image", "render", "setting_rows"]

# style.css.j2 sets these variables, for bright and for dark.
_VARIABLES = {INK: "var(--ink)", SOFT: "var(--dim)", GRID: "var(--line)", PAPER: "var(--card)"} | {
    color: f"var(--model-{position})" for position, color in enumerate(MODEL_COLORS)
}


@dataclass(frozen=True)
class Picture:
    """
    One figure: its caption, and either an SVG element or an image as data URI with alt text.

    Attributes:
        beside: of an exemplar, the dropped slices to stand beside it.
        main: whether it stands open where a section has many.
    """

    caption: str
    svg: Markup | None = None
    image: str | None = None
    alt: str = ""
    beside: tuple[Picture, ...] = ()
    main: bool = True


def embed_figure(figure: Figure, name: str, alt: str) -> Markup:
    """
    A figure as SVG element whose colours follow the page.

    Args:
        figure: in the colours of `monai_ssl.visualize.figures`.
        name: prefix of its ids, one of its own on the page.
        alt: what a reader who cannot see it should know.
    """
    return embed_drawn(draw_figure(figure), name, alt)


def embed_drawn(drawn: DrawnFigure, name: str, alt: str) -> Markup:
    """As :py:func:`embed_figure`, of a figure that is drawn already."""
    svg = drawn.element(name, alt)
    return Markup(re.sub("|".join(_VARIABLES), lambda found: _VARIABLES[found.group()], svg))


def embed_image(image: np.ndarray) -> str:
    """An 8-bit picture, (H, W), as data URI."""
    # A third of a PNG's bytes for the noise of real CT, and dozens of pictures must go into one page.
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def render(template: str, filters: Mapping[str, Callable], *, sortable: bool = False, **values: Any) -> str:
    """
    Fill in a template of this folder; text is escaped, and a value that is not given is an error.

    Args:
        template: its name.
        filters: functions that it uses, by name.
        sortable: whether its tables of class "sortable" get buttons; the page then allows that one script, by hash.
        values: what it shows.

    Returns:
        HTML.
    """
    environment = Environment(
        loader=PackageLoader("monai_ssl.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    script = environment.get_template("sort.js.j2").render() if sortable else ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    values |= {"script": Markup(script), "script_hash": f"sha256-{digest}"}
    return environment.get_template(template).render(**values)


def setting_rows(columns: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """
    Settings as rows of a table: the name, and what each column has there.

    Example:
        >>> setting_rows([{"seed": 0, "model": {"name": "resnet50"}}, {"seed": 1.5}])
        [('seed', ['0', '1.5']), ('model.name', ['resnet50', ''])]
    """
    flat = [dict(_flat(column)) for column in columns]
    names = dict.fromkeys(name for column in flat for name in column)
    return [(name, [column.get(name, "") for column in flat]) for name in names]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, _setting_text(value)))
    return rows


def _setting_text(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, list):
        return ", ".join(_setting_text(entry) for entry in value) or "none"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
