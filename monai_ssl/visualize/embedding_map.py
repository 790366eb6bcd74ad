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

"""Embeddings as points in the plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from monai_ssl.visualize.figures import GRID, INK, MODEL_COLORS, SOFT, plain, style_axes

__all__ = ["embedding_figure", "embedding_plane"]

# scikit-learn takes a second to import, and the report needs this room without it.

_MOST = 5000  # points: more take minutes, and hide one another
_COMPONENTS = 50  # for the neighbourhoods of t-SNE, as its authors advise
_PERPLEXITY = 30.0
_FEWEST = 8  # points that have neighbourhoods


def embedding_plane(embeddings: np.ndarray) -> np.ndarray:
    """
    Places in the plane that keep neighbours together: t-SNE of the first 50 principal components, from a fixed seed.

    Distances between far groups, and their sizes, tell nothing. Of fewer than 8 points the first two components;
    equal ones have one place.

    Args:
        embeddings: (N, D), N at least 1; beyond some thousands it takes minutes.

    Returns:
        (N, 2) float64.

    Example:
        >>> embedding_plane(np.eye(5)).shape
        (5, 2)

    Reference: van der Maaten and Hinton, Visualizing data using t-SNE, JMLR 2008.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    values = np.asarray(embeddings, np.float64)
    if np.ptp(values, axis=0).max() < np.finfo(np.float32).eps:
        return np.zeros((len(values), 2))
    components = PCA(min(_COMPONENTS, *values.shape), svd_solver="full").fit_transform(values)
    if len(values) < _FEWEST:
        return np.pad(components, ((0, 0), (0, max(0, 2 - components.shape[1]))))[:, :2]
    components = np.pad(components, ((0, 0), (0, max(0, 2 - components.shape[1]))))
    perplexity = min(_PERPLEXITY, (len(values) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(components).astype(np.float64)


def embedding_figure(embeddings: np.ndarray, properties: pd.DataFrame) -> Figure:
    """
    The map of embeddings, once for each property of the images, in whose colours the points are.

    Of more than 5000 images that many are drawn, the same ones each time.

    Args:
        embeddings: (N, D).
        properties: N rows, a column for each property: numbers get a scale, texts a colour each, from the
            seventh most frequent on one together; without columns the map is grey, as NaN and empty texts are.

    Returns:
        A figure that pyplot does not know: `figure.savefig("embeddings.png")` writes it.

    Raises:
        ValueError: when there are no embeddings, or the table has another number of rows.

    Example:
        >>> points = np.random.default_rng(0).normal(size=(40, 8))
        >>> table = pd.DataFrame({"label": ["nodule", ""] * 20})
        >>> [axes.get_title("left") for axes in embedding_figure(points, table).axes]
        ['label']
    """
    if not len(embeddings) or len(properties) != len(embeddings):
        raise ValueError(f"need embeddings and a row for each, got {len(embeddings)} and {len(properties)} rows")
    chosen = np.sort(np.random.default_rng(0).permutation(len(embeddings))[:_MOST])
    places = embedding_plane(np.asarray(embeddings)[chosen])
    columns = [properties[name].iloc[chosen] for name in properties] or [pd.Series([""] * len(chosen), name="")]
    figure = Figure(figsize=(5.6 * len(columns), 5.4), layout="constrained", dpi=120)
    for number, values in enumerate(columns, start=1):
        axes = figure.add_subplot(1, len(columns), number)
        style_axes(axes)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set(xticks=[], yticks=[])
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_title(plain(str(values.name)), loc="left", fontsize=10, color=INK)
        draw = _draw_numbers if pd.api.types.is_numeric_dtype(values) else _draw_groups
        draw(axes, places, values)
    shown = f"{len(chosen)} images" if len(chosen) == len(embeddings) else f"{len(chosen)} of {len(embeddings)} images"
    title = f"{shown}: near ones have like embeddings (t-SNE), far distances tell nothing"
    figure.suptitle(title, fontsize=9, color=INK)
    return figure


def _draw_numbers(axes: Axes, places: np.ndarray, values: pd.Series) -> None:
    known = values.notna().to_numpy()
    _draw(axes, places[~known], SOFT)
    points = _draw(axes, places[known], values[known].to_numpy(), cmap="viridis")
    if known.any():
        bar = axes.figure.colorbar(points, ax=axes, location="bottom", shrink=0.6, aspect=40)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8, colors=INK, length=0)


def _draw_groups(axes: Axes, places: np.ndarray, values: pd.Series) -> None:
    counts = values[values != ""].value_counts()
    # Drawn before the others, those without a label do not hide them.
    unknown, nameless = values.isna().to_numpy(), (values == "").to_numpy()
    _draw(axes, places[unknown], GRID, label=f"not labelled ({unknown.sum()})" if unknown.any() else None)
    _draw(axes, places[nameless], SOFT, label=f"none ({nameless.sum()})" if len(counts) and nameless.any() else None)
    named = sorted(counts.index[: len(MODEL_COLORS)])
    rest = ~values.isin(["", *named]).to_numpy() & ~unknown
    if rest.any():
        _draw(axes, places[rest], INK, label=f"{len(counts) - len(named)} rarer ones ({rest.sum()})")
    for name, color in zip(named, MODEL_COLORS, strict=False):
        _draw(axes, places[(values == name).to_numpy()], color, label=plain(f"{name} ({counts[name]})"))
    if len(counts):
        legend = axes.legend(frameon=False, fontsize=8, labelcolor=INK, markerscale=2, ncols=3,
                             loc="upper center", bbox_to_anchor=(0.5, -0.01))  # fmt: skip
        legend.set_in_layout(True)


def _draw(axes: Axes, places: np.ndarray, color: Any, **options: Any) -> PathCollection:
    size = float(np.clip(4000 / max(len(places), 1), 5, 24))
    return axes.scatter(places[:, 0], places[:, 1], c=color, s=size, linewidths=0, alpha=0.85, **options)
