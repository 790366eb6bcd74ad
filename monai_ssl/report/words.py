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

"""The result in sentences, and how numbers are written in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monai_ssl.metrics import MACRO, MEAN, MICRO
from monai_ssl.metrics.names import AT_SPECIFICITY, AT_THRESHOLD, OF_PROBABILITIES

__all__ = [
    "beside_text",
    "better_side",
    "counted",
    "decimals",
    "defined_metrics",
    "dropped_text",
    "equal_p",
    "interval_text",
    "label_text",
    "listed",
    "metric_text",
    "p_text",
    "rows_of",
    "summary",
]

LEVEL = 0.05
_UNDEFINED = "\u2013"
_MANY = 6  # pairs that are still pleasant to read as sentences
_METRICS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "f1": "F1",
    "brier": "Brier score",
    "calibration_error": "expected calibration error",
}
_MEANS = {MACRO: "mean over labels", MICRO: "all labels pooled"}


def summary(numbers: dict[str, Any]) -> list[str]:
    """Sentences on what was tested, how each model did and which differences the data support."""
    headline = numbers["headline"]
    models = rows_of(numbers["models"], **headline)
    sentences = [_test_set(numbers, data_set) for data_set in numbers["data_sets"]]
    values = [f"{interval_text(row['value'], row)} for {row['model']}" for row in models if row["value"] is not None]
    if undefined := [row["model"] for row in models if row["value"] is None]:
        values.append(f"not defined for {listed(undefined)}")
    if values:
        sentences.append(f"The {_headline_text(numbers)} is {listed(values)}.")
    pairs = [*rows_of(numbers["comparisons"], **headline), *_beside_the_mean(numbers)]
    family = sum(row["p_value"] is not None for row in _of_metric(numbers))
    sentences += [_verdict(row, family) for row in pairs[:_MANY]]
    if len(pairs) > _MANY:
        sentences.append(f"The table below holds all {len(pairs)} pairs of models.")
    return [*sentences, *_by_label(numbers), *_at_thresholds(numbers)]


def rows_of(rows: Iterable[Mapping[str, Any]], **wanted: Any) -> list[Mapping[str, Any]]:
    """
    The rows that have these values.

    Example:
        >>> rows_of([{"label": "a", "metric": "auc"}, {"label": "b", "metric": "auc"}], label="b", metric="auc")
        [{'label': 'b', 'metric': 'auc'}]
    """
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def metric_text(metric: str) -> str:
    """
    A metric's name in words.

    Example:
        >>> metric_text("auc"), metric_text("sensitivity_at_specificity:0.9")
        ('AUC', 'sensitivity at 90 % specificity')
    """
    kind, _, at = metric.partition(":")
    if kind == AT_SPECIFICITY:
        return f"sensitivity at {100 * float(at):g} % specificity"
    return _METRICS.get(kind, kind)


def label_text(label: str, several: bool = True) -> str:
    """A label's name; what its mean is called, where there are several."""
    return _MEANS.get(label, label) if several else label


def better_side(row: Mapping[str, Any]) -> str:
    """The model of a pair that does better: the one with the higher value, or the lower one of an error."""
    return _better_and_other(row)[0]


def defined_metrics(rows: Iterable[Mapping[str, Any]], value: str = "value") -> set[str]:
    """The metrics of which at least one row has a value."""
    return {row["metric"] for row in rows if row[value] is not None}


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


def equal_p(value: float) -> str:
    """A p-value with its sign: "= 0.012" or "< 0.001"."""
    return p_text(value) if value < 0.001 else f"= {p_text(value)}"


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


def listed(items: Sequence[str]) -> str:
    """Items as part of a sentence; of many, the first ones and how many more."""
    if len(items) > _MANY:
        items = [*items[: _MANY - 1], f"{len(items) - _MANY + 1} more"]
    return " and ".join([", ".join(items[:-1]), *items[-1:]] if len(items) > 1 else items)


def _test_set(numbers: dict[str, Any], data_set: dict[str, Any]) -> str:
    patients = "" if data_set["patients"] is None else f" of {counted(data_set['patients'], 'patient')}"
    name = f" of {data_set['name']}" if len(numbers["data_sets"]) > 1 else ""
    text = f"The {numbers['split']} split{name} holds {counted(data_set['images'], 'image')}{patients}"
    if len(data_set["labels"]) > 1:
        return f"{text}, with {len(data_set['labels'])} labels."
    label = data_set["labels"][0]
    by_patient = "" if label["patients_with"] is None else f" of {counted(label['patients_with'], 'patient')}"
    return f"{text}; {label['label']} is positive in {counted(label['positives'], 'image')}{by_patient}."


