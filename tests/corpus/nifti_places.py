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

"""NIfTI: where in the world a volume lies."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from corpus.common import AXIAL, SHAPE, Table, Wanted, anyhow, axial, either, positions, refused, right, warned
from corpus.nifti_cases import Nifti, one, said

__all__ = ["CASES", "oblique"]

CASES = Table()


def _no(*words: str):
    return lambda *truths: refused(*words)


def oblique() -> np.ndarray:
    """An affine off all axes."""
    a, b = np.deg2rad(17), np.deg2rad(-9)
    first = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    affine = AXIAL.copy()
    affine[:3] = first @ np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]]) @ affine[:3]
    return affine


def _mirror(*axes: int, base: np.ndarray = AXIAL) -> np.ndarray:
    affine = base.copy()
    affine[:, list(axes)] *= -1
    return affine


_PLACES = {
    "oblique": oblique(), "mirrored": _mirror(0), "mirrored_twice": _mirror(0, 1), "upside_down": _mirror(2),
    "oblique_mirrored": _mirror(1, base=oblique()), "sagittal": AXIAL[:, [1, 2, 0, 3]],
    "coronal": AXIAL[:, [0, 2, 1, 3]],
}  # fmt: skip
for name, affine in _PLACES.items():
    for forms in ("s", "q", "sq"):
        CASES.add(f"{name}_{forms}form", partial(one, affine=affine, forms=forms))


@CASES
def sheared_sform(folder: Path) -> Wanted:
    affine = AXIAL.copy()
    affine[1, 2] = 0.7
    return anyhow(Nifti(affine, forms="s").save(folder))


@CASES
def qfac_zero(folder: Path) -> Wanted:
    nifti = Nifti(axial((-0.8, -0.9, 2.5)), forms="q", edit=lambda header: header["pixdim"].__setitem__(0, 0))
    return anyhow(nifti.save(folder))


def _edit(folder: Path, edit: Callable, wanted, forms: str = "sq", **changes) -> Wanted:
    return wanted(Nifti(edit=edit, forms=forms).save(folder).but(**changes))


def _sform(affine: np.ndarray):
    def edit(header) -> None:
        header["sform_code"] = 1
        header["srow_x"], header["srow_y"], header["srow_z"] = affine[:3]

    return edit


_AFFINE = _no("affine|sform|singular|orientation")
CASES.add("sform_singular", partial(_edit, edit=_sform(np.diag([1.0, 0, 1, 1])), wanted=_AFFINE))
CASES.add("sform_zero", partial(_edit, edit=_sform(np.zeros((4, 4))), wanted=_AFFINE))
CASES.add("sform_of_one_axis_twice", partial(_edit, edit=_sform(AXIAL[:, [0, 0, 2, 3]]), wanted=_AFFINE))
CASES.add("sform_nan", partial(_edit, edit=_sform(AXIAL * np.nan), wanted=_AFFINE))
CASES.add("sform_inf_origin", partial(_edit, edit=_sform(axial(origin=(np.inf, 0, 0))), wanted=_AFFINE))
_NAN = lambda header: header.__setitem__("quatern_b", np.nan)  # noqa: E731
CASES.add("qform_nan", partial(_edit, edit=_NAN, forms="q", wanted=_no("affine|qform|quatern|orientation")))


@CASES
def no_form(folder: Path) -> Wanted:
    truth = Nifti(forms="").save(folder)
    # nibabel centres the volume and flips the first axis; where it lies is anyone's guess.
    return warned(truth.but(placed=False), "orientation|form")


@CASES
def forms_that_disagree(folder: Path) -> Wanted:
    return warned(Nifti(edit=lambda header: header.set_qform(oblique(), 1)).save(folder), r"sform.*qform|qform.*sform")


@CASES
def forms_that_disagree_in_the_origin(folder: Path) -> Wanted:
    moved = axial(origin=(0, 0, 0))
    return warned(Nifti(edit=lambda header: header.set_qform(moved, 1)).save(folder), r"sform.*qform|qform.*sform")


@CASES
def forms_within_float_rounding(folder: Path) -> Wanted:
    nudge = oblique()
    nudge[:3] += 1e-6
    return right(Nifti(oblique(), edit=lambda header: header.set_qform(nudge, 1)).save(folder))


for axis in (1, 3):
    zero = partial(lambda header, axis: header["pixdim"].__setitem__(axis, 0), axis=axis)
    beside = partial(_edit, edit=zero, wanted=said("pixdim|spacing|voxel size"), forms="s")
    CASES.add(f"pixdim_{axis}_zero_beside_sform", beside)
    CASES.add(
        f"pixdim_{axis}_zero_without_form",
        lambda folder, zero=zero: either(
            _edit(folder, zero, said("."), forms="", placed=False), refused("pixdim|affine|spacing")
        ),
    )
for unit, scale in {"meter": 1000.0, "micron": 0.001}.items():

    @partial(CASES.add, f"units_{unit}")
    def _(folder: Path, unit: str = unit, scale: float = scale) -> Wanted:
        small = AXIAL.copy()
        small[:3] /= scale
        nifti = Nifti(small, edit=lambda header: header.set_xyzt_units(unit), values=Nifti().truth.values)
        return warned(nifti.save(folder).but(places=positions(AXIAL, SHAPE)), unit[:5])


@CASES
def units_unknown(folder: Path) -> Wanted:
    return anyhow(Nifti(edit=lambda header: header.__setitem__("xyzt_units", 0)).save(folder))


@CASES
def units_nonsense(folder: Path) -> Wanted:
    return either(anyhow(Nifti(edit=lambda h: h.__setitem__("xyzt_units", 7)).save(folder)), refused("unit"))


@CASES
def sform_code_negative_beside_qform(folder: Path) -> Wanted:
    # What nibabel does; the sform of such a file is nobody's.
    def edit(header) -> None:
        _sform(np.diag([1.0, 1, 1, 1]))(header)
        header["sform_code"] = -1

    return warned(Nifti(oblique(), edit=edit).save(folder), "sform code -1")


def _nonsense(header) -> None:
    header["quatern_b"] = 5


CASES.add("qform_none_beside_sform", partial(_edit, edit=_nonsense, wanted=said("qform is none")))
