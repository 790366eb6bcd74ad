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

"""Writing that a crash cannot halve, and folders that one process at a time may write into."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    import pandas as pd

# pandas takes half a second to import, and every worker process imports this module; only tables need it.

__all__ = [
    "atomic_path",
    "file_checksum",
    "folder_problem",
    "lock_folder",
    "read_table",
    "remove_partials",
    "write_json",
    "write_rows",
    "write_table",
    "write_through",
]

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@contextmanager
def atomic_path(path: str | os.PathLike, *, private: bool = False, shared: bool = False) -> Iterator[Path]:
    """
    A temporary sibling to write to, which takes the final name only when the block ends without an error.

    The data are flushed to disk before the rename, so at every moment `path` is absent, the old file or the new one.
    When the block fails (full disk, bad value) the temporary file is removed and the old file stays.

    Args:
        path: the final name. Its folder is made when absent.
        private: mode 0600, from before the first byte is written.
        shared: processes, of several machines perhaps, may write it at once: each to a temporary name of its own, which
            a killed one leaves behind; it ends in `.partial`.

    Example:
        >>> with atomic_path("table.csv") as partial:  # doctest: +SKIP
        ...     partial.write_text("slice,kept")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f".{secrets.token_hex(8)}" if shared else ""
    partial = path.with_name(f".{path.name}{own}.partial")
    try:
        if private:
            partial.unlink(missing_ok=True)  # the remains of a killed process may be open to others
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partials(folder: Path) -> None:
    """Remove what killed processes left in a folder and those below it; who still writes there fails."""
    for partial in folder.rglob(".*.partial"):
        partial.unlink(missing_ok=True)


@contextmanager
def lock_folder(folder: str | os.PathLike) -> Iterator[None]:
    """
    Hold `folder` for this process alone; the lock vanishes with the process, also when it is killed.

    Args:
        folder: made when absent; the lock is the file `.lock` in it.

    Raises:
        ValueError: when another process holds it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(f"{folder}: in use by another process; wait for it to end or choose another folder") from error
    try:
        yield
    finally:
        lock.release()


def write_through(stream: BinaryIO) -> None:
    """
    Bring what was written to the disk, and let the system forget it, where it can.

    For large files, some MB at a time: otherwise the system holds them in memory that it takes from other files, which
    can cost several times as much as the writing itself.

    Raises:
        OSError: when the disk is full.
    """
    stream.flush()
    if hasattr(os, "fdatasync") and hasattr(os, "posix_fadvise"):
        os.fdatasync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def folder_problem(folder: Path, *, apart_from: Path | None = None, ours: Collection[str] = ()) -> str:
    """
    Why nothing new can be written into a folder, as an error tells it; empty when it can.

    Args:
        folder: absent, empty, or with hidden files only.
        apart_from: what is read meanwhile: `folder` may lie neither in it nor around it.
        ours: names that may be in the folder.
    """
    if apart_from is not None:
        here, there = folder.resolve(), apart_from.resolve()
        if here.is_relative_to(there) or there.is_relative_to(here):
            return f"{folder}: must lie neither in {apart_from} nor around it; choose another folder"
    if folder.exists() and not folder.is_dir():
        return f"{folder}: is a file; choose a new folder"
    entries = folder.iterdir() if folder.is_dir() else ()
    held = sorted(entry.name for entry in entries if entry.name not in ours and not entry.name.startswith("."))
    if not held:
        return ""
    return (
        f"{folder}: not empty, it holds {', '.join(held[:3])}{' ...' if len(held) > 3 else ''}; "
        "choose a new or empty folder"
    )


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write `content` as indented JSON, atomically. NaN and infinity are refused, since JSON has no word for them."""
    text = json.dumps(content, indent=2, sort_keys=False, allow_nan=False, ensure_ascii=False)
    with atomic_path(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def write_table(
    path: str | os.PathLike, table: pd.DataFrame | Iterable[pd.DataFrame], *, private: bool = False
) -> None:
    """
    Write `table` as CSV, atomically. A text cell that a spreadsheet would run as a formula gets a leading quote.

    Args:
        path: the CSV file.
        table: the rows, or an iterable of pieces with equal columns, of which one at a time is held.
        private: mode 0600.

    See https://owasp.org/www-community/attacks/CSV_Injection.
    """
    import pandas as pd

    pieces = (table,) if isinstance(table, pd.DataFrame) else table
    # A name of bytes that are no UTF-8 must not end a run.
    text: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    with atomic_path(path, private=private) as partial, open(partial, "w", **text) as stream:
        for number, piece in enumerate(pieces):
            write_rows(stream, piece, header=number == 0)


def write_rows(stream: TextIO, table: pd.DataFrame, header: bool) -> None:
    """Write the rows of `table` to an open file, as `write_table` does."""
    import pandas as pd

    table = table.copy()
    quoting = csv.QUOTE_MINIMAL
    for column in table.columns:
        if not pd.api.types.is_numeric_dtype(table[column]) and not pd.api.types.is_bool_dtype(table[column]):
            table[column] = table[column].map(_without_formula)
            if table[column].astype(str).str.contains("\r").any():
                quoting = csv.QUOTE_NONNUMERIC  # pandas leaves a carriage return unquoted, and then reads two rows
    table.to_csv(stream, index=False, header=header, lineterminator="\n", quoting=quoting)


def read_table(path: str | os.PathLike, text: Sequence[str] = ()) -> pd.DataFrame:
    """
    Read a CSV whose columns `text` stay text to the letter: `007`, `NA` and `1e5` are names there, not values.

    Args:
        path: the CSV file.
        text: columns kept as text where present; an empty cell is the empty string.

    Raises:
        FileNotFoundError: when it is absent.
        ValueError: when it is not a CSV with a header and commas, two columns have one name, or rows have more fields
            than the header; all name the file.
    """
    import pandas as pd

    try:
        header = pd.read_csv(path, nrows=1, header=None, dtype=str, encoding="utf-8-sig").iloc[0]
        if len(twice := header[header.duplicated()]):
            raise ValueError(f"{path}: two columns are called {twice.iloc[0]!r}; keep one of them")
        columns = pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns
        for separator, name in ((";", "semicolons"), ("\t", "tabs")):
            if len(columns) == 1 and separator in columns[0]:
                raise ValueError(
                    f"{path}: has {name} between its cells; write it with commas, and numbers with a decimal point"
                )
        missing = {column: [] if column in text else ["", "NA", "NaN", "nan"] for column in columns}
        table = pd.read_csv(
            path,
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values=missing,
            encoding="utf-8-sig",
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: not a CSV table with a header line ({error}); write one row of names first"
        ) from error
    if len(table) and not isinstance(table.index, pd.RangeIndex):  # pandas takes what is too many for row names
        extra = table.index.nlevels
        raise ValueError(
            f"{path}: the rows have {len(columns) + extra} fields, the header {len(columns)}: the first row ends with "
            f"{table[:1].astype(str).fillna('').iloc[0, -1]!r}; put quotes around cells that hold a comma, name all "
            "columns, and end no row with a comma"
        )
    return table


def file_checksum(path: str | os.PathLike) -> str:
    """The SHA-256 of a file, as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _without_formula(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell
