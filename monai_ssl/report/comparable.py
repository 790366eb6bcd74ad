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

"""Whether runs can be compared: within each data set, with everything named that forbids it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from monai_ssl.metrics.auc import one_class
from monai_ssl.metrics.prediction_table import PredictionTable, label_names, truth_and_scores
from monai_ssl.metrics.predictions import prediction_problems

if TYPE_CHECKING:
    from monai_ssl.report.runs import Run

__all__ = ["run_problems", "tell_of_runs"]

_logger = logging.getLogger(__name__)


def run_problems(runs: Sequence[Run], split: str) -> list[str]:
    """
    Everything that keeps runs from being compared.

    Args:
        runs: with predictions; those of one data set have names of their own.
        split: of the rows to compare.

    Returns:
        Lines that name model, counts, first examples and what to do.
    """
    problems = []
    for data_set, members in _by_data_set(runs).items():
        where = f"data set {data_set}: " if data_set else ""
        folds: dict[str, list[Run]] = {}
        for run in members:
            folds.setdefault(_fold(run), []).append(run)
        found = [_fold_problem(folds)] if len(folds.keys() - {""}) > 1 else []
        # The test images of two folds differ by design: nothing is said of that twice.
        for part in folds.values() if found else [members]:
            tables, wrong = prediction_problems(
                {run.name: run.predictions for run in part if run.predictions is not None}, split
            )
            found += [*wrong, *_no_result(tables, split)]
        problems += [where + line for line in found]
    return problems


def tell_of_runs(runs: Sequence[Run], split: str) -> None:
    """
    Log what the user may not expect of runs that can be compared.

    Args:
        runs: as :py:func:`run_problems` found nothing wrong with.
        split: of the rows to compare.
    """
    data_sets = _by_data_set(runs)
    for name in dict.fromkeys(run.name for run in runs):
        lacking = [data_set for data_set, members in data_sets.items() if name not in {run.name for run in members}]
        if lacking:
            _logger.warning("model %s has no predictions on %s and is compared on the others", name, ", ".join(lacking))
    for run in runs:
        table = run.predictions
        if table is None:
            continue
        scores = truth_and_scores(table[table["split"].astype(str) == split], label_names(table))[1]
        outside = int(((scores < 0) | (scores > 1)).sum())
        if outside:
            _logger.warning(
                "%s%s: %d of %d scores lie outside 0 to 1, so they rank images but are no probabilities: Brier score "
                "and calibration stay empty",
                run.name,
                f" on {run.data_set}" if run.data_set else "",
                outside,
                scores.size,
            )


def _by_data_set(runs: Sequence[Run]) -> dict[str, list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.data_set, []).append(run)
    return groups


def _fold(run: Run) -> str:
    folds = run.settings.get("folds")
    return f"fold {run.settings.get('fold', 0)} of {folds}" if folds else ""


def _fold_problem(folds: Mapping[str, Sequence[Run]]) -> str:
    known = {fold: members for fold, members in folds.items() if fold}
    held = "; ".join(f"{', '.join(run.name for run in members)} ({fold})" for fold, members in known.items())
    form = " ".join(f"MODEL@fold_{fold.split()[1]}=PATH" for fold in known)
    return (
        f"runs on several folds of a cross-validation, each of which has test images of its own: {held}; let "
        f"`python -m monai_ssl sweep` sum them up, or compare fold by fold: {form}"
    )


def _no_result(tables: Mapping[str, PredictionTable], split: str) -> list[str]:
    if not tables or not all(one_class(table.truth).all() for table in tables.values()):
        return []
    table = next(iter(tables.values()))
    counts = zip(table.labels, (table.truth == 1).sum(axis=0), (table.truth == 0).sum(axis=0), strict=True)
    held = ", ".join(f"{label} {positives} and {negatives}" for label, positives, negatives in list(counts)[:3])
    return [
        f"no label has positives and negatives in {len(table.images)} images of split {split!r} (such as {held}): "
        "nothing can be computed; give predictions of a test set that holds both"
    ]
