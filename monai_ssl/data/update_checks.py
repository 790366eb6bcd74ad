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

"""Whether a store can be brought up to date, and by these arguments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from monai_ssl import __version__
from monai_ssl.data.pseudonyms import KEY_FILE, Pseudonyms, read_key
from monai_ssl.data.slice_volume import SliceOptions
from monai_ssl.data.slicing_state import STATE_FILE, differences, is_finished
from monai_ssl.data.store_swap import UPDATE_FOLDER
from monai_ssl.reduction import STRATEGIES

__all__ = ["check_arguments", "check_key", "update_problem"]


def update_problem(output: Path) -> str:
    """Why the store in a folder cannot be brought up to date, as an error tells it; empty when it can."""
    if (output / UPDATE_FOLDER / "store.json").is_file() or is_finished(output):
        return ""
    if (output / STATE_FILE).exists():
        return f"{output}: slicing was stopped here; repeat the command that began it, without --update (update=True)"
    return f"{output}: there is no finished store to update; leave out --update (update=True) to make one"


def check_key(output: Path, before: dict[str, Any], given: str | bytes | os.PathLike | None) -> None:
    """
    Refuse another key than that of the store.

    Args:
        output: the folder of the store.
        before: its settings.
        given: as in `slice_volumes`.

    Raises:
        ValueError: when it is absent or another.
    """
    file = output / KEY_FILE
    key = read_key(file if file.exists() else given)
    if key is None:
        raise ValueError(f"{file}: is absent; give the key that the store was made with (--pseudonym-key FILE)")
    if Pseudonyms(key).fingerprint != before["pseudonym_key_fingerprint"]:
        raise ValueError(f"{output}: was made with another key than the one in {file} or given")


def check_arguments(output: Path, before: dict[str, Any], version: str, options: SliceOptions) -> None:
    """
    Refuse other arguments than those that the store was made with.

    Args:
        output: the folder of the store.
        before: its settings.
        version: of the package that made it.
        options: what is asked for now.

    Raises:
        ValueError: naming what differs, or when the store is reduced by features that slicing does not make.
    """
    made_with = {"version": version, **before["arguments"]}
    if differing := differences(made_with, {"version": __version__, **options.settings}):
        raise ValueError(
            f"{output}: was made with other arguments: {differing}; an update needs those, and a store with "
            "others a new folder"
        )
    strategy = before["reduction"]["strategy"]
    compares = STRATEGIES[strategy.partition(":")[0]].compares
    if compares == "features" and before.get("features") != options.features:
        raise ValueError(
            f"{output}: is reduced by {strategy}, and slicing makes no features of new volumes for it: reduce "
            f"the store by {options.reduce}, update it, and reduce it by {strategy} with --backbone and "
            "--checkpoint again; features that it has are not made again"
        )
