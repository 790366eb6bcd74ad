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

"""Which data a model was trained on, as one number."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from monai_ssl.data.images import image_files
from monai_ssl.data.volume import relative_name
from monai_ssl.files import file_checksum

__all__ = ["data_checksum"]


def data_checksum(dataset_dir: str | os.PathLike) -> str:
    """
    A checksum of a data set: of a slice store's `store.json` and `slices.csv`, which holds a hash of every slice; of
    a folder of images, or one file with all of them, the names and sizes.

    Args:
        dataset_dir: a slice store or a folder of images.

    Returns:
        SHA-256, 64 hex digits; empty where there is nothing readable.

    Example:
        >>> data_checksum("absent")
        ''
    """
    root = Path(dataset_dir)
    try:
        if (root / "store.json").is_file():
            lines = [f"{name} {file_checksum(root / name)}" for name in ("store.json", "slices.csv")]
        else:
            files = [root] if root.is_file() else [file for kind in image_files(root) for file in kind]
            lines = [
                f"{file.name if file == root else relative_name(file, root)} {file.stat().st_size}" for file in files
            ]
            if not lines:
                return ""
    except (OSError, ValueError):
        return ""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
