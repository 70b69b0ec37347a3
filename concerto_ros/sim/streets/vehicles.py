# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cars, vans, trucks, buses, bicycles and motorcycles; x is forward, the wheels stand at z = 0."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import rotation_about
from concerto_ros.sim.streets.models import drawn_model
from concerto_ros.sim.streets.shapes import Paint, Solid, boxes, join, quads, rounds, tubes

_RUBBER = Paint("vehicle", (28, 28, 30), 0.05)
_DARK = Paint("vehicle", (45, 45, 48), 0.12)
_METAL = Paint("vehicle", (150, 152, 156), 0.45)
_LAMP = Paint("vehicle", (230, 225, 210), 0.8)
_SEAT = Paint("vehicle", (62, 60, 60), 0.2)
#: Colours of cars with their reflectance; black ones hardly reflect infrared light.
_COLORS = (
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
    color, reflectance = _COLORS[rng.integers(len(_COLORS))]
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
        boxes((0, 0, sill + 0.04), (length * 0.9, width * 0.86, 0.06), _DARK),
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
        parts.append(boxes((-0.05 * length, 0, height + 0.12), (1.8, 0.9, 0.3), _DARK))
    return join(parts)


def truck(rng: np.random.Generator) -> Solid:
    """A lorry with a box, a flat bed, a tank, a tipper or a container, some with a trailer."""
    model = drawn_model(rng, "lorry")
    if model is not None:
        return model
    color, reflectance = _COLORS[rng.integers(len(_COLORS))]
    body = Paint("vehicle", color, max(reflectance, 0.1))
    cargo_color, cargo_reflectance = _COLORS[rng.integers(len(_COLORS))]
    cargo = Paint("vehicle", cargo_color, max(cargo_reflectance, 0.15))
    width, cab = rng.uniform(2.2, 2.55), rng.uniform(1.7, 2.4)
    height, low = rng.uniform(2.5, 3.6), rng.uniform(0.9, 1.25)
    length = rng.uniform(4.5, 8.0)
    parts = [_cab(rng, width, cab, height, body)]
    parts += _load(rng, -cab - 0.3, length, width, low, cargo)
    axles = [-cab * 0.55, -cab - 0.3 - length * 0.75]
    if rng.random() < 0.35:
        length2 = rng.uniform(6, 9)
        start = -cab - length - 1.4
        parts += _load(rng, start, length2, width, low, cargo)
        axles += [start - length2 * 0.2, start - length2 * 0.75, start - length2 * 0.9]
        length += length2 + 1.1
    parts.append(boxes((-(cab + length) / 2, 0, low - 0.2), (cab + length, 0.9, 0.25), _DARK))
    parts.append(_axles(axles, width, rng.uniform(0.42, 0.52)))
    return join(parts).moved(((cab + length) / 2, 0, 0))


def bus(rng: np.random.Generator) -> Solid:
    """A bus or a coach."""
    model = drawn_model(rng, "bus")
    if model is not None:
        return model
    length, width, height = rng.uniform(9, 14), 2.5, rng.uniform(2.8, 3.5)
    color, reflectance = _COLORS[rng.integers(len(_COLORS))]
    body = Paint("vehicle", color, max(reflectance, 0.12))
    glass = Paint("vehicle", (50, 60, 66), 0.08, gaps=0.6)
    waist, top = height * 0.4, height * 0.86
    parts = [
        boxes((0, 0, (0.35 + waist) / 2), (length, width, waist - 0.35), body),
        boxes((0, 0, (top + height) / 2), (length, width * 0.97, height - top), body),
        boxes((0, 0, (waist + top) / 2), (length * 0.99, width * 0.98, top - waist), glass),
        _axles([length * 0.3, -length * 0.28], width, 0.48),
    ]
    posts = np.arange(-length / 2 + 0.1, length / 2, rng.uniform(1.2, 1.9))
    both = [(x, s * width * 0.49, (waist + top) / 2) for x in posts for s in (-1, 1)]
    parts.append(boxes(both, (0.14, 0.06, top - waist), body))
    rows = np.arange(-length / 2 + 1.5, length / 2 - 2, 0.85)
    seats = [(x, s * 0.75, 1.2) for x in rows for s in (-1, 1)]
    parts.append(boxes(seats, (0.15, 0.9, 1.1), _SEAT))
    return join(parts)


def two_wheeler(rng: np.random.Generator, motor: bool = False, label: str = "vehicle") -> Solid:
    """A bicycle, or with ``motor`` a motorcycle or scooter."""
    radius = rng.uniform(0.25, 0.32) if motor else rng.uniform(0.29, 0.36)
    base = rng.uniform(1.25, 1.45) if motor else rng.uniform(0.98, 1.12)
    color = rng.uniform(20, 230, 3)
    frame = Paint(label, tuple(color), rng.uniform(0.1, 0.5))
    rubber = Paint(label, (30, 30, 30), 0.08)
    front, back = np.array([base / 2, 0, radius]), np.array([-base / 2, 0, radius])
    angle = np.linspace(0, 2 * np.pi, 13)
    ring = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], -1) * radius
    rims = np.concatenate([ring + front, ring + back])
    use = np.arange(len(rims) - 1) != 12
    thick = 0.055 if motor else 0.02
    parts = [tubes(rims[:-1][use], rims[1:][use], thick, rubber, sides=4)]
    if motor:
        parts += [
            rounds((0.12, 0, 0.78), (0.6, 0.34, 0.32), frame),
            boxes((-0.35, 0, 0.8), (0.75, 0.3, 0.14), Paint(label, (35, 35, 35), 0.1)),
            boxes((0, 0, 0.45), (0.55, 0.32, 0.42), Paint(label, (90, 90, 92), 0.3)),
        ]
        if rng.random() < 0.5:  # a scooter's shield
            parts.append(boxes((0.42, 0, 0.65), (0.1, 0.42, 0.75), frame))
        bar = np.array([0.42, 0, 1.05])
    else:
        saddle, crank = np.array([-0.18, 0, 0.92]), np.array([-0.05, 0, 0.3])
        bar = np.array([0.36, 0, 1.0])
        starts = np.array([back, crank, crank, back, bar])
        ends = np.array([crank, saddle, bar, saddle, saddle * 0.8 + bar * 0.2])
        parts.append(tubes(starts, ends, 0.022, frame, sides=5))
        parts.append(boxes(saddle + [0, 0, 0.04], (0.26, 0.14, 0.06), rubber))
        spokes = np.repeat([front, back], 6, 0)
        parts.append(
            tubes(spokes, rims[[0, 2, 4, 6, 8, 10, 13, 15, 17, 19, 21, 23]], 0.004, frame)
        )
        if rng.random() < 0.4:
            parts.append(boxes(bar + [0.15, 0, -0.05], (0.3, 0.36, 0.26), frame))
    parts.append(tubes(front, bar, 0.025, frame, sides=5))
    parts.append(tubes(bar + [0, -0.3, 0.03], bar + [0, 0.3, 0.03], 0.015, frame, sides=4))
    return join(parts)


