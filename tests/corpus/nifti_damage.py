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

"""NIfTI: damage, wrong names, and pairs of header and image."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from corpus.common import SHAPE, Table, Wanted, anyhow, either, refused, right
from corpus.nifti_cases import Nifti

__all__ = ["CASES"]

CASES = Table()


def _damaged(folder: Path, damage: Callable[[bytes], bytes], name: str = "a.nii.gz") -> Wanted:
    noise = np.random.default_rng(0).integers(-500, 500, SHAPE)  # so that the voxels do not shrink to nothing
    Nifti(values=noise).save(folder, name, damage)
    Nifti().save(folder, "good/b.nii")
    return right(Nifti().truth).out(rf"^{name}: ")


def _bit(at: float) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        k = int(len(content) * at)
        return content[:k] + bytes([content[k] ^ 16]) + content[k + 1 :]

    return flip


def _again(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda content: gzip.compress(change(gzip.decompress(content)), mtime=0)


for name, damage in {
    "cut_in_half": lambda c: c[: len(c) // 2], "cut_by_one": lambda c: c[:-1], "without_trailer": lambda c: c[:-8],
    "cut_to_the_header": lambda c: c[:60], "cut_to_the_magic": lambda c: c[:2],
    "bad_crc": lambda c: c[:-8] + b"\1\2\3\4" + c[-4:],
    "bad_length": lambda c: c[:-4] + b"\1\2\3\4", "bit_flipped_early": _bit(0.3), "bit_flipped_middle": _bit(0.5),
    "bit_flipped_late": _bit(0.9), "voxels_short": _again(lambda c: c[:-200]),
    "voxels_short_by_one": _again(lambda c: c[:-1]),
    "header_short": _again(lambda c: c[:340]), "text": lambda c: gzip.compress(b"patient,age\n1,2\n" * 99),
    "empty": lambda c: gzip.compress(b""), "no_bytes": lambda c: b"", "plain_text": lambda c: b"hello" * 99,
}.items():  # fmt: skip
    CASES.add(f"gz_{name}", partial(_damaged, damage=damage))
for name, damage in {
    "cut_in_half": lambda c: c[: len(c) // 2], "cut_by_one": lambda c: c[:-1], "header_alone": lambda c: c[:352],
    "cut_in_the_header": lambda c: c[:200], "no_bytes": lambda c: b"",
    "magic_broken": lambda c: c[:344] + b"x+1" + c[347:],
}.items():  # fmt: skip
    CASES.add(f"nii_{name}", partial(_damaged, damage=damage, name="a.nii"))


@CASES
def gz_of_several_members(folder: Path) -> Wanted:
    def split(content: bytes) -> bytes:
        plain = gzip.decompress(content)
        return b"".join(gzip.compress(plain[k : k + 700]) for k in range(0, len(plain), 700))

    return right(Nifti().save(folder, "a.nii.gz", split))


@CASES
def gz_second_member_broken(folder: Path) -> Wanted:
    def split(content: bytes) -> bytes:
        plain = gzip.decompress(content)
        return gzip.compress(plain[:900]) + _bit(0.98)(gzip.compress(plain[900:]))

    return _damaged(folder, split)


@CASES
def gz_with_bytes_behind(folder: Path) -> Wanted:
    truth = Nifti().save(folder, "a.nii.gz", lambda content: content + b"behind")
    return either(anyhow(truth), refused("."))


@CASES
def nii_with_bytes_behind(folder: Path) -> Wanted:
    return either(anyhow(Nifti().save(folder, "a.nii", lambda content: content + bytes(600))), refused("."))


@CASES
def gz_with_a_file_name_inside(folder: Path) -> Wanted:
    def named(content: bytes) -> bytes:
        stream = io.BytesIO()
        with gzip.GzipFile("S3CR3T.nii", "wb", fileobj=stream) as file:
            file.write(gzip.decompress(content))
        return stream.getvalue()

    return right(Nifti().save(folder, "a.nii.gz", named))


@CASES
def archive_of_a_volume(folder: Path) -> Wanted:
    Nifti().save(folder, "inner.nii")
    with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
        archive.add(folder / "inner.nii", "inner.nii")
    (folder / "inner.nii").unlink()
    return refused(r"a\.tar\.gz: a tar archive within gzip; unpack")


for name in ("a.gz", "a.dcm", "a", "a.nii.gz.bak", "a.NII", "a.txt", "a.img", "a.nrrd", "a.mha"):
    CASES.add(f"plain_named_{name}", lambda folder, name=name: right(_as(folder, name, "x.nii")))
    CASES.add(f"gz_named_{name}", lambda folder, name=name: right(_as(folder, name, "x.nii.gz")))
CASES.add("plain_named_a.nii.gz", lambda folder: right(_as(folder, "a.nii.gz", "x.nii")))
CASES.add("gz_named_a.nii", lambda folder: right(_as(folder, "a.nii", "x.nii.gz")))


def _as(folder: Path, name: str, made: str):
    truth = Nifti().save(folder, made)
    (folder / made).rename(folder / name)
    return truth


def _pair(folder: Path, names: tuple[str, str] = ("a.hdr", "a.img"), kind: int = 1, **options) -> Nifti:
    nifti = Nifti(kind=kind, **options)
    nifti.header["magic"], nifti.header["vox_offset"] = (b"ni1", b"ni2")[kind - 1], 0
    for name, content in zip(names, (nifti.header.binaryblock, nifti.voxels), strict=True):
        if name:
            (folder / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return nifti


CASES.add("pair", lambda folder: right(_pair(folder).truth))
CASES.add("pair_nifti2", lambda folder: right(_pair(folder, kind=2).truth))
CASES.add("pair_big_endian", lambda folder: right(_pair(folder, endian=">").truth))
CASES.add("pair_in_capitals", lambda folder: either(right(_pair(folder, ("A.HDR", "A.IMG")).truth), refused("A.HDR")))
CASES.add("pair_gzipped", lambda folder: right(_pair(folder, ("a.hdr.gz", "a.img.gz")).truth))
CASES.add("pair_of_which_the_image_is_gzipped", lambda folder: anyhow(_pair(folder, ("a.hdr", "a.img.gz")).truth))
CASES.add("pair_without_image", lambda folder: (_pair(folder, ("a.hdr", "")), refused(r"a\.hdr: .*img"))[1])
CASES.add("pair_without_header", lambda folder: (_pair(folder, ("", "a.img")), refused(r"a\.img: "))[1])


@CASES
def pair_with_a_short_image(folder: Path) -> Wanted:
    _pair(folder)
    (folder / "a.img").write_bytes((folder / "a.img").read_bytes()[:-50])
    return refused(r"a\.(hdr|img): .*(truncated|bytes)", r"a\.(hdr|img): ")


@CASES
def pair_with_bad_crc(folder: Path) -> Wanted:
    _pair(folder, ("a.hdr.gz", "a.img.gz"))
    content = (folder / "a.img.gz").read_bytes()
    (folder / "a.img.gz").write_bytes(content[:-8] + b"\1\2\3\4" + content[-4:])
    return refused(r"a\.(hdr|img)\.gz: ")


@CASES
def two_pairs_and_a_file(folder: Path) -> Wanted:
    one, two = _pair(folder), _pair(folder, ("b.hdr", "b.img"), values=Nifti().truth.values + 500)
    third = Nifti(values=Nifti().truth.values - 500).save(folder, "c.nii")
    return right(one.truth, two.truth, third)


@CASES
def pair_with_a_linked_image(folder: Path) -> Wanted:
    nifti = _pair(folder, ("a.hdr", ""))
    (folder.parent / "elsewhere").write_bytes(nifti.voxels)
    (folder / "a.img").symlink_to(folder.parent / "elsewhere")
    return either(anyhow(nifti.truth), refused("."))


@CASES
def analyze_without_nifti(folder: Path) -> Wanted:
    nifti = _pair(folder)
    nifti.header["magic"] = b""
    (folder / "a.hdr").write_bytes(nifti.header.binaryblock)
    return either(refused(r"a\.hdr: ", r"a\.img: "), refused(r"a\.hdr: "))


def _header(folder: Path, edit: Callable, *, fine: bool = False) -> Wanted:
    nifti = Nifti()
    edit(nifti.header)
    truth = nifti.truth
    content = nifti.header.binaryblock + bytes(4) + nifti.voxels
    (folder / "a.nii").write_bytes(content)
    return either(anyhow(truth), refused(r"a\.nii: ")) if fine else refused(r"a\.nii: ")


def _put(field: str, value, at: int | None = None):
    def edit(header) -> None:
        if at is None:
            header[field] = value
        else:
            header[field][at] = value

    return edit


for name, edit in {
    "dim_0_is_0": _put("dim", 0, 0), "dim_0_is_8": _put("dim", 8, 0), "dim_0_is_minus_3": _put("dim", -3, 0),
    "dim_negative": _put("dim", -10, 2), "dim_zero": _put("dim", 0, 2), "dim_too_large": _put("dim", 11, 2),
    "vox_offset_huge": _put("vox_offset", 1e30), "vox_offset_nan": _put("vox_offset", np.nan),
    "vox_offset_beyond": _put("vox_offset", 4000),
}.items():  # fmt: skip
    CASES.add(f"header_{name}", partial(_header, edit=edit))
for name, edit in {
    "vox_offset_zero": _put("vox_offset", 0), "vox_offset_negative": _put("vox_offset", -5),
    "sizeof_hdr_wrong": _put("sizeof_hdr", 340), "bitpix_wrong": _put("bitpix", 8),
    "form_codes_odd": _put("sform_code", 77), "qfac_nan": _put("pixdim", np.nan, 0),
    "slice_code_odd": _put("slice_code", 9),
}.items():  # fmt: skip
    CASES.add(f"header_{name}", partial(_header, edit=edit, fine=True))


@CASES
def header_with_an_extension(folder: Path) -> Wanted:
    nifti = Nifti(edit=lambda header: header.__setitem__("vox_offset", 352 + 32))
    extension = b"\1\0\0\0" + (32).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"S3CR3T".ljust(24, b"\0")
    (folder / "a.nii").write_bytes(nifti.header.binaryblock + extension + nifti.voxels)
    return right(nifti.truth)


for names in (("a.Hdr", "a.Img"), ("a.HDR", "a.img"), ("a.Hdr", "a.img.gz")):
    CASES.add(f"pair_{'_'.join(names)}", lambda folder, names=names: right(_pair(folder, names).truth))


@CASES
def pair_of_voxels_that_begin_as_gzip(folder: Path) -> Wanted:
    values = Nifti().truth.values.copy()
    values[0, 0, 0] = -29921  # 1f 8b
    return right(_pair(folder, values=values).truth)


@CASES
def pair_of_a_damaged_header(folder: Path) -> Wanted:
    nifti = _pair(folder)
    nifti.header["datatype"] = 999
    (folder / "a.hdr").write_bytes(nifti.header.binaryblock)
    return refused(r"^a\.hdr: damaged", r"^a\.img: .*a\.hdr")


@CASES
def gz_of_tiny_members(folder: Path) -> Wanted:
    def split(content: bytes) -> bytes:
        plain = gzip.decompress(content)
        return b"".join(gzip.compress(plain[k : k + 100]) for k in range(0, len(plain), 100))

    return right(Nifti().save(folder, "a.nii.gz", split))


for name, (change, word) in {
    "gz_of_gz": (gzip.compress, "gzip within gzip; unpack"),
    "bz2": (lambda c: bz2.compress(gzip.decompress(c)), "bzip2; unpack"),
    "xz": (lambda c: lzma.compress(gzip.decompress(c)), "xz; unpack"),
}.items():  # fmt: skip
    CASES.add(f"nii_in_{name}", lambda folder, change=change, word=word: (
        Nifti().save(folder, "a.nii.gz", change), refused(word))[1])  # fmt: skip
