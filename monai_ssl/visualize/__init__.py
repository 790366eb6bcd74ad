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

"""Figures as matplotlib objects, without pyplot and without global state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai_ssl.visualize.bands import precision_recall_figure, roc_figure
from monai_ssl.visualize.contact_sheet import axis_strip, contact_sheet, exemplar_images
from monai_ssl.visualize.curves import curve_figure, curve_names, read_metrics
from monai_ssl.visualize.display_window import DisplayWindow, display_window
from monai_ssl.visualize.embedding_map import embedding_figure, embedding_plane
from monai_ssl.visualize.figures import image_grid
from monai_ssl.visualize.forest import forest_figure
from monai_ssl.visualize.learning_curve import learning_curve_figure
from monai_ssl.visualize.reduction_tables import dropped_table, exemplar_table, reduction_summary, typical_volume
from monai_ssl.visualize.reliability import reliability_figure
from monai_ssl.visualize.saliency_figure import saliency_figure
from monai_ssl.visualize.scenarios import scenario_figure
from monai_ssl.visualize.svg import DrawnFigure, draw_figure, figure_to_svg, save_svg
from monai_ssl.visualize.views import views_figure

if TYPE_CHECKING:
    from monai_ssl.visualize.saliency import saliency_map

__all__ = [
    "DisplayWindow",
    "DrawnFigure",
    "axis_strip",
    "contact_sheet",
    "curve_figure",
    "curve_names",
    "display_window",
    "draw_figure",
    "dropped_table",
    "embedding_figure",
    "embedding_plane",
    "exemplar_images",
    "exemplar_table",
    "figure_to_svg",
    "forest_figure",
    "image_grid",
    "learning_curve_figure",
    "precision_recall_figure",
    "read_metrics",
    "reduction_summary",
    "reliability_figure",
    "roc_figure",
    "saliency_figure",
    "saliency_map",
    "save_svg",
    "scenario_figure",
    "typical_volume",
    "views_figure",
]


def __getattr__(name: str) -> Any:
    # of MONAI, which takes seconds to import, and no figure needs it
    if name == "saliency_map":
        from monai_ssl.visualize.saliency import saliency_map

        return saliency_map
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
