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

"""Which store holds the slices that another one dropped, so that a report can show them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from monai_ssl.data import SliceStore
from monai_ssl.report.runs import Run
from monai_ssl.visualize import typical_volume
from monai_ssl.visualize.reduction_tables import replaced_slices

__all__ = ["find_dropped"]

_logger = logging.getLogger(__name__)


def find_dropped(store: SliceStore, runs: Sequence[Run]) -> tuple[SliceStore | None, str | None]:
    """
    A store that holds what the most typical volume of another stands for, among those that the runs were trained on.

    Slices count as the same when pseudonym key, name and hash agree: another axis gives the same names.

    Args:
        store: with dropped slices.
        runs: with the `dataset_dir` of each; a relative one is taken from the working directory.

    Returns:
        The store and None; or None and the reason, which names no path. Both None when nothing was dropped.
    """
    dropped = replaced_slices(store.table, typical_volume(store.table))
    if dropped.empty:
        return None, None
    reasons = []
    for folder in dict.fromkeys(run.dataset_dir for run in runs if run.dataset_dir):
        if not (Path(folder) / "store.json").is_file():
            reasons.append("no slice store is found at the dataset_dir of the runs")
            continue
        try:
            other = SliceStore.open(folder)
        except (OSError, ValueError) as error:
            _logger.warning("dropped slices are not shown from a store that cannot be opened: %s", error)
            reasons.append("the store that the runs were trained on cannot be opened")
            continue
        reason = _unlike(store, other, dropped)
        if reason is None:
            return other, None
        reasons.append(reason)
    return None, "; ".join(dict.fromkeys(reasons)) or "the runs record no dataset_dir to look in"


def _unlike(store: SliceStore, other: SliceStore, dropped: pd.DataFrame) -> str | None:
    keys = [each.settings.get("pseudonym_key_fingerprint") for each in (store, other)]
    if keys[0] is None or keys[0] != keys[1]:
        return "the store that the runs were trained on was made with another pseudonym key"
    held = set(zip(other.kept["slice"], other.kept["hash"], strict=True))
    if not held.issuperset(zip(dropped["slice"], dropped["hash"], strict=True)):
        return "the store that the runs were trained on does not hold them either"
    return None
