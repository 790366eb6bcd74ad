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

"""Folders with links, litter, pipes, a DICOMDIR and files that are no images."""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from corpus.common import SECRET, Table, Wanted, anyhow, right
from corpus.scans import Scan, other, save

__all__ = ["CASES"]

CASES = Table()
_PREAMBLE = bytes(128) + b"DICM"
_NOISE = np.random.default_rng(0).bytes(5000)
for name, content in {
    "empty.dcm": b"", "text.dcm": b"this is a text, not an image\n" * 40, "noise.dcm": _NOISE, "noise": _NOISE,
    "noise.nii": _NOISE, "noise.nii.gz": _NOISE, "noise.mha": _NOISE, "noise.nrrd": _NOISE, "noise.hdr": _NOISE,
    "preamble.dcm": _PREAMBLE, "preamble_cut.dcm": _PREAMBLE[:130], "preamble_noise.dcm": _PREAMBLE + _NOISE,
    "preamble_zeros.dcm": _PREAMBLE + bytes(3000), "zeros.dcm": bytes(3000), "ones.dcm": b"\xff" * 3000,
    "picture.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + _NOISE, "letter.zip": b"PK\3\4" + _NOISE,
    "picture.png": b"\x89PNG\r\n\x1a\n" + _NOISE, "volume.mgh": b"\0\0\0\1\0\0\1\0" + _NOISE,
    "group8.dcm": b"\x08\x00\x05\x00" + _NOISE, "secret.txt": SECRET.encode() * 50,
}.items():  # fmt: skip

    @partial(CASES.add, f"no_image_{name}")
    def _(folder: Path, name: str = name, content: bytes = content) -> Wanted:
        (folder / name).write_bytes(content)
        return right(Scan().save(folder).truth).out(f"^{name}: ")


@CASES
def dangling_links(folder: Path) -> Wanted:
    (folder / "gone.dcm").symlink_to(folder / "nowhere.dcm")
    (folder / "self.dcm").symlink_to(folder / "self.dcm")
    return right(Scan().save(folder).truth).out(r"^gone\.dcm: ", r"^self\.dcm: ")


@CASES
def link_loop(folder: Path) -> Wanted:
    (folder / "sub").mkdir()
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "sub" / "here").symlink_to(folder / "sub")
    return right(Scan().save(folder / "sub").truth)


@CASES
def link_to_a_folder_beside(folder: Path) -> Wanted:
    scan = Scan().save(folder / "a")
    (folder / "b").symlink_to(folder / "a")
    return anyhow(scan.truth)


@CASES
def links_to_the_files(folder: Path) -> Wanted:
    scan = Scan().save(folder.parent / "elsewhere")
    for path in (folder.parent / "elsewhere").iterdir():
        (folder / f"link {path.name}").symlink_to(path)
    return right(scan.truth)


@CASES
def litter(folder: Path) -> Wanted:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.dcm", "__MACOSX/._1.dcm", "sub/.DS_Store"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\0\5\x16\7 litter")
    (folder / "empty folder").mkdir()
    return right(Scan().save(folder).truth)


@CASES
def pipe_and_socket(folder: Path) -> Wanted:
    os.mkfifo(folder / "pipe.dcm")
    here = os.getcwd()
    os.chdir(folder)  # the path of a socket may have 107 bytes
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.dcm")
    os.chdir(here)
    return right(Scan().save(folder).truth).out(r"^pipe\.dcm: ", r"^socket\.dcm: ")


@CASES
def folder_named_as_a_file(folder: Path) -> Wanted:
    return right(Scan().save(folder / "scan.dcm" / "scan.nii.gz").truth)


@CASES
def unreadable_file(folder: Path) -> Wanted:
    scan = Scan().save(folder)
    save(other(Scan(series=2)[0]), folder / "closed.dcm").chmod(0)
    if os.access(folder / "closed.dcm", os.R_OK):  # root reads everything
        (folder / "closed.dcm").unlink()
        return right(scan.truth)
    return right(scan.truth).out(r"^closed\.dcm: ")


for name, file_id in {
    "absent": ["IMAGES", "GONE"],
    "outside": ["..", "outside.dcm"],
    "back": ["..\\..\\outside.dcm"],
}.items():

    @partial(CASES.add, f"dicomdir_{name}")
    def _(folder: Path, file_id: list[str] = file_id) -> Wanted:
        save(Scan(series=9)[0], folder.parent / "outside.dcm")
        record, index = Dataset(), Dataset()
        record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", file_id
        index.FileSetID, index.DirectoryRecordSequence = SECRET, [record]
        index.file_meta = FileMetaDataset()
        index.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        index.SOPClassUID = index.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
        index.SOPInstanceUID = index.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
        index.save_as(folder / "DICOMDIR", enforce_file_format=True)
        return right(Scan().save(folder / "images").truth).out(r"^DICOMDIR: .*DICOMDIR")


@CASES
def empty_folder(folder: Path) -> Wanted:
    return right()
