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

"""The methods paragraph of a paper, from what was done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from monai_ssl.metrics import MEAN
from monai_ssl.metrics.names import AT_SPECIFICITY, AT_THRESHOLD, WITHOUT_INTERVAL
from monai_ssl.report.words import counted, defined_metrics, listed, metric_text

__all__ = ["methods"]

_EXPLAINED = {
    "auc": "the area under the receiver operating characteristic curve (AUC; ties count half)",
    "average_precision": "the average precision (the area under the precision-recall curve in steps, not interpolated)",
    "f1": "F1",
    "brier": "the Brier score",
    "calibration_error": "the expected calibration error (10 bins of equal width)",
}
_UNRECORDED = "its training is not recorded"
_INTERVALS = {
    "percentile": "percentile bootstrap",
    "bca": "bias-corrected and accelerated (BCa) bootstrap, its acceleration from the jackknife",
}


def methods(numbers: dict[str, Any]) -> str:
    """
    What was done, in plain text that may stand in a paper as it is.

    Args:
        numbers: the content of `report.json`.

    Returns:
        Paragraphs, with an empty line between them.
    """
    parts = [_models(numbers), _images(numbers), _measures(numbers), _tests(numbers), _software(numbers)]
    return "\n\n".join(" ".join(part) for part in map(list, parts) if part)


def _models(numbers: dict[str, Any]) -> Iterable[str]:
    before = numbers["pretraining"]
    if before is not None and before["settings"]:
        settings = before["settings"]
        yield f"Pre-training (SwAV): {_settings_text(settings)}."
    for name in dict.fromkeys(run["name"] for run in numbers["runs"]):
        said: dict[str, list[str]] = {}
        for run in numbers["runs"]:
            if run["name"] == name:
                text = f"{_settings_text(run['settings'])}; {_choice(run)}" if run["settings"] else _UNRECORDED
                said.setdefault(text, []).append(run["data_set"])
        for text, data_sets in said.items():
            yield f"Model {name}{f' on {listed(data_sets)}' if len(said) > 1 else ''}: {text}."


def _settings_text(settings: Mapping[str, Any]) -> str:
    start = settings.get("checkpoint")
    said = [
        settings.get("backbone"),
        _with(settings, "bundle", "bundle {}"),
        f"from {PurePath(start).name}" if start else "from random weights",
        _with(settings, "image_size", "images of {} pixels a side"),
        _with(settings, "max_epochs", "{} epochs"),
        _with(settings, "batch_size", "batches of {}"),
        _with(settings, "learning_rate", "learning rate {}"),
        _with(settings, "weight_decay", "weight decay {}"),
        _with(settings, "class_weights", "class weights {}", unless="none"),
        _with(settings, "trained_layers", "trained layers: {}"),
        _with(settings, "freeze_epochs", "all but the head frozen for {} epochs"),
        _with(settings, "train_fraction", "{} of the training patients", unless=1.0),
        _with(settings, "folds", "{} folds by patient"),
        _with(settings, "seed", "seed {}", unless=None),
    ]
    return ", ".join(text for text in said if text)


def _with(settings: Mapping[str, Any], name: str, text: str, unless: Any = 0) -> str | None:
    value = settings.get(name)
    return None if value is None or value == unless else text.format(value)


def _choice(run: Mapping[str, Any]) -> str:
    by = {"auc": "highest mean AUC", "accuracy": "highest accuracy", "loss": "lowest loss"}
    chosen = by.get(run["settings"].get("select_by", ""), "best value of its metric")
    return f"the epoch with the {chosen} on the validation images was kept"


def _images(numbers: dict[str, Any]) -> Iterable[str]:
    for data_set in numbers["data_sets"]:
        on = f" of {data_set['name']}" if len(numbers["data_sets"]) > 1 else ""
        patients = "" if data_set["patients"] is None else f" from {counted(data_set['patients'], 'patient')}"
        labels = [f"{row['label']} ({row['positives']} of {row['positives'] + row['negatives']})"
                  for row in data_set["labels"]]  # fmt: skip
        done = "Models were compared on the same" if len(data_set["models"]) > 1 else "The model was evaluated on"
        yield (
            f"{done} {counted(data_set['images'], 'image')}{patients} of the "
            f"{numbers['split']} split{on}; positive images by label: {', '.join(labels)}."
        )


def _measures(numbers: dict[str, Any]) -> Iterable[str]:
    defined = defined_metrics(numbers["models"])
    asked = [name for name in numbers["metrics"] if name in defined]
    if not asked:
        yield f"Of {listed([metric_text(name) for name in numbers['metrics']])} nothing could be computed."
        return
    plain = [_EXPLAINED.get(name, metric_text(name)) for name in asked if name not in AT_THRESHOLD]
    at = [metric_text(name) for name in asked if name in AT_THRESHOLD]
    text = f"Performance was measured by {listed(plain)}" if plain else "Performance was measured"
    if at:
        text += f"{', and ' if plain else ' '}by {listed(at)} at a threshold of each model and label"
    yield f"{text}."
    if at:
        yield from _thresholds(numbers["runs"])
    if any(name.startswith(AT_SPECIFICITY) for name in asked):
        yield "Sensitivity at a specificity is the highest one of all thresholds with at least that specificity."
    if any(len(data_set["labels"]) > 1 for data_set in numbers["data_sets"]):
        yield (
            "Over labels, the macro mean averages the values of the labels for which they are defined, and the micro "
            "value pools all decisions on images and labels."
        )
    if numbers["headline"]["data_set"] == MEAN:
        yield "Data sets were averaged with equal weight, over the models and labels that all of them have."


def _thresholds(runs: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    said = {
        "thresholds.json": "its training run recorded (thresholds.json; by default the highest Youden index on its "
        "validation images)",
        "validation rows": "has the highest Youden index on the validation images of its table",
    }
    for source, text in said.items():
        names = list(dict.fromkeys(run["column"] for run in runs if run["thresholds_from"] == source))
        if names:
            yield f"The threshold of {listed(names)} is the one that {text}."


def _tests(numbers: dict[str, Any]) -> Iterable[str]:
    units = list(dict.fromkeys(data_set["unit"] for data_set in numbers["data_sets"]))
    redrawn = listed([f"{unit}s" + (" with all their images" if unit == "patient" else "") for unit in units])
    several = len(numbers["data_sets"]) > 1
    seeds = f"seed {numbers['seed']}" + (" for the first data set and one more for each further one" if several else "")
    within = ", within strata of the rarest label of each" if numbers["stratified"] else ""
    same = ", the same redraws for all models" if any(len(each["models"]) > 1 for each in numbers["data_sets"]) else ""
    yield (
        f"95 % confidence intervals are those of the {_INTERVALS[numbers['interval']]} with {numbers['redraws']:,} "
        f"redraws of {redrawn}{within}, {seeds}{same}; redraws in which a "
        "label lacked positives or negatives were left out where both are needed, and counted."
    )
    if defined_metrics(numbers["models"]) & set(WITHOUT_INTERVAL):
        yield (
            "Expected calibration error has neither interval nor test: chance alone makes it larger, and redraws add "
            "as much again."
        )
    yield "Standard deviations are those over redraws, of each value by itself."
    tested = [row for row in numbers["comparisons"] if row["p_value"] is not None]
    if not tested:
        return
    yield (
        "Differences between models are paired; two-sided p-values are (b + 1) / (B + 1), where b of B redraws gave a "
        "difference at least as far from the observed one as zero is."
    )
    families: dict[str, list[str]] = {}
    for row in tested:
        metric, _, size = row["family"].rpartition(": ")
        families.setdefault(size, []).append(metric_text(metric))
    sizes = [
        size if len(families) == 1 else f"{listed(list(dict.fromkeys(of)))}: {size}" for size, of in families.items()
    ]
    if len(tested) == len({row["metric"] for row in tested}):
        yield "There is one test of each metric, so no p-value was corrected."
    else:
        yield (
            "p-values were corrected for multiple testing by the method of Benjamini and Hochberg (q) and that of "
            f"Holm, each metric a family of its own: {'; '.join(sizes)}."
        )
    by_patient = "patient" in units
    others = [
        f"DeLong's test for AUC{' (for clustered data, after Obuchowski)' if by_patient else ''}"
        if any(row["p_delong"] is not None for row in tested)
        else None,
        f"McNemar's exact test for accuracy{' (decisions exchanged patient by patient)' if by_patient else ''}"
        if any(row["p_mcnemar"] is not None for row in tested)
        else None,
    ]
    if any(others):
        yield f"For comparison, p-values of {listed([text for text in others if text])} are given, not corrected."


def _software(numbers: dict[str, Any]) -> Iterable[str]:
    yield f"Statistics: {', '.join(f'{name} {version}' for name, version in numbers['versions'].items())}."
    trained = {f"{name} {version}" for run in numbers["runs"] for name, version in run["versions"].items()}
    if trained:
        yield f"Training: {', '.join(sorted(trained))}."
