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
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from monai_ssl.data.containers import other_content
from monai_ssl.data.dicom.file import is_dicom
from monai_ssl.data.dicom.header import DicomHeader, read_headers
from monai_ssl.data.dicom.series import build_series
from monai_ssl.data.itk.volume import find_itk, is_itk
from monai_ssl.data.limits import MAX_GIB, check_limit
from monai_ssl.data.litter import is_litter
from monai_ssl.data.nifti.volume import find_nifti, is_nifti
from monai_ssl.data.parallel import SerialExecutor, run_all
from monai_ssl.data.volume import Volume, part_name, relative_name
from monai_ssl.data.voxels import Rejection

__all__ = ["find_volumes"]

_HEAD = 4096
_HEADERS = (".hdr", ".mhd", ".nhdr", ".hdr.gz", ".HDR")
_VOXELS = {".img", ".raw", ".zraw", ".gz", ".IMG"}
# Fewer files are read faster than a process starts.
_BATCH = 200


def find_volumes(
    root: str | os.PathLike,
    *,
    include: Sequence[str] | None = None,
    split_time: bool = False,
    max_gib: float = MAX_GIB,
    executor: Executor | None = None,
) -> tuple[list[Volume], list[Rejection]]:
    """
    Find the volumes below a folder, reading headers only: DICOM, NIfTI, NRRD and MetaImage.

    Files are recognised by content, never by name. DICOM images form a volume by SeriesInstanceUID and by geometry,
    ordered by position along the slice normal, wherever they lie. What is odd stands in `Volume.warnings`; what cannot
    be trusted is refused. What only the voxels can tell comes with `Volume.read`. Litter of the operating system
    (`.DS_Store`, `Thumbs.db`, `desktop.ini`, `__MACOSX`, `._*` and the like) is passed over in silence.

    Args:
        root: a folder, searched with its sub-folders (links are followed, loops broken), or one file.
        include: patterns such as "CT.nii.gz" or "images/*.nii.gz"; a file whose path ends as none of them is passed
            over. As in `pathlib.PurePath.match`: `*` stops at a slash, case counts. None for all files.
        split_time: make a volume of each time point of a 4-D file, instead of refusing it. DICOM series of several time
            points are split wherever a tag tells these apart.
        max_gib: the most that one volume may take in memory, in GiB; see `limits.check_size`.
        executor: reads the headers of large folders; None for this process.

    Returns:
        The volumes, ordered by the name of their first file, and the refusals, ordered by file. The same files give the
        same lists in every run.

    Raises:
        FileNotFoundError: when `root` is absent.
        ValueError: when `max_gib` is no amount of memory, or `include` matches no file.

    Example:
        >>> volumes, rejections = find_volumes("dicom")  # doctest: +SKIP
        >>> volumes[0].shape, volumes[0].warnings, rejections[0].reason  # doctest: +SKIP
    """
    root = Path(root)
    check_limit(max_gib)
    if not root.exists():
        raise FileNotFoundError(f"{root}: does not exist; give a folder of volumes (DICOM, NIfTI ...), or one file")
    base = root if root.is_dir() else root.parent
    closed: list[OSError] = []
    files = _included(list(_walk(root, closed)), base, include)
    batches = [files[k : k + _BATCH] for k in range(0, len(files), _BATCH)]
    if executor is None or len(batches) == 1:
        executor = SerialExecutor()
    inspect = partial(_inspect, base=base, split_time=split_time, max_gib=max_gib)
    found = _Found()
    with tqdm(total=len(files), unit="file", desc="reading headers", disable=None, delay=2) as bar:
        for part in run_all(executor, len(batches), inspect, batches):
            found.headers += part.headers
            found.volumes += part.volumes
            found.rejections += part.rejections
            bar.update(min(_BATCH, len(files) - bar.n))
    found.rejections += [Rejection(relative_name(Path(error.filename), base), _reason(error)) for error in closed]
    series, refused = build_series(found.headers, base, max_gib)
    volumes = sorted([*found.volumes, *series], key=lambda volume: (volume.name, len(volume.source), volume.source))
    volumes = _told_apart(volumes)
    claimed = {relative_name(file, base) for volume in found.volumes for file in volume.files}
    return volumes, sorted(r for r in (*found.rejections, *refused) if r.file not in claimed)


def _told_apart(volumes: list[Volume]) -> list[Volume]:
    """The same volumes, each with a source of its own: names of files may look like those of parts, or be no UTF-8."""
    taken: set[str] = set()
    for k, volume in enumerate(volumes):
        source = volume.source
        if source in taken:
            source = next(name for number in count(2) if (name := part_name(volume.source, number)) not in taken)
            warning = "another volume goes by the same name; labels of that name are given to both"
            volumes[k] = replace(volume, source=source, warnings=(*volume.warnings, warning))
        taken.add(source)
    return volumes


@dataclass
class _Found:
    headers: list[DicomHeader] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)


def _inspect(files: list[Path], base: Path, split_time: bool, max_gib: float) -> _Found:
    found = _Found()
    for file in files:
        try:
            head = _head(file)
            if is_dicom(head):
                found.headers += read_headers(file, max_gib)
            elif is_nifti(head):
                found.volumes += find_nifti(file, base, split_time=split_time, max_gib=max_gib)
            elif is_itk(head):
                found.volumes += find_itk(file, base, split_time=split_time, max_gib=max_gib)
            else:
                raise ValueError(_unknown(file, head))
        except (ValueError, OSError, EOFError) as error:
            found.rejections.append(Rejection(relative_name(file, base), _reason(error)))
        except Exception as error:  # one odd file must not end the search; its text may quote what stands in the file
            found.rejections.append(Rejection(relative_name(file, base), f"cannot be read ({type(error).__name__})"))
    return found


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
        subfolders[:] = sorted(name for name in subfolders if not is_litter(name))
        yield from (Path(folder, name) for name in sorted(files) if not is_litter(name))


def _included(files: list[Path], base: Path, patterns: Sequence[str] | None) -> list[Path]:
    if patterns is None:
        return files
    found = [
        file for file in files if any(PurePosixPath(relative_name(file, base)).match(pattern) for pattern in patterns)
    ]
    if files and not found:
        raise ValueError(f"{base}: none of its {len(files)} files ends as include tells: {', '.join(patterns)}")
    return found


def _head(file: Path) -> bytes:
    # A pipe or a device would block or never end.
    if file.exists() and not file.is_file():
        raise ValueError("not a regular file")
    if file.is_symlink() and not file.exists():
        raise ValueError("a link to a file that does not exist")
    with open(file, "rb") as stream:
        return stream.read(_HEAD)


def _unknown(file: Path, head: bytes) -> str:
    if not head:
        return "empty file"
    stem = file.name.removesuffix(".gz").rpartition(".")[0]
    for suffix in _HEADERS if file.suffix in _VOXELS else ():
        if (header := file.with_name(stem + suffix)).is_file():
            name = relative_name(header, file.parent)
            return f"voxels without a header; that in {name} was refused, or names another file"
    return other_content(head) or "neither DICOM, NIfTI, NRRD nor MetaImage"


def _reason(error: Exception) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
