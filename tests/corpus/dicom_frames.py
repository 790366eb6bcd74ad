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

"""DICOM: several frames in one file."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEG2000Lossless, RLELossless

from corpus.common import AXIAL, SECRET, Table, Truth, Wanted, anyhow, axial, either, refused, right, warned
from corpus.scans import Scan, compress, other, raw_element, save

__all__ = ["CASES", "enhanced"]

CASES = Table()
_CLASSES = {
    "ct": ("CT", "1.2.840.10008.5.1.4.1.1.2.1"), "mr": ("MR", "1.2.840.10008.5.1.4.1.1.4.1"),
    "pet": ("PT", "1.2.840.10008.5.1.4.1.1.130"), "legacy_ct": ("CT", "1.2.840.10008.5.1.4.1.1.2.2"),
    "legacy_mr": ("MR", "1.2.840.10008.5.1.4.1.1.4.4"),
}  # fmt: skip
_GROUPS = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
}
_SHARED = ("PixelMeasuresSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence")


def enhanced(
    frames: Iterable[Dataset],
    kind: str = "ct",
    shared: tuple[str, ...] = _SHARED,
    content: Callable | None = None,
    **tags,
) -> Dataset:
    """One file of single-frame images; `content(frame number)` gives more tags of FrameContentSequence."""
    frames = list(frames)
    whole = copy.deepcopy(frames[0])
    whole.Modality, whole.SOPClassUID = _CLASSES[kind]
    whole.PixelData = b"".join(frame.PixelData for frame in frames)
    whole.NumberOfFrames = len(frames)
    for keyword in [tag for group in _GROUPS.values() for tag in group]:
        if keyword in whole:
            delattr(whole, keyword)
    common, each = Dataset(), [Dataset() for _ in frames]
    for group, keywords in _GROUPS.items():
        for frame, item in [(frames[0], common)] if group in shared else zip(frames, each, strict=True):
            values = {keyword: frame[keyword].value for keyword in keywords if keyword in frame}
            setattr(item, group, [_dataset(**values)])
    for k, item in enumerate(each):
        item.FrameContentSequence = [_dataset(**(content(k) if content else {"InStackPositionNumber": k + 1}))]
    whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence = [common], each
    for keyword, value in tags.items():
        setattr(whole, keyword, value)
    return whole


def _dataset(**values) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _one(folder: Path, order: Iterable[int] | None = None, scan: Scan | None = None, wanted=right, **options) -> Wanted:
    scan = scan or Scan()
    frames = list(scan) if order is None else [scan[k] for k in order]
    save(enhanced(frames, **options), folder / "all.dcm")
    return wanted(scan.truth)


_RANDOM = [5, 2, 0, 7, 6, 1, 3, 4]
for kind in _CLASSES:
    CASES.add(f"enhanced_{kind}", partial(_one, kind=kind))
    CASES.add(f"enhanced_{kind}_per_frame_at_random", partial(_one, kind=kind, shared=(), order=_RANDOM))
CASES.add("enhanced_reversed", partial(_one, order=range(7, -1, -1)))
CASES.add("enhanced_sagittal", lambda folder: _one(folder, scan=Scan(AXIAL[:, [1, 2, 0, 3]])))
CASES.add("enhanced_one_frame", lambda folder: _one(folder, scan=Scan(shape=(12, 10, 1))))
CASES.add("enhanced_one_frame_per_file", lambda folder: right(_singles(folder).truth))
_UNEVEN = np.array([0, 1, 2, 3.5, 5, 6.5, 8, 9.5])
CASES.add("enhanced_uneven", lambda folder: _one(folder, scan=Scan(at=_UNEVEN), wanted=partial(_told, "uneven")))
CASES.add("enhanced_missing_frame", lambda folder: _one(folder, scan=Scan().drop(3), wanted=partial(_told, "missing")))


def _told(word: str, truth: Truth) -> Wanted:
    return warned(truth, word)


def _singles(folder: Path) -> Scan:
    scan = Scan()
    for k, item in enumerate(scan):
        save(enhanced([item], SOPInstanceUID=f"1.2.3.{k}"), folder / f"{k}.dcm")
    return scan


@CASES
def enhanced_rescaled_per_frame(folder: Path) -> Wanted:
    scan = Scan(dtype="<u2", intercept=0, RescaleSlope=lambda k: f"{0.5 + 0.25 * k}", RescaleIntercept=lambda k: k)
    truth = scan.truth.but(values=scan.truth.values * (0.5 + 0.25 * np.arange(8)) + np.arange(8))
    save(enhanced([scan[k] for k in _RANDOM], "pet", _SHARED[:2]), folder / "all.dcm")
    return right(truth)


@CASES
def enhanced_without_rescale_for_ct(folder: Path) -> Wanted:
    scan = Scan(intercept=0, RescaleSlope=None, RescaleIntercept=None)
    return _one(folder, scan=scan, wanted=lambda truth: warned(truth, "HU|stored values|rescale"))


@CASES
def enhanced_slope_zero_in_one_frame(folder: Path) -> Wanted:
    _one(folder, scan=Scan(RescaleSlope=lambda k: "0" if k == 3 else "1"), shared=())
    return refused("slope")


for name, syntax in {"rle": RLELossless, "jpeg_2000": JPEG2000Lossless}.items():

    @partial(CASES.add, f"enhanced_{name}")
    def _(folder: Path, syntax: str = syntax) -> Wanted:
        scan = Scan(shape=(40, 36, 6), dtype="<u2")
        whole = enhanced(scan)
        for item in scan:
            compress(item, syntax)
        streams = [next(generate_frames(item.PixelData, number_of_frames=1)) for item in scan]
        whole.PixelData, whole.coded = encapsulate(streams), syntax
        whole["PixelData"].is_undefined_length = True
        save(whole, folder / "all.dcm")
        return right(scan.truth)


@CASES
def enhanced_with_padding_and_dirty_bits(folder: Path) -> Wanted:
    scan = Scan(dtype="<u2", BitsStored=12, HighBit=11)
    scan.pixels(lambda array, k: np.where(np.arange(12) < 3, 4000, array) | 0xA000, "<u2")
    valid = np.broadcast_to((np.arange(12) >= 3)[:, None, None], scan.shape)
    whole = enhanced(scan)
    whole.add_new("PixelPaddingValue", "US", 4000)
    save(whole, folder / "all.dcm")
    return right(scan.truth.but(valid=valid))


@CASES
def enhanced_ending_short(folder: Path) -> Wanted:
    whole = enhanced(Scan())
    whole.PixelData = whole.PixelData[:-200]
    save(whole, folder / "all.dcm")
    return refused(r"truncated|pixels|bytes")


@CASES
def enhanced_with_fewer_groups_than_frames(folder: Path) -> Wanted:
    whole = enhanced(Scan())
    del whole.PerFrameFunctionalGroupsSequence[5:]
    save(whole, folder / "all.dcm")
    return refused(r"frames|groups")


@CASES
def enhanced_claiming_more_frames_than_pixels(folder: Path) -> Wanted:
    save(enhanced(Scan(), NumberOfFrames=9), folder / "all.dcm")
    return refused(r"frames|groups|truncated|bytes")


for name, group in {"position": "PlanePosition", "orientation": "PlaneOrientation", "spacing": "PixelMeasures"}.items():

    @partial(CASES.add, f"enhanced_without_{name}")
    def _(folder: Path, group: str = f"{group}Sequence", word: str = name) -> Wanted:
        scan = Scan(axial((1, 1, 2.5)))
        whole = enhanced(scan)
        for item in (*whole.SharedFunctionalGroupsSequence, *whole.PerFrameFunctionalGroupsSequence):
            if group in item:
                delattr(item, group)
        save(whole, folder / "all.dcm")
        return refused(word) if word == "position" else either(warned(scan.truth, word), refused(word))


@CASES
def enhanced_without_position_in_one_frame(folder: Path) -> Wanted:
    scan = Scan()
    whole = enhanced(scan)
    del whole.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence
    save(whole, folder / "all.dcm")
    return either(refused("position"), warned(scan.truth.without(3), "missing").out("position"))


@CASES
def enhanced_without_any_groups(folder: Path) -> Wanted:
    whole = enhanced(Scan())
    del whole.PerFrameFunctionalGroupsSequence, whole.SharedFunctionalGroupsSequence
    save(whole, folder / "all.dcm")
    return refused(r"position|frame")


@CASES
def enhanced_with_empty_sequences(folder: Path) -> Wanted:
    whole = enhanced(Scan())
    for item in whole.PerFrameFunctionalGroupsSequence:
        item.PlanePositionSequence = []
    whole.SharedFunctionalGroupsSequence = []
    save(whole, folder / "all.dcm")
    return refused(r"position|frame")


def _times(folder: Path, content: Callable[[int], dict] | None, told: bool = True) -> Wanted:
    scans = [Scan(add=600 * t) for t in range(3)]
    save(enhanced([scan[k] for k in range(8) for scan in scans], content=content), folder / "all.dcm")
    lost = refused(r"position|time|frame")
    return either(lost, anyhow(*(scan.truth for scan in scans))) if told else lost


CASES.add("enhanced_times", partial(_times, content=lambda n: {"TemporalPositionIndex": 1 + n % 3}))
CASES.add("enhanced_times_untold", partial(_times, content=None, told=False))


@CASES
def enhanced_two_stacks(folder: Path) -> Wanted:
    scans = [Scan(), Scan(AXIAL[:, [1, 2, 0, 3]], add=500)]
    frames = [item for scan in scans for item in scan]
    stacks = lambda n: {"StackID": str(1 + n // 8), "InStackPositionNumber": 1 + n % 8}  # noqa: E731
    save(enhanced(frames, shared=(), content=stacks), folder / "all.dcm")
    return either(anyhow(*(scan.truth for scan in scans)), refused("orientation|stack"))


@CASES
def enhanced_in_two_files(folder: Path) -> Wanted:
    scan = Scan()
    for part in range(2):
        item = enhanced(list(scan)[4 * part : 4 * part + 4], SOPInstanceUID=f"1.2.3.{part}", InstanceNumber=1)
        save(item, folder / f"{part}.dcm")
    halves = [scan.truth.slices(range(4)), scan.truth.slices(range(4, 8))]
    return either(anyhow(scan.truth), anyhow(*halves), refused("frame"))


@CASES
def enhanced_beside_single_frames_of_its_own(folder: Path) -> Wanted:
    scan = Scan(series=1).save(folder)
    whole = enhanced(Scan(series=2, add=500), SOPInstanceUID="1.2.3")
    save(whole, folder / "all.dcm")
    return right(scan.truth, Scan(add=500).truth)


@CASES
def enhanced_twice(folder: Path) -> Wanted:
    whole = enhanced(Scan())
    save(whole, folder / "a.dcm")
    save(whole, folder / "b.dcm")
    return either(warned(Scan().truth, "duplicate|twice|same"), right(Scan().truth).out("duplicate|twice|same"))


_CLIPS = {
    "ultrasound": ("US", "1.2.840.10008.5.1.4.1.1.3.1"), "angiography": ("XA", "1.2.840.10008.5.1.4.1.1.12.1"),
    "secondary_capture": ("OT", "1.2.840.10008.5.1.4.1.1.7.3"), "nuclear": ("NM", "1.2.840.10008.5.1.4.1.1.20"),
}  # fmt: skip
for name, (modality, uid) in _CLIPS.items():

    @partial(CASES.add, f"clip_of_{name}")
    def _(folder: Path, modality: str = modality, uid: str = uid) -> Wanted:
        clip = other(Scan()[0], Modality=modality, SOPClassUID=uid, NumberOfFrames=8)
        clip.PixelData = b"".join(item.PixelData for item in Scan())
        del clip.ImagePositionPatient, clip.ImageOrientationPatient
        save(clip, folder / "clip.dcm")
        return refused(r"clip\.dcm: .*(frame|position)")


@CASES
def clip_with_the_position_of_its_first_frame_alone(folder: Path) -> Wanted:
    clip = other(Scan()[0], NumberOfFrames=8)
    clip.PixelData = b"".join(item.PixelData for item in Scan())
    save(clip, folder / "clip.dcm")
    return refused(r"clip\.dcm: .*(frame|position)")


for count in ("1", "0", "", "-1", SECRET):

    @partial(CASES.add, f"number_of_frames_is_{'text' if count == SECRET else count or 'empty'}")
    def _(folder: Path, count: bytes = count.encode()) -> Wanted:
        scan = Scan().each(lambda item, k: raw_element(item, "NumberOfFrames", count)).save(folder)
        return right(scan.truth) if count in (b"1", b"") else either(anyhow(scan.truth), refused("frame|pixel|damaged"))


def _frames(folder: Path, group: str, tag: str, values: list, at: float) -> Wanted:
    """Two sets in one file, told apart by a tag of a functional group."""
    scans = [Scan(add=600 * t, at=np.arange(8) + at * t) for t in range(2)]
    whole = enhanced([scan[k] for k in range(8) for scan in scans])
    for n, item in enumerate(whole.PerFrameFunctionalGroupsSequence):
        setattr(item, group, [_dataset(**{tag: values[n % 2]})])
    save(whole, folder / "all.dcm")
    return warned(*(scan.truth for scan in scans), f"2 sets.*{tag}")


_TOLD: dict[str, tuple[str, list]] = {
    "TemporalPositionIndex": ("FrameContentSequence", [1, 2]), "DiffusionBValue": ("MRDiffusionSequence", [0.0, 900.0]),
    "EffectiveEchoTime": ("MREchoSequence", [10.0, 90.0]), "KVP": ("CTXRayDetailsSequence", [80.0, 140.0]),
    "ComplexImageComponent": ("MRImageFrameTypeSequence", ["REAL", "IMAGINARY"]),
    "FrameType": ("CTImageFrameTypeSequence", [["ORIGINAL", "PRIMARY", "A"], ["ORIGINAL", "PRIMARY", "B"]]),
    "NominalPercentageOfCardiacPhase": ("CardiacSynchronizationSequence", [10.0, 60.0]),
}  # fmt: skip
for tag, (group, values) in _TOLD.items():
    for at in (0.0, 0.5):
        CASES.add(f"enhanced_sets_by_{tag}_at_{at}", partial(_frames, group=group, tag=tag, values=values, at=at))


@CASES
def enhanced_with_a_localizer_frame(folder: Path) -> Wanted:
    scan = Scan()
    whole = enhanced(scan)
    for n, item in enumerate(whole.PerFrameFunctionalGroupsSequence):
        item.MRImageFrameTypeSequence = [_dataset(FrameType=["ORIGINAL", "PRIMARY", "M" if n < 7 else "LOCALIZER"])]
    save(whole, folder / "all.dcm")
    return anyhow(scan.truth.without(7)).out("localizer")


@CASES
def enhanced_with_unknown_representation_in_a_group(folder: Path) -> Wanted:
    path = save(enhanced(Scan()), folder / "all.dcm")
    content = path.read_bytes()
    group = bytes.fromhex("20001391")  # PlanePositionSequence
    path.write_bytes(content.replace(group + b"SQ", group + b"QQ"))
    return refused("damaged|unreadable|frame|truncated")


for name, element in {
    "file_names_as_numbers": ("DirectoryRecordSequence", "SQ", [_dataset(ReferencedFileID="A")]),
    "records_as_bytes": ("DirectoryRecordSequence", "OB", b"abcdef"),
}.items():

    @partial(CASES.add, f"dicomdir_with_{name}")
    def _(folder: Path, element: tuple = element) -> Wanted:
        whole = Dataset()
        whole.SOPClassUID = "1.2.840.10008.1.3.10"
        whole.add_new(*element)
        if element[1] == "SQ":
            item = Dataset()
            item.add_new("ReferencedFileID", "US", 5)
            whole.DirectoryRecordSequence = [item]
        save(whole, folder / "DICOMDIR")
        return refused("DICOMDIR")
