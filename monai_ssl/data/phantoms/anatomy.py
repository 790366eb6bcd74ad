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

"""A thorax in HU, painted organ by organ."""

from __future__ import annotations

import numpy as np

from monai_ssl.data.phantoms.canvas import Canvas, ellipsoid_distance, smooth_field
from monai_ssl.data.phantoms.surfaces import (
    Build,
    cage_distance,
    cage_size,
    diaphragm_distance,
    heart_distance,
    lung_distance,
    outline_distance,
    spine_distance,
    spine_shift,
)

__all__ = ["draw_body", "draw_central_airways"]

_TRACHEA = np.array([(0, 6, 125), (0, 8, 40), (2, 12, 2)])
_BRONCHI = (
    np.array([(2, 12, 2), (-18, 14, -14), (-36, 10, -27)]),
    np.array([(2, 12, 2), (26, 17, -17), (44, 14, -29)]),
)
_OESOPHAGUS = np.array([(4, 26, 125), (3, 28, 0), (8, 30, -55), (24, 8, -92)])
_VESSELS = (  # radius in mm, course
    (14.5, [(4, -8, -38), (-14, -24, -10), (-16, -24, 10), (-4, -12, 28)]),  # ascending aorta
    (12.0, [(-4, -12, 28), (9, 6, 32), (19, 25, 24), (23, 38, 4), (21, 40, -45), (12, 40, -130)]),  # arch, descending
    (5.5, [(-4, -8, 34), (-10, -2, 70), (-34, -4, 125)]),  # the arteries of the arch
    (4.5, [(9, 6, 36), (16, 4, 75), (22, 2, 125)]),
    (5.0, [(17, 18, 34), (26, 14, 75), (62, -6, 110)]),
    (8.5, [(-20, -18, 78), (-27, -14, 20), (-24, -12, -22)]),  # superior vena cava
    (5.5, [(-20, -18, 78), (10, -28, 66), (50, -18, 100)]),  # left brachiocephalic vein
    (11.0, [(-22, -4, -70), (-24, 2, -130)]),  # inferior vena cava
    (13.0, [(22, -48, -32), (20, -32, -8), (24, -8, -6)]),  # pulmonary trunk, left and right artery
    (10.0, [(24, -10, -6), (46, 8, -3)]),
    (10.0, [(18, -22, -10), (-12, -8, -13), (-40, 4, -14)]),
    (7.5, [(-40, 14, -31), (0, 13, -37), (42, 14, -31)]),  # pulmonary veins
)


def draw_body(canvas: Canvas, build: Build, rng: np.random.Generator) -> np.ndarray:
    """
    Paint everything but the lungs' vessels and airways.

    Returns:
        the share of each voxel that is lung, (Z, Y, X), 0..1.
    """
    if build.table:
        _paint_table(canvas, build)
    planes = smooth_field(rng, canvas.grid, 24.0)
    patches = smooth_field(rng, canvas.grid, 9.0)
    body = _paint_wall(canvas, build, planes, patches)
    _paint_abdomen(canvas, build, patches)
    lung = canvas.coverage(lung_distance(build, canvas.point))
    canvas.paint(lung, build.lung + 0.4 * canvas.point[1] + 12 * patches + 12 * planes)
    _paint_mediastinum(canvas, build)
    _paint_spine(canvas, build)
    _paint_ribs(canvas)
    _paint_shoulders(canvas)
    canvas.hu += 5 * patches * body * (1 - lung)
    return lung


def draw_central_airways(canvas: Canvas) -> None:
    """Paint the trachea and the main bronchi."""
    for extra, hu in ((1.8, 20.0), (0.0, -985.0)):
        canvas.tube(_TRACHEA, 8.5 + extra, hu)
        for bronchus in _BRONCHI:
            canvas.tube(bronchus, np.array([7.5, 6.0, 4.5]) + extra, hu)


def _smoothstep(value: np.ndarray) -> np.ndarray:
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)


def _paint_table(canvas: Canvas, build: Build) -> None:
    x, y, _ = canvas.point
    top = 114 + 0.8 * build.fat - 0.0011 * x**2
    for depth, bend in ((0.0, 0.0), (30.0, 0.0007)):
        sheet = np.maximum(np.abs(y - top - depth - bend * x**2) - 1.0, np.abs(x) - 205)
        canvas.paint(canvas.coverage(sheet), -250.0)


def _paint_wall(canvas: Canvas, build: Build, planes: np.ndarray, patches: np.ndarray) -> np.ndarray:
    x, y, z = canvas.point
    shoulder = _smoothstep((z - 40) / 75)
    width = build.half_width + 45 * shoulder
    front, back = 99 + 0.8 * build.fat - 24 * shoulder, 107 + 0.8 * build.fat - 6 * shoulder
    outline = outline_distance(x, y, width, front, back)
    body = canvas.coverage(outline)
    gland = np.zeros_like(body)
    for side in (-1, 1) if build.breast else ():
        size = build.breast
        breast = ellipsoid_distance(canvas.point, (72 * side, -80, -22), (60 * size, 50 * size, 54 * size))
        core = ellipsoid_distance(canvas.point, (74 * side, -98, -24), (36 * size, 22 * size, 32 * size)) + 7 * patches
        body = np.maximum(body, canvas.coverage(breast))
        gland = np.maximum(gland, canvas.coverage(np.maximum(core, breast + 6)))
    canvas.paint(body, -105 + 6 * patches)
    canvas.paint(0.8 * gland, 25.0)
    # Thin sheets where a smooth field crosses zero: the fat between muscles.
    cage = cage_distance(canvas.point)
    thickness = 13 + 70 * _smoothstep((z + 25) / 100) + 26 * np.exp(-((x / 48) ** 2)) * (y > 0) + 3 * planes
    muscle = canvas.coverage(np.maximum(outline + 0.7 * build.fat + 2, cage - thickness))
    canvas.paint(muscle, 54 - 130 * np.exp(-((planes / 0.16) ** 2)))
    canvas.paint(canvas.coverage(cage), -80 + 30 * patches)
    return body


