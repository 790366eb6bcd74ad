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

"""
What a bundle checks before it works: that every override is known, and that the data and the model fit the settings.

A bundle's configuration calls these. An error for the user is logged and leaves by `SystemExit(2)`, the one exception
that MONAI's configuration parser passes on without wrapping it into a traceback.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import timm
import torch
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser
from monai.utils import ensure_tuple
from torch import nn

from monai_ssl.data.images import ImageData
from monai_ssl.data.splits import FRACTIONS, check_fractions
from monai_ssl.networks import load_backbone_weights
from monai_ssl.preflight_numbers import number_problems
from monai_ssl.preflight_pretraining import pretraining_problems, warn_of_few_images
from monai_ssl.transforms import RandScaleWindow

__all__ = [
    "bundle_root",
    "check",
    "derived",
    "load_start",
    "refuse",
    "refuse_run_folder",
    "refuse_unknown_overrides",
]

logger = logging.getLogger(__name__)

# The arguments of `monai.bundle run` itself; all others are overrides.
_RUN_ARGUMENTS = {
    *("run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file", "tracking", "args_file"),
    *("workflow_name", "workflow_type", "properties_path"),
}


def refuse(problems: list[str]) -> None:
    """
    Log every problem and leave with code 2, or do nothing when there is none.

    Args:
        problems: one line each, saying what was wrong, what was got, what is allowed and what to do.

    Raises:
        SystemExit: code 2, when there is any problem.
    """
    for problem in problems:
        logger.error("%s", problem)
    if problems:
        raise SystemExit(2)


def check(data: ImageData, settings: dict[str, Any], *splits: str, problems: Sequence[str] = ()) -> None:
    """
    Leave, naming all problems at once, when the data or the settings cannot be worked with.

    Args:
        data: what will be trained on or predicted.
        settings: of the bundle; those that are there are checked.
        splits: that must hold at least one batch; none for inference.
        problems: found elsewhere, to be named with the others.

    Raises:
        SystemExit: code 2.
    """
    problems = [*data.problems, *problems, *_fraction_problems(settings)]
    problems = list(dict.fromkeys(problems)) + number_problems(settings)
    problems += _epoch_problems(settings)
    if not data.problems:
        problems += _count_problems(data, settings, splits)
    problems += _device_problems(settings)
    problems += _window_problems(settings)
    backbone = str(settings["backbone"])
    if not timm.is_model(backbone):
        near = difflib.get_close_matches(backbone.split(".")[0], timm.list_models(), n=3)
        problems.append(f"--backbone {backbone!r} is no model of timm; nearest: {', '.join(near) or 'none'}")
    if "crop_sizes" in settings:
        problems += pretraining_problems(data, settings)
    checkpoint = settings.get("checkpoint")
    if checkpoint is not None and not Path(checkpoint).is_file():
        problems.append(f"--checkpoint {checkpoint}: no such file; leave it out to start from random weights")
    refuse(problems)
    if "crop_sizes" in settings:
        warn_of_few_images(settings)


def derived(formula: Callable[[], Any]) -> Any:
    """
    A default computed from other settings, or None where these are unfit, which `check` then says in words.

    Args:
        formula: called at once; a function, so that its error can be caught.

    Example:
        >>> from monai_ssl.preflight import derived
        >>> derived(lambda: 0.16 / 16), derived(lambda: "nan" / 16)
        (0.01, None)
    """
    try:
        return formula()
    except (ArithmeticError, TypeError, ValueError):
        return None


def refuse_run_folder(output_dir: str | os.PathLike) -> None:
    """
    Leave when results would be written into the folder of a training run, over its own.

    Raises:
        SystemExit: code 2.
    """
    if Path(output_dir, "settings.json").is_file():
        refuse([f"--output_dir {output_dir}: is the folder of a training run, with results of its own; give another"])


def load_start(network: nn.Module, checkpoint: str | os.PathLike | None) -> None:
    """
    Load the weights that training starts from into the backbone of `network`; None starts from random weights.

    Raises:
        SystemExit: code 2, when the checkpoint does not fit.
    """
    if checkpoint is None:
        logger.info("starting from random weights")
        return
    try:
        report = load_backbone_weights(network, checkpoint)
        logger.info("%s", report)
        if report.provenance and report.provenance.get("settings", {}).get("test_patients") == "included":
            logger.warning("%s: was pre-trained on patients of the test split too; the test may look better than it is",
                           checkpoint)  # fmt: skip
    except (OSError, ValueError) as error:
        refuse([str(error)])


def bundle_root() -> str:
    """
    The folder of the bundle whose configuration this command line runs: the parent of its `configs` folder.

    A configuration cannot see where it lies, so the command line is read. In a program that builds a
    `ConfigWorkflow` itself there is none to read; give `bundle_root` there, else it is the working directory.
    """
    files = _config_files(_command_line())
    if not files:
        return os.getcwd()
    folder = Path(files[0]).resolve().parent
    return str(folder.parent if folder.name == "configs" else folder)


def refuse_unknown_overrides() -> None:
    """
    Leave when the command line overrides a name that no configuration file defines.

    MONAI adds such a name silently, so that `--max_epoch 5` would train for the default number of epochs. Programs that
    build a `ConfigWorkflow` themselves are out of its reach: there is no command line to read.

    Raises:
        SystemExit: code 2, after logging each unknown name with the nearest known one.
    """
    arguments = _command_line()
    files = _config_files(arguments)
    if not files:
        return
    config = ConfigParser.load_config_files(files)
    hints = {name: _hint_if_unknown(name, config) for name in sorted(arguments.keys() - _RUN_ARGUMENTS)}
    refuse([f"--{name}: no such setting in {', '.join(files)}; {hint}" for name, hint in hints.items() if hint])


def _epoch_problems(settings: dict[str, Any]) -> list[str]:
    interval, epochs = settings.get("val_interval", 1), settings.get("max_epochs", 1)
    if number_problems({"val_interval": interval, "max_epochs": epochs}) or interval <= epochs:
        return []
    return [
        f"--val_interval {interval} is above --max_epochs {epochs}: none would be validated, so none could be chosen"
    ]


def _fraction_problems(settings: dict[str, Any]) -> list[str]:
    try:
        check_fractions(settings.get("fractions", FRACTIONS))
    except (TypeError, ValueError) as error:
        return [str(error)]
    return []


def _device_problems(settings: dict[str, Any]) -> list[str]:
    try:
        device = torch.device(str(settings.get("device", "cpu")))
    except RuntimeError:
        return [f"--device {settings['device']!r} is no device of torch; give cpu, cuda or cuda:0"]
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        return [f"--device {device}: this machine has {torch.cuda.device_count()} CUDA devices that torch can use"]
    return []


def _window_problems(settings: dict[str, Any]) -> list[str]:
    try:
        RandScaleWindow(settings.get("window"))
    except (TypeError, ValueError) as error:
        return [f"--window: {error}"]
    return []


def _count_problems(data: ImageData, settings: dict[str, Any], splits: tuple[str, ...]) -> list[str]:
    if number_problems({name: settings.get(name, 1) for name in ("batch_size", "accumulation")}):
        return []
    problems, processes, batch = [], idist.get_world_size(), settings["batch_size"] * settings.get("accumulation", 1)
    each = "" if processes == 1 else f" in each of {processes} processes"
    each += (
        "" if batch == settings["batch_size"] else f" (--batch_size times --accumulation {settings['accumulation']})"
    )
    for split in splits:
        count = data.count(split)
        if count < batch * processes:
            problems.append(
                f"{count} images in the split {split} do not fill one batch of {batch}{each}; lower --batch_size"
            )
    if 0 < data.count("val") < processes:
        problems.append(f"{data.count('val')} validation images are too few for {processes} processes; start fewer")
    return problems


def _hint_if_unknown(name: str, config: Any) -> str | None:
    parts = name.removeprefix("+").replace("::", "#").split("#")
    here = config
    for depth, part in enumerate(parts):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        elif isinstance(here, dict) and "_target_" in here and depth == len(parts) - 1:
            return None  # an optional argument of a component, which refuses what it does not know
        else:
            names = [str(key) for key in here] if isinstance(here, dict) else []
            near = difflib.get_close_matches(part, [*names, *(() if depth else _RUN_ARGUMENTS)], n=1)
            if near:
                return f"did you mean --{'::'.join([*parts[:depth], near[0]])}?"
            return f"known names{' there' if depth else ''}: {', '.join(sorted(names)) or 'none'}"
    return None


def _command_line() -> dict[str, Any]:
    """The `--name value` pairs of `python -m monai.bundle`, those of its `--args_file` included; else nothing."""
    if not Path(sys.argv[0]).as_posix().endswith("monai/bundle/__main__.py"):
        return {}
    arguments: dict[str, Any] = {}
    words = sys.argv[1:]
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        # fire takes one hyphen for two, and within a name a hyphen for an underscore
        if re.match("--?[A-Za-z_+]", word):
            name, equals, value = word.lstrip("-").partition("=")
            arguments[name.replace("-", "_")] = value if equals else following
    if "args_file" in arguments:
        arguments = {**ConfigParser.load_config_files(arguments["args_file"]), **arguments}
    return arguments


def _config_files(arguments: dict[str, Any]) -> list[str]:
    files = arguments.get("config_file", [])
    if isinstance(files, str):
        files = files.split(",") if "," in files and files[0] not in "[(" else DefaultParseValue(files)
    return [str(file) for file in ensure_tuple(files)]
