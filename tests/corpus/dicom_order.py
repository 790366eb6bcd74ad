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

"""DICOM: order within a series, and what belongs to which."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from corpus.common import AXIAL, SECRET, Outcome, Table, Wanted, anyhow, axial, either, refused, right, warned
from corpus.scans import Scan, numbers, other, place, raw_element, save

__all__ = ["CASES"]

CASES = Table()
_RANDOM = np.random.default_rng(3)
_MISSING = r"missing"
_ONE_PLACE = r"position|time|duplicate"


def _tags(folder: Path, wanted=right, **tags) -> Wanted:
    scan = Scan().each(**tags).save(folder)
    return wanted(scan.truth)


_SHUFFLED = [int(number) for number in _RANDOM.permutation(8)]
for name, number in {
    "random": lambda k: _SHUFFLED[k],
    "equal": 1,
    "absent": None,
    "reversed": lambda k: 8 - k,
    "negative": lambda k: -_SHUFFLED[k],
    "empty": "",
    "huge": lambda k: 2_147_483_647 - _SHUFFLED[k],
}.items():
    CASES.add(f"number_{name}", partial(_tags, InstanceNumber=number))

for name, number in {
    "text": SECRET.encode(),
    "decimal": b"1.5",
    "with_a_unit": b"3 mm",
    "with_bytes": b"\xff\xfe",
}.items():

    @partial(CASES.add, f"number_is_{name}")
    def _(folder: Path, number: bytes = number) -> Wanted:
        scan = Scan().each(lambda item, k: raw_element(item, "InstanceNumber", number)).save(folder)
        return anyhow(scan.truth)


def _named(folder: Path, names: list[str]) -> Wanted:
    return right(Scan().save(folder, name=lambda k: names[k]).truth)


for name, names in {
    "1_10_2": ["1.dcm", "10.dcm", "2.dcm", "20.dcm", "3.dcm", "100.dcm", "11.dcm", "4.dcm"],
    "reversed": [f"{9 - k}.dcm" for k in range(8)],
    "no_suffix": [f"IM{_SHUFFLED[k]}" for k in range(8)],
    "wrong_suffix": [f"{_SHUFFLED[k]}.{['jpg', 'nii', 'png', 'txt', 'gz', 'csv', 'mha', 'zip'][k]}" for k in range(8)],
    "upper_case": [f"IMG{_SHUFFLED[k]}.DCM" for k in range(8)],
    "odd": ["=cmd().dcm", "a b.dcm", "-rf", "ä ö.dcm", "日本.dcm", "'q'.dcm", '"q".dcm', "x,y;z.dcm"],
    "subfolders": [f"{'abcdefgh'[_SHUFFLED[k]]}/{'x/' * k}1.dcm" for k in range(8)],
    "hidden": [f".{k}.dcm" for k in range(8)],
}.items():
    CASES.add(f"names_{name}", partial(_named, names=names))


def _several(folder: Path, scans: list[dict], wanted=right, flat: bool = True) -> Wanted:
    truths = []
    for number, options in enumerate(scans):
        where = folder if flat else folder / str(number)
        name = f"{{}}_{number}.dcm"
        truths.append(Scan(**({"series": number + 1, "add": 500 * number} | options)).save(where, name).truth)
    return wanted(*truths)


SAGITTAL, CORONAL = AXIAL[:, [1, 2, 0, 3]], AXIAL[:, [0, 2, 1, 3]]
_SMALL = {"affine": axial((1.6, 1.8, 2.5)), "shape": (6, 5, 8)}
CASES.add("two_series_in_one_folder", partial(_several, scans=[{}, {}]))
CASES.add("three_series_in_one_folder", partial(_several, scans=[{}, {"shape": (12, 10, 5)}, {}]))
CASES.add("two_series_with_equal_names_in_two_folders", partial(_several, scans=[{}, {}], flat=False))
CASES.add("series_of_three_orientations", partial(_several, scans=[{}, {"affine": SAGITTAL}, {"affine": CORONAL}]))
CASES.add("series_of_two_sizes", partial(_several, scans=[{}, _SMALL]))
CASES.add("two_patients_in_one_folder", partial(_several, scans=[{}, {"PatientID": "7"}]))
CASES.add(
    "two_orientations_under_one_uid",
    partial(_several, scans=[{}, {"series": 1, "affine": SAGITTAL}], wanted=anyhow),
)
CASES.add("two_sizes_under_one_uid", partial(_several, scans=[{}, {"series": 1} | _SMALL], wanted=anyhow))


def _strange(folder: Path, strange: Scan | None = None, tags: dict | None = None, reason: str = ".", own: bool = False):
    scan = Scan().save(folder)
    strange = strange or Scan(shape=(12, 10, 1), series=2 if own else 1, at=np.array([20]))
    strange.each(SOPInstanceUID=lambda k: f"{scan[0].SOPInstanceUID}.9{k}", **(tags or {}))
    save(strange[0], folder / "strange.dcm")
    return right(scan.truth).out(rf"strange\.dcm: .*({reason})")


_CLASSES = {
    "rtstruct": "1.2.840.10008.5.1.4.1.1.481.3",
    "structured_report": "1.2.840.10008.5.1.4.1.1.88.11",
    "presentation_state": "1.2.840.10008.5.1.4.1.1.11.1",
    "key_objects": "1.2.840.10008.5.1.4.1.1.88.59",
    "pdf": "1.2.840.10008.5.1.4.1.1.104.1",
    "waveform": "1.2.840.10008.5.1.4.1.1.9.1.1",
}
_NO_PIXELS = dict.fromkeys(
    ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelSpacing", "ImagePositionPatient",
     "ImageOrientationPatient", "SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation"), None,
)  # fmt: skip
_RGB = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0, "BitsAllocated": 8,
        "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "PixelData": bytes(360), "ImagePositionPatient": None,
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "OT"}  # fmt: skip
_SEG = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4", "Modality": "SEG", "BitsAllocated": 1, "BitsStored": 1,
        "HighBit": 0, "PixelRepresentation": 0, "NumberOfFrames": 4, "PixelData": bytes(60)}  # fmt: skip
_DOSE = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2", "Modality": "RTDOSE", "NumberOfFrames": 3, "DoseGridScaling":
         "0.01", "PixelData": bytes(720), "GridFrameOffsetVector": ["0", "2", "4"], "DoseUnits": "GY"}  # fmt: skip
_SCOUT = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
for own in (False, True):
    where = "own_series" if own else "same_uid"
    for name, uid in _CLASSES.items():
        tags = {**_NO_PIXELS, "SOPClassUID": uid, "Modality": "OT"}
        CASES.add(f"{name}_{where}", partial(_strange, tags=tags, own=own))
    CASES.add(f"rgb_screenshot_{where}", partial(_strange, tags=_RGB, own=own, reason="colou?r|RGB"))
    CASES.add(f"segmentation_{where}", partial(_strange, tags=_SEG, own=own))
    CASES.add(f"dose_{where}", partial(_strange, tags=_DOSE, own=own))
_SCOUTS = {"affine": CORONAL, "shape": (16, 20, 1)}
CASES.add("localizer_same_uid", partial(_strange, strange=Scan(**_SCOUTS), tags=_SCOUT, reason="localizer"))
CASES.add("localizer_of_equal_geometry", partial(_strange, tags=_SCOUT, reason="localizer"))
CASES.add("other_matrix", partial(_strange, strange=Scan(shape=(6, 5, 1)), reason="pixels|matrix|size"))
CASES.add("other_spacing", partial(_strange, tags={"PixelSpacing": ["1.8", "1.6"]}, reason="spacing"))
CASES.add("other_orientation", partial(_strange, strange=Scan(CORONAL, (12, 10, 1)), reason="orientation"))


@CASES
def localizer_own_series(folder: Path) -> Wanted:
    scan = Scan().save(folder, "ct{}.dcm")
    scout = Scan(**_SCOUTS, series=2, **_SCOUT).save(folder, "scout{}.dcm")
    named = Outcome((scan.truth, scout.truth), ("localizer",))
    return either(right(scan.truth).out(r"scout0.*localizer"), named)


for name, tags in {"matrix": {}, "spacing": {"PixelSpacing": ["1.8", "1.6"]}}.items():

    @partial(CASES.add, f"one_slice_replaced_by_another_{name}")
    def _(folder: Path, tags: dict = tags) -> Wanted:
        scan = Scan().each(only=[3], **tags)
        if not tags:
            scan.slices[3] = Scan(shape=(6, 5, 8))[3]
        scan.save(folder)
        return warned(scan.truth.without(3), _MISSING).out(r"^3\.dcm: ")


def _missing(folder: Path, *dropped: int, figures: tuple[str, ...] = ()) -> Wanted:
    truth = Scan().drop(*dropped).save(folder).truth
    return warned(truth, *figures) if figures else right(truth)


CASES.add("missing_first", lambda folder: _missing(folder, 0))
CASES.add("missing_last", lambda folder: _missing(folder, 7))
CASES.add("missing_middle", lambda folder: _missing(folder, 4, figures=(r"missing\D*1\b", r"\b5 mm")))
CASES.add("missing_two_together", lambda folder: _missing(folder, 3, 4, figures=(r"missing\D*2\b", r"7\.5 mm")))
CASES.add("missing_two_apart", lambda folder: _missing(folder, 2, 5, figures=(r"missing\D*2\b",)))
CASES.add("missing_half_of_them", lambda folder: _missing(folder, 2, 4, 6, figures=(r"missing|uneven",)))


@CASES
def uneven_distance(folder: Path) -> Wanted:
    scan = Scan(at=np.array([0, 1, 2, 3.4, 4.8, 6.2, 7.6, 9.0])).save(folder)
    return warned(scan.truth, r"uneven.*2\.5.*3\.5")


@CASES
def uneven_within_the_digits_of_the_writer(folder: Path) -> Wanted:
    scan = Scan(affine=axial((0.8, 0.9, 0.625))).each(
        lambda item, k: setattr(item, "ImagePositionPatient", numbers(np.array(item.ImagePositionPatient, float), 4))
    )
    return either(right(scan.save(folder).truth), warned(scan.truth, "uneven"))


def _tilted(degrees: float, at: np.ndarray | None = None) -> Scan:
    affine = AXIAL.copy()
    affine[1, 2] = 2.5 * np.tan(np.deg2rad(degrees))
    return Scan(affine, at=at)


CASES.add("gantry_tilt", lambda folder: warned(_tilted(18).save(folder).truth, r"tilt.*18"))
CASES.add("gantry_tilt_back", lambda folder: warned(_tilted(-7).save(folder).truth, r"tilt.*7"))


@CASES
def gantry_tilt_and_uneven(folder: Path) -> Wanted:
    scan = _tilted(15, np.array([0, 1, 2, 3, 4.5, 6, 7.5, 9]))
    return warned(scan.save(folder).truth, r"tilt.*15", r"uneven")


@CASES
def sideways_jump_of_one_slice(folder: Path) -> Wanted:
    scan = Scan()
    place(scan[3], (4, 0, 0))
    places = scan.truth.places.copy()
    places[:, :, 3, 0] -= 4
    # The affine cannot say it; the true world of slice 3 is lost, so a word is needed.
    found = warned(scan.save(folder).truth, r"sideways|scatter|shift|position")
    return either(found, warned(scan.truth.but(places=places), "."), refused("."))


@CASES
def same_file_copied(folder: Path) -> Wanted:
    scan = Scan().save(folder)
    save(scan[2], folder / "copy of 2.dcm")
    save(scan[5], folder / "sub" / "5.dcm")
    return warned(scan.truth, r"duplicate|twice|same")


@CASES
def whole_series_copied_to_another_folder(folder: Path) -> Wanted:
    return warned(Scan().save(folder / "a").save(folder / "b").truth, r"duplicate|twice|same")


@CASES
def same_instance_in_another_transfer_syntax(folder: Path) -> Wanted:
    scan = Scan().save(folder)
    save(scan[2], folder / "implicit.dcm", syntax="1.2.840.10008.1.2")
    return warned(scan.truth, r"duplicate|twice|same")


@CASES
def same_image_saved_again_under_another_uid(folder: Path) -> Wanted:
    scan = Scan().save(folder)
    save(other(scan[2]), folder / "again.dcm")
    return either(warned(scan.truth, r"duplicate|twice|same|identical"), refused(_ONE_PLACE))


@CASES
def same_uid_with_other_pixels(folder: Path) -> Wanted:
    Scan().save(folder)
    save(Scan(add=300)[2], folder / "other.dcm")
    return refused(r"SOPInstanceUID|instance|position|differ")


@CASES
def same_uid_with_other_slope(folder: Path) -> Wanted:
    scan = Scan().save(folder)
    save(other(scan[2], SOPInstanceUID=scan[2].SOPInstanceUID, RescaleSlope="2"), folder / "other.dcm")
    return refused(r"SOPInstanceUID|instance|position|differ")


@CASES
def all_slices_with_one_instance_uid(folder: Path) -> Wanted:
    return anyhow(Scan().each(SOPInstanceUID="1.2.3.4").save(folder).truth)


@CASES
def no_instance_uid(folder: Path) -> Wanted:
    return anyhow(Scan().each(SOPInstanceUID=None).save(folder).truth)


@CASES
def two_images_at_one_position(folder: Path) -> Wanted:
    Scan().save(folder)
    save(other(Scan(add=300)[4]), folder / "other.dcm")
    return refused(_ONE_PLACE)


for word in ("LOCALIZER", "SCOUT", "SCANOSCOPE", "MOSAIC"):
    CASES.add(
        f"{word.lower()}_by_image_type",
        partial(_strange, tags={"ImageType": ["ORIGINAL", "PRIMARY", "M", word]}, reason="localizer|mosaic.*split"),
    )


@CASES
def same_padded_image_twice(folder: Path) -> Wanted:
    scan = Scan().pixels(lambda array, k: np.where(np.arange(12) < 3, -2000, array))
    for item in scan:
        item.add_new("PixelPaddingValue", "SS", -2000)
    scan.save(folder)
    save(other(scan[2]), folder / "again.dcm")
    valid = np.broadcast_to((np.arange(12) >= 3)[:, None, None], scan.shape)
    return warned(scan.truth.but(valid=valid), r"twice")


@CASES
def blank_slice_of_two_times_and_one_true_copy(folder: Path) -> Wanted:
    scans = [Scan(add=600 * t, AcquisitionNumber=t) for t in range(2)]
    truths = []
    for t, scan in enumerate(scans):
        scan.each(SOPInstanceUID=lambda k, t=t: f"1.2.99.{t}.{k}", PixelData=bytes(240), only=[0])
        scan.each(SOPInstanceUID=lambda k, t=t: f"1.2.99.{t}.{k}").save(folder, f"{{}}_{t}.dcm")
        values = scan.truth.values.copy()
        values[..., 0] = -1024
        truths.append(scan.truth.but(values=values))
    save(scans[0][3], folder / "copy.dcm")
    return warned(*truths, r"twice.*copy\.dcm")


@CASES
def tiny_steps_with_one_missing(folder: Path) -> Wanted:
    scan = Scan(axial((0.009, 0.009, 0.009)), (12, 10, 9), values=Scan(shape=(12, 10, 9)).truth.values).drop(4)
    return warned(scan.save(folder).truth, r"missing\D*1\b")


@CASES
def two_slices_with_rounded_origins(folder: Path) -> Wanted:
    scan = Scan(axial((0.8, 0.9, 0.5)), (12, 10, 2))
    place(scan[1], (0.01, 0, 0))
    return right(scan.save(folder).truth)


@CASES
def last_slice_truncated(folder: Path) -> Wanted:
    scan = Scan().save(folder)
    (folder / "7.dcm").write_bytes((folder / "7.dcm").read_bytes()[:-40])
    return warned(scan.truth.without(7), r"refused.*7\.dcm").out(r"^7\.dcm: ")


for name, content in {"far": b"0\\0\\1e308", "far_below": b"0\\0\\-1.7e308"}.items():

    @partial(CASES.add, f"position_{name}")
    def _(folder: Path, content: bytes = content) -> Wanted:
        scan = Scan().each(lambda item, k: raw_element(item, "ImagePositionPatient", content), only=[7]).save(folder)
        return warned(scan.truth.without(7), r"refused.*7\.dcm").out(r"^7\.dcm: position")


for name, content in {"huge": b"1e308\\1e308", "with_underscore": b"1_5\\1"}.items():

    @partial(CASES.add, f"spacing_{name}")
    def _(folder: Path, content: bytes = content) -> Wanted:
        Scan().each(lambda item, k: raw_element(item, "PixelSpacing", content)).save(folder)
        return refused("PixelSpacing")


for modality in ("DX", "MG", "CR", "US"):

    @partial(CASES.add, f"two_views_{modality}")
    def _(folder: Path, modality: str = modality) -> Wanted:
        scan = Scan(axial((1, 1, 1)), (12, 10, 2), Modality=modality, ImagePositionPatient=None, SliceThickness=None)
        scan.save(folder)
        return right(*(scan.truth.slices([k]).but(placed=False) for k in range(2)))


@CASES
def radiograph_with_spacing_at_the_detector(folder: Path) -> Wanted:
    tags = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"))
    scan = Scan(axial((0.8, 0.9, 1)), (12, 10, 1), Modality="DX", ImagerPixelSpacing=["0.9", "0.8"], **tags)
    return warned(scan.save(folder).truth.but(placed=False), "ImagerPixelSpacing")
