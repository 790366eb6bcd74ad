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

"""What predictions are worth, as files and in words."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import ignite.distributed as idist
import numpy as np
import pandas as pd
from ignite.engine import Engine, Events

from monai_ssl.files import read_table, write_json, write_table
from monai_ssl.metrics.evaluation import evaluate_predictions, validation_thresholds

__all__ = ["EvaluationSaver"]

logger = logging.getLogger(__name__)

_SAID = {"auc": "AUC", "average_precision": "average precision"}
_SAID_AT_THRESHOLD = {"sensitivity": "sensitivity", "specificity": "specificity"}
_SAID_OF_CLASSES = {"class_accuracy": "accuracy", "class_balanced_accuracy": "balanced accuracy"}


class EvaluationSaver:
    """
    Write `evaluation.csv` beside `predictions.csv`, from what is in it, and log its main figures.

    A training run also chooses its thresholds here, from its validation rows. They are written as `thresholds.json`,
    which :py:func:`monai_ssl.run_folder.recorded_thresholds` reads; those that were given too, so that the predictions
    on another data set are compared at them. Attach after :py:class:`monai_ssl.handlers.PredictionSaver`, to the same
    evaluator.

    Predictions that cannot be evaluated, such as those of a model that diverged, end the process with code 2.

    Args:
        predictions: path of `predictions.csv`.
        task: `multilabel` or `multiclass`.
        thresholds: by label, of the run that trained the model; None for that run itself.
    """

    def __init__(
        self, predictions: str | os.PathLike, task: str = "multilabel", thresholds: Mapping[str, float] | None = None
    ) -> None:
        self.predictions, self.task, self.thresholds = Path(predictions), task, thresholds

    def attach(self, engine: Engine) -> None:
        """Evaluate when `engine` is done; rank 0 alone."""
        engine.add_event_handler(Events.COMPLETED, self._evaluate)

    def _evaluate(self, _: Engine) -> None:
        if idist.get_rank() == 0:
            try:
                self._write()
            except ValueError as error:
                logger.error("%s: cannot be evaluated: %s", self.predictions, error)
                raise SystemExit(2) from error

    def _write(self) -> None:
        table = read_table(self.predictions, text=("image", "patient", "split"))
        thresholds = validation_thresholds(table) if self.thresholds is None else self.thresholds
        self._write_thresholds(thresholds)
        evaluation = evaluate_predictions(table, thresholds, self.task)
        write_table(self.predictions.with_name("evaluation.csv"), evaluation)
        for _, rows in evaluation.groupby("split", sort=False):
            logger.info("%s", _in_words(rows))

    def _write_thresholds(self, thresholds: Mapping[str, float]) -> None:
        file = self.predictions.with_name("thresholds.json")
        if not thresholds:  # of a model without record; a file of an earlier one would pass for it
            file.unlink(missing_ok=True)
            return
        content = {
            "task": self.task,
            "split": "val",
            "rule": "highest Youden index; positive when score >= threshold",
            "thresholds": {name: value if np.isfinite(value) else None for name, value in thresholds.items()},
        }
        write_json(file, content)


def _in_words(rows: pd.DataFrame) -> str:
    row, several = rows.iloc[-1], len(rows) > 1
    ranked, decided, classes = (
        [_figure(row, name, word) for name, word in said.items() if name in row]
        for said in (_SAID, _SAID_AT_THRESHOLD, _SAID_OF_CLASSES)
    )
    mean = f"mean of {len(rows) - 1} labels: " if several else ""
    at = f"{' and '.join(decided)} at the {'thresholds' if several else 'threshold'} of validation"
    return f"{row['split']}, {row['images']} images: {mean}{', '.join([*ranked, at, *classes])}"


def _figure(row: pd.Series, name: str, word: str) -> str:
    return f"{word} {row[name]:.3f}" if np.isfinite(row[name]) else f"{word} undefined"
