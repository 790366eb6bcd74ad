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

"""The AUC of a sweep's runs, and of redraws of the patients that they were tested on."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monai_ssl.files import read_table
from monai_ssl.metrics.auc import roc_auc
from monai_ssl.metrics.predictions import AlignedPredictions, align_predictions
from monai_ssl.metrics.statistics import redraw_auc
from monai_ssl.sweep.plan import SweepPlan
from monai_ssl.sweep.runs import finished_epochs

__all__ = ["Redrawn", "redraw_sweep", "run_auc"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Redrawn:
    """AUC of S scenarios on F folds, and of R redraws of each fold's patients; NaN where there is none."""

    auc: np.ndarray  # (S, F)
    done: np.ndarray  # (S, F)
    samples: np.ndarray  # (R, S, F)
    unit: str
    tested: list[dict[str, Any]]  # of each fold that any scenario has done: fold, images, patients, labels

    def scenario_samples(self) -> np.ndarray:
        """(R, S): the mean over the folds that have an AUC; NaN where the redraw of one of them has none."""
        counted = np.isfinite(self.auc)
        total = np.where(counted, self.samples, 0.0).sum(axis=2)
        return np.divide(total, counted.sum(axis=1), out=np.full_like(total, np.nan), where=counted.any(axis=1))

    def scenario_auc(self) -> np.ndarray:
        """(S,): the mean over the folds that have an AUC."""
        counted = np.isfinite(self.auc)
        total = np.where(counted, self.auc, 0.0).sum(axis=1)
        return np.divide(total, counted.sum(axis=1), out=np.full(len(total), np.nan), where=counted.any(axis=1))


def run_auc(folder: Path) -> float:
    """
    The test AUC of a finished run: the mean over labels that have both classes, NaN without any.

    Args:
        folder: of the run.
    """
    try:
        return _mean_auc(align_predictions({folder.name: _read(folder)}, allow_constant=True))[0]
    except (OSError, ValueError) as error:
        logger.warning("%s: %s", folder, error)
        return float("nan")


def redraw_sweep(plan: SweepPlan, reasons: dict[str, str], redraws: int, seed: int) -> Redrawn:
    """
    Redraw the test patients of each fold, once for all scenarios.

    Args:
        plan: of the sweep.
        reasons: takes up why the predictions of a scenario cannot be used.
        redraws: R.
        seed: of the redraws; each fold has one of its own, since its patients are others.

    Raises:
        ValueError: when scenarios of a fold were tested on different images.
    """
    runs = [plan.all_runs[scenario.name] for scenario in plan.scenarios]
    shape = (len(runs), len(runs[0]))
    auc, done, samples = np.full(shape, np.nan), np.zeros(shape, bool), np.full((redraws, *shape), np.nan)
    units, tested = set(), []
    for fold in range(shape[1]):
        tables = {}
        for number, scenario in enumerate(plan.scenarios):
            run = runs[number][fold]
            if not run.finished():
                epochs = finished_epochs(run.folder)
                if epochs is not None:
                    reasons[scenario.name] = f"not finished: {epochs} of {run.settings['max_epochs']} epochs"
                continue
            try:
                table = _read(run.folder)
                align_predictions({scenario.name: table}, allow_constant=True)
            except (OSError, ValueError) as error:
                reasons[scenario.name] = " ".join(str(error).split())
                continue
            tables[number] = table
        if not tables:
            continue
        # A scenario that learnt nothing counts with its 0.5: to leave it out would flatter the mean.
        data = align_predictions(
            {plan.scenarios[number].name: table for number, table in tables.items()}, allow_constant=True
        )
        members = list(tables)
        done[members, fold] = True
        auc[members, fold] = _mean_auc(data)
        samples[:, members, fold] = _redraw_fold(data, redraws, seed + fold, runs[members[0]][fold].folder.name)
        units.add(data.unit)
        tested.append({"fold": runs[0][fold].folder.name, **_tested(data)})
    return Redrawn(auc, done, samples, " and ".join(sorted(units)), tested)


def _redraw_fold(data: AlignedPredictions, redraws: int, seed: int, name: str) -> np.ndarray:
    """(R, M) of M scenarios."""
    defined = np.isfinite(roc_auc(data.truth, data.scores[0]))
    if not defined.any():
        logger.warning("%s: no label has both classes in its test images, so it has no AUC", name)
        return np.full((redraws, len(data.models)), np.nan)
    try:
        samples = redraw_auc(data.truth[:, defined], data.scores[..., defined], redraws, data.patients, seed)
    except ValueError as error:
        logger.warning("%s: no interval: %s", name, error)
        return np.full((redraws, len(data.models)), np.nan)
    return samples.mean(axis=2)


def _tested(data: AlignedPredictions) -> dict[str, Any]:
    """How much a fold tests on: every number of it rests on that."""
    known = {label: data.truth[:, column] for column, label in enumerate(data.labels)}
    return {
        "images": len(data.images),
        "patients": None if data.patients is None else len(set(data.patients)),
        "labels": {
            label: {"positives": int((truth == 1).sum()), "negatives": int((truth == 0).sum())}
            for label, truth in known.items()
        },
    }


def _mean_auc(data: AlignedPredictions) -> np.ndarray:
    """(M,): the mean over the labels that have both classes."""
    values = np.stack([roc_auc(data.truth, scores) for scores in data.scores])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Mean of empty slice")
        return np.nanmean(values, axis=1)


def _read(folder: Path) -> pd.DataFrame:
    return read_table(folder / "predictions.csv", text=("image", "patient", "split"))
