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

"""A metric with its interval by patient, for the engines of MONAI and ignite."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine
from ignite.metrics import Metric
from monai.handlers import from_engine

from monai_ssl.metrics.array_redraws import redraw_arrays
from monai_ssl.metrics.auc import check_predictions
from monai_ssl.metrics.bootstrap import check_interval
from monai_ssl.metrics.intervals import bca_interval, percentile_interval
from monai_ssl.metrics.names import AT_THRESHOLD, WITHOUT_INTERVAL, check_metrics

__all__ = ["BootstrapMetric"]

logger = logging.getLogger(__name__)

# patients, images, scores and labels of a batch
_Batch = tuple[list[str], list[str], np.ndarray, np.ndarray]


class BootstrapMetric(Metric):
    """
    A metric of all that an engine saw, on all processes, with the 95 % interval of the bootstrap by patient.

    Attached under a name, such as `auc_ci` among the `additional_metrics` of a bundle, it sets the engine's metrics
    `auc_ci`, `auc_ci_low` and `auc_ci_high`, numbers all three, and logs a line with them. Of several labels it is the
    mean over those for which the metric is defined. The numbers are those of :py:func:`monai_ssl.metrics.compare` on
    the same predictions.

    The items of a batch name their `patient`, as those of :py:class:`monai_ssl.data.FinetuningData` do; where none
    does, images are redrawn, which the log says. Where they also have an `id`, an image that several processes saw
    counts once, and the numbers do not depend on the order. What cannot be computed is NaN and said once: an additional
    metric does not end a run.

    Args:
        metric: one name of :py:data:`monai_ssl.metrics.METRICS`.
        redraws: how many, >= 1.
        seed: of the redraws.
        interval: "percentile" or "bca".
        stratify: see :py:func:`monai_ssl.metrics.bootstrap_auc`.
        thresholds: of each label, in their order, or one for all; sensitivity, specificity, F1 and accuracy need them.
        split: take the items of this `split` only; None takes all.
        output_transform: from the engine's output to scores and labels, (N, L) each or lists of (L,): probabilities for
            Brier score and calibration error; a NaN label is unknown.

    Raises:
        ValueError: for an unknown metric or interval, a metric that has no interval, redraws < 1, or thresholds that
            are missing.

    Example:
        >>> metric = BootstrapMetric(redraws=200)
        >>> metric.update((torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1]), ["a", "b", "c", "d"]))
        >>> metric.compute()["value"]
        0.75
    """

    def __init__(
        self,
        metric: str = "auc",
        redraws: int = 1000,
        seed: int = 0,
        interval: str = "percentile",
        stratify: bool = False,
        thresholds: Sequence[float] | float | None = None,
        split: str | None = None,
        output_transform: Callable = from_engine(["pred", "label"]),  # noqa: B008
    ) -> None:
        check_metrics([metric])
        check_interval(interval)
        if metric in WITHOUT_INTERVAL:
            raise ValueError(f"{metric} has no interval: chance alone makes it larger, and redraws add as much again")
        if redraws < 1:
            raise ValueError(f"redraws must be at least 1, got {redraws}; 1000 is usual")
        if metric in AT_THRESHOLD and thresholds is None:
            raise ValueError(f"{metric} needs thresholds, one per label or one for all, such as those of validation")
        self.metric, self.redraws, self.seed, self.interval, self.stratify = metric, redraws, seed, interval, stratify
        self.thresholds = np.asarray(np.nan if thresholds is None else thresholds, np.float64)
        self.split = split
        self._batches: list[_Batch] = []
        self._said: set[str] = set()
        super().__init__(output_transform)

    def reset(self) -> None:
        """Forget what was seen."""
        self._batches = []

    def update(self, output: Sequence[Any]) -> None:
        """
        Take a batch.

        Args:
            output: scores, labels and, where known, patients and ids of the images.
        """
        scores, labels, patients, images = [*output, None, None][:4]
        table = _as_table(scores)
        blank = [""] * len(table)
        self._batches.append((list(patients or blank), list(images or blank), table, _as_table(labels)))

    def iteration_completed(self, engine: Engine) -> None:
        """Take the engine's output, and the names of its items from the engine's batch."""
        scores, labels = self._output_transform(engine.state.output)
        splits, *names = (_names(engine.state.batch, key, len(scores)) for key in ("split", "patient", "id"))
        kept = [row for row, split in enumerate(splits) if self.split in (None, split)]
        if kept:
            self.update(tuple([each[row] for row in kept] for each in (scores, labels, *names)))

    def compute(self) -> dict[str, float]:
        """
        The metric of all that was seen since the last reset, on all processes.

        Returns:
            `value`, `low` and `high`, NaN where they cannot be computed; `images`, `patients` and `labels`, their
            numbers, 0 patients where they are unknown; `left_out`, the redraws without a value, as for lack of a class.
        """
        patients, images, scores, labels = self._gathered()
        named = len(set(patients)) if any(patients) else 0
        numbers = dict.fromkeys(("value", "low", "high"), float("nan"))
        numbers |= {"images": len(images), "patients": named, "labels": scores.shape[1], "left_out": 0}
        if not images:
            self._say(f"{self._where}no images, so {self.metric} is NaN")
            return numbers
        if not named:
            self._say(f"{self._where}the items name no patient, so images are redrawn; where a patient has several, "
                      "the interval is too narrow")  # fmt: skip
        try:
            numbers.update(self._redraw(labels, scores, patients if named else None))
        except ValueError as error:
            self._say(f"{self._where}{self.metric} is NaN: {error}")
        return numbers

    def completed(self, engine: Engine, name: str) -> None:
        """Set the engine's metrics `<name>`, `<name>_low` and `<name>_high`, and log them."""
        result = self.compute()
        for key, end in (("value", ""), ("low", "_low"), ("high", "_high")):
            engine.state.metrics[name + end] = result[key]
        if result["images"] and idist.get_rank() == 0:
            unit = f"{result['patients']} patients" if result["patients"] else "images"
            mean = f"mean of {result['labels']} labels: " if result["labels"] > 1 else ""
            figures = "{value:.3f} (95 % interval {low:.3f} to {high:.3f}".format(**result)
            left_out = f", {result['left_out']} left out" if result["left_out"] else ""
            logger.info("%s%d images: %s%s %s, %d redraws of %s%s)", self._where, result["images"], mean, self.metric,
                        figures, self.redraws, unit, left_out)  # fmt: skip

    @property
    def _where(self) -> str:
        return "" if self.split is None else f"{self.split}, "

    def _gathered(self) -> _Batch:
        """Of all processes; each image once and in one order, where all have ids."""
        shares = [self._batches]
        if idist.get_world_size() > 1:
            shares = cast(list[list[_Batch]], idist.all_gather(self._batches))
        batches = [batch for share in shares for batch in share]
        if not batches:
            return [], [], np.empty((0, 1)), np.empty((0, 1))
        patients, images = ([name for batch in batches for name in batch[part]] for part in (0, 1))
        scores, labels = (np.concatenate([batch[part] for batch in batches]) for part in (2, 3))
        if not all(images):
            return patients, images, scores, labels
        _, rows = np.unique(images, return_index=True)
        return [patients[row] for row in rows], [images[row] for row in rows], scores[rows], labels[rows]

    def _redraw(self, labels: np.ndarray, scores: np.ndarray, patients: list[str] | None) -> dict[str, float]:
        truth, values = check_predictions(labels, scores)
        number = truth.shape[1]
        if self.thresholds.size not in (1, number):
            raise ValueError(f"{self.thresholds.size} thresholds for {number} labels; give one each, or one for all")
        redrawn = redraw_arrays(
            truth, values[None], patients, [self.metric], self.redraws, self.seed, self.stratify, self.thresholds
        )
        of_labels = redrawn.values[0, 0, :number]
        if undefined := [str(label) for label in np.flatnonzero(np.isnan(of_labels))]:
            self._say(f"{self._where}{self.metric} is undefined for {len(undefined)} of {number} labels (number "
                      f"{', '.join(undefined)}), as it is where a class is absent, and they are left out")  # fmt: skip
        mean = number if number > 1 else 0
        value, samples, jackknife = (array[..., 0, 0, mean] for array in redrawn)
        if self.interval == "percentile":
            low, high = percentile_interval(samples)
        else:
            low, high = bca_interval(samples, value, jackknife)
        return {"value": float(value), "low": float(low), "high": float(high), "left_out": int(np.isnan(samples).sum())}

    def _say(self, text: str) -> None:
        if text not in self._said and idist.get_rank() == 0:
            self._said.add(text)
            logger.warning("%s", text)


def _as_table(rows: torch.Tensor | Sequence[torch.Tensor]) -> np.ndarray:
    """(N, L) float64 of a batch, collated or not."""
    table = rows if isinstance(rows, torch.Tensor) else torch.stack([torch.as_tensor(row) for row in rows])
    return table.detach().double().cpu().reshape(len(table), -1).numpy()


def _names(batch: Any, key: str, number: int) -> list[str]:
    """A text of each item of a batch, collated or a list of items; "" where there is none."""
    if isinstance(batch, Mapping):
        values = batch.get(key)
    else:
        values = [item.get(key) if isinstance(item, Mapping) else None for item in batch]
    if isinstance(values, torch.Tensor):
        values = values.tolist()
    if values is None or len(values) != number:
        return [""] * number
    return ["" if value is None else str(value) for value in values]
