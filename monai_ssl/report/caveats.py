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

"""What a reader must hold against the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from monai_ssl.metrics import MACRO, MEAN
from monai_ssl.metrics.names import AT_THRESHOLD, OF_PROBABILITIES
from monai_ssl.report.words import LEVEL, counted, decimals, defined_metrics, label_text, listed, metric_text, rows_of

__all__ = ["FEW_CASES", "FEW_PATIENTS", "caveats"]

FEW_CASES = 30  # images, or patients, of the rarer class; below, single ones visibly move the AUC
FEW_PATIENTS = 100  # below, percentile intervals are known to come out too narrow
_FEW_REDRAWS = 1000
_WIDE = 0.10  # an interval this wide holds a fair and a good classifier alike
# By what the settings of a pre-training run say of them.
_TEST_PATIENTS = {
    "included": "Pre-training saw the images of the test patients, though not their labels, since it was run with "
    "include_test_patients: on patients that it has not seen, the AUC of runs that start from it may be lower.",
    "unknown": "Pre-training was given no labels, so it could not leave out the images of test patients: if it saw "
    "them, the AUC of runs that start from it may be lower on patients that it has not seen.",
}


def caveats(numbers: dict[str, Any]) -> list[str]:
    """What limits the result, each only where these data demand it."""
    found = []
    for data_set in numbers["data_sets"]:
        texts = [*_of_the_images(numbers, data_set), *_of_the_scores(numbers, data_set)]
        on = f"{data_set['name']}: " if len(numbers["data_sets"]) > 1 else ""
        found += [f"{on}{text}" for text in texts]
    return [
        *found,
        *_of_the_mean(numbers),
        *_of_the_intervals(numbers),
        *_of_the_redraws(numbers),
        *_of_the_runs(numbers),
    ]


def _of_the_images(numbers: dict[str, Any], data_set: dict[str, Any]) -> Iterable[str]:
    labels, split = data_set["labels"], numbers["split"]
    empty = [row["label"] for row in labels if not row["positives"] or not row["negatives"]]
    if empty:
        verb = "has" if len(empty) == 1 else "have"
        yield (
            f"{listed(empty)} {verb} one class only in the {split} split: what needs both, as the AUC, is not defined, "
            "its cells are empty and the mean leaves them out."
        )
    unknown = [f"{row['label']} ({row['unknown']})" for row in labels if row["unknown"]]
    if unknown:
        yield f"Unknown in some images, which are left out for that label alone: {listed(unknown)}."
    few = [row for row in labels if row["positives"] and row["negatives"] and min(_cases(row)) < FEW_CASES]
    if few:
        named = listed([_rarer(row) for row in few])
        yield (
            f"Few cases: {named}. Below {FEW_CASES}, single ones move the result visibly, and intervals are too narrow."
        )
        if numbers["stratified"]:
            yield "Redraws were stratified: with few cases, that finds differences too often."
    if data_set["patients"] is not None and data_set["patients"] < FEW_PATIENTS:
        yield (
            f"Only {counted(data_set['patients'], 'patient')} in the {split} split: below {FEW_PATIENTS}, "
            "bootstrap intervals tend to be too narrow and p-values too small."
        )
    if data_set["unit"] == "image":
        yield (
            "The tables name no patients, so single images were redrawn. If several images come from one patient, the "
            "intervals are too narrow and the p-values too small."
        )
    if data_set["patients_in_other_splits"]:
        yield (
            f"{counted(data_set['patients_in_other_splits'], 'patient')} of the {split} split also occur in another "
            "split: the results may be too good. Split by patient and train again."
        )


def _of_the_scores(numbers: dict[str, Any], data_set: dict[str, Any]) -> Iterable[str]:
    asked = numbers["metrics"]
    if data_set["no_threshold"] and (needs := [metric_text(name) for name in asked if name in AT_THRESHOLD]):
        yield (
            f"No threshold is known for {listed(data_set['no_threshold'])} (no thresholds.json beside the predictions "
            f"and no rows of split val), so {listed(needs)} cannot be given."
        )
    if data_set["no_probabilities"] and (needs := [metric_text(name) for name in asked if name in OF_PROBABILITIES]):
        yield (
            f"The scores of {listed(data_set['no_probabilities'])} are not between 0 and 1, so they are no "
            f"probabilities, and {listed(needs)} {'is' if len(needs) == 1 else 'are'} not given for them."
        )


def _of_the_intervals(numbers: dict[str, Any]) -> Iterable[str]:
    headline = [row for row in rows_of(numbers["models"], **numbers["headline"]) if row["low"] is not None]
    widest = max((row["high"] - row["low"] for row in headline), default=0.0)
    if widest > _WIDE:
        name = metric_text(numbers["headline"]["metric"])
        yield f"Wide intervals: up to {decimals(widest)} of {name} end to end. More test patients would narrow them."
    for data_set in numbers["data_sets"]:
        tested = {row["label"] for row in data_set["labels"] if row["positives"] and row["negatives"]} | {MACRO}
        wanted = {"data_set": data_set["name"], "model": data_set["models"][0], "metric": numbers["headline"]["metric"]}
        rows = [row for row in rows_of(numbers["models"], **wanted) if row["value"] is not None]
        left_out = [row for row in rows if row["left_out"] and row["label"] in tested]
        if left_out:
            several = len(data_set["labels"]) > 1
            named = listed([f"{row['left_out']} for {_mean_or_label(row['label'], several)}" for row in left_out])
            on = f" of {data_set['name']}" if len(numbers["data_sets"]) > 1 else ""
            yield (
                f"Of {numbers['redraws']} redraws{on} some lacked a class and were left out: {named}. The intervals "
                "hold for test sets that have both classes."
            )
    if numbers["shared_patients"]:
        unit = "patient" if numbers["data_sets"][0]["unit"] == "patient" else "image"
        yield (
            f"{counted(numbers['shared_patients'], unit)} occur in several data sets: these are not independent, and "
            "the interval of their mean is too narrow."
        )


def _of_the_mean(numbers: dict[str, Any]) -> Iterable[str]:
    data_sets = numbers["data_sets"]
    if len(data_sets) < 2:
        return
    if numbers["headline"]["data_set"] != MEAN:
        yield (
            "The data sets have no label, or no model, in common, so there is no mean over them: the summary is of "
            f"{numbers['headline']['data_set']} alone."
        )
        return
    for model in dict.fromkeys(model for data_set in data_sets for model in data_set["models"]):
        lacking = [data_set["name"] for data_set in data_sets if model not in data_set["models"]]
        if lacking:
            yield f"{model} has no predictions on {listed(lacking)}, so it is in no mean over data sets."
    labels = [{row["label"] for row in data_set["labels"]} for data_set in data_sets]
    if any(each != labels[0] for each in labels):
        common = [row["label"] for row in data_sets[0]["labels"] if all(row["label"] in each for each in labels)]
        yield (
            f"The data sets differ in their labels: the average over them is of {listed(common)} alone, while the mean "
            "over labels of each data set is over its own."
        )


def _of_the_redraws(numbers: dict[str, Any]) -> Iterable[str]:
    redraws = numbers["redraws"]
    if redraws < _FEW_REDRAWS:
        yield (
            f"Only {counted(redraws, 'redraw')}: the ends of the intervals are uncertain, and no p can be below "
            f"{1 / (redraws + 1):.2g}. Take {_FEW_REDRAWS} or more."
        )
    compared = rows_of(numbers["comparisons"], metric=numbers["headline"]["metric"])
    tests = sum(row["p_value"] is not None for row in compared)
    if (least := tests / (redraws + 1)) >= LEVEL:
        yield (
            f"With {tests} tests and {counted(redraws, 'redraw')} no p corrected by Holm can be below "
            f"{min(least, 1):.2g}: more redraws would let it."
        )


def _of_the_runs(numbers: dict[str, Any]) -> Iterable[str]:
    if numbers["split"] == "val":
        yield (
            "These are the validation images, on which the epoch and the thresholds were chosen: the results are too "
            "good for new images."
        )
    elif defined_metrics(numbers["models"]) & set(AT_THRESHOLD):
        yield (
            "Validation was used twice, to choose the epoch and the thresholds: sensitivity and specificity there are "
            "better than here, and with few validation cases another split would give other thresholds."
        )
    weighted = [run["name"] for run in numbers["runs"] if run["settings"].get("class_weights") not in (None, "none")]
    if weighted and any(name in OF_PROBABILITIES for name in numbers["metrics"]):
        yield (
            f"Trained with class weights: {listed(list(dict.fromkeys(weighted)))}. Scores of rare labels are then "
            "higher than their share of positives, by design: calibrate them before reading them as probabilities."
        )
    first: dict[tuple, str] = {}
    for run in numbers["runs"]:
        one = first.setdefault((run["data_set"], run["checksums"].get("predictions.csv")), run["name"])
        if one != run["name"]:
            yield f"The predictions of {one} and {run['name']} are the same file, byte by byte."
    unfinished = [run["name"] for run in numbers["runs"] if run["finished"] is False]
    if unfinished:
        yield f"Not trained to the end: {listed(unfinished)}."
    before = numbers.get("pretraining") or {}
    if (seen := _TEST_PATIENTS.get(before.get("settings", {}).get("test_patients"))) is not None:
        yield seen
    differing = numbers["differing_settings"]
    if len(differing) > 1:
        yield (
            f"The runs differ in {len(differing)} settings ({listed(differing)}), so a difference cannot be laid to "
            "one of them."
        )
    yield (
        "Each result is of one training run. Intervals and p-values tell how the result varies with the test "
        f"{numbers['data_sets'][0]['unit']}s, not with another training seed."
    )


def _cases(row: Mapping[str, Any]) -> list[int]:
    """Images with and without the label; patients too, where they are known: some of them may have both kinds."""
    patients = [row["patients_with"], row["patients_with"] + row["patients_without"]] if row["patients_with"] else []
    return [row["positives"], row["negatives"], *patients]


def _rarer(row: Mapping[str, Any]) -> str:
    rarer = "positives" if row["positives"] <= row["negatives"] else "negatives"
    patients = row["patients_with" if rarer == "positives" else "patients_without"]
    of = f" of {counted(patients, 'patient')}" if patients and rarer == "positives" else ""
    return f"{row['label']} has {counted(row[rarer], rarer[:-1] + ' image')}{of}"


def _mean_or_label(label: str, several: bool) -> str:
    return f"the {label_text(label)}" if several and label == MACRO else label
