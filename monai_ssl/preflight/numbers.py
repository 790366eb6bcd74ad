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

"""The ranges of all numbers that the settings of a bundle give."""

from __future__ import annotations

import math
from typing import Any

from monai.utils import ensure_tuple

__all__ = ["is_whole", "number_problems"]

_LEAST_WHOLE = {
    **{"max_epochs": 1, "batch_size": 1, "accumulation": 1, "image_size": 1, "in_channels": 1, "val_interval": 1},
    **{"reference_batch_size": 1, "num_workers": 0, "seed": 0, "split_seed": 0},
    **{"hidden_dim": 0, "embedding_dim": 1, "prototypes": 2, "queue_length": 0, "queue_start_epoch": 0},
    **{"freeze_prototypes_iterations": 0, "sinkhorn_iterations": 1, "probe_every": 0},
    **{"freeze_epochs": 0, "patience": 1, "folds": 2, "fold": 0, "subset_seed": 0},
}
_ABOVE_0 = ("learning_rate", "temperature", "epsilon")
_AT_LEAST_0 = (
    *("checkpoint_minutes", "weight_decay", "warmup_epochs", "brightness", "contrast"),
    *("head_learning_rate", "rotation", "zoom"),
)
_MAY_BE_ABSENT = ("reference_batch_size", "patience", "folds", "head_learning_rate", "layer_decay")
_PROBABILITIES = ("flip_prob", "jitter_prob", "blur_prob")


def number_problems(settings: dict[str, Any]) -> list[str]:
    """
    All numbers that are none or out of range, one line each.

    Args:
        settings: of the bundle; those that are there are checked.

    Example:
        >>> from monai_ssl.preflight.numbers import number_problems
        >>> number_problems({"seed": -1, "temperature": 0})
        ['--seed must be a whole number of at least 0, got -1', '--temperature must be a number above 0, got 0']
    """
    wrong = {name: "a whole number " + ("above 0" if least == 1 else f"of at least {least}")
             for name, least in _LEAST_WHOLE.items()
             if not is_whole(settings.get(name, least), least)}  # fmt: skip
    if wrong.keys() & {"batch_size", "prototypes"}:  # the default length follows them
        wrong.pop("queue_length", None)
    wrong |= {name: "a number above 0" for name in _ABOVE_0 if not _number(settings.get(name, 1)) > 0}
    wrong |= {name: "a number of at least 0" for name in _AT_LEAST_0 if not _number(settings.get(name, 0)) >= 0}
    wrong |= {name: "a number from 0 to 1" for name in _PROBABILITIES if not 0 <= _number(settings.get(name, 0)) <= 1}
    for name in ("momentum", "dropout"):
        if not 0 <= _number(settings.get(name, 0)) < 1:
            wrong[name] = "a number from 0 to below 1"
    for name in ("train_fraction", "layer_decay"):
        if not 0 < _number(settings.get(name, 1)) <= 1:
            wrong[name] = "a number above 0 to 1"
    for name, least, range_ in (("mean", -math.inf, "a number"), ("std", 0.0, "a number above 0")):
        if not all(_number(value) > least for value in ensure_tuple(settings.get(name, 1))):
            wrong[name] = range_
        elif len(ensure_tuple(settings.get(name, 1))) not in (1, settings.get("in_channels", 1)):
            wrong[name] = f"{range_}, or one for each of the {settings['in_channels']} channels"
    if "learning_rate" in settings and "learning_rate" not in wrong:
        peak = settings["learning_rate"]
        for name in ("start_lr", "final_lr"):
            if not 0 <= _number(settings.get(name, 0)) <= peak:
                wrong[name] = f"a number from 0 to --learning_rate, which is {peak}"
    wrong = {name: range_ for name, range_ in wrong.items() if name not in _MAY_BE_ABSENT or settings[name] is not None}
    return [f"--{name} must be {range_}, got {settings[name]!r}" for name, range_ in wrong.items()]


def is_whole(value: Any, least: int) -> bool:
    """Whether `value` is a whole number, no truth value, of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: Any) -> float:
    """NaN, which lies in no range, for what is no finite number."""
    finite = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if finite else math.nan
