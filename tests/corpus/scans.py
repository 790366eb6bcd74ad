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

"""Writes DICOM series whose every tag can be bent."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import Tag
from pydicom.uid import UID, CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from corpus.common import AXIAL, SECRET, SHAPE, UID_ROOT, Truth, marker, positions

__all__ = ["PATIENT", "Scan", "compress", "numbers", "other", "place", "raw_element", "save"]

PATIENT = f"{SECRET}-0042"
_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Scan:
    """
    A series in memory, in slice order: bend it, then save it.

    Args:
        affine: (4, 4) RAS; a third column off the normal makes a tilted scan.
        series: tells series apart; equal numbers are one SeriesInstanceUID.
        add: to all values, so that two scans of one place differ.
        slope, intercept: as written; stored = (values - intercept) / slope.
        dtype: of the stored pixels.
        values: in place of the marker, (X, Y, Z).
        at: (Z,) places of the slices in steps of the affine; None for 0, 1, 2 ...
        tags: for all slices, see `each`.
    """

    def __init__(
        self, affine=AXIAL, shape=SHAPE, *, series=1, add=0, slope=1, intercept=-1024, dtype="<i2", values=None,
        at=None, **tags,
    ) -> None:  # fmt: skip
        places = positions(affine, shape, at)
        values = marker(places) + add if values is None else values
        self.affine, self.shape, self.truth = affine, shape, Truth(values, places)
        lps = _TO_LPS @ affine
        spacing = np.linalg.norm(lps[:3, :2], axis=0)
        cosines = np.concatenate([lps[:3, 0] / spacing[0], lps[:3, 1] / spacing[1]])
        self.slices = []
        for k in range(shape[2]):
            item = _base(series, k, np.dtype(dtype))
            item.PixelSpacing, item.ImageOrientationPatient = numbers(spacing[::-1]), numbers(cosines)
            item.SliceThickness = numbers([np.linalg.norm(lps[:3, 2])])[0]
            item.ImagePositionPatient = numbers(places[0, 0, k] * (-1, -1, 1))
            item.Columns, item.Rows = shape[:2]
            item.RescaleSlope, item.RescaleIntercept = f"{slope:.10g}", f"{intercept:.10g}"
            item.PixelData = np.rint((values[..., k].T - intercept) / slope).astype(dtype).tobytes()
            self.slices.append(item)
        self.each(**tags)

    def __iter__(self) -> Iterator[Dataset]:
        return iter(self.slices)

    def __getitem__(self, k: int) -> Dataset:
        return self.slices[k]

    def each(
        self, change: Callable[[Dataset, int], Any] | None = None, only: Iterable[int] | None = None, **tags
    ) -> Scan:
        """
        Change slices.

        Args:
            change: called with (dataset, k).
            only: the slices; None for all.
            tags: values, None to delete; a function is called with k.
        """
        for k in range(len(self.slices)) if only is None else only:
            for keyword, value in tags.items():
                value = value(k) if callable(value) else value
                if value is not None:
                    setattr(self.slices[k], keyword, value)
                elif keyword in self.slices[k]:
                    delattr(self.slices[k], keyword)
            if change is not None:
                change(self.slices[k], k)
        return self

    def drop(self, *dropped: int) -> Scan:
        """Leave slices out."""
        keep = [k for k in range(len(self.slices)) if k not in dropped]
        self.slices, self.truth = [self.slices[k] for k in keep], self.truth.slices(keep)
        return self

    def pixels(self, change: Callable[[np.ndarray, int], np.ndarray], dtype: str = "<i2") -> Scan:
        """Replace the stored pixels, change((rows, columns), k), as they are in the files."""
        for k, item in enumerate(self.slices):
            stored = np.frombuffer(item.PixelData, item_dtype(item)).reshape(item.Rows, item.Columns)
            content = np.ascontiguousarray(change(stored.copy(), k)).astype(dtype).tobytes()
            item.PixelData = content + bytes(len(content) % 2)
        return self

    def save(self, folder: Path, name: str | Callable[[int], str] = "{}.dcm", **options) -> Scan:
        """Write one file a slice; `options` for `save`."""
        for k, item in enumerate(self.slices):
            save(item, folder / (name(k) if callable(name) else name.format(k)), **options)
        return self


def _base(series: int, k: int, dtype: np.dtype) -> Dataset:
    item = Dataset()
    item.SOPClassUID = CTImageStorage
    item.SOPInstanceUID = f"{UID_ROOT}{series}.{k + 1}"
    item.SeriesInstanceUID, item.StudyInstanceUID = f"{UID_ROOT}{series}", f"{UID_ROOT}5.6"
    item.FrameOfReferenceUID = f"{UID_ROOT}9"
    item.PatientID, item.PatientName, item.PatientBirthDate = PATIENT, f"Zebrafink^{SECRET}", "19470131"
    item.InstitutionName, item.SeriesDescription, item.AccessionNumber = f"{SECRET} Clinic", SECRET, SECRET
    item.StudyDate, item.Modality, item.PatientPosition, item.InstanceNumber = "20200102", "CT", "HFS", k + 1
    item.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    item.SamplesPerPixel, item.PhotometricInterpretation = 1, "MONOCHROME2"
    item.BitsAllocated = item.BitsStored = 8 * dtype.itemsize
    item.HighBit, item.PixelRepresentation = item.BitsStored - 1, int(dtype.kind == "i")
    return item


def item_dtype(item: Dataset) -> str:
    """How the pixels of `item` are stored."""
    return f"<{'i' if item.PixelRepresentation else 'u'}{item.BitsAllocated // 8}"


def numbers(values: Iterable[float], digits: int = 10) -> list[str]:
    """As DICOM's decimal strings."""
    return [f"{0.0 + value:.{digits}g}" for value in values]