def _paint_abdomen(canvas: Canvas, build: Build, patches: np.ndarray) -> None:
    x, y, _ = canvas.point
    room = np.maximum(cage_distance(canvas.point) + 4, diaphragm_distance(build, canvas.point) + 3)
    room = np.maximum(room, 3 - spine_distance(build, canvas.point))
    inside = canvas.coverage(room)
    base = build.domes[1]
    for centre, radii, hu in (((92, 38, base - 42), (30, 44, 38), 52.0), ((58, -22, base - 34), (44, 50, 32), 18.0)):
        canvas.paint(canvas.coverage(ellipsoid_distance(canvas.point, centre, radii)) * inside, hu)
    gas = np.maximum(ellipsoid_distance(canvas.point, (58, -22, base - 34), (40, 46, 28)), y + 38)
    canvas.paint(canvas.coverage(gas) * inside, -960.0)
    liver = np.maximum(room, 0.85 * (x - 14 + 0.55 * y + 5 * patches))
    canvas.paint(canvas.coverage(liver), 60.0)


def _paint_mediastinum(canvas: Canvas, build: Build) -> None:
    above = canvas.coverage(-diaphragm_distance(build, canvas.point) - 3)
    canvas.paint(canvas.coverage(heart_distance(build, canvas.point)) * above, -85.0)
    canvas.paint(canvas.coverage(heart_distance(build, canvas.point, 5.0)) * above, 0.7 * build.blood + 0.3 * 50)
    canvas.ellipsoid((5, 13, -38), (32, 17, 20), build.blood)  # left atrium
    for radius, points in _VESSELS:
        canvas.tube(np.array(points), radius, build.blood)
    canvas.tube(_OESOPHAGUS, 6.5, 36.0)


def _paint_spine(canvas: Canvas, build: Build) -> None:
    pitch = 23.0
    region = canvas.region((-30, 25, -200), (30, 90, 200))
    x, y, z = (axis[region] for axis in canvas.point)
    column = np.sqrt(x**2 + (1.2 * (y - 50 - spine_shift(build, z))) ** 2) - 17
    vertebra = np.maximum(column, np.abs(np.mod(z + pitch / 2, pitch) - pitch / 2) - 9)
    for distance, hu in ((column, 95.0), (vertebra, 430.0), (vertebra + 3, 190.0)):  # disc, cortex, marrow
        canvas.paint(canvas.coverage(distance), hu, region)
    for middle in pitch * np.arange(-6, 7):
        back = 50 + float(spine_shift(build, middle))
        spinous = np.array([(0, back + 38, middle - 4), (0, back + 56, middle - 18)])
        canvas.tube(spinous, 3.5, 400.0)
        for side in (-1, 1):
            lamina = np.array([(15 * side, back + 26, middle), (0, back + 38, middle - 4)])
            pedicle = [
                (11 * side, back + 14, middle),
                (15 * side, back + 26, middle),
                (34 * side, back + 34, middle + 2),
            ]
            canvas.tube(lamina, 3.5, 420.0)
            canvas.tube(np.array(pedicle), 4.5, 380.0)


def _paint_ribs(canvas: Canvas) -> None:
    for number in range(12):
        end = 2.75 if number < 7 else 2.75 - 0.22 * (number - 6)
        angle = np.linspace(0.3, end, 15)
        drop = (18 + 6 * min(number, 6)) * (angle - 0.3)
        z = 84 - 22 * number - drop * 0.62
        for side in (-1, 1):
            width, front, back = cage_size(z)
            reach = (front + back) / 2 + 5
            line = np.stack([side * np.sin(angle) * (width + 5), (back - front) / 2 + np.cos(angle) * reach, z], axis=1)
            bony = angle < 2.35
            canvas.tube(line[bony], 4.6, 470.0)
            if number < 10:
                canvas.tube(line[~bony | np.roll(~bony, -1)], 4.2, 105.0)  # cartilage
    canvas.tube(np.array([(0, -82, -62), (0, -80, 10), (0, -66, 40)]), 6.0, 300.0)  # sternum, as three strips
    for side in (-1, 1):
        canvas.tube(np.array([(9 * side, -81, -60), (9 * side, -79, 10), (14 * side, -64, 42)]), 5.5, 330.0)


def _paint_shoulders(canvas: Canvas) -> None:
    for side in (-1, 1):
        clavicle = np.array([(16 * side, -58, 52), (70 * side, -46, 84), (135 * side, 5, 112)])
        canvas.tube(clavicle, 6.0, 480.0)
        for z in range(4, 92, 8):  # the scapula is a plate: rods side by side
            canvas.tube(np.array([(88 * side, 92, z), (118 * side, 82, z), (146 * side, 58, z + 6)]), 3.5, 380.0)
        canvas.ellipsoid((172 * side, 10, 122), (26, 26, 28), 330.0)  # head of the humerus