def kick_scooter(rng: np.random.Generator) -> Solid:
    """An electric scooter as they stand on pavements."""
    paint = Paint("vehicle", tuple(rng.uniform(20, 230, 3)), 0.3)
    parts = [
        boxes((0, 0, 0.14), (0.75, 0.15, 0.06), paint),
        tubes((0.42, 0, 0.1), (0.34, 0, 1.1), 0.03, paint),
        tubes((0.34, -0.25, 1.1), (0.34, 0.25, 1.1), 0.02, paint),
        tubes(
            [(0.45, -0.03, 0.1), (-0.42, -0.03, 0.1)],
            [(0.45, 0.03, 0.1), (-0.42, 0.03, 0.1)],
            0.1,
            _RUBBER,
        ),
    ]
    return join(parts)


def leaning(solid: Solid, rng: np.random.Generator) -> Solid:
    """A two-wheeler on its stand."""
    return solid.turned(rotation_about("x", rng.normal(0, 0.12)))


def _wheels(length: float, width: float, radius: float, axles: tuple[float, ...]) -> Solid:
    middle = np.array(
        [(a * length, s * (width / 2 - 0.1), radius) for a in axles for s in (-1, 1)]
    )
    outer = np.array([0, 0.115, 0])
    return join(
        [
            tubes(middle - outer, middle + outer, radius, _RUBBER, sides=10),
            tubes(middle - outer * 1.04, middle + outer * 1.04, radius * 0.6, _METAL, sides=8),
        ]
    )


