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

"""The four graphs of a reduction, for the page and for the overview."""

from __future__ import annotations

from functools import partial

from markupsafe import Markup

from monai_ssl.report.page import embed_figure
from monai_ssl.report.reduction_numbers import ReductionCounts
from monai_ssl.report.reduction_words import percent
from monai_ssl.visualize.reduction_curves import (
    Draw,
    draw_along,
    draw_distances,
    draw_reason,
    draw_sizes,
    draw_thresholds,
    draw_volumes,
    panel_figure,
)

__all__ = ["FEW_VOLUMES", "graph_draws", "graph_elements"]

FEW_VOLUMES = 60  # bars that can be told apart


def graph_draws(counts: ReductionCounts) -> dict[str, Draw]:
    """The four graphs by name; one that has nothing to show says why."""
    few = len(counts.volumes) <= FEW_VOLUMES
    draws: dict[str, Draw] = {
        "volumes": partial(draw_volumes, volumes=counts.volumes) if few else partial(draw_sizes, sizes=counts.sizes),
        "along": partial(draw_along, along=counts.along, share=counts.kept_share, axis=counts.axis),
    }
    if counts.distances.empty:
        nothing = "nothing was dropped" if counts.kept_share == 1 else "the store holds no distances"
        draws["distances"] = partial(draw_reason, title="Distance of dropped slices", reason=nothing)
    else:
        draws["distances"] = partial(
            draw_distances,
            distances=counts.distances,
            threshold=counts.strategy.threshold,
            unit=counts.strategy.unit,
        )
    if counts.shares.empty:
        draws["thresholds"] = partial(draw_reason, title="What other thresholds would keep", reason="not computed here")
    else:
        draws["thresholds"] = partial(
            draw_thresholds, shares=counts.shares, threshold=counts.strategy.threshold, kept=counts.kept_share
        )
    return draws


def graph_elements(counts: ReductionCounts) -> dict[str, Markup]:
    """The graphs as SVG elements, by name, without those that have nothing to show."""
    volumes, along = counts.volumes, counts.along
    first, middle, last = (percent(along["share"].iloc[place]) for place in (0, len(along) // 2, -1))
    alts = {
        "volumes": f"Slices of each volume: {volumes['slices'].min()} to {volumes['slices'].max()} in the source, "
        f"{volumes['kept'].min()} to {volumes['kept'].max()} kept",
        "along": f"Share kept along the axis: {first} at one end, {middle} in the middle, {last} at the other end",
    }
    if not counts.distances.empty:
        most = counts.distances.loc[counts.distances["dropped"].idxmax()]
        alts["distances"] = (
            f"Distances of dropped slices to the kept ones; most, {most['dropped']:.0f}, from {most['low']:.3g} "
            f"to {most['high']:.3g}"
        )
    if not counts.shares.empty:
        ends = [f"{percent(share)} at {threshold:g}" for threshold, share in counts.shares.iloc[[0, -1]].items()]
        alts["thresholds"] = f"Share kept by threshold: {' and '.join(ends)}"
    draws = graph_draws(counts)
    return {name: embed_figure(panel_figure(draws[name]), name, alt) for name, alt in alts.items()}
