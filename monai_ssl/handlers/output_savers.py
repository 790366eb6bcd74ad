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

"""What an evaluator computed, as files: scores per image, embeddings per slice."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import ignite.distributed as idist
import numpy as np
import pandas as pd
from ignite.engine import Engine, Events

from monai_ssl.files import atomic_path, write_table
from monai_ssl.handlers.failures import explain
from monai_ssl.processes import leave_at_once
from monai_ssl.visualize import embedding_figure

__all__ = ["EmbeddingSaver", "PredictionSaver"]

logger = logging.getLogger(__name__)


class _OutputSaver(ABC):
    """Collect one row per item on every rank, and let rank 0 save them all when the evaluator is done."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.rows: list[tuple] = []

    def attach(self, engine: Engine) -> None:
        """Follow `engine`, an evaluator with decollated output."""
        engine.add_event_handler(Events.STARTED, lambda _: self.rows.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._finish)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def _fail(self, _: Engine, error: BaseException) -> None:
        said = explain(error)
        if not said:
            raise error
        logger.error("%s; %s is not written", said, self.path)
        if idist.get_world_size() > 1:
            leave_at_once(2)  # the others do not know, and torchrun ends them
        raise SystemExit(2) from error

    def _finish(self, _: Engine) -> None:
        shares = cast(list[list[tuple]], idist.all_gather(self.rows)) if idist.get_world_size() > 1 else [self.rows]
        if idist.get_rank() == 0:
            # Ranks share the items in turn; sorted by id the order is that of one process.
            rows = sorted((row for share in shares for row in share), key=lambda row: row[0])
            self._save(rows)
            logger.info("%s: %d rows", self.path, len(rows))

    def _collect(self, engine: Any) -> None:
        for item, output in zip(engine.state.batch, engine.state.output, strict=True):
            self.rows.append(self._row(item, output["pred"].detach().float().cpu().numpy()))

    @abstractmethod
    def _row(self, item: dict[str, Any], pred: np.ndarray) -> tuple:
        """The row of one item; its first entry is the item's id."""

    @abstractmethod
    def _save(self, rows: list[tuple]) -> None:
        """Write all rows to `self.path`, atomically."""


class PredictionSaver(_OutputSaver):
    """
    Write `predictions.csv`: `image, patient, split, <label>_true, <label>_score ...`, sorted by image.

    Args:
        path: of the table.
        label_names: one per score.
        labelled: whether the items have labels, NaN where unknown, which gives an empty cell; without labels there are
            no `_true` columns.
        thresholds: by label; for each a column `<label>_positive` follows, 1 when score >= threshold, else 0, empty
            where the threshold is NaN.
        task: `multiclass` has a column `class`, the label with the highest score, in their place.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        label_names: Sequence[str],
        labelled: bool = True,
        thresholds: Mapping[str, float] | None = None,
        task: str = "multilabel",
    ) -> None:
        super().__init__(path)
        self.label_names, self.labelled = list(label_names), labelled
        self.thresholds, self.task = thresholds, task

    def _row(self, item: dict[str, Any], pred: np.ndarray) -> tuple:
        return item["id"], item["patient"], item["split"], np.asarray(item["label"], np.float64), pred

    def _save(self, rows: list[tuple]) -> None:
        keys = [row[:3] for row in rows]
        table = pd.DataFrame(keys, columns=["image", "patient", "split"], dtype=str)
        for column, name in enumerate(self.label_names):
            if self.labelled:
                table[f"{name}_true"] = pd.array([row[3][column] for row in rows], dtype="Int64")
            table[f"{name}_score"] = [float(row[4][column]) for row in rows]
        write_table(self.path, table.assign(**self._decisions(table)))

    def _decisions(self, table: pd.DataFrame) -> dict[str, Any]:
        if self.thresholds is None:
            return {}
        if self.task == "multiclass":
            highest = table[[f"{name}_score" for name in self.label_names]].to_numpy().argmax(axis=1)
            return {"class": np.array(self.label_names)[highest]}
        decided = {}
        for name in self.label_names:
            if name in self.thresholds:
                at = self.thresholds[name]
                positive = np.where(np.isfinite(at), table[f"{name}_score"] >= at, np.nan)
                decided[f"{name}_positive"] = pd.array(positive, dtype="Int64")
        return decided


class EmbeddingSaver(_OutputSaver):
    """
    Write an `.npz` with `slice` (N,) text and `embedding` (N, D) float32, sorted by slice, and a map of them beside it.

    Args:
        path: of the file; the map, :py:func:`monai_ssl.visualize.embedding_figure`, has its name and the suffix `.png`.
        properties: a row for each slice, under its name, such as :py:func:`monai_ssl.data.slice_properties`
            gives, for the colours of the map.
    """

    def __init__(self, path: str | os.PathLike, properties: pd.DataFrame | None = None) -> None:
        super().__init__(path)
        self.properties = pd.DataFrame() if properties is None else properties

    def _row(self, item: dict[str, Any], pred: np.ndarray) -> tuple:
        return item["id"], pred

    def _save(self, rows: list[tuple]) -> None:
        ids, embeddings = zip(*rows, strict=True)
        with atomic_path(self.path) as partial, open(partial, "wb") as file:
            np.savez(file, slice=np.array(ids, dtype=str), embedding=np.stack(embeddings).astype(np.float32))
        figure = embedding_figure(np.stack(embeddings), self.properties.reindex(list(ids)))
        with atomic_path(self.path.with_suffix(".png")) as partial:
            figure.savefig(partial, format="png")
