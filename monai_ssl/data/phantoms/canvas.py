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

"""The canvas that CT phantoms are drawn on: soft-edged shapes in HU, placed in the coordinates of a reference adult."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft

__all__ = ["Canvas", "Grid", "Pose", "ellipsoid_distance", "scanner_noise", "smooth_field"]

_WARP_LIMIT = 8.0  # mm; no voxel is warped further, so that a region widened by it misses no part of a shape

Point = Sequence[np.ndarray] | np.ndarray
Vector = Sequence[float] | np.ndarray
Region = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Grid:
    """
    Where the voxels (Z, Y, X) of a volume lie: x runs to the patient's left, y to posterior, z to superior (LPS).

    Args:
        shape: voxels along z, y, x.
        spacing: mm along z, y, x.
        origin: mm; the centre of voxel (0, 0, 0) along z, y, x.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]

    @property
    def axes(self) -> list[np.ndarray]:
        """The voxel centres in mm along z, y and x."""
        return [
            start + step * np.arange(n) for n, step, start in zip(self.shape, self.spacing, self.origin, strict=True)
        ]


@dataclass(frozen=True)
class Pose:
    """
    How the reference adult is scaled, turned about the long axis and shifted into the scanner.

    Args:
        scale: patient / reference size along x, y, z.
        angle: radians.
        shift: mm along x, y, z.
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    angle: float = 0.0
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def to_reference(self, point: Point) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scanner coordinates x, y, z in mm -> coordinates of the reference adult."""
        x, y, z = (axis - move for axis, move in zip(point, self.shift, strict=True))
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return (cos * x + sin * y) / self.scale[0], (cos * y - sin * x) / self.scale[1], z / self.scale[2]

    def to_scanner(self, point: Point) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The inverse of `to_reference`."""
        x, y, z = (axis * factor for axis, factor in zip(point, self.scale, strict=True))
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return cos * x - sin * y + self.shift[0], sin * x + cos * y + self.shift[1], z + self.shift[2]


class Canvas:
    """
    A volume of air at -1000 HU that shapes are painted into, later ones over earlier ones.

    Shapes are given as signed distances in mm of the reference adult, negative inside. An edge is as wide as a pixel,
    which is the partial volume effect of a real scanner.

    Args:
        grid: the voxels.
        pose: from the reference adult to the scanner.
        rng: draws the smooth warp that keeps any two patients from being scaled copies.
        warp: mm; standard deviation of the warp, 0 for none.

    Example:
        >>> grid = Grid(shape=(1, 3, 3), spacing=(5.0, 2.0, 2.0), origin=(0.0, -2.0, -2.0))
        >>> canvas = Canvas(grid, Pose(), np.random.default_rng(0), warp=0.0)
        >>> canvas.ellipsoid((0, 0, 0), (1.5, 1.5, 1.5), 40.0)
        >>> canvas.hu[0, 1].round().tolist()
        [-740.0, 40.0, -740.0]
    """

    def __init__(self, grid: Grid, pose: Pose, rng: np.random.Generator, warp: float = 2.0) -> None:
        self.grid = grid
        self.pose = pose
        self.hu = np.full(grid.shape, -1000.0, np.float32)
        z, y, x = np.meshgrid(*grid.axes, indexing="ij", sparse=True)
        reference = [np.broadcast_to(axis.astype(np.float32), grid.shape) for axis in pose.to_reference((x, y, z))]
        if warp:
            moves = [smooth_field(rng, grid, 40.0) for _ in reference]
            reference = [
                axis + np.clip(warp * move, -_WARP_LIMIT, _WARP_LIMIT)
                for axis, move in zip(reference, moves, strict=True)
            ]
        self.point = reference
        self.softness = 0.5 * grid.spacing[2] / min(pose.scale)

    def region(self, low: Vector, high: Vector) -> Region:
        """The voxels that may lie between two corners `low` and `high`, x, y, z in mm of the reference adult."""
        corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, 8)
        placed = np.stack(self.pose.to_scanner(corners)[::-1])
        margin = (_WARP_LIMIT + self.softness) * max(self.pose.scale)
        origin, spacing = np.array(self.grid.origin), np.array(self.grid.spacing)
        first = np.floor((placed.min(axis=1) - margin - origin) / spacing).astype(int)
        last = np.ceil((placed.max(axis=1) + margin - origin) / spacing).astype(int) + 1
        first, last = np.clip(first, 0, self.grid.shape), np.clip(last, 0, self.grid.shape)
        return slice(first[0], last[0]), slice(first[1], last[1]), slice(first[2], last[2])

    def coverage(self, distance: np.ndarray) -> np.ndarray:
        """The share of each voxel inside a shape, from its signed distance in mm."""
        return np.clip(0.5 - distance / (2 * self.softness), 0, 1)

    def paint(
        self,
        coverage: np.ndarray,
        hu: float | np.ndarray,
        region: Region | tuple = (),
        within: np.ndarray | None = None,
    ) -> None:
        """
        Mix `hu` into the volume in proportion to `coverage`.

        Args:
            coverage: 0..1, the shape of the volume or of its `region`.
            hu: one value, or one per voxel of the region.
            region: the part that is painted; all when empty.
            within: 0..1, the shape of the volume; scales the coverage.
        """
        target = self.hu[region]
        target += (coverage if within is None else coverage * within[region]) * (hu - target)

    def ellipsoid(self, centre: Vector, radii: Vector, hu: float, tilt: np.ndarray | None = None) -> None:
        """Paint an ellipsoid; arguments as of `ellipsoid_distance`."""
        reach = np.array(radii) if tilt is None else np.full(3, max(radii))
        region = self.region(np.array(centre) - reach, np.array(centre) + reach)
        distance = ellipsoid_distance([axis[region] for axis in self.point], centre, radii, tilt)
        self.paint(self.coverage(distance), hu, region)

    def tube(self, points: np.ndarray, radii: float | np.ndarray, hu: float, within: np.ndarray | None = None) -> None:
        """
        Paint a chain of round-ended cones.

        Args:
            points: (N, 3) x, y, z in mm.
            radii: mm; one, or one per point.
            hu: the value.
            within: as of `paint`.
        """
        points = np.asarray(points, float)
        radii = np.broadcast_to(radii, len(points))
        for start, end, first, last in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
            reach = max(first, last)
            region = self.region(np.minimum(start, end) - reach, np.maximum(start, end) + reach)
            along = (end - start).astype(np.float32)
            offset = [axis[region] - origin for axis, origin in zip(self.point, start.astype(np.float32), strict=True)]
            share = offset[0] * along[0] + offset[1] * along[1] + offset[2] * along[2]
            share = np.clip(share / max(float(along @ along), 1e-6), 0, 1)
            square = sum((axis - share * step) ** 2 for axis, step in zip(offset, along, strict=True))
            self.paint(self.coverage(np.sqrt(square) - (first + share * (last - first))), hu, region, within)


def ellipsoid_distance(point: Point, centre: Vector, radii: Vector, tilt: np.ndarray | None = None) -> np.ndarray:
    """
    The distance in mm to an ellipsoid's surface along the ray from its centre, negative inside.

    Args:
        point: x, y and z in mm, arrays of one shape.
        centre: x, y, z in mm.
        radii: the half-axes in mm.
        tilt: (3, 3) rotation from the coordinates to the ellipsoid's axes; none when absent.
    """
    offset = [axis - np.float32(middle) for axis, middle in zip(point, centre, strict=True)]
    if tilt is not None:
        offset = [row[0] * offset[0] + row[1] * offset[1] + row[2] * offset[2] for row in tilt.astype(np.float32)]
    square = offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2
    level = sum((axis / np.float32(radius)) ** 2 for axis, radius in zip(offset, radii, strict=True))
    tiny = np.float32(1e-6)  # keeps the centre itself finite: minus the smallest half-axis
    return np.sqrt(square) - np.sqrt((square + tiny) / (level + tiny / np.float32(min(radii)) ** 2))


def smooth_field(rng: np.random.Generator, grid: Grid, width: float) -> np.ndarray:
    """A Gaussian random field (Z, Y, X), mean 0 and deviation 1, that varies over `width` mm along every axis."""
    z, y, x = _frequencies(grid)
    return _filtered(rng, grid, np.exp(-0.5 * (np.pi * width) ** 2 * (z**2 + y**2 + x**2)))


def scanner_noise(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """
    Noise (Z, Y, X) with deviation 1 as filtered back-projection leaves it: little at low frequencies, then a roll-off.

    Slices are independent. See Riederer, Pelc and Chesler 1978, doi:10.1088/0031-9155/23/3/008.
    """
    _, y, x = _frequencies(grid)
    frequency = np.sqrt(y**2 + x**2)
    return _filtered(rng, grid, (frequency + 0.01) * np.exp(-((frequency / 0.25) ** 2)))


def _frequencies(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    full = [scipy.fft.fftfreq(n, step) for n, step in zip(grid.shape[:2], grid.spacing[:2], strict=True)]
    half = scipy.fft.rfftfreq(grid.shape[2], grid.spacing[2])
    z, y, x = np.meshgrid(*full, half, indexing="ij", sparse=True)
    return z, y, x


def _filtered(rng: np.random.Generator, grid: Grid, gain: np.ndarray) -> np.ndarray:
    axes = tuple(axis for axis in range(3) if axis or gain.shape[0] > 1)
    spectrum = scipy.fft.rfftn(rng.standard_normal(grid.shape, dtype=np.float32), axes=axes)
    field = scipy.fft.irfftn(spectrum * gain.astype(np.float32), grid.shape[3 - len(axes) :], axes=axes)
    return (field - field.mean()) / max(float(field.std()), 1e-6)
