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

"""Files that claim, or inflate to, far more than they hold, judged in a process of their own."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import resource
import subprocess
import sys
import time
import zlib
from functools import partial
from pathlib import Path

import nibabel
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from corpus.common import AXIAL, Table, Wanted, anyhow, either, refused, right
from corpus.dicom_coding import CODED, LARGER
from corpus.dicom_damage import nest
from corpus.scans import Scan, compress, raw_element, save

__all__ = ["BOMBS", "MOST_BYTES", "MOST_SECONDS", "judge_all"]

BOMBS = Table()
GIB = 1 << 30
MOST_BYTES = 2 * GIB
MOST_SECONDS = 20
_LIMIT = r"max-gib|max_gib"
_HUGE = {"Rows": 65535, "Columns": 65535}


def _zeros(size: int, front: bytes, wbits: int) -> bytes:
    """`front` and zeros up to `size`, deflated: one block of zeros is squeezed once and repeated."""
    block = bytes(1 << 20)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = squeeze.compress(front) + squeeze.flush(zlib.Z_FULL_FLUSH)
    again = squeeze.compress(block) + squeeze.flush(zlib.Z_FULL_FLUSH)
    count = (size - len(front)) // len(block)
    rest = squeeze.compress(bytes(size - len(front) - count * len(block))) + squeeze.flush()
    content += again * count + rest
    if wbits == -15:
        return content
    check = zlib.crc32(front) if wbits == 31 else zlib.adler32(front)
    add = zlib.crc32 if wbits == 31 else zlib.adler32
    for _ in range(count):
        check = add(block, check)
    check = add(bytes(size - len(front) - count * len(block)), check)
    if wbits == 31:
        return (
            b"\x1f\x8b\x08\0\0\0\0\0\2\xff"
            + content
            + check.to_bytes(4, "little")
            + (size % 2**32).to_bytes(4, "little")
        )
    return b"\x78\xda" + content + check.to_bytes(4, "big")


def _claim(folder: Path, syntax: str | None = None, pixels: bytes = bytes(12288), **tags) -> Wanted:
    scan = Scan(shape=(12, 10, 1), **_HUGE | tags)
    scan[0].PixelData = pixels
    if syntax is not None:
        scan[0].PixelData, scan[0].coded = encapsulate([pixels]), syntax
        scan[0]["PixelData"].is_undefined_length = True
    scan.save(folder)
    return refused(".")


def _stream(syntax: str, old: bytes, new: bytes, after: bytes = b"") -> bytes:
    """A codestream whose header has been told another size."""
    streams: list[bytes] = []
    item = Scan(shape=LARGER, dtype="<u2")[0]
    compress(item, syntax, lambda stream: streams.append(stream) or stream)
    at = streams[0].index(old, streams[0].index(after))
    return streams[0][:at] + new + streams[0][at + len(old) :]


_EIGHT = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
for bits, tags in {8: _EIGHT, 16: {}}.items():
    BOMBS.add(f"claims_65535_native_{bits}", partial(_claim, **tags))
    for name, syntax in CODED.items():
        BOMBS.add(f"claims_65535_{name}_{bits}", partial(_claim, syntax=syntax, **tags))
_RUNS = b"\2\0\0\0\x40\0\0\0\x40\x17\0\0".ljust(64, b"\0") + b"\x81\0" * 6000
BOMBS.add("claims_65535_rle_runs", partial(_claim, syntax=RLELossless, pixels=_RUNS))
_SMALL, _LARGE = b"\0\0\0\x28\0\0\0\x24", b"\0\0\xff\xff\0\0\xff\xff"
_SIZE_2000 = {"old": _SMALL + bytes(8) + _SMALL, "new": _LARGE + bytes(8) + _LARGE}  # the image and its one tile
_SIZE_JPEG = {"old": b"\0\x24\0\x28", "new": b"\xff\xff\xff\xff"}
for name, syntax, size in (
    ("jpeg_2000", JPEG2000Lossless, _SIZE_2000), ("jpeg_ls", JPEGLSLossless, _SIZE_JPEG),
    ("jpeg_sv1", JPEGLosslessSV1, _SIZE_JPEG),
):  # fmt: skip

    @partial(BOMBS.add, f"stream_of_65535_{name}")
    def _(folder: Path, syntax: str = syntax, size: dict = size) -> Wanted:
        return _claim(folder, syntax, _stream(syntax, **size))

    @partial(BOMBS.add, f"stream_of_65535_{name}_in_a_small_header")
    def _(folder: Path, syntax: str = syntax, size: dict = size) -> Wanted:
        return _claim(folder, syntax, _stream(syntax, **size), Rows=36, Columns=40)


@BOMBS
def two_billion_frames(folder: Path) -> Wanted:
    return _claim(folder, Rows=10, Columns=12, NumberOfFrames=2_000_000_000)


@BOMBS
def two_billion_frames_enhanced(folder: Path) -> Wanted:
    enhanced = "1.2.840.10008.5.1.4.1.1.2.1"
    return _claim(folder, Rows=512, Columns=512, NumberOfFrames=2_000_000_000, SOPClassUID=enhanced)


@BOMBS
def frames_beyond_all_integers(folder: Path) -> Wanted:
    Scan(shape=(12, 10, 1)).each(lambda item, k: raw_element(item, "NumberOfFrames", b"9" * 30)).save(folder)
    return refused(".")


def _many_slices(folder: Path) -> Wanted:
    run = b"\x81\0" * (1024 * 1024 // 128)  # blank: 2 bytes stand for 128
    scan = Scan(shape=(12, 10, 30), dtype="<u2", Rows=1024, Columns=1024)
    head = b"".join(number.to_bytes(4, "little") for number in (2, 64, 64 + len(run))).ljust(64, b"\0")
    for item in scan:
        item.PixelData, item.coded = encapsulate([head + run + run]), RLELossless
        item["PixelData"].is_undefined_length = True
    scan.save(folder)
    return refused(_LIMIT)


BOMBS.add("many_slices_that_fit_one_by_one", _many_slices, max_gib=0.05)


def _deflated(folder: Path, item, tag: bytes) -> None:
    path = save(item, folder / "deflated.dcm", syntax=DeflatedExplicitVRLittleEndian)
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    front = zlib.decompress(content[start:], -15) + tag + (GIB - 8192).to_bytes(4, "little")
    path.write_bytes(content[:start] + _zeros(GIB, front, -15))


@BOMBS
def deflated_pixels(folder: Path) -> Wanted:
    scan = Scan(shape=(12, 10, 1), PixelData=None, Rows=32767, Columns=16383)
    _deflated(folder, scan[0], b"\xe0\x7f\x10\0OW\0\0")
    return refused(".")


@BOMBS
def deflated_ballast_behind_the_pixels(folder: Path) -> Wanted:
    scan = Scan(shape=(12, 10, 1))
    _deflated(folder, scan[0], b"\xfc\xff\xfc\xffOB\0\0")
    return either(refused("."), anyhow(scan.truth))


@BOMBS
def sequences_a_thousand_deep(folder: Path) -> Wanted:
    sys.setrecursionlimit(20000)
    scan = Scan(shape=(12, 10, 1))
    nest(scan[0], 1500)
    scan.save(folder)
    sys.setrecursionlimit(1000)
    return either(refused("."), anyhow(scan.truth))


def _nifti(shape: tuple[int, int, int], dtype: str = "u1") -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_sform(AXIAL, 1)
    header["dim"][:4], header["vox_offset"], header["magic"] = [3, *shape], 352, b"n+1"
    return header.binaryblock + bytes(4)


def _file(folder: Path, name: str, content: bytes) -> Wanted:
    (folder / name).write_bytes(content)
    return refused(f"{name}: .")


_CUBE = 30000, 30000, 30000
BOMBS.add("nifti_claims_30000", lambda folder: _file(folder, "a.nii", _nifti(_CUBE, "i2") + bytes(999)))
BOMBS.add("nifti_gz_claims_30000", lambda folder: _file(folder, "a.nii.gz", gzip.compress(_nifti(_CUBE) + bytes(999))))
BOMBS.add("nifti_gz_inflates", lambda folder: _file(folder, "a.nii.gz", _zeros(GIB, _nifti((1024, 1024, 1023)), 31)))
BOMBS.add("nifti_gz_inflates_behind", lambda f: _file(f, "a.nii.gz", _zeros(GIB, _nifti((12, 10, 8)), 31)))
BOMBS.add("gz_of_nothing_but_zeros", lambda folder: _file(folder, "a.nii.gz", _zeros(GIB, b"", 31)))


@BOMBS
def nifti2_claims_beyond_64_bits(folder: Path) -> Wanted:
    header = nibabel.Nifti2Header()
    header.set_sform(AXIAL, 1)
    header["dim"][:4], header["vox_offset"], header["magic"] = [3, 2**40, 2**40, 2**40], 544, b"n+2"
    return _file(folder, "a.nii", header.binaryblock + bytes(999))


def _nrrd(sizes: str, encoding: str) -> bytes:
    text = (
        f"NRRD0004\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: {sizes}\n"
        f"space directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\nencoding: {encoding}\nspace origin: (0,0,0)\n\n"
    )
    return text.encode()


def _mha(sizes: str, compressed: str = "False") -> bytes:
    text = (
        f"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"CompressedData = {compressed}\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
        f"ElementSpacing = 1 1 1\nDimSize = {sizes}\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    return text.encode()


_TEXT = "30000 30000 30000"
_TEXT_GIB = "1024 1024 1024"
BOMBS.add("nrrd_claims_30000", lambda folder: _file(folder, "a.nrrd", _nrrd(_TEXT, "raw") + bytes(999)))
BOMBS.add(
    "nrrd_gz_claims_30000", lambda folder: _file(folder, "a.nrrd", _nrrd(_TEXT, "gzip") + gzip.compress(bytes(999)))
)
BOMBS.add("nrrd_inflates", lambda f: _file(f, "a.nrrd", _nrrd(_TEXT_GIB, "gzip") + _zeros(GIB, b"", 31)))
BOMBS.add("nrrd_inflates_behind", lambda f: _file(f, "a.nrrd", _nrrd("12 10 8", "gzip") + _zeros(GIB, b"", 31)))
BOMBS.add("mha_claims_30000", lambda folder: _file(folder, "a.mha", _mha(_TEXT) + bytes(999)))
BOMBS.add("mha_z_claims_30000", lambda f: _file(f, "a.mha", _mha(_TEXT, "True") + zlib.compress(bytes(999))))
BOMBS.add("mha_inflates", lambda folder: _file(folder, "a.mha", _mha(_TEXT_GIB, "True") + _zeros(GIB, b"", 15)))
BOMBS.add("mha_inflates_behind", lambda folder: _file(folder, "a.mha", _mha("12 10 8", "True") + _zeros(GIB, b"", 15)))
BOMBS.add("limit_as_asked", lambda folder: (Scan().save(folder), refused(_LIMIT))[1], max_gib=1e-6)
BOMBS.add("limit_raised", lambda folder: right(Scan().save(folder).truth), max_gib=64)


def _hollow(path: Path, head: bytes, size: int) -> None:
    path.write_bytes(head)
    os.truncate(path, len(head) + size)


@BOMBS
def nifti_of_holes(folder: Path) -> Wanted:
    _hollow(folder / "a.nii", _nifti((1200, 1200, 1200), "i2"), 2 * 1200**3)
    return refused(f"a.nii: .*({_LIMIT})")


@BOMBS
def mhd_of_nothing_but_a_hole(folder: Path) -> Wanted:
    (folder / "a.mhd").write_bytes(_mha("1400 1400 1400").replace(b"LOCAL", b"a.raw"))
    _hollow(folder / "a.raw", b"", 1400**3)
    return refused(f"a.mhd: .*({_LIMIT})", "a.raw: .*a.mhd")


def _peak() -> int:
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) << 10
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main(root: Path, names: list[str]) -> None:
    """Judge bombs, a line of JSON each: name, word, detail, peak bytes, seconds."""
    from corpus.judge import judge

    for case in (case for case in BOMBS if case.name in names):
        outcomes = case.outcomes(root / case.name / "in")
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
        start = time.perf_counter()
        verdict = judge(root / case.name / "in", outcomes, **case.options)
        row = [case.name, verdict.word, verdict.detail, _peak(), time.perf_counter() - start]
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()


def judge_all(root: Path) -> dict[str, list]:
    """The rows of `main` by name; a process that dies takes its case's verdict with it, not the others'."""
    rows: dict[str, list] = {}
    while left := [case.name for case in BOMBS if case.name not in rows]:
        command = [sys.executable, "-m", "corpus.bombs", str(root / str(len(rows))), *left]
        paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
        ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
        found = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("[")]
        rows |= {row[0]: row for row in found}
        if ended.returncode:
            name = left[len(found)]
            rows[name] = [name, "process died", f"{ended.returncode}: {ended.stderr[-300:]}", 0, 0.0]
    return rows


if __name__ == "__main__":
    # A reader that takes all it is told to must not take the machine with it.
    resource.setrlimit(resource.RLIMIT_AS, (8 * GIB, 8 * GIB))
    main(Path(sys.argv[1]), sys.argv[2:])
