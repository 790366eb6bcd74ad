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


"""The build of a phantom and the surfaces of its organs, in mm of a reference adult.

x runs to the left, y to posterior, z to superior; z = 0 is the carina. Distances are negative inside, and near enough
to Euclidean ones for an edge as wide as a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monai_ssl.data.phantoms.canvas import Point, Pose, ellipsoid_distance

__all__ = [
    "Build",
    "cage_distance",
    "cage_size",
    "diaphragm_distance",
    "draw_build",
    "heart_distance",
    "lung_distance",
    "outline_distance",
    "spine_distance",
    "spine_shift",
]

_SPINE = (60.0, 31.0)  # y of the vertebral column and the radius that the lungs keep from it


@dataclass(frozen=True)
class Build:
    """
    What differs from patient to patient; lengths in mm of the reference adult.

    Args:
        pose: size, turn and position on the table.
        fat: thickness of the subcutaneous fat.
        breast: size of the breasts, 0 for none.
        heart: scale of the heart.
        domes: z of the right and left diaphragm.
        kyphosis: how far the spine bends back.
        blood: HU; above 100 with contrast medium.
        lung: HU of the lungs between their vessels.
        noise: HU; deviation of the scanner's noise at the centre.
        table: whether the patient's table is in the field of view.
    """

    pose: Pose
    fat: float
    breast: float
    heart: float
    domes: tuple[float, float]
    kyphosis: float
    blood: float
    lung: float
    noise: float
    table: bool

    @property
    def half_width(self) -> float:
        """Of the chest below the shoulders, mm of the reference adult."""
        return 145 + self.fat


def draw_build(rng: np.random.Generator) -> Build:
    """A random patient."""
    size = rng.normal(1.0, 0.04)
    scale = [float(np.clip(size * rng.normal(1.0, 0.035), 0.85, 1.13)) for _ in range(3)]
    dome = rng.uniform(-84, -66)
    return Build(
        pose=Pose(
            (scale[0], scale[1], scale[2]),
            rng.normal(0, 0.035),
            (rng.normal(0, 5), rng.normal(0, 6), rng.uniform(-250, 50)),
        ),
        fat=rng.uniform(5, 24),
        breast=rng.uniform(0.75, 1.2) if rng.random() < 0.5 else 0.0,
        heart=rng.uniform(0.86, 1.12),
        domes=(dome, dome - rng.uniform(2, 14)),
        kyphosis=rng.uniform(2, 10),
        blood=rng.uniform(110, 190) if rng.random() < 0.4 else rng.uniform(36, 48),
        lung=rng.uniform(-890, -835),
        noise=rng.uniform(9, 20),
        table=bool(rng.random() < 0.7),
    )


def lung_distance(build: Build, point: Point) -> np.ndarray:
    """The signed distance in mm to the surface of the nearer lung, negative inside; `point` is x, y, z."""
    x, y, z = point
    mediastinum = ellipsoid_distance((x, y, 0 * z), (1, -5, 0), (29, 80, 1))
    apex = 92 - 60 * ((np.abs(x) - 46) / 68) ** 2 - 60 * ((y - 12) / 64) ** 2
    return np.maximum.reduce(
        [
            cage_distance(point) + 3,
            -mediastinum,
            -heart_distance(build, point),
            -spine_distance(build, point),
            -diaphragm_distance(build, point),
            (z - apex) / 1.5,
        ]
    )


def cage_distance(point: Point) -> np.ndarray:
    """The distance to the inside of the ribs; `point` is x, y, z."""
    return outline_distance(point[0], point[1], *cage_size(point[2]))


def heart_distance(build: Build, point: Point, shrink: float = 0.0) -> np.ndarray:
    """The distance to the pericardium, or to a heart `shrink` mm smaller."""
    radii = (66 * build.heart - shrink, 47 * build.heart - shrink, 45 * build.heart - shrink)
    return ellipsoid_distance(point, (17, -26, -46), radii, _heart_axes())


def spine_distance(build: Build, point: Point) -> np.ndarray:
    """The distance to a column round the vertebrae that the lungs keep out of."""
    x, y, z = point
    return np.sqrt(x**2 + (y - _SPINE[0] - spine_shift(build, z)) ** 2) - _SPINE[1]


def diaphragm_distance(build: Build, point: Point) -> np.ndarray:
    """The distance to the diaphragm, negative below it."""
    x, y, z = point
    right, left = build.domes
    peak = (right + left) / 2 + (left - right) / 2 * np.tanh(x / 25)
    lateral = np.clip(np.abs(x) - 58, 0, None)
    fall = 50 * (lateral / 66) ** 2 + 60 * ((y + 5) / 80) ** 2 + 14 * np.exp(-((x / 28) ** 2))
    return (z - (peak - np.minimum(fall, 34 + 0.25 * y))) / 1.25


def outline_distance(
    x: np.ndarray, y: np.ndarray, width: np.ndarray, front: np.ndarray, back: np.ndarray
) -> np.ndarray:
    """The distance to a cross-section between ellipse and box that reaches `front` to anterior, `back` to posterior."""
    y = y - (back - front) / 2
    across, deep = (x / width) ** 2, (2 * y / (front + back)) ** 2
    level = np.sqrt(0.5 * (across + deep) + 0.5 * np.sqrt(across**2 + deep**2) + 1e-6)
    radius = np.sqrt(x**2 + y**2)
    return radius - radius / level


def cage_size(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The inner half-width of the rib cage at `z`, and how far it reaches to anterior and to posterior."""
    rise, close = np.maximum(z + 30, 0), np.sqrt(np.clip(92 - z, 0, None) / 60)
    width = np.minimum(128 - 0.2 * rise, 50 + 68 * close)
    front = np.minimum(88 - 0.22 * rise, 20 + 60 * close)
    back = np.minimum(80 - 0.05 * rise, 40 + 50 * close)
    return width, front, back


def spine_shift(build: Build, z: np.ndarray) -> np.ndarray:
    """How far the spine bends back at `z`."""
    return build.kyphosis * (1 - (z / 110) ** 2)


def _heart_axes() -> np.ndarray:
    long = np.array([0.78, -0.42, -0.46])
    return np.linalg.qr(np.stack([long, [0, 0, 1], [0, 1, 0]], axis=1))[0].T
