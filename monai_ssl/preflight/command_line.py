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

"""The command line that runs a bundle, which its configuration cannot see: where it lies, and what it overrides."""

from __future__ import annotations

import difflib
import os
import re
import sys
from pathlib import Path
from typing import Any

from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser
from monai.utils import ensure_tuple

from monai_ssl.preflight.refusal import refuse

__all__ = ["bundle_root", "hint_if_unknown", "refuse_unknown_overrides"]

# The arguments of `monai.bundle run` itself; all others are overrides.
_RUN_ARGUMENTS = {
    *("run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file", "tracking", "args_file"),
    *("workflow_name", "workflow_type", "properties_path"),
}


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
    hints = {name: hint_if_unknown(name, config) for name in sorted(arguments.keys() - _RUN_ARGUMENTS)}
    refuse([f"--{name}: no such setting in {', '.join(files)}; {hint}" for name, hint in hints.items() if hint])


def hint_if_unknown(name: str, config: Any) -> str | None:
    """
    None for a setting that a configuration defines, else the nearest name that it does define.

    Args:
        name: of the setting, `::` between levels.
        config: the content of the configuration files, merged.

    Example:
        >>> hint_if_unknown("max_epoch", {"max_epochs": 5})
        'did you mean --max_epochs?'
    """
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
