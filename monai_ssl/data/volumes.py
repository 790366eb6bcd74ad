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


"""From a folder to its volumes, with a reason for every file that is part of none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from monai_ssl.data.dicom_header import DicomHeader, is_dicom, read_header
from monai_ssl.data.dicom_series import build_series
from monai_ssl.data.nifti import find_nifti, is_nifti
from monai_ssl.data.volume import Volume, relative_name
from monai_ssl.data.voxels import Rejection

__all__ = ["find_volumes"]

_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX"}
_HEAD = 4096


def find_volumes(root: str | os.PathLike) -> tuple[list[Volume], list[Rejection]]:
    """
    Find the DICOM series and NIfTI files below a folder, reading headers only.

    Files are recognised by content, never by name. DICOM files form a volume by SeriesInstanceUID and by geometry,
    ordered by position along the slice normal, wherever they lie. What is odd stands in `Volume.warnings`; what cannot
    be trusted is refused. What only the voxels can tell comes with `Volume.read`. Litter of the operating system
    (`.DS_Store`, `Thumbs.db`, `desktop.ini`, `__MACOSX`, `._*`) is passed over in silence.

    Args:
        root: a folder, searched with its sub-folders (links are followed, loops broken), or one file.

    Returns:
        The volumes, ordered by the name of their first file, and the refusals, ordered by file. The same files give the
        same lists in every run.

    Raises:
        FileNotFoundError: when `root` is absent.

    Example:
        >>> volumes, rejections = find_volumes("dicom")  # doctest: +SKIP
        >>> volumes[0].shape, volumes[0].warnings, rejections[0].reason  # doctest: +SKIP
    """
    root = Path(root)
    if not root.exists():
        raise FileNotFoundError(f"{root}: does not exist; give a folder of DICOM or NIfTI files, or one file")
    base = root if root.is_dir() else root.parent
    headers: list[DicomHeader] = []
    volumes: list[Volume] = []
    rejections: list[Rejection] = []
    closed: list[OSError] = []
    for file in _walk(root, closed):
        try:
            head = _head(file)
            if is_dicom(head):
                headers.append(read_header(file))
            elif is_nifti(head):
                volumes.append(find_nifti(file, base))
            elif not head:
                raise ValueError("empty file")
            else:
                raise ValueError("neither DICOM nor NIfTI")
        except (ValueError, OSError, EOFError) as error:
            rejections.append(Rejection(relative_name(file, base), _reason(error)))
    rejections += [Rejection(relative_name(Path(error.filename), base), _reason(error)) for error in closed]
    series, refused = build_series(headers, base)
    volumes.extend(series)
    return sorted(volumes, key=lambda volume: (volume.name, volume.source)), sorted(rejections + refused)


def _walk(root: Path, closed: list[OSError]) -> Iterator[Path]:
    if not root.is_dir():
        yield root
        return
    seen = set()
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=closed.append):
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not _is_litter(name))
        yield from (Path(folder, name) for name in sorted(files) if not _is_litter(name))


def _is_litter(name: str) -> bool:
    return name in _LITTER or name.startswith("._")


def _head(file: Path) -> bytes:
    # A pipe or a device would block or never end.
    if file.exists() and not file.is_file():
        raise ValueError("not a regular file")
    with open(file, "rb") as stream:
        return stream.read(_HEAD)


def _reason(error: Exception) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
