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

"""The metrics that can be redrawn, by name."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["AT_SPECIFICITY", "AT_THRESHOLD", "METRICS", "OF_PROBABILITIES", "WITHOUT_INTERVAL", "check_metrics"]

AT_SPECIFICITY = "sensitivity_at_specificity"
AT_THRESHOLD = ("sensitivity", "specificity", "f1", "accuracy")
OF_PROBABILITIES = ("brier", "calibration_error")
# Chance alone makes it larger, and redraws add as much again: its intervals would not even hold its own value.
WITHOUT_INTERVAL = ("calibration_error",)
METRICS = ("auc", "average_precision", f"{AT_SPECIFICITY}:0.9", *AT_THRESHOLD, *OF_PROBABILITIES)


def check_metrics(metrics: Iterable[str]) -> tuple[str, ...]:
    """
    The names of metrics, or one error that names those which are none.

    Raises:
        ValueError: also for none at all, or one twice.

    Example:
        >>> check_metrics(["auc", "sensitivity_at_specificity:0.95"])
        ('auc', 'sensitivity_at_specificity:0.95')
    """
    names = tuple(metrics)
    wrong = [name for name in names if name not in METRICS and not _at_specificity(name)]
    wrong += [f"{name} twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if wrong or not names:
        raise ValueError(
            f"unknown metrics: {', '.join(wrong) or 'none given'}; known: {', '.join(METRICS)} (or another specificity "
            "above 0 and up to 1)"
        )
    return names


def _at_specificity(name: str) -> bool:
    kind, _, text = name.partition(":")
    try:
        return kind == AT_SPECIFICITY and 0 < float(text) <= 1
    except ValueError:
        return False
