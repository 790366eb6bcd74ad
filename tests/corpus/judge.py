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

"""Holds `find_volumes`, `DicomSeriesReader` and `slice_volumes` against the wanted outcome of a folder."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from scipy.spatial import cKDTree

from corpus.common import SECRETS, Outcome, Truth, positions
from monai_ssl.data import RejectedVolumeError, Rejection, SliceStore, Volume, Voxels, find_volumes

__all__ = ["Found", "Verdict", "judge", "judge_store", "look"]

_NEAR_MM = 0.06
_INT16 = np.iinfo(np.int16)
_CRASH = re.compile(r"Traceback|object has no attribute|cannot be sliced")


@dataclass(frozen=True)
class Verdict:
    """`good` when an outcome is met; else what is wrong, in a word or two, and the detail."""

    word: str
    detail: str = ""

    @property
    def good(self) -> bool:
        return self.word in ("right", "right with warning", "refused")


@dataclass(frozen=True, eq=False)
class Found:
    """All that the reader made of a folder."""

    volumes: list[tuple[Volume, Voxels]]
    rejections: list[Rejection]

    @property
    def warnings(self) -> list[str]:
        return [
            f"{volume.name}: {text}" for volume, voxels in self.volumes for text in volume.warnings + voxels.warnings
        ]


def look(folder: Path, **options) -> Found:
    """Find and read all volumes."""
    volumes, rejections = find_volumes(folder, **options)
    read = []
    for volume in volumes:
        try:
            read.append((volume, volume.read()))
        except RejectedVolumeError as error:
            rejections = [*rejections, error.rejection]
    return Found(read, rejections)


def judge(folder: Path, outcomes: list[Outcome], **options) -> Verdict:
    """
    The verdict on one folder.

    Args:
        folder: as the case wrote it.
        outcomes: any of them is well; the first one's verdict is told when none is met.
        options: for `find_volumes`.
    """
    try:
        found = look(folder, **options)
    except Exception:  # whatever escapes is what the corpus looks for
        return Verdict("traceback", traceback.format_exc(limit=-4))
    for problem in _unnamed(folder, found):
        return problem
    verdicts = [_compared(found, outcome) for outcome in outcomes]
    return next((verdict for verdict in verdicts if verdict.good), verdicts[0])


def _unnamed(folder: Path, found: Found) -> Iterator[Verdict]:
    for rejection in found.rejections:
        line = f"{rejection.file}: {rejection.reason}"
        if not os.path.lexists(_on_disk(folder, rejection.file)) or len(rejection.reason) < 8 or "\n" in line:
            yield Verdict("unnamed", line)
        if _CRASH.search(rejection.reason):
            yield Verdict("traceback", line)
    lines = [rejection.reason for rejection in found.rejections] + found.warnings
    for line in lines:
        if any(secret in line for secret in SECRETS):
            yield Verdict("leak", line)
    for line in found.warnings:
        if len(line.split(": ", 1)[1]) < 8 or "\n" in line:
            yield Verdict("unnamed", line)


def _on_disk(folder: Path, name: str) -> bytes:
    # Bytes that are no UTF-8 are told as \xff.
    told = re.sub(rb"\\x([89a-f][0-9a-f])", lambda hit: bytes([int(hit[1], 16)]), name.encode())
    return os.path.join(os.fsencode(folder), told)


def _compared(found: Found, outcome: Outcome) -> Verdict:
    told = [f"{rejection.file}: {rejection.reason}" for rejection in found.rejections]
    left = list(outcome.volumes)
    wrong = []
    for volume, voxels in found.volumes:
        reasons = [_difference(volume, voxels, truth) for truth in left]
        if "" in reasons:
            del left[reasons.index("")]
        else:
            wrong.append(f"{volume.name} {volume.shape}: {'; '.join(reasons) or 'one volume too many'}")
    said = "; ".join([*told, *found.warnings]) or "nothing said"
    if wrong:
        return Verdict("wrong, but warned" if found.warnings else "silently wrong", f"{wrong} {said}")
    if left:
        word = "good refused" if told else "lost without a word"
        return Verdict(word, f"{len(left)} of {len(outcome.volumes)} volumes missing: {said}")
    astray = [line for line in told if not any(re.search(pattern, line, re.I) for pattern in outcome.rejected)]
    if astray:
        return Verdict("good refused", f"{astray}")
    missing = _unmet(outcome.rejected, told)
    if missing:
        return Verdict("unnamed", f"no refusal like {missing}: {said}")
    missing = _unmet(outcome.warnings or (), found.warnings)
    if missing:
        return Verdict("missing warning", f"{missing}: {said}")
    if outcome.warnings == () and found.warnings:
        return Verdict("needless warning", said)
    return Verdict("refused" if not found.volumes else "right with warning" if found.warnings else "right", said)


def _unmet(patterns: tuple[str, ...], lines: list[str]) -> list[str]:
    return [pattern for pattern in patterns if not any(re.search(pattern, line, re.I) for line in lines)]


def _difference(volume: Volume, voxels: Voxels, truth: Truth) -> str:
    array = voxels.array
    if array.size != truth.values.size or tuple(volume.shape) != array.shape:
        return f"shape {array.shape}, told {volume.shape}, wanted {truth.values.shape}"
    if len(voxels.offsets) != array.shape[2] or (np.diff(voxels.offsets) <= 0).any():
        return f"offsets {voxels.offsets}"
    if truth.patient is not None and volume.patient != truth.patient:
        return "another patient"
    if not np.allclose(volume.spacing, np.linalg.norm(voxels.affine[:3, :3], axis=0), rtol=1e-3, atol=1e-6):
        return f"spacing {volume.spacing} is not that of the affine"
    order = np.arange(array.size)
    if truth.placed:
        places = positions(voxels.affine, array.shape, voxels.offsets).reshape(-1, 3)
        away, order = cKDTree(truth.places.reshape(-1, 3)).query(places)
        if away.max() > _NEAR_MM or len(np.unique(order)) < array.size:
            return f"voxels up to {away.max():.3g} mm off their place"
    elif array.shape != truth.values.shape:
        return f"shape {array.shape}, wanted {truth.values.shape}"
    wanted = truth.values.ravel()[order].astype(np.float64)
    valid = np.ones(array.size, bool) if truth.valid is None else truth.valid.ravel()[order]
    told = np.ones(array.size, bool) if voxels.valid is None else voxels.valid.ravel()
    if (told != valid).any():
        return f"{(told != valid).sum()} voxels are wrongly valid or invalid"
    wanted[~valid] = wanted[valid].min()
    off = np.abs(array.ravel() - wanted)
    if off.max() > truth.tolerance + 1e-6 * np.abs(wanted).max() * (array.dtype.kind == "f"):
        return f"values differ in {(off > truth.tolerance).mean():.0%} of voxels, by up to {off.max():g}"
    whole = (wanted == np.rint(wanted)).all() and wanted.min() >= _INT16.min and wanted.max() <= _INT16.max
    if not truth.tolerance and array.dtype != (np.int16 if whole else np.float32):
        return f"dtype {array.dtype}"
    return ""


def judge_store(store: SliceStore, outcomes: list[Outcome]) -> str:
    """What of a store differs from every outcome; empty when all is well. `reduce` must have been "all"."""
    shown = []
    for _, rows in store.table.groupby("volume"):
        first, last = rows.index[0], rows.index[-1]
        order = np.argsort(rows["position_mm"].to_numpy(), kind="stable")
        shown.append(np.stack([store[k] for k in range(first, last + 1)])[order])
    for outcome in outcomes:
        wanted = [_display(truth) for truth in outcome.volumes]
        if len(wanted) == len(shown) and all(any(_same(one, other) for other in wanted) for one in shown):
            return ""
    return f"{[images.shape for images in shown]}, wanted {[truth.values.shape for truth in outcomes[0].volumes]}"


def _same(one: np.ndarray, other: tuple[np.ndarray, Truth]) -> bool:
    wanted, truth = other
    if not truth.placed:
        one, wanted = np.sort(one.ravel()), np.sort(wanted.ravel())
    return one.shape == wanted.shape and np.allclose(one, wanted, atol=truth.tolerance, rtol=1e-6)


def _display(truth: Truth) -> tuple[np.ndarray, Truth]:
    """(Z, Y, X), the axial display of a truth by nibabel: rows to posterior, columns to left."""
    origin = truth.places[0, 0, 0]
    row, column = truth.places[1, 0, 0] - origin, truth.places[0, 1, 0] - origin
    step = truth.places[0, 0, 1] - origin if truth.places.shape[2] > 1 else np.cross(row, column)
    affine = np.eye(4)
    affine[:3] = np.column_stack([row, column, step, origin])
    values = truth.values.astype(float)
    if truth.valid is not None:
        values = np.where(truth.valid, values, values[truth.valid].min())
    turn = nibabel.orientations.ornt_transform(nibabel.io_orientation(affine), nibabel.orientations.axcodes2ornt("LPS"))
    return nibabel.orientations.apply_orientation(values, turn).T, truth
