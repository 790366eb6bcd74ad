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

"""What a case is, what it wants, and the marker that tells every voxel where in the world it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

__all__ = [
    "AXIAL", "SECRET", "SECRETS", "SHAPE", "UID_ROOT", "Case", "Outcome", "Table", "Truth", "anyhow", "axial", "either",
    "marker", "positions", "refused", "right", "warned",
]  # fmt: skip

SHAPE = (12, 10, 8)
SECRET = "S3CR3T"
UID_ROOT = "1.3.6.1.4.1.99999.777."
# Whatever of these turns up in a message, a table or a file name has leaked from a tag.
SECRETS = (SECRET, UID_ROOT, "Zebrafink", "19470131")


def axial(spacing: tuple[float, float, float] = (0.8, 0.9, 2.5), origin: Iterable[float] = (12.5, 20.25, -21.75)):
    """RAS affine as scanners store an axial CT: columns to the left, rows to posterior, slices to superior."""
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    affine[:3, 3] = tuple(origin)
    return affine


AXIAL = axial()


def positions(affine: np.ndarray, shape: tuple[int, ...], offsets: np.ndarray | None = None) -> np.ndarray:
    """(X, Y, Z, 3) RAS millimetres of all voxels; `offsets` are the slices' places in steps of the affine."""
    steps = np.arange(shape[2]) if offsets is None else offsets
    grid = np.stack(np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), steps, indexing="ij"), axis=-1)
    return grid @ affine[:3, :3].T + affine[:3, 3]


def marker(places: np.ndarray) -> np.ndarray:
    """The value at RAS places: whole, different in all directions, between about -500 and 2000 within 60 mm."""
    x, y, z = np.moveaxis(places, -1, 0)
    return np.rint(400 + 7.3 * x + 4.1 * y + 13.7 * z + 0.21 * x * y + 30 * np.sin(z / 3)).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Truth:
    """
    A wanted volume.

    Attributes:
        values: (X, Y, Z), what reading must give.
        places: (X, Y, Z, 3) RAS of each value; order and direction of the axes are the reader's choice.
        valid: (X, Y, Z) False where padded; None for all.
        tolerance: largest error of a value, for lossy coding and float32.
        patient: the PatientID, where it matters.
        placed: False where the files do not tell the place: values are compared in the order of indices.
    """

    values: np.ndarray
    places: np.ndarray
    valid: np.ndarray | None = None
    tolerance: float = 0.0
    patient: str | None = None
    placed: bool = True

    def but(self, **changes) -> Truth:
        """The same with other attributes."""
        return replace(self, **changes)

    def slices(self, keep: Iterable[int]) -> Truth:
        """Only some slices."""
        keep = list(keep)
        valid = None if self.valid is None else self.valid[..., keep]
        return self.but(values=self.values[..., keep], places=self.places[:, :, keep], valid=valid)

    def without(self, *dropped: int) -> Truth:
        """All but some slices."""
        return self.slices(k for k in range(self.values.shape[2]) if k not in dropped)


@dataclass(frozen=True, eq=False)
class Outcome:
    """
    What shall come of a folder.

    Attributes:
        volumes: all that must be found, and no other.
        warnings: regular expressions, each to be met by a warning of a volume; None when warnings are as they like,
            () when there must be none.
        rejected: regular expressions on "file: reason", each to be met, and no refusal that meets none.
    """

    volumes: tuple[Truth, ...] = ()
    warnings: tuple[str, ...] | None = ()
    rejected: tuple[str, ...] = ()

    def out(self, *rejected: str) -> Outcome:
        """The same, these files being refused beside."""
        return replace(self, rejected=(*self.rejected, *rejected))


def right(*volumes: Truth) -> Outcome:
    """Accepted, no word said."""
    return Outcome(volumes)


def warned(*parts: Truth | str) -> Outcome:
    """Accepted, each of the expressions being said."""
    return Outcome(
        tuple(part for part in parts if isinstance(part, Truth)), tuple(part for part in parts if isinstance(part, str))
    )


def anyhow(*volumes: Truth) -> Outcome:
    """Accepted, with or without a word."""
    return Outcome(volumes, None)


def refused(*patterns: str) -> Outcome:
    """No volume at all, with these reasons."""
    return Outcome(rejected=patterns or (".",))


Wanted = Outcome | list[Outcome]


def either(*outcomes: Wanted) -> list[Outcome]:
    """Any of these is well."""
    return [one for outcome in outcomes for one in (outcome if isinstance(outcome, list) else [outcome])]


@dataclass(frozen=True, eq=False)
class Case:
    """
    A name, and what writes its folder and tells the wanted outcome.

    Attributes:
        options: for `find_volumes`.
    """

    name: str
    build: Callable[[Path], Wanted]
    options: dict

    def outcomes(self, folder: Path) -> list[Outcome]:
        """Write the folder, and tell what is wanted."""
        folder.mkdir(parents=True)
        return either(self.build(folder))


class Table(list):
    """The cases of one module; called on a builder it adds it under its own name."""

    def __call__(self, build: Callable[[Path], Wanted]) -> Callable[[Path], Wanted]:
        self.add(build.__name__, build)
        return build

    def add(self, name: str, build: Callable[[Path], Wanted], **options) -> None:
        """Add a case; `options` are for `find_volumes`."""
        if any(case.name == name for case in self):
            raise ValueError(f"two cases are called {name}")
        self.append(Case(name, build, options))
