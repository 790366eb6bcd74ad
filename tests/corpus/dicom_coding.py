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

"""DICOM: transfer syntaxes; whatever the coding, the series is equal to the plain one."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)  # fmt: skip

from corpus.common import UID_ROOT, Table, Wanted, either, refused, right, warned
from corpus.scans import Scan, compress, save

__all__ = ["CASES", "CODED", "LARGER"]

CASES = Table()
_U12 = {"dtype": "<u2", "BitsStored": 12, "HighBit": 11}
_I12 = {"dtype": "<i2", "BitsStored": 12, "HighBit": 11, "intercept": 300}
_NATIVE = {
    "implicit": ImplicitVRLittleEndian, "deflated": DeflatedExplicitVRLittleEndian, "big_endian": ExplicitVRBigEndian,
}  # fmt: skip
CODED = {
    "rle": RLELossless, "jpeg_57": JPEGLossless, "jpeg_sv1": JPEGLosslessSV1, "jpeg_ls": JPEGLSLossless,
    "jpeg_2000": JPEG2000Lossless,
}  # fmt: skip
LARGER = (40, 36, 4)  # JPEG 2000 wants room for its levels
for name, syntax in _NATIVE.items():
    for kind, options in {"u12": _U12, "i16": {}}.items():
        CASES.add(f"{name}_{kind}", lambda folder, s=syntax, o=options: right(Scan(**o).save(folder, syntax=s).truth))


def _coded(folder: Path, syntax: UID, tolerance: float = 0, **options) -> Wanted:
    scan = Scan(shape=LARGER, **options).each(lambda item, k: compress(item, syntax)).save(folder)
    return right(scan.truth) if not tolerance else _lossy(scan, tolerance)


def _lossy(scan: Scan, tolerance: float) -> Wanted:
    """As far off as the coding may be, and said to be, though no tag tells."""
    return warned(scan.truth.but(tolerance=tolerance), "lossy")


for name, syntax in CODED.items():
    for kind, options in {"u12": _U12, "u16": {"dtype": "<u2"}, "i16": {"intercept": 300}}.items():
        CASES.add(f"{name}_{kind}", partial(_coded, syntax=syntax, **options))
CASES.add("jpeg_ls_near_lossless", partial(_coded, syntax=JPEGLSNearLossless, tolerance=2, **_U12))
CASES.add("rle_i12", partial(_coded, syntax=RLELossless, **_I12))


@CASES
def jpeg_2000_unsigned_stream_told_signed(folder: Path) -> Wanted:
    scan = Scan(shape=LARGER, **_U12).each(lambda item, k: compress(item, JPEG2000Lossless))
    return right(scan.each(PixelRepresentation=1).save(folder).truth)


@CASES
def mixed_syntaxes(folder: Path) -> Wanted:
    scan = Scan(shape=(40, 36, 8), dtype="<u2")
    for item, syntax in zip(scan, [*CODED.values(), None, None, None], strict=True):
        if syntax is not None:
            compress(item, syntax)
    native = iter([ExplicitVRLittleEndian, *_NATIVE.values()])
    for k, item in enumerate(scan):
        save(item, folder / f"{k}.dcm", syntax=ExplicitVRLittleEndian if hasattr(item, "coded") else next(native))
    return right(scan.truth)


@CASES
def frame_in_several_fragments(folder: Path) -> Wanted:
    def split(item: Dataset, k: int) -> None:
        compress(item, JPEG2000Lossless)
        item.PixelData = encapsulate(list(generate_frames(item.PixelData, number_of_frames=1)), fragments_per_frame=3)

    return right(Scan(shape=LARGER, **_U12).each(split).save(folder).truth)


@CASES
def frame_without_offset_table(folder: Path) -> Wanted:
    def strip(item: Dataset, k: int) -> None:
        compress(item, JPEGLSLossless)
        stream = list(generate_frames(item.PixelData, number_of_frames=1))
        item.PixelData = encapsulate(stream, has_bot=False)

    return right(Scan(shape=LARGER, **_U12).each(strip).save(folder).truth)


@CASES
def jpeg_baseline(folder: Path) -> Wanted:
    values = np.indices(LARGER).sum(axis=0) * 2  # smooth, so that little is lost
    scan = Scan(shape=LARGER, dtype="<u1", intercept=0, values=values)
    for k, item in enumerate(scan):
        coded = io.BytesIO()
        Image.fromarray(values[..., k].T.astype(np.uint8)).save(coded, "JPEG", quality=95)
        item.PixelData, item.coded = encapsulate([coded.getvalue()]), JPEGBaseline8Bit
        item["PixelData"].is_undefined_length = True
    return _lossy(scan.save(folder), 6)


@CASES
def jpeg_2000_irreversible(folder: Path) -> Wanted:
    values = np.indices(LARGER).sum(axis=0) * 20
    scan = Scan(shape=LARGER, dtype="<u2", intercept=0, values=values)
    for k, item in enumerate(scan):
        coded = io.BytesIO()
        image = Image.fromarray(values[..., k].T.astype(np.uint16))
        image.save(coded, "JPEG2000", no_jp2=True, irreversible=True)
        item.PixelData, item.coded = encapsulate([coded.getvalue()]), JPEG2000
        item["PixelData"].is_undefined_length = True
    return _lossy(scan.save(folder), 6)


def _told(folder: Path, written: UID, told: UID) -> Wanted:
    """A data set in one encoding behind a meta header that tells of another one."""
    scan = Scan()
    for k, item in enumerate(scan):
        meta, content = (save(item, folder / f"{k}.dcm", syntax=syntax).read_bytes() for syntax in (told, written))
        ends = [144 + int.from_bytes(each[140:144], "little") for each in (meta, content)]
        (folder / f"{k}.dcm").write_bytes(meta[: ends[0]] + content[ends[1] :])
    return right(scan.truth)


CASES.add("implicit_told_explicit", partial(_told, written=ImplicitVRLittleEndian, told=ExplicitVRLittleEndian))
CASES.add("explicit_told_implicit", partial(_told, written=ExplicitVRLittleEndian, told=ImplicitVRLittleEndian))


@CASES
def deflated_without_group_length(folder: Path) -> Wanted:
    scan = Scan().save(folder, syntax=DeflatedExplicitVRLittleEndian)
    for path in folder.iterdir():
        content = path.read_bytes()
        path.write_bytes(content[:132] + content[144:])
    return right(scan.truth)


@CASES
def deflation_only_spoken_of(folder: Path) -> Wanted:
    return right(Scan(StudyDescription=f"once {DeflatedExplicitVRLittleEndian}").save(folder).truth)


@CASES
def syntax_of_a_private_kind(folder: Path) -> Wanted:
    scan = Scan().each(lambda item, k: setattr(item, "coded", UID(f"{UID_ROOT}4711"))).save(folder)
    return either(refused("transfer syntax"), right(scan.truth))
