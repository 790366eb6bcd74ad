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

"""DICOM: damaged files, which are named and out, or refuse their series by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)  # fmt: skip

from corpus.common import SECRET, SHAPE, Table, Wanted, anyhow, either, refused, right, warned
from corpus.dicom_coding import CODED, LARGER
from corpus.scans import Scan, compress, save

__all__ = ["CASES", "nest"]

CASES = Table()


def _lost(scan: Scan, k: int = 3) -> Wanted:
    """Slice k named and out, or the series refused for it."""
    return either(warned(scan.truth.without(k), "missing|uneven").out(rf"^{k}\.dcm: "), refused(rf"{k}\.dcm"))


def _damaged(folder: Path, damage: Callable[[bytes], bytes], syntax=ExplicitVRLittleEndian, **options) -> Wanted:
    scan = Scan(**options).save(folder, syntax=syntax)
    path = folder / "3.dcm"
    path.write_bytes(damage(path.read_bytes()))
    return _lost(scan)


for name, syntax in {
    "explicit": ExplicitVRLittleEndian, "implicit": ImplicitVRLittleEndian, "big_endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}.items():  # fmt: skip
    for cut in (1, 100, 230):
        CASES.add(f"pixels_of_{name}_short_by_{cut}", partial(_damaged, damage=lambda c, n=cut: c[:-n], syntax=syntax))


@CASES
def pixels_shorter_than_the_header_says(folder: Path) -> Wanted:
    scan = Scan().each(lambda item, k: setattr(item, "PixelData", item.PixelData[:-40]), only=[3]).save(folder)
    return _lost(scan)


@CASES
def pixels_absent_in_one_file(folder: Path) -> Wanted:
    return _lost(Scan().each(only=[3], PixelData=None).save(folder))


@CASES
def pixels_empty_in_one_file(folder: Path) -> Wanted:
    return _lost(Scan().each(only=[3], PixelData=b"").save(folder))


@CASES
def pixels_short_in_all_files(folder: Path) -> Wanted:
    Scan().each(lambda item, k: setattr(item, "PixelData", item.PixelData[:-40])).save(folder)
    return refused(r"truncated|pixels|bytes")


for name, syntax in CODED.items():

    @partial(CASES.add, f"{name}_file_cut")
    def _(folder: Path, syntax: str = syntax) -> Wanted:
        scan = Scan(shape=LARGER, dtype="<u2").each(lambda item, k: compress(item, syntax)).save(folder)
        path = folder / "2.dcm"
        path.write_bytes(path.read_bytes()[:-300])
        return _lost(scan, 2)

    for share in (0.3, 0.6, 0.9):

        @partial(CASES.add, f"{name}_stream_cut_at_{share}")
        def _(folder: Path, syntax: str = syntax, share: float = share) -> Wanted:
            cut = lambda stream: stream[: int(len(stream) * share) & ~1]  # noqa: E731
            scan = Scan(shape=LARGER, dtype="<u2").each(lambda item, k: compress(item, syntax, cut if k == 2 else None))
            return _lost(scan.save(folder), 2)

    @partial(CASES.add, f"{name}_stream_of_random_bytes")
    def _(folder: Path, syntax: str = syntax) -> Wanted:
        noise = np.random.default_rng(1).bytes(1200)
        scan = Scan(shape=LARGER, dtype="<u2").each(
            lambda item, k: compress(item, syntax, (lambda stream: noise) if k == 2 else None)
        )
        return _lost(scan.save(folder), 2)


def _broken(folder: Path, syntax: str, damage: Callable[[bytes], bytes], **options) -> Wanted:
    """One compressed image damaged, its length as it was told."""
    scan = Scan(shape=LARGER, **{"dtype": "<u2"} | options)
    for k, item in enumerate(scan):
        compress(item, syntax, damage if k == 2 else None)
    return _lost(scan.save(folder), 2)


def _end(stream: bytes) -> int:
    """Where the coded data end: before the last marker, if any."""
    at = stream.rfind(b"\xff\xd9")
    return at if len(stream) - at <= 3 else len(stream)


def _zeroed(stream: bytes, start: float, size: float) -> bytes:
    end = _end(stream)
    first, size = int(start * end), int(size * end)
    last = min(end, first + size)
    return stream[:first] + bytes(last - first) + stream[last:]


def _closed(stream: bytes, share: float) -> bytes:
    return stream[: int(len(stream) * share) & ~1] + b"\xff\xd9"


_NOISE = np.random.default_rng(5).integers(-500, 500, LARGER)  # so that every bit counts
for name, syntax in CODED.items():
    for start, size in ((0.5, 0.5), (0.75, 0.25), (0.6, 0.1)):
        damage = partial(_zeroed, start=start, size=size)
        CASES.add(f"{name}_zeroed_from_{start}", partial(_broken, syntax=syntax, damage=damage, values=_NOISE))
    for share in (0.5, 0.9) if name != "rle" else ():
        damage = partial(_closed, share=share)
        CASES.add(f"{name}_closed_after_{share}", partial(_broken, syntax=syntax, damage=damage, values=_NOISE))


def _byte(stream: bytes, mark: bytes, offset: int, value: int) -> bytes:
    at = stream.index(mark) + offset
    return stream[:at] + bytes([value]) + stream[at + 1 :]


# Each of these once ended the process, by GDCM or a panic.
for name, syntax, damage in (
    ("jpeg_sv1_of_88_bits", CODED["jpeg_sv1"], partial(_byte, mark=b"\xff\xc3", offset=4, value=0x58)),
    ("jpeg_sv1_without_table", CODED["jpeg_sv1"], partial(_byte, mark=b"\xff\xc4", offset=1, value=0)),
    ("jpeg_2000_of_1_bit", CODED["jpeg_2000"], partial(_byte, mark=b"\xff\x51", offset=40, value=0)),
    ("jpeg_2000_of_33_levels", CODED["jpeg_2000"], partial(_byte, mark=b"\xff\x52", offset=9, value=33)),
    ("rle_beyond_the_image", CODED["rle"], lambda stream: stream[:64] + b"\x81\7" * ((len(stream) - 64) // 2)),
):
    CASES.add(name, partial(_broken, syntax=syntax, damage=damage))


def _matrix(scan: Scan, folder: Path, **told) -> Wanted:
    scan.each(**told).save(folder)
    return refused("bytes of pixels")


for name, told in {"columns": {"Columns": SHAPE[0] - 1}, "rows": {"Rows": SHAPE[1] - 1}}.items():
    CASES.add(f"{name}_told_one_less", lambda folder, told=told: _matrix(Scan(), folder, **told))
CASES.add("size_below_zero", lambda folder: (_negative(folder), refused("no image"))[1])


def _negative(folder: Path) -> None:
    def tell(item: Dataset, k: int) -> None:
        for keyword in ("Rows", "Columns"):
            item.add_new(keyword, "SS", -8)

    Scan(shape=(8, 8, 4)).each(tell).save(folder)


for count, told in ((2, ()), (16, ("16 bytes",))):

    @partial(CASES.add, f"padded_by_{count}_bytes")
    def _(folder: Path, count: int = count, told: tuple[str, ...] = told) -> Wanted:
        scan = Scan().each(lambda item, k: setattr(item, "PixelData", item.PixelData + bytes(count))).save(folder)
        return warned(scan.truth, *told) if told else right(scan.truth)


@CASES
def sequence_without_its_end(folder: Path) -> Wanted:
    inner = Dataset()
    inner.CodeMeaning = SECRET
    scan = Scan().each(ProcedureCodeSequence=[inner], only=[3])
    scan[3]["ProcedureCodeSequence"].is_undefined_length = True
    path = scan.save(folder) and folder / "3.dcm"
    path.write_bytes(path.read_bytes().replace(b"\xfe\xff\xdd\xe0\0\0\0\0", b""))
    return warned(scan.truth.without(3), "missing").out(r"^3\.dcm: .*sequence")


@CASES
def rle_segment_short(folder: Path) -> Wanted:
    def one_run_less(stream: bytes) -> bytes:
        start = int.from_bytes(stream[8:12], "little")  # of the second segment, which then ends early
        return stream[: start + 40]

    scan = Scan(shape=LARGER, dtype="<u2").each(lambda item, k: compress(item, CODED["rle"]), only=[0, 1, 3])
    compress(scan[2], CODED["rle"], one_run_less)
    return _lost(scan.save(folder), 2)


@CASES
def stream_of_another_size(folder: Path) -> Wanted:
    scan = Scan(shape=LARGER, dtype="<u2").each(lambda item, k: compress(item, JPEG2000Lossless))
    small = Scan(shape=(36, 40, 4), dtype="<u2")[2]
    compress(small, JPEG2000Lossless)
    scan[2].PixelData = small.PixelData
    scan[2]["PixelData"].is_undefined_length = True
    return _lost(scan.save(folder), 2)


for name, syntax in {"explicit": ExplicitVRLittleEndian, "implicit": ImplicitVRLittleEndian}.items():

    @partial(CASES.add, f"cut_at_many_lengths_{name}")
    def _(folder: Path, syntax: str = syntax) -> Wanted:
        content = save(Scan()[0], folder / "cut", syntax=syntax).read_bytes()
        (folder / "cut").unlink()
        scan = Scan(series=2).save(folder)
        lengths = sorted({*range(0, 140, 20), *range(131, len(content) - 1, 29), len(content) - 1})
        for length in lengths:
            (folder / f"cut{length}.dcm").write_bytes(content[:length])
        return right(scan.truth).out(*(rf"^cut{length}\.dcm: " for length in lengths))


for name, options in {
    "implicit_without_meta": {"syntax": ImplicitVRLittleEndian, "meta": False},
    "explicit_without_meta": {"meta": False},
    "without_preamble": {"preamble": False},
    "implicit_without_preamble": {"syntax": ImplicitVRLittleEndian, "preamble": False},
}.items():  # fmt: skip
    CASES.add(name, lambda folder, options=options: anyhow(Scan().save(folder, **options).truth))


@CASES
def big_endian_without_meta(folder: Path) -> Wanted:
    scan = Scan().save(folder, syntax=ExplicitVRBigEndian, meta=False)
    return either(anyhow(scan.truth), refused("."))


@CASES
def compressed_without_meta(folder: Path) -> Wanted:
    scan = Scan(shape=LARGER, dtype="<u2").each(lambda item, k: compress(item, CODED["rle"])).save(folder, meta=False)
    return either(refused("."), anyhow(scan.truth))


def _edited(folder: Path, old: bytes, new: bytes) -> Wanted:
    scan = Scan().save(folder)
    for path in folder.iterdir():
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))
    return either(anyhow(scan.truth), refused("."))


_PLAIN, _NAME = b"1.2.840.10008.1.2.1\0", b"\x10\0\x10\0PN"
for name, (old, new) in {
    "syntax_unknown": (_PLAIN, b"1.2.840.99999.1.2.7\0"),
    "syntax_compressed_though_plain": (_PLAIN, b"1.2.840.10008.1.2.5\0"),
    "syntax_big_endian_though_little": (_PLAIN, b"1.2.840.10008.1.2.2\0"),
    "syntax_implicit_though_explicit": (_PLAIN, b"1.2.840.10008.1.2\0\0\0"),
    "wrong_group_length": (b"\2\0\0\0UL\4\0", b"\2\0\0\0UL\4\0\xff\xff\xff\x7f"),
    "element_longer_than_the_file": (_NAME + b"\x10\0", _NAME + b"\xff\xff"),
    "element_of_unknown_type": (_NAME, _NAME[:4] + b"ZZ"),
}.items():
    CASES.add(name, partial(_edited, old=old, new=new))


@CASES
def bytes_behind_the_pixels(folder: Path) -> Wanted:
    scan = Scan().save(folder)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes() + bytes(513))
    return either(anyhow(scan.truth), refused("."))


def nest(item: Dataset, depth: int) -> None:
    """Put sequences within sequences."""
    inner = Dataset()
    inner.CodeMeaning = SECRET
    for _ in range(depth):
        outer = Dataset()
        outer.ConceptNameCodeSequence = [inner]
        inner = outer
    item.ConceptNameCodeSequence = [inner]


@CASES
def sequences_within_sequences(folder: Path) -> Wanted:
    return anyhow(Scan().each(lambda item, k: nest(item, 50), only=[3]).save(folder).truth)


@CASES
def sequences_without_end(folder: Path) -> Wanted:
    scan = Scan().save(folder)
    path = folder / "3.dcm"
    content = path.read_bytes()
    at = content.index(b"\x18\0\x50\0DS")  # before SliceThickness
    opened = b"\x10\0\x10\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    path.write_bytes(content[:at] + opened * 3000 + content[at:])
    return either(_lost(scan), anyhow(scan.truth))


@CASES
def many_private_elements(folder: Path) -> Wanted:
    def add(item: Dataset, k: int) -> None:
        block = item.private_block(0x0009, SECRET, create=True)
        for n in range(200):
            block.add_new(n, "LO", f"{SECRET} {n}")

    return right(Scan().each(add).save(folder).truth)
