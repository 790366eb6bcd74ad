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


"""The bytes of one volume out of a file, plain or compressed, verified to the end; and their values."""

from __future__ import annotations

import bz2
import errno
import io
import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from isal import igzip, isal_zlib

from monai_ssl.data.limits import GIB, check_size
from monai_ssl.data.volume import part_name

__all__ = ["DAMAGE", "UNREADABLE", "Payload", "describe", "open_stream", "time_points"]

_CHUNK = 1 << 20
_BLOCK = 512  # of st_blocks, on any disk
_MOST_TRAILING = 1 << 20
_MOST_TIME_POINTS = 10_000
# The stubs of isal declare its error as an instance.
DAMAGE: tuple[type[Exception], ...] = (OSError, EOFError, isal_zlib.error)  # type: ignore[assignment]
UNREADABLE: tuple[type[Exception], ...] = (ValueError, *DAMAGE)


class Payload(NamedTuple):
    """
    Where the voxels of a file lie.

    Attributes:
        file: that holds them.
        encoding: "raw", "gzip", "zlib" or "bzip2".
        start: bytes of the file before the encoded stream.
        skip: bytes of the decoded stream before the voxels.
        size: bytes of one volume.
        times: how many volumes follow one another.
    """

    file: Path
    encoding: str
    start: int
    skip: int
    size: int
    times: int

    def check(self, max_gib: float) -> None:
        """
        Refuse what is too large or too short, before memory is taken for it.

        Raises:
            ValueError: as `check_size`, or when the file is truncated.
        """
        stored = self.file.stat().st_size - self.start
        total = self.size * self.times
        if self.encoding == "raw":
            check_size(self.size, self.size, max_gib)
            if self.skip + total > stored:
                raise ValueError(f"truncated: {stored} bytes, the header tells of {self.skip + total}")
            check_size(self.size, _on_disk(self.file), max_gib)
        # One volume is held at a time, but many small ones from almost nothing are a bomb as well.
        elif self.skip + total > 0:
            check_size(max(self.skip + self.size, min(self.skip + total, int(max_gib * GIB))), stored, max_gib)
        if self.times > _MOST_TIME_POINTS:
            raise ValueError(f"{self.times} time points, the most is {_MOST_TIME_POINTS}; export those of interest")

    def read(self, time: int) -> tuple[np.ndarray, tuple[str, ...]]:
        """
        The bytes of one volume, when the whole stream up to its checksum proved sound.

        Args:
            time: which of the volumes, from 0. The others are passed over, not held.

        Returns:
            (size,) uint8, writable; and warnings.

        Raises:
            ValueError: when there are too few bytes, or far too many.
            OSError, EOFError, isal_zlib.error: when the stream is damaged; together `DAMAGE`.
        """
        before, after = self.skip + time * self.size, (self.times - time - 1) * self.size
        with open(self.file, "rb") as file:
            file.seek(self.start)
            if self.encoding == "raw":
                file.seek(before, os.SEEK_CUR)
                found = os.fstat(file.fileno()).st_size - self.start
                content = np.fromfile(file, np.uint8, min(self.size, max(found - before, 0)))
            else:
                stream = open_stream(file, self.encoding)
                found = _drain(stream, before)
                content = _take(stream, self.size)
                found += content.size + _drain(stream, after + _MOST_TRAILING + 1)
        trailing = found - before - self.size - after
        if trailing < 0:
            raise ValueError(
                f"truncated: {max(found - self.skip, 0)} bytes of voxels, the header tells of {self.size * self.times}"
            )
        if trailing > _MOST_TRAILING:
            raise ValueError(f"more than {_MOST_TRAILING} bytes behind the voxels that the header tells of")
        return content, (f"{trailing} bytes behind the voxels are disregarded",) if trailing else ()


def _on_disk(path: Path) -> int:
    """
    The bytes that a file takes on its disk, fewer than its size where it has holes, which read as zeros.

    Blocks of 0 are no answer: small files may lie with their name, and network disks may not count.
    """
    status = path.stat()
    blocks = getattr(status, "st_blocks", 0) * _BLOCK
    if blocks or not hasattr(os, "SEEK_DATA"):
        return blocks or status.st_size
    with open(path, "rb") as file:
        try:
            os.lseek(file.fileno(), 0, os.SEEK_DATA)
        except OSError as error:
            return 0 if error.errno == errno.ENXIO else status.st_size
    return status.st_size


def open_stream(file: BinaryIO, encoding: str) -> BinaryIO:
    """A decoder that reads on from where `file` stands, and fails at its end when a checksum or length is wrong."""
    if encoding == "gzip":
        return igzip.IGzipFile(fileobj=file, mode="rb")  # type: ignore[return-value]
    if encoding == "bzip2":
        return bz2.BZ2File(file)  # type: ignore[return-value]
    if encoding == "zlib":
        return io.BufferedReader(_Inflated(file), _CHUNK)
    return file


class _Inflated(io.RawIOBase):
    """A zlib stream, which ends where the file does."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = isal_zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._file.read(_CHUNK)
            if part := self._inflate.decompress(data, len(buffer)):
                buffer[: len(part)] = part
                return len(part)
            if not data and not self._inflate.eof:
                raise EOFError("the file ends before the zlib stream")
        if (self._inflate.unused_data + self._file.read(_CHUNK)).strip(b"\0"):
            raise OSError("something else follows the zlib stream")
        return 0


def _take(stream: BinaryIO, size: int) -> np.ndarray:
    # Room is taken as data arrive, so that a header that lies costs nothing.
    buffer = bytearray()
    while len(buffer) < size and (chunk := stream.read(min(_CHUNK, size - len(buffer)))):
        buffer += chunk
    return np.frombuffer(buffer, np.uint8)


def _drain(stream: BinaryIO, most: int) -> int:
    drained = 0
    while drained < most and (chunk := stream.read(min(_CHUNK, most - drained))):
        drained += len(chunk)
    return drained


def time_points(name: str, times: int, split_time: bool) -> list[tuple[str, tuple[str, ...]]]:
    """
    The source and the warnings of each volume of a file.

    Raises:
        ValueError: when there are several and nobody asked for them.
    """
    if times == 1:
        return [(name, ())]
    if not split_time:
        raise ValueError(
            f"4-D, {times} time points, not one volume; --split-time (split_time=True) makes a volume of each"
        )
    return [(part_name(name, time), (f"time point {time} of {times}",)) for time in range(1, times + 1)]


def describe(error: Exception) -> str:
    """The reason for a table, of damage or of a refusal."""
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"damaged ({error})" if isinstance(error, DAMAGE) else str(error)