def place(item: Dataset, move: Iterable[float]) -> None:
    """Move an image, in LPS millimetres."""
    item.ImagePositionPatient = numbers(np.array(item.ImagePositionPatient, float) + np.array(list(move)))


def other(item: Dataset, number: int = 77, **tags) -> Dataset:
    """A copy with another SOPInstanceUID."""
    item = copy.deepcopy(item)
    item.SOPInstanceUID = f"{item.SOPInstanceUID}.{number}"
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return item


def raw_element(item: Dataset, keyword: str, content: bytes) -> None:
    """Write any bytes as a value, whatever the standard says of them."""
    tag = Tag(tag_for_keyword(keyword))
    content += b" " * (len(content) % 2)
    vr = dictionary_VR(tag)
    item._dict[tag] = RawDataElement(tag, vr, len(content), content, 0, False, True)


def save(
    item: Dataset, path: Path, syntax: UID = ExplicitVRLittleEndian, meta: bool = True, preamble: bool = True
) -> Path:
    """
    Write a file.

    Args:
        syntax: native ones; compressed pixels bring their own, see `compress`.
        meta: False leaves preamble and meta header out.
        preamble: False leaves the 128 bytes and `DICM` out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    item = copy.copy(item)
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = syntax = getattr(item, "coded", syntax)
    item.file_meta.MediaStorageSOPClassUID = item.get("SOPClassUID", CTImageStorage)
    item.file_meta.MediaStorageSOPInstanceUID = item.get("SOPInstanceUID") or f"{UID_ROOT}0"
    if "PixelData" in item:  # told here, for pydicom asks BitsAllocated, which may be nonsense
        item["PixelData"].VR = "OB" if hasattr(item, "coded") else "OW"
    if syntax == ExplicitVRBigEndian and "PixelData" in item:
        item.PixelData = np.frombuffer(item.PixelData, item_dtype(item)).byteswap().tobytes()
    pydicom.dcmwrite(
        path, item, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=True,
    )  # fmt: skip
    if not meta or not preamble:
        content = path.read_bytes()
        length = 144 + int.from_bytes(content[140:144], "little")
        path.write_bytes(content[132:] if meta else content[length:])
    return path


def compress(item: Dataset, syntax: UID, cut: Callable[[bytes], bytes] | None = None) -> None:
    """
    Compress the pixels, by GDCM where pydicom has no encoder.

    Args:
        cut: called with the codestream; what it gives is encapsulated as if it were whole.
    """
    if UID(syntax).name.startswith("JPEG Lossless") or syntax == pydicom.uid.JPEGExtended12Bit:
        stream = _by_gdcm(item, syntax)
    else:
        coded = copy.deepcopy(item)
        coded.file_meta = FileMetaDataset()
        coded.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        options = {"jls_error": 2} if syntax == pydicom.uid.JPEGLSNearLossless else {}
        coded.compress(syntax, generate_instance_uid=False, **options)
        stream = next(generate_frames(coded.PixelData, number_of_frames=1))
    item.PixelData = encapsulate([stream if cut is None else cut(stream)])
    item["PixelData"].is_undefined_length = True
    item.coded = UID(syntax)


def _by_gdcm(item: Dataset, syntax: UID) -> bytes:
    import gdcm  # never before zlib, whose functions it replaces by its own: the heap breaks

    kinds = {
        "1.2.840.10008.1.2.4.51": gdcm.TransferSyntax.JPEGExtendedProcess2_4,
        "1.2.840.10008.1.2.4.57": gdcm.TransferSyntax.JPEGLosslessProcess14,
        "1.2.840.10008.1.2.4.70": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = str(save(item, Path(folder, "plain")))
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(path)
        if not reader.Read():
            raise ValueError("GDCM cannot read what it should compress")
        change.SetTransferSyntax(gdcm.TransferSyntax(kinds[str(syntax)]))
        change.SetInput(reader.GetImage())
        if not change.Change():
            raise ValueError(f"GDCM cannot write {syntax}")
        writer.SetFileName(f"{path}.coded")
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        if not writer.Write():
            raise ValueError(f"GDCM cannot write {syntax}")
        coded = pydicom.dcmread(f"{path}.coded")
    return next(generate_frames(coded.PixelData, number_of_frames=1))
