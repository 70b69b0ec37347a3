# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cars; x is forward, the wheels stand at z = 0."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.pieces.models import drawn_model
from concerto_ros.sim.streets.shapes import (
    Paint,
    Solid,
    boxes,
    join,
    quads,
    tubes,
)

#: What vehicles are made of, besides their paint.
RUBBER = Paint("vehicle", (28, 28, 30), 0.05)
DARK = Paint("vehicle", (45, 45, 48), 0.12)
METAL = Paint("vehicle", (150, 152, 156), 0.45)
SEAT = Paint("vehicle", (62, 60, 60), 0.2)
#: Colours of cars with their reflectance; black ones hardly reflect infrared light.
COLORS = (
    ((235, 235, 235), 0.6),
    ((180, 182, 186), 0.45),
    ((110, 112, 118), 0.25),
    ((22, 22, 25), 0.03),
    ((32, 38, 62), 0.06),
    ((150, 26, 30), 0.35),
    ((40, 74, 140), 0.22),
    ((60, 92, 66), 0.25),
    ((206, 184, 148), 0.45),
    ((224, 172, 40), 0.5),
)
_LAMP = Paint("vehicle", (230, 225, 210), 0.8)
#: Side views: (x, height of the waist, height of the top) along the length, all as shares of
#: length and height, from the front to the back.
_SIDES = {
    "sedan": (
        (0.0, 0.36, 0.42),
        (0.03, 0.5, 0.53),
        (0.27, 0.6, 0.66),
        (0.41, 0.63, 0.97),
        (0.52, 0.64, 1.0),
        (0.68, 0.65, 0.96),
        (0.84, 0.66, 0.71),
        (0.97, 0.64, 0.68),
        (1.0, 0.36, 0.45),
    ),
    "hatch": (
        (0.0, 0.34, 0.4),
        (0.04, 0.47, 0.51),
        (0.25, 0.58, 0.64),
        (0.42, 0.61, 0.98),
        (0.6, 0.62, 1.0),
        (0.86, 0.64, 0.94),
        (0.98, 0.62, 0.66),
        (1.0, 0.36, 0.45),
    ),
    "estate": (
        (0.0, 0.35, 0.42),
        (0.03, 0.49, 0.53),
        (0.27, 0.6, 0.65),
        (0.4, 0.62, 0.96),
        (0.55, 0.63, 1.0),
        (0.9, 0.65, 0.95),
        (0.98, 0.63, 0.7),
        (1.0, 0.36, 0.45),
    ),
    "suv": (
        (0.0, 0.4, 0.45),
        (0.02, 0.55, 0.58),
        (0.26, 0.62, 0.67),
        (0.37, 0.64, 0.97),
        (0.55, 0.65, 1.0),
        (0.92, 0.66, 0.97),
        (0.99, 0.62, 0.7),
        (1.0, 0.38, 0.48),
    ),
    "van": (
        (0.0, 0.3, 0.36),
        (0.02, 0.45, 0.48),
        (0.13, 0.5, 0.56),
        (0.26, 0.55, 0.97),
        (0.4, 0.56, 1.0),
        (0.98, 0.56, 1.0),
        (1.0, 0.56, 0.96),
    ),
    "pickup": (
        (0.0, 0.38, 0.45),
        (0.02, 0.54, 0.57),
        (0.26, 0.6, 0.65),
        (0.35, 0.62, 0.97),
        (0.45, 0.62, 1.0),
        (0.56, 0.62, 0.97),
        (0.6, 0.6, 0.62),
        (0.99, 0.58, 0.6),
        (1.0, 0.4, 0.5),
    ),
}
#: (length, width, height) of each in metres; a van is closed behind the front seats or not.
_SIZES = {
    "sedan": (4.7, 1.82, 1.44),
    "hatch": (4.0, 1.74, 1.48),
    "estate": (4.7, 1.82, 1.48),
    "suv": (4.6, 1.88, 1.7),
    "van": (5.4, 1.98, 2.2),
    "pickup": (5.2, 1.9, 1.8),
}