def _axles(places: list[float], width: float, radius: float) -> Solid:
    middle = np.array([(x, s * (width / 2 - 0.17), radius) for x in places for s in (-1, 1)])
    outer = np.array([0, 0.17, 0])
    return tubes(middle - outer, middle + outer, radius, _RUBBER, sides=10)


def _interior(length: float, width: float, height: float) -> Solid:
    """Seats, dashboard and floor: what beams through the windows meet."""
    places = [(x * length, s * width * 0.22, height * 0.5) for x in (0.0, -0.22) for s in (-1, 1)]
    return join(
        [
            boxes(places, (0.18, width * 0.28, height * 0.5), _SEAT),
            boxes((length * 0.17, 0, height * 0.5), (0.3, width * 0.8, height * 0.25), _SEAT),
        ]
    )


def _cab(rng, width: float, length: float, height: float, body: Paint) -> Solid:
    """A driver's cab, its front at x = 0."""
    low, waist = 0.55, height * 0.55
    glass = Paint("vehicle", (50, 60, 66), 0.06, gaps=0.6)
    lean = rng.uniform(0.0, 0.35)
    hw = width / 2
    screen = [
        (0, -hw, waist),
        (0, hw, waist),
        (-lean, hw * 0.95, height),
        (-lean, -hw * 0.95, height),
    ]
    roof = [
        (-lean, -hw * 0.95, height),
        (-lean, hw * 0.95, height),
        (-length, hw, height),
        (-length, -hw, height),
    ]
    back = [(-length, -hw, low), (-length, hw, low), (-length, hw, height), (-length, -hw, height)]
    windows = [
        [
            (0, s * hw, waist),
            (-length * 0.7, s * hw, waist),
            (-length * 0.7, s * hw * 0.97, height * 0.92),
            (-lean, s * hw * 0.95, height * 0.92),
        ]
        for s in (-1, 1)
    ]
    pillars = [
        [
            (-length * 0.7, s * hw, waist),
            (-length, s * hw, waist),
            (-length, s * hw, height),
            (-length * 0.7, s * hw * 0.97, height),
        ]
        for s in (-1, 1)
    ]
    return join(
        [
            boxes((-length / 2, 0, (low + waist) / 2), (length, width, waist - low), body),
            quads(np.array([roof, back, *pillars], float), body),
            quads(np.array([screen, *windows], float), glass),
            boxes((-length * 0.5, 0, height * 0.5), (0.4, width * 0.8, height * 0.5), _SEAT),
            boxes(
                [(-0.2, s * (hw + 0.15), height * 0.7) for s in (-1, 1)], (0.1, 0.25, 0.5), _DARK
            ),
        ]
    )


def _load(rng, front: float, length: float, width: float, low: float, cargo: Paint) -> list[Solid]:
    """What is behind the cab, from x = front backwards."""
    x = front - length / 2
    kind = rng.choice(["box", "box", "flat", "tank", "tipper", "container"])
    if kind == "tank":
        radius = rng.uniform(0.85, 1.15)
        z = low + radius
        tank = tubes((front, 0, z), (front - length, 0, z), radius, _METAL, sides=12)
        return [tank, boxes((x, 0, low), (length, width * 0.6, 0.3), _DARK)]
    if kind == "flat":
        floor = boxes((x, 0, low), (length, width, 0.2), _DARK)
        if rng.random() < 0.5:
            return [floor]
        count = int(rng.integers(1, 6))
        sizes = rng.uniform([0.6, 0.6, 0.4], [1.8, width, 1.6], (count, 3))
        places = np.column_stack(
            [x + rng.uniform(-0.4, 0.4, count) * length, np.zeros(count), low + sizes[:, 2] / 2]
        )
        return [floor, boxes(places, sizes, cargo)]
    if kind == "tipper":
        height = rng.uniform(0.6, 1.4)
        sides = [(x, s * width / 2, low + height / 2) for s in (-1, 1)]
        ends = [(e, 0, low + height / 2) for e in (front, front - length)]
        return [
            boxes((x, 0, low), (length, width, 0.2), cargo),
            boxes(sides, (length, 0.08, height), cargo),
            boxes(ends, (0.08, width, height), cargo),
        ]
    height = 2.4 if kind == "container" else rng.uniform(2.0, 2.8)
    return [boxes((x, 0, low + height / 2), (length, width, height), cargo)]