def _headline_text(numbers: dict[str, Any]) -> str:
    label, metric = numbers["headline"]["label"], metric_text(numbers["headline"]["metric"])
    data_sets = numbers["data_sets"]
    shown, where = numbers["headline"]["data_set"], ""
    if shown == MEAN:
        where = f", averaged over {len(data_sets)} data sets,"
    elif len(data_sets) > 1:
        where = f" on {shown}"
    if label != MACRO:
        return f"{metric} for {label}{where}"
    rows = rows_of(numbers["models"], data_set=shown, metric=numbers["headline"]["metric"])
    empty = {row["label"] for row in rows if row["value"] is None}
    used = {row["label"] for row in rows} - empty - set(_MEANS)
    return f"mean {metric} over {f'{len(used)} ' if used else ''}labels{where}"


def _beside_the_mean(numbers: dict[str, Any]) -> list[Mapping[str, Any]]:
    """The pairs of models that the mean over data sets lacks, since not all data sets have both."""
    headline = numbers["headline"]
    if headline["data_set"] != MEAN:
        return []
    rows = rows_of(numbers["comparisons"], label=headline["label"], metric=headline["metric"])
    averaged = {(row["model_a"], row["model_b"]) for row in rows if row["data_set"] == MEAN}
    return [row for row in rows if (row["model_a"], row["model_b"]) not in averaged]


def _better_and_other(row: Mapping[str, Any]) -> tuple[str, str]:
    a, b = row["model_a"], row["model_b"]
    return (a, b) if (row["difference"] > 0) != (row["metric"] in OF_PROBABILITIES) else (b, a)


def _of_metric(numbers: dict[str, Any]) -> list[Mapping[str, Any]]:
    """The comparisons of the headline's metric, which are one family."""
    return rows_of(numbers["comparisons"], metric=numbers["headline"]["metric"])


def _verdict(row: Mapping[str, Any], family: int) -> str:
    a, b = row["model_a"], row["model_b"]
    on = "" if row["data_set"] in ("", MEAN) else f" on {row['data_set']}"
    if row["p_value"] is None:
        why = (
            "at least one of them has no value"
            if row["difference"] is None
            else "no redraw holds both classes of every label"
        )
        return f"{a} and {b} cannot be compared by {metric_text(row['metric'])}{on}: {why}."
    level = row["q_value"] if family > 1 else row["p_value"]
    corrected = f", q {equal_p(row['q_value'])} corrected for {family} comparisons" if family > 1 else ""
    difference = interval_text(row["difference"], row, sign=True)
    text = f"{a} minus {b}{on}: {difference}, p {equal_p(row['p_value'])}{corrected}."
    if level < LEVEL:
        better, other = _better_and_other(row)
        does = "ranks these images better than" if row["metric"] == "auc" else "does better on these images than"
        return f"{text} {better} {does} {other}, beyond what chance in drawing them explains."
    return f"{text} These data do not show that either is better; differences within the interval remain possible."


def _by_label(numbers: dict[str, Any]) -> Iterable[str]:
    """How many differences of single labels, in single data sets, hold against the family."""
    several = len(numbers["data_sets"]) > 1
    single = [
        row
        for row in _of_metric(numbers)
        if row["p_value"] is not None and row["label"] not in _MEANS and not (several and row["data_set"] == MEAN)
    ]
    if len(single) < 2:
        return
    found = [row for row in single if row["q_value"] < LEVEL]
    count = f"{len(found)} of {len(single)} differences" if found else f"none of {len(single)} differences"
    verb = "is" if len(found) <= 1 else "are"
    yield f"Label by label, {count} {verb} below q = {LEVEL}{': ' if found else ''}{_who_leads(found, several)}."


def _who_leads(rows: Sequence[Mapping[str, Any]], several: bool) -> str:
    """The better model with its labels, where there are few such pairs; else label by label."""
    leads: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        leads.setdefault(_better_and_other(row), []).append(
            f"{row['label']} on {row['data_set']}" if several else row["label"]
        )
    if len(leads) <= 2:
        return "; ".join(f"{better} is better than {other} for {listed(at)}" for (better, other), at in leads.items())
    return listed([f"{label} ({better} over {other})" for (better, other), at in leads.items() for label in at])


def _at_thresholds(numbers: dict[str, Any]) -> Iterable[str]:
    where = {"data_set": numbers["headline"]["data_set"], "label": numbers["headline"]["label"]}
    parts = []
    for model in dict.fromkeys(row["model"] for row in numbers["models"]):
        rows = rows_of(numbers["models"], **where, model=model)
        values = {row["metric"]: row["value"] for row in rows if row["metric"] in AT_THRESHOLD}
        if values.get("sensitivity") is not None and values.get("specificity") is not None:
            parts.append(f"{decimals(values['sensitivity'])} and {decimals(values['specificity'])} for {model}")
    if parts:
        mean = "mean sensitivity" if where["label"] == MACRO else "sensitivity"
        yield f"At the thresholds chosen on validation, {mean} and specificity are {listed(parts)}."
