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

"""What a store tells of its slices, for colouring a map of them."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from monai_ssl.data.labels import label_columns
from monai_ssl.data.slice_store import SliceStore

__all__ = ["slice_properties"]


def slice_properties(dataset_dir: str | os.PathLike) -> pd.DataFrame:
    """
    Where each kept slice lies in its volume, and its label.

    Args:
        dataset_dir: a slice store; a folder of images tells nothing.

    Returns:
        A row for each slice, under its name, with the columns `position in the volume`, 0 at the first slice to 1 at
        the last, and, in a store with labels, `label`: the one that is positive, "several", or "" for none; missing for
        a slice that the labels do not name. Empty for a folder of images.

    Raises:
        ValueError: when a store is damaged.

    Example:
        >>> slice_properties("absent").empty
        True
    """
    if not Path(dataset_dir, "store.json").is_file():
        return pd.DataFrame()
    store = SliceStore.open(dataset_dir)
    kept = store.kept.set_index("slice")
    last = store.table.groupby("volume")["index"].max().clip(lower=1)
    table = pd.DataFrame({"position in the volume": kept["index"] / kept["volume"].map(last)})
    if store.labels is not None and len(names := label_columns(store.labels.reset_index())):
        positive = store.labels[names].reindex(table.index).fillna(0).astype(bool)
        table["label"] = positive.idxmax(axis=1).where(positive.sum(axis=1) < 2, "several")
        table["label"] = table["label"].where(positive.any(axis=1), "").where(table.index.isin(store.labels.index))
    return table
