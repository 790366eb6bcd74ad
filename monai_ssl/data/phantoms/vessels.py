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

"""What lies inside the lungs of a phantom: branching vessels, and nodules beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monai_ssl.data.phantoms.canvas import Canvas, Vector, ellipsoid_distance
from monai_ssl.data.phantoms.surfaces import Build, lung_distance

__all__ = ["Nodule", "Tree", "draw_nodules", "draw_trees", "grow_tree", "paint_nodule", "paint_tree"]

# Arteries and veins of either side: where they enter the lung, mm of the reference adult.
_HILA = ((-40, 4, -14), (-40, 14, -31), (46, 8, -3), (42, 14, -31))
_TIPS = 110  # per tree


@dataclass(frozen=True)
class Tree:
    """
    Vessels as points with parents.

    Args:
        points: (N, 3) x, y, z in mm of the reference adult; the first is the root.
        parents: (N,) the index of each point's parent, smaller than its own; the root is its own parent.
        radii: (N,) mm.
    """

    points: np.ndarray
    parents: np.ndarray
    radii: np.ndarray


@dataclass(frozen=True)
class Nodule:
    """
    A lobed sphere.

    Args:
        centre: x, y, z in mm of the reference adult.
        radius: mm in the scanner.
        hu: its value.
        lobes: (3,) the wave vector of the dents in its surface, radians per radius.
    """

    centre: np.ndarray
    radius: float
    hu: float
    lobes: np.ndarray


def draw_trees(rng: np.random.Generator, build: Build) -> list[Tree]:
    """The arteries and veins of both lungs."""
    return [grow_tree(rng, root, _lung_points(rng, build, -1 if root[0] < 0 else 1, _TIPS)) for root in _HILA]


def grow_tree(rng: np.random.Generator, root: Vector, targets: np.ndarray) -> Tree:
    """
    Grow a tree that reaches every target.

    Each target, nearest first, joins the point that costs least in new vessel and way back to the root. The radii
    follow Murray's law, by which a power of the parent's is the sum of its children's (doi:10.1073/pnas.12.3.207).

    Args:
        rng: bends the branches.
        root: x, y, z in mm.
        targets: (N, 3) mm.
    """
    targets = targets[np.argsort(np.linalg.norm(targets - root, axis=1))]
    points, parents, way = [np.array(root, float)], [0], [0.0]
    for target in targets:
        gap = np.linalg.norm(np.array(points) - target, axis=1)
        parent = int(np.argmin(gap + 0.35 * np.array(way)))
        start, pieces = points[parent], max(1, int(gap[parent] // 14))
        for piece in range(1, pieces + 1):
            bend = rng.normal(0, 2.0, 3) if piece < pieces else 0.0
            points.append(start + (target - start) * piece / pieces + bend)
            way.append(way[parent] + float(np.linalg.norm(points[-1] - points[parent])))
            parents.append(parent)
            parent = len(points) - 1
    tips = np.ones(len(points))
    tips[parents] = 0
    for child in range(len(points) - 1, 0, -1):
        tips[parents[child]] += tips[child]
    return Tree(np.array(points), np.array(parents), 1.0 * tips ** (1 / 2.6))


def paint_tree(canvas: Canvas, tree: Tree, hu: float, lung: np.ndarray) -> None:
    """Paint the tree in proportion to `lung`, the share (Z, Y, X) of each voxel that is lung."""
    for point, parent, radius in zip(tree.points[1:], tree.parents[1:], tree.radii[1:], strict=True):
        line = np.stack([tree.points[parent], point])
        # A side branch starts with its own width, not with that of the vessel it leaves.
        canvas.tube(line, np.array([min(tree.radii[parent], 1.3 * radius), radius]), hu, lung)


def draw_nodules(
    rng: np.random.Generator,
    build: Build,
    trees: Sequence[Tree],
    diameters: tuple[float, float],
    limits: tuple[float, float],
) -> list[Nodule]:
    """
    One to three nodules on a vessel, where radiologists miss them and vessels cut across look like them.

    Args:
        rng: draws them.
        build: the patient.
        trees: the vessels.
        diameters: smallest and largest, mm in the scanner.
        limits: lowest and highest z that a nodule may reach, mm of the reference adult.
    """
    sites = np.concatenate([tree.points[1:] for tree in trees])
    depth = -lung_distance(build, sites.T)
    nodules: list[Nodule] = []
    for _ in range(rng.choice([1, 2, 3], p=[0.1, 0.25, 0.65])):
        radius = rng.triangular(diameters[0], 0.9 * diameters[1], diameters[1]) / 2
        fits = (depth > 0.7 * radius) & (sites[:, 2] > limits[0] + radius) & (sites[:, 2] < limits[1] - radius)
        for other in nodules:
            fits &= np.linalg.norm(sites - other.centre, axis=1) > 1.3 * (other.radius + radius) + 5
        lobes = rng.normal(0, 1, 3)
        if fits.any():
            centre = rng.choice(sites[fits]) + rng.normal(0, 0.3 * radius, 3)
            nodules.append(Nodule(centre, radius, rng.uniform(-50, 80), 2.5 * lobes / np.linalg.norm(lobes)))
    return nodules


def paint_nodule(canvas: Canvas, nodule: Nodule) -> np.ndarray:
    """Paint a nodule and return the share of each voxel that it fills, (Z, Y, X)."""
    radii = nodule.radius / np.array(canvas.pose.scale)
    region = canvas.region(nodule.centre - 1.3 * radii, nodule.centre + 1.3 * radii)
    point = [axis[region] for axis in canvas.point]
    offset = [(axis - middle) / radius for axis, middle, radius in zip(point, nodule.centre, radii, strict=True)]
    dents = 0.13 * nodule.radius * np.sin(sum(axis * wave for axis, wave in zip(offset, nodule.lobes, strict=True)))
    filled = np.zeros(canvas.grid.shape, np.float32)
    filled[region] = canvas.coverage(ellipsoid_distance(point, nodule.centre, radii) + dents)
    canvas.paint(filled[region], nodule.hu, region)
    return filled


def _lung_points(rng: np.random.Generator, build: Build, side: int, count: int) -> np.ndarray:
    # At least 4 mm inside the right (side -1) or left (1) lung.
    found: list[np.ndarray] = []
    while sum(map(len, found)) < count:
        points = rng.uniform((5, -90, -140), (130, 90, 95), (512, 3)) * (side, 1, 1)
        found.append(points[lung_distance(build, points.T) < -4])
    return np.concatenate(found)[:count]
