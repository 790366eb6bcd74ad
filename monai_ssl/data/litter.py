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

"""Files of a folder as its owner sees them, without what operating systems and editors leave there."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["is_litter", "visible_files"]

# Folders and files of operating systems, in lower case.
_LITTER = {
    *{".ds_store", ".directory", ".fseventsd", ".spotlight-v100", ".trashes", "__macosx", "desktop.ini"},
    *{".lock", "$recycle.bin", "@eadir", "ehthumbs.db", "lost+found", "system volume information", "thumbs.db"},
}


def is_litter(name: str) -> bool:
    """Whether an operating system makes files or folders of this name by itself."""
    return name.lower() in _LITTER or name.startswith("._")


def visible_files(root: Path) -> list[Path]:
    """All files at any depth below a folder, by name; none that is hidden or litter, nor any in such a folder."""
    found: list[Path] = []
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if _is_visible(name)]
        found += [Path(folder, name) for name in files if _is_visible(name)]
    return sorted(found, key=Path.as_posix)


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and not is_litter(name)
