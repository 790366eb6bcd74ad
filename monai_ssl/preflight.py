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
import sys
from pathlib import Path
from typing import Any

import timm
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser
from monai.utils import ensure_tuple
from torch import nn

from monai_ssl.data.datasets import ImageData
from monai_ssl.networks import load_backbone_weights

__all__ = ["bundle_root", "check", "load_start", "refuse", "refuse_unknown_overrides"]

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


def check(data: ImageData, settings: dict[str, Any], *splits: str) -> None:
    """
    Leave, naming all problems at once, when the data or the settings cannot be worked with.

    Args:
        data: what will be trained on or predicted.
        settings: of the bundle; those that are there are checked.
        splits: that must hold at least one batch; none for inference.

    Raises:
        SystemExit: code 2.
    """
    problems = list(data.problems)
    for name in ("max_epochs", "batch_size", "image_size", "in_channels", "learning_rate"):
        value = settings.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            problems.append(f"--{name} must be a number above 0, got {value!r}")
    for split in splits:
        count, batch = data.count(split), settings["batch_size"]
        if not problems and count < batch:
            problems.append(f"{count} images in the split {split} do not fill one batch of {batch}; lower --batch_size")
    if not timm.is_model(settings["backbone"]):
        near = difflib.get_close_matches(settings["backbone"].split(".")[0], timm.list_models(), n=3)
        problems.append(
            f"--backbone {settings['backbone']!r} is no model of timm; nearest: {', '.join(near) or 'none'}"
        )
    checkpoint = settings.get("checkpoint")
    if checkpoint is not None and not Path(checkpoint).is_file():
        problems.append(f"--checkpoint {checkpoint}: no such file; leave it out to start from random weights")
    refuse(problems)


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
        logger.info("%s", load_backbone_weights(network, checkpoint))
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
    known = set(ConfigParser.load_config_files(files))
    problems = []
    for name in arguments.keys() - _RUN_ARGUMENTS:
        top = name.replace("::", "#").split("#")[0].removeprefix("+")
        if top not in known:
            near = difflib.get_close_matches(top, known | _RUN_ARGUMENTS, n=1)
            hint = f"did you mean --{near[0]}?" if near else f"known names: {', '.join(sorted(known))}"
            problems.append(f"--{name}: no such setting in {', '.join(map(str, files))}; {hint}")
    refuse(sorted(problems))


def _command_line() -> dict[str, Any]:
    """The `--name value` pairs of `python -m monai.bundle`, those of its `--args_file` included; else nothing."""
    if not Path(sys.argv[0]).as_posix().endswith("monai/bundle/__main__.py"):
        return {}
    arguments: dict[str, Any] = {}
    words = sys.argv[1:]
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            # fire takes a hyphen for an underscore
            arguments[name.replace("-", "_")] = value if equals else following
    if "args_file" in arguments:
        arguments = {**ConfigParser.load_config_files(arguments["args_file"]), **arguments}
    return arguments


def _config_files(arguments: dict[str, Any]) -> list[str]:
    files = arguments.get("config_file", [])
    if isinstance(files, str):
        files = files.split(",") if "," in files and files[0] not in "[(" else DefaultParseValue(files)
    return [str(file) for file in ensure_tuple(files)]
