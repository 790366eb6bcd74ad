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


"""A sweep in sentences, and what a reader must hold against it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from monai_ssl.report.caveats import FEW_CASES, FEW_PATIENTS
from monai_ssl.report.runs import without_folders
from monai_ssl.report.words import counted, decimals, interval_text, listed

__all__ = ["MIXED", "curve_sentences", "short_reason", "sweep_caveats", "sweep_method", "sweep_sentences"]

# as in the report of a comparison
_LEVEL = 0.05
_PATH = re.compile(r"(?<![\w./])/(?:[^\s/:]+/)+(?=[^\s/:]+/[^\s/:]+)")

MIXED = (
    "The mixed view pools the values of all {members} in all redraws: how far one {member}, picked at random, may come "
    "out on one redrawn test set. It mixes the choice of the {member} with the choice of the {unit}s, so it says what "
    "to expect of a single such result. It is not an interval of the mean and does not narrow with more {members}."
)

Numbers = dict[str, Any]


def sweep_sentences(numbers: Numbers) -> list[str]:
    """The summary of the page: what was run, on what, the mean, the best."""
    totals, rows = numbers["totals"], numbers["scenarios"]
    folds = "one split each" if numbers["one_split"] else f"{totals['folds']} folds each, by patient"
    sentences = [f"{totals['scenarios']} of {counted(totals['of_scenarios'], 'scenario')} are complete, {folds}."]
    if totals["tested"]:
        sentences.append(_tested(totals["tested"], totals["folds"]))
    if totals["auc"] is None:
        return [*sentences, "There is no mean: no complete scenario has an AUC."]
    counts = "" if totals["scenarios"] > 1 else ", of a single scenario"
    sd = totals["sd_over_scenarios"]
    scatter = "" if sd is None else f" The SD over scenarios is {decimals(sd)}."
    sentences.append(f"The mean test AUC is {interval_text(totals['auc'], totals)}{counts}.{scatter}")
    ranked = sorted((row for row in rows if _counts(row)), key=lambda row: -row["auc"])
    if len(ranked) > 1:
        best, worst = ranked[0], ranked[-1]
        sentences.append(
            f"The highest is {interval_text(best['auc'], best)} for {best['scenario']}, the lowest "
            f"{interval_text(worst['auc'], worst)} for {worst['scenario']}."
        )
    return sentences + curve_sentences(totals["learning_curve"])


def curve_sentences(curve: Numbers | None) -> list[str]:
    """What the learning curve shows from its smallest to its largest size, and which differences hold."""
    if not curve:
        return []
    sentences = []
    for group in dict.fromkeys(point["group"] for point in curve["points"]):
        points = [point for point in curve["points"] if point["group"] == group]
        if len(points) > 1:
            first, last = points[0], points[-1]
            sentences.append(
                f"{group}: AUC {interval_text(first['auc'], first)} with {_share(first)} of the training patients, "
                f"{interval_text(last['auc'], last)} with {_share(last)}."
            )
    tested = [row for row in curve["differences"] if row["q_value"] is not None]
    if tested:
        found = [row for row in tested if row["q_value"] < _LEVEL]
        named = listed([f"{row['group_a']} minus {row['group_b']} at {_share(row)}" for row in found])
        sentences.append(
            f"Paired differences at one size: {len(found) or 'none'} of {len(tested)} below q = {_LEVEL}"
            f"{': ' if found else ''}{named}."
        )
    return sentences


def sweep_caveats(numbers: Numbers) -> list[str]:
    """What limits the result, each only where these data demand it."""
    return [*_of_the_scenarios(numbers), *_of_the_test_images(numbers)]


def sweep_method(numbers: Numbers) -> str:
    """What was done, as a paragraph of plain text."""
    totals = numbers["totals"]
    several_labels = any(len(test["labels"]) > 1 for test in totals["tested"])
    unit = "patients, each with all images" if totals["unit"] == "patient" else "images"
    sentences = [
        "AUC is the area under the ROC curve on the test images, exact, with ties counting half.",
        "Of several labels it is the mean over those that have both classes." if several_labels else "",
        ""
        if numbers["one_split"]
        else "It is computed in each fold by itself, and the AUC of a scenario is the mean over its folds: scores of "
        "two models never meet in one AUC.",
        f"Intervals: percentile bootstrap (2.5th to 97.5th percentile) over {totals['redraws']} redraws of {unit}, "
        f"{'' if numbers['one_split'] else 'within each fold, '}seed {totals['seed']}, the same redraws for all "
        "scenarios. A redraw that lacks a class of a label is left out, and counted.",
        "SD are those of a sample (n - 1). The SD over redraws is that of the redrawn value; the SD over scenarios and "
        "folds is that of their values on the test images themselves.",
        "The mixed view takes all values of all members in all redraws that no member lacks.",
        "Only complete scenarios count in means.",
    ]
    if totals["learning_curve"]:
        sentences.append(
            "A point of the learning curve is the mean over the subsets of one size; its interval is that of the "
            "mean, from the redraws."
        )
        if totals["learning_curve"]["differences"]:
            sentences.append(
                "Differences at one size are over the subsets that both curves have, and paired by the redraws; "
                "p = (b + 1) / (B + 1), two-sided, with b the "
                "redraws whose difference lies at least as far from the observed one as zero does; q follows "
                "Benjamini and Hochberg over all differences of the table."
            )
    return " ".join(filter(None, sentences))


def short_reason(text: str, folders: Sequence[str]) -> str:
    """
    A reason fit to be shared: folders keep their last two parts, since the rest names people and machines.

    Args:
        text: of the reason.
        folders: that may occur in it, spaces and all.

    Example:
        >>> short_reason("absent.pt is not in /people/jane doe/study/weights", ["/people/jane doe/study/weights"])
        'absent.pt is not in .../study/weights'
        >>> short_reason("failed: /scratch/jane/runs/a/fold_0: disk is full", [])
        'failed: .../a/fold_0: disk is full'
    """
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(folder, without_folders(folder))
    return _PATH.sub(".../", text)


def _tested(tests: list[Numbers], folds: int) -> str:
    images, patients = sum(test["images"] for test in tests), _patients(tests)
    of = "" if patients is None else f" of {counted(patients, 'patient')}"
    where = f" in {counted(len(tests), 'fold')}" if folds > 1 else ""
    labels = _labels(tests)
    text = f"They are tested on {counted(images, 'image')}{of}{where}"
    if len(labels) > 1:
        return f"{text}, with {len(labels)} labels."
    return "".join(f"{text}; {label} is positive in {counted(n['positives'], 'image')}." for label, n in labels.items())


def _of_the_scenarios(numbers: Numbers) -> Iterator[str]:
    totals, rows = numbers["totals"], numbers["scenarios"]
    missing = [row["status"] for row in rows if row["status"] != "complete"]
    if missing:
        parts = [(missing.count("partial"), "partial"), (missing.count("not run"), "not run")]
        named = listed([f"{count} {name}" for count, name in parts if count])
        yield (
            f"{len(missing)} of {len(rows)} scenarios are not complete ({named}): they count in no mean, and means by "
            "axis may be of unlike sets of scenarios. The reasons stand below."
        )
    counting = [row for row in rows if _counts(row)]
    flat = [row["scenario"] for row in counting if row["auc"] == 0.5 and row["sd"] == 0]
    if flat:
        yield f"AUC 0.500 in every redraw, as of a model that gives all images one score: {listed(flat)}."
    if len(counting) > 1:
        yield (
            f"The highest of {len(counting)} scenarios was found on the test {totals['unit']}s themselves, so its AUC "
            "is too high for new ones, the more so the more scenarios there are. Choose a scenario by validation, or "
            "test the chosen one on other patients."
        )
        yield (
            "The SD over scenarios is no standard error: all scenarios share the test images"
            f"{'' if totals['learning_curve'] else ' and the training images'}, so their AUCs are not independent."
        )
    if totals["learning_curve"] and totals["scenarios"] > 1:
        yield "Training sizes differ between scenarios: read the learning curve, not the mean over scenarios."
    if totals["learning_curve"] and any(point["subsets"] == 1 for point in totals["learning_curve"]["points"]):
        yield (
            "Points of the learning curve that rest on one subset do not show how the AUC varies with the choice of "
            "the training patients; the intervals are of the test set alone."
        )
    if numbers["one_split"] and not totals["learning_curve"]:
        yield "There is one split: nothing here shows how the result varies with the choice of the training patients."
    elif totals["folds"] > 2:
        yield "The folds' training sets overlap, so the SD over folds says too little of other training patients."
    elif totals["folds"] == 2 and totals["scenarios"]:
        yield "Two folds give an SD from two values, which is hardly an estimate."
    if counting:
        once = "each was trained once" if numbers["one_split"] else "each was trained once in each fold"
        yield f"Another training seed may give other values: {once}."


def _of_the_test_images(numbers: Numbers) -> Iterator[str]:
    totals, tests = numbers["totals"], numbers["totals"]["tested"]
    patients = _patients(tests)
    if tests and patients is not None and patients < FEW_PATIENTS:
        yield (
            f"Only {counted(patients, 'test patient')}: below {FEW_PATIENTS}, bootstrap intervals tend to be too "
            "narrow and p-values too small."
        )
    if totals["unit"] == "image":
        yield (
            "The predictions name no patients, so single images were redrawn. If several images come from one "
            "patient, the intervals are too narrow."
        )
    few = {
        f"{label} in {test['fold'].replace('_', ' ')}" if len(tests) > 1 else label: min(n.values())
        for test in tests
        for label, n in test["labels"].items()
        if 0 < min(n.values()) < FEW_CASES
    }
    if few:
        named = listed([f"{name} ({number})" for name, number in few.items()])
        yield f"Few images of the rarer class: {named}. Below {FEW_CASES}, single images move the AUC visibly."
    empty = [
        f"{label} in {test['fold'].replace('_', ' ')}" if len(tests) > 1 else label
        for test in tests
        for label, n in test["labels"].items()
        if not min(n.values())
    ]
    if empty:
        yield f"One class only, so no AUC is defined: {listed(empty)}. The means leave that out."
    if totals["left_out"]:
        yield (
            f"Of {totals['redraws']} redraws {totals['left_out']} lacked a class and were left out of the mean's "
            "interval, which holds for test sets that have both classes."
        )


def _counts(row: Numbers) -> bool:
    return row["status"] == "complete" and row["auc"] is not None


def _patients(tests: Sequence[Numbers]) -> int | None:
    """Over the folds, whose patients are others."""
    if any(test["patients"] is None for test in tests):
        return None
    return sum(test["patients"] for test in tests)


def _labels(tests: Sequence[Numbers]) -> dict[str, Numbers]:
    labels: dict[str, Numbers] = {}
    for test in tests:
        for label, found in test["labels"].items():
            sums = labels.setdefault(label, dict.fromkeys(found, 0))
            labels[label] = {name: sums[name] + found[name] for name in found}
    return labels


def _share(point: Numbers) -> str:
    return f"{100 * point['fraction']:g} %"
