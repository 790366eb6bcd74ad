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


"""What slicing has finished so far, by volume: the tables are assembled from it, and a stopped run goes on from it."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from monai_ssl.data.pseudonyms import Pseudonyms
from monai_ssl.data.volume import Volume

__all__ = [
    "COLUMNS",
    "PART_FOLDER",
    "PSEUDONYM",
    "VOLUME_FOLDER",
    "Part",
    "await_parts",
    "part_file",
    "read_part",
    "sign",
    "size_of_files",
    "volume_file",
]

PART_FOLDER = ".parts"
VOLUME_FOLDER = "volumes"
PSEUDONYM = "[0-9a-f]" * 16  # for glob
_LATE = 120  # seconds
# Of slices.csv; the last four are the statistics.
COLUMNS = (
    *("slice", "volume", "patient", "index", "position_mm", "kept", "exemplar", "distance", "hash", "file", "row"),
    *("dtype", "invalid", "min", "max", "mean"),
)


@dataclass(frozen=True)
class Part:
    """
    What became of one volume. Nothing of the source is in it but what `rejected.csv` and `warnings.csv` will hold.

    Attributes:
        signature: of the files it was made from, see `sign`.
        max_gib: the limit it was read under.
        patient: pseudonym.
        rows: its lines of slices.csv; empty when it was refused.
        slices: how many lines.
        kept: how many of the slices are stored.
        size: bytes of its file of slices.
        warnings: file and what only its voxels could tell.
        rejection: file and reason, when it was refused.
        source_size: bytes of the files it was made from.
        content: of the volume, see `SliceTask.content`.
        input: pseudonym of the folder it came from; this and the rest are known once the store is finished.
        nameless: whether nothing tells its patient, in a format that has no place for one.
        notes: file and warning, of its headers.
        labelled: whether a labels table was given with that folder.
    """

    signature: str
    patient: str
    max_gib: float = 0.0
    rows: str = ""
    slices: int = 0
    kept: int = 0
    size: int = 0
    warnings: Sequence[Sequence[str]] = ()
    rejection: Sequence[str] | None = None
    source_size: int = 0
    content: str = ""
    input: str = ""
    nameless: bool = False
    notes: Sequence[Sequence[str]] = ()
    labelled: bool = False

    def to_bytes(self) -> bytes:
        """What `read_part` reads."""
        return json.dumps(asdict(self)).encode("ascii")

    def holds(self, signature: str, max_gib: float, volume: Path) -> bool:
        """Whether it is still true: the source is unchanged, and its file of slices whole or the limit the same."""
        if self.signature != signature:
            return False
        if self.rejection is not None:
            return self.max_gib == max_gib
        return volume.is_file() and volume.stat().st_size == self.size

    def as_read(self, other: Part) -> bool:
        """Whether both are of the same files."""
        return self.signature == other.signature or "" != self.content == other.content

    def positions(self) -> Iterator[tuple[str, float]]:
        """Name and position in millimetres of each slice."""
        for row in csv.DictReader(self.rows.splitlines(), COLUMNS):
            yield row["slice"], float(row["position_mm"])


def read_part(path: Path) -> Part | None:
    """The part, or None where there is none that can be read."""
    try:
        return Part(**json.loads(path.read_text(encoding="ascii")))
    except (OSError, ValueError, TypeError):
        return None


def await_parts(output: Path, names: Collection[str]) -> None:
    """
    Wait until the parts of these volumes show here: on a network disk, those that others wrote may after a minute.

    Raises:
        OSError: when they do not.
    """
    until = time.monotonic() + _LATE
    while missing := sum(not part_file(output, name).is_file() for name in names):
        if time.monotonic() > until:
            raise OSError(
                f"{missing} volumes were sliced by others, and nothing of it shows here; the folder must lie on a disk "
                "that all machines share"
            )
        time.sleep(1)
        change = output / PART_FOLDER / "look"  # one of ours makes a network disk look for those of others
        change.touch()
        change.unlink()


def part_file(output: Path, name: str) -> Path:
    """Where the part of the volume with the pseudonym `name` lies."""
    return output / PART_FOLDER / f"{name}.json"


def volume_file(output: Path, name: str) -> Path:
    """Where the slices of the volume with the pseudonym `name` lie."""
    return output / VOLUME_FOLDER / f"{name}.npy"


def sign(pseudonyms: Pseudonyms, volume: Volume, patient: str, ranks: Sequence[int] = ()) -> str:
    """A keyed hash that changes with the files of `volume` (names, sizes, times), its patient and its `name_ranks`."""
    states = [(os.fspath(file.relative_to(volume.root)), *_state(file)) for file in volume.files]
    return pseudonyms("signature", json.dumps([volume.source, patient, states, *ranks]))


def size_of_files(volume: Volume) -> int:
    """Bytes, all together."""
    return sum(_state(file)[0] for file in volume.files)


def _state(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:  # gone since it was found: reading will say so
        return 0, 0
    return status.st_size, status.st_mtime_ns
