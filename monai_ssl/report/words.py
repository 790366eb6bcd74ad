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

"""The result in sentences, and what a reader must hold against it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = [
    "beside_text",
    "caveats",
    "counted",
    "decimals",
    "dropped_text",
    "interval_text",
    "listed",
    "p_text",
    "summary",
]

_LEVEL = 0.05
_FEW_CASES = 30  # images of the rarer class; below, one image more or less visibly moves the AUC
_FEW_PATIENTS = 100  # below, percentile intervals are known to come out too narrow
_WIDE = 0.10  # an interval this wide holds a fair and a good classifier alike
_UNDEFINED = "\u2013"
# By what the settings of a pre-training run say of them.
_TEST_PATIENTS = {
    "included": "Pre-training saw the images of the test patients, though not their labels, since it was run with "
    "include_test_patients: on patients that it has not seen, the AUC of runs that start from it may be lower.",
    "unknown": "Pre-training was given no labels, so it could not leave out the images of test patients: if it saw "
    "them, the AUC of runs that start from it may be lower on patients that it has not seen.",
}
_MANY = 6  # pairs that are still pleasant to read as sentences


def summary(numbers: dict[str, Any]) -> list[str]:
    """Sentences on what was tested, how each model did and which differences the data support."""
    headline, tested = numbers["headline"], [row for row in numbers["labels"] if row["positives"] and row["negatives"]]
    several = len(numbers["labels"]) > 1
    what = f"mean AUC over {len(tested)} labels" if several else f"AUC for {headline}"
    sentences = [_test_set(numbers)]
    models = [row for row in numbers["models"] if row["label"] == headline]
    values = [f"{interval_text(row['value'], row)} for {row['model']}" for row in models]
    sentences.append(f"The {what} is {listed(values)}.")
    pairs = [row for row in numbers["comparisons"] if row["label"] == headline]
    family = sum(row["p_value"] is not None for row in numbers["comparisons"])
    sentences += [_verdict(row, family) for row in pairs[:_MANY]]
    if len(pairs) > _MANY:
        sentences.append(f"The table below holds all {len(pairs)} pairs of models.")
    single = [row for row in numbers["comparisons"] if row["label"] != headline and row["p_value"] is not None]
    if single:
        found = [row for row in single if row["q_value"] < _LEVEL]
        named = listed([f"{row['label']} ({row['model_a']} and {row['model_b']})" for row in found])
        count = f"{len(found)} of {len(single)} differences" if found else f"none of {len(single)} differences"
        verb = "is" if len(found) <= 1 else "are"
        sentences.append(f"Label by label, {count} {verb} below q = {_LEVEL}{': ' if found else ''}{named}.")
    return sentences


def caveats(numbers: dict[str, Any]) -> list[str]:
    """What limits the result, each only where these data demand it."""
    return [*_of_the_images(numbers), *_of_the_intervals(numbers), *_of_the_runs(numbers)]


def decimals(value: float | None, sign: bool = False) -> str:
    """Three decimals with a true minus sign, "not defined" as a dash; zero has no sign."""
    if value is None or value != value:
        return _UNDEFINED
    text = f"{value:+.3f}" if sign else f"{value:.3f}"
    return "0.000" if text in ("-0.000", "+0.000") else text.replace("-", "\u2212")


def interval_text(value: float | None, row: Any, sign: bool = False) -> str:
    """A value with the interval in `row`, its `low` and `high`."""
    low, high = decimals(row["low"], sign), decimals(row["high"], sign)
    return f"{decimals(value, sign)} (95 % interval {low} to {high})"


def dropped_text(reduction: dict[str, Any]) -> str:
    """How the dropped slices of the shown volume are pictured, or why they are not; empty when none was dropped."""
    pictures = reduction["dropped_pictures"]
    if pictures["missing_because"] is not None:
        return (
            "Dropped slices have no picture: a reduced store does not hold them, and "
            f"{pictures['missing_because']}. To see them, slice the same volumes once more, with reduction \u201call"
            "\u201d and the pseudonym key of this store, and train on that."
        )
    text = beside_text(reduction)
    return text and f"{text} Their pictures come from a store that the runs were trained on."


def beside_text(reduction: dict[str, Any]) -> str:
    """What stands beside the exemplars of the shown volume; empty when nothing does."""
    pictures = reduction["dropped_pictures"]
    if not pictures["shown"]:
        return ""
    replaced = sum(exemplar["replaced"] + exemplar["elsewhere"] for exemplar in reduction["exemplars"])
    which = "" if pictures["shown"] == replaced else f"at most {pictures['each']}, evenly picked, of "
    return (
        f"Beside each kept slice (thick border) stand {which}the slices dropped for it (small, thin dashed border), "
        "with their distance from it."
    )


def p_text(value: float | None) -> str:
    """A p-value with three decimals; what would round to nothing as "< 0.001"."""
    return _UNDEFINED if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "slice"), counted(1536, "slice")
        ('1 slice', '1,536 slices')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(items: list[str]) -> str:
    """Items as part of a sentence; of many, the first ones and how many more."""
    if len(items) > _MANY:
        items = [*items[: _MANY - 1], f"{len(items) - _MANY + 1} more"]
    return " and ".join([", ".join(items[:-1]), *items[-1:]] if len(items) > 1 else items)


def _test_set(numbers: dict[str, Any]) -> str:
    patients = "" if numbers["patients"] is None else f" of {counted(numbers['patients'], 'patient')}"
    text = f"The {numbers['split']} split holds {counted(numbers['images'], 'image')}{patients}"
    if len(numbers["labels"]) > 1:
        return f"{text}, with {len(numbers['labels'])} labels."
    label = numbers["labels"][0]
    by_patient = "" if label["patients_with"] is None else f" of {counted(label['patients_with'], 'patient')}"
    return f"{text}; {label['label']} is positive in {counted(label['positives'], 'image')}{by_patient}."


def _verdict(row: dict[str, Any], family: int) -> str:
    a, b = row["model_a"], row["model_b"]
    if row["p_value"] is None:
        return f"{a} and {b} cannot be compared: no redraw holds both classes of every label."
    level = row["q_value"] if family > 1 else row["p_value"]
    corrected = f", q {_equal(row['q_value'])} corrected for {family} comparisons" if family > 1 else ""
    text = f"{a} minus {b}: {interval_text(row['difference'], row, sign=True)}, p {_equal(row['p_value'])}{corrected}."
    if level < _LEVEL:
        better, other = (a, b) if row["difference"] > 0 else (b, a)
        return f"{text} {better} ranks these images better than {other}, beyond what chance in drawing them explains."
    return f"{text} These data do not show that either is better; differences within the interval remain possible."


def _of_the_images(numbers: dict[str, Any]) -> Iterable[str]:
    labels = numbers["labels"]
    empty = [row["label"] for row in labels if not row["positives"] or not row["negatives"]]
    if empty:
        verb = "has" if len(empty) == 1 else "have"
        yield (
            f"{listed(empty)} {verb} one class only in the {numbers['split']} split: no AUC is defined, the cells are "
            "empty and the mean leaves them out."
        )
    unknown = [f"{row['label']} ({row['unknown']})" for row in labels if row["unknown"]]
    if unknown:
        yield f"Unknown in some images, which are left out for that label alone: {listed(unknown)}."
    few = [row for row in labels if 0 < min(row["positives"], row["negatives"]) < _FEW_CASES]
    if few:
        named = listed([_rarer(row) for row in few])
        yield f"Few cases: {named}. Below {_FEW_CASES}, single images move the AUC visibly."
    if numbers["patients"] is not None and numbers["patients"] < _FEW_PATIENTS:
        yield (
            f"Only {counted(numbers['patients'], 'patient')} in the {numbers['split']} split: below {_FEW_PATIENTS}, "
            "bootstrap intervals tend to be too narrow and p-values too small."
        )
    if numbers["unit"] == "image":
        yield (
            "The tables name no patients, so single images were redrawn. If several images come from one patient, the "
            "intervals are too narrow and the p-values too small."
        )
    if numbers["patients_in_other_splits"]:
        yield (
            f"{counted(numbers['patients_in_other_splits'], 'patient')} of the {numbers['split']} split also occur in "
            "another split: the AUCs may be too high. Split by patient and train again."
        )


def _of_the_intervals(numbers: dict[str, Any]) -> Iterable[str]:
    headline = [row for row in numbers["models"] if row["label"] == numbers["headline"] and row["low"] is not None]
    widest = max((row["high"] - row["low"] for row in headline), default=0.0)
    if widest > _WIDE:
        yield f"Wide intervals: up to {decimals(widest)} of AUC from end to end. More test patients would narrow them."
    first = numbers["models"][0]["model"]
    tested = {row["label"] for row in numbers["labels"] if row["positives"] and row["negatives"]}
    tested.add(numbers["headline"])
    left_out = [
        row for row in numbers["models"] if row["model"] == first and row["left_out"] and row["label"] in tested
    ]
    if left_out:
        named = listed([f"{row['left_out']} for {_label_text(numbers, row['label'])}" for row in left_out])
        yield (
            f"Of {numbers['redraws']} redraws some lacked a class and were left out: {named}. The intervals hold for "
            "test sets that have both classes."
        )


def _of_the_runs(numbers: dict[str, Any]) -> Iterable[str]:
    unfinished = [run["name"] for run in numbers["runs"] if run["finished"] is False]
    if unfinished:
        yield f"Not trained to the end: {listed(unfinished)}."
    before = numbers.get("pretraining") or {}
    if (seen := _TEST_PATIENTS.get(before.get("settings", {}).get("test_patients"))) is not None:
        yield seen
    differing = numbers["differing_settings"]
    if len(differing) > 1:
        yield (
            f"The runs differ in {len(differing)} settings ({listed(differing)}), so a difference in AUC cannot be "
            "laid to one of them."
        )
    yield (
        "Each model is one training run. Intervals and p-values tell how the result varies with the test "
        f"{numbers['unit']}s, not with another training seed."
    )


def _rarer(row: dict[str, Any]) -> str:
    rarer = "positives" if row["positives"] <= row["negatives"] else "negatives"
    patients = row["patients_with" if rarer == "positives" else "patients_without"]
    of = f" of {counted(patients, 'patient')}" if patients and rarer == "positives" else ""
    return f"{row['label']} has {counted(row[rarer], rarer[:-1] + ' image')}{of}"


def _label_text(numbers: dict[str, Any], label: str) -> str:
    return "the mean" if len(numbers["labels"]) > 1 and label == numbers["headline"] else label


def _equal(value: float) -> str:
    return p_text(value) if value < 0.001 else f"= {p_text(value)}"
