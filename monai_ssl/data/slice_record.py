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

"""What a finished store remembers of its slicing, so that volumes can be added to it later."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path

from monai_ssl import __version__
from monai_ssl.data.slice_parts import Part
from monai_ssl.data.voxels import Rejection
from monai_ssl.files import atomic_path

__all__ = ["RECORD_FILE", "Record", "TableRows", "read_record", "write_record"]

RECORD_FILE = ".sliced.json"


@dataclass(frozen=True)
class Record:
    """
    Of the volumes of a store, and of what was refused: as much as its tables do not tell.

    It names nothing that `rejected.csv` and `warnings.csv` do not name. Times of files are in its signatures, so that
    it is not the same in every run.

    Attributes:
        parts: by pseudonym of the volume, without their rows, which are in `slices.csv`.
        rejections: of files that are part of no volume, by pseudonym of the input.
        version: of the package that made the store.
    """

    parts: dict[str, Part]
    rejections: dict[str, list[Rejection]]
    version: str = __version__

    def elsewhere(self, found: Collection[str], input_name: str) -> Record:
        """
        What came from other inputs and stays. An input none of whose volumes is left is forgotten.

        Args:
            found: volumes that are in the input now.
            input_name: pseudonym of the input.
        """
        parts = {name: part for name, part in self.parts.items() if name not in found and part.input != input_name}
        inputs = {part.input for part in parts.values() if part.rejection is None}
        return replace(
            self,
            parts={name: part for name, part in parts.items() if part.input in inputs},
            rejections={name: self.rejections[name] for name in sorted(inputs) if name in self.rejections},
        )


def write_record(folder: Path, parts: Iterable[tuple[str, Part]], rejections: dict[str, list[Rejection]]) -> None:
    """
    Write the record of a store, atomically.

    Args:
        folder: of the store.
        parts: with the pseudonyms of their volumes.
        rejections: by pseudonym of the input.
    """
    content = {
        "version": __version__,
        "rejections": {name: [[each.file, each.reason] for each in some] for name, some in rejections.items()},
        "volumes": {name: _described(part) for name, part in parts},
    }
    with atomic_path(folder / RECORD_FILE) as partial:
        partial.write_text(json.dumps(content) + "\n", encoding="ascii")


def read_record(folder: Path) -> Record:
    """
    The record of a store.

    Raises:
        ValueError: when there is none, as in a store that is older than records, or it is damaged.
    """
    file = folder / RECORD_FILE
    try:
        content = json.loads(file.read_text(encoding="ascii"))
        return Record(
            parts={name: Part(**part) for name, part in content["volumes"].items()},
            rejections={name: [Rejection(*each) for each in some] for name, some in content["rejections"].items()},
            version=content["version"],
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = "is absent" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise ValueError(
            f"{file}: {reason}, so it is not known what the store was made from and nothing can be added; slice all "
            f"into a new folder with --pseudonym-key {shlex.quote(str(folder / '.pseudonym_key'))}"
        ) from error


class TableRows:
    """
    The rows of a table of a store, one volume at a time, asked for in the order of the table.

    Attributes:
        columns: the header; empty where there is no such table.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        reader = csv.reader(lines)
        self.columns = next(reader, [])
        # The first column is the volume, or the slice: that of the volume, and its index.
        self._groups = groupby(reader, key=lambda row: row[0].partition("_")[0])
        self._ahead = next(self._groups, None)

    @classmethod
    @contextmanager
    def open(cls, path: Path | None) -> Iterator[TableRows]:
        """Read those of a file."""
        if path is None or not path.is_file():
            yield cls(())
            return
        with open(path, encoding="utf-8", newline="") as stream:
            yield cls(stream)

    def of(self, volume: str) -> list[list[str]]:
        """Its rows, as they are written."""
        while self._ahead is not None and self._ahead[0] < volume:
            self._ahead = next(self._groups, None)
        return list(self._ahead[1]) if self._ahead is not None and self._ahead[0] == volume else []


def _described(part: Part) -> dict:
    # The limit of memory decides about refusals alone.
    part = replace(part, rows="", max_gib=part.max_gib if part.rejection else 0.0)
    return {name: value for name, value in asdict(part).items() if value}