def car(rng: np.random.Generator, kind: str | None = None) -> Solid:
    """A car of a random shape, or of a kind in ``sedan hatch estate suv van pickup``."""
    model = drawn_model(rng, "car") if kind is None else None
    if model is not None:
        return model
    kinds = list(_SIDES)
    kind = kind or str(rng.choice(kinds, p=[0.22, 0.28, 0.14, 0.2, 0.11, 0.05]))
    length, width, height = np.array(_SIZES[kind]) * rng.uniform(0.9, 1.1, 3)
    side = np.array(_SIDES[kind])
    side[1:-1] += rng.normal(0, [0.012, 0.008, 0.006], (len(side) - 2, 3))
    x = (0.5 - side[:, 0]) * length
    sill = rng.uniform(0.17, 0.3)
    waist, top = side[:, 1] * height, np.maximum(side[:, 2], side[:, 1] + 0.02) * height
    half = width / 2 * np.interp(side[:, 0], [0, 0.05, 0.15, 0.9, 1], [0.78, 0.93, 1, 1, 0.88])
    cabin = top - waist > 0.12 * height
    inward = rng.uniform(0.74, 0.92 if kind == "van" else 0.86)
    roof = np.where(cabin, half * inward, half * 0.93)
    rings = np.stack(
        [
            np.stack([x, sign * across, height_at], -1)
            for sign, across, height_at in (
                (-1, half * 0.94, np.full_like(x, sill)),
                (-1, half, waist * 0.62),
                (-1, half * 0.98, waist),
                (-1, roof, top),
                (1, roof, top),
                (1, half * 0.98, waist),
                (1, half, waist * 0.62),
                (1, half * 0.94, np.full_like(x, sill)),
            )
        ],
        1,
    )
    color, reflectance = COLORS[rng.integers(len(COLORS))]
    body = Paint("vehicle", color, reflectance * rng.uniform(0.7, 1.3))
    glass = Paint("vehicle", (50, 60, 66), 0.06, gaps=rng.uniform(0.35, 0.9))
    closed = kind == "van" and rng.random() < 0.6
    cells = np.stack([rings[:-1, :-1], rings[1:, :-1], rings[1:, 1:], rings[:-1, 1:]], 2)
    glazed = np.zeros(cells.shape[:2], bool)
    both = cabin[1:] | cabin[:-1]
    if closed:
        both &= side[1:, 0] < 0.45
    glazed[:, 2] = glazed[:, 4] = both
    # The windscreen and the rear window: where the roof line rises or falls steeply.
    glazed[:, 3] = both & (np.abs(np.diff(top)) > 0.16 * height)
    ends = rings[[0, -1]][:, [0, 1, 2, 3, 4, 5, 6, 7]]
    faces = [ends[:, [0, 1, 6, 7]], ends[:, [1, 2, 5, 6]], ends[:, [2, 3, 4, 5]]]
    parts = [
        quads(cells[~glazed], body),
        quads(np.concatenate(faces), body),
        boxes((0, 0, sill + 0.04), (length * 0.9, width * 0.86, 0.06), DARK),
        _wheels(length, width, height * rng.uniform(0.2, 0.235), (0.31, -0.29)),
        _interior(length, width, height),
    ]
    if glazed.any():
        parts.append(quads(cells[glazed], glass))
    mirror = [(length * 0.17, s * (width / 2 + 0.09), height * 0.66) for s in (-1, 1)]
    parts.append(boxes(mirror, (0.12, 0.2, 0.15), body))
    lamps = [
        (e * length * 0.485, s * width * 0.36, height * 0.44) for s in (-1, 1) for e in (-1, 1)
    ]
    parts.append(boxes(lamps, (0.08, 0.3, 0.12), _LAMP))
    if kind == "pickup":
        wall = boxes(
            [(-0.28 * length, s * width * 0.46, height * 0.64) for s in (-1, 1)],
            (length * 0.4, 0.06, height * 0.14),
            body,
        )
        parts.append(wall)
    if rng.random() < 0.08:
        parts.append(boxes((-0.05 * length, 0, height + 0.12), (1.8, 0.9, 0.3), DARK))
    return join(parts)


def _wheels(length: float, width: float, radius: float, axles: tuple[float, ...]) -> Solid:
    middle = np.array(
        [(a * length, s * (width / 2 - 0.1), radius) for a in axles for s in (-1, 1)]
    )
    outer = np.array([0, 0.115, 0])
    return join(
        [
            tubes(middle - outer, middle + outer, radius, RUBBER, sides=10),
            tubes(middle - outer * 1.04, middle + outer * 1.04, radius * 0.6, METAL, sides=8),
        ]
    )


def _interior(length: float, width: float, height: float) -> Solid:
    """Seats, dashboard and floor: what beams through the windows meet."""
    places = [(x * length, s * width * 0.22, height * 0.5) for x in (0.0, -0.22) for s in (-1, 1)]
    return join(
        [
            boxes(places, (0.18, width * 0.28, height * 0.5), SEAT),
            boxes((length * 0.17, 0, height * 0.5), (0.3, width * 0.8, height * 0.25), SEAT),
        ]
    )
