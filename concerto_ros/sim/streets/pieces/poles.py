# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lamps, signs, lights and masts; their fronts face +x, their feet stand at z = 0."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.pieces.models import drawn_model
from concerto_ros.sim.streets.shapes import (
    Paint,
    Solid,
    boxes,
    join,
    quads,
    rounds,
    tubes,
)

_STEEL = Paint("pole", (142, 144, 148), 0.4)
_WOOD = Paint("pole", (112, 92, 74), 0.3)


def lamp(rng: np.random.Generator) -> Solid:
    """A street lamp of 3 to 11 m."""
    model = drawn_model(rng, "street lamp")
    if model is not None:
        return model
    height = rng.uniform(3, 11)
    radius = rng.uniform(0.05, 0.1) + 0.004 * height
    parts = [tubes((0, 0, -0.3), (0, 0, height), radius, _STEEL, radius * 0.6, sides=8)]
    if height > 5:
        out = rng.uniform(0.5, 2.4)
        for side in (-1, 1) if rng.random() < 0.2 else (1,):
            tip = (0, side * out, height + 0.3)
            parts.append(tubes((0, 0, height - 0.2), tip, radius * 0.5, _STEEL))
            parts.append(boxes(tip, (0.28, 0.7, 0.14), _STEEL))
    else:
        parts.append(rounds((0, 0, height + 0.2), (0.45, 0.45, 0.5), _STEEL))
    return join(parts)


def traffic_light(rng: np.random.Generator) -> Solid:
    """A traffic light, some with an arm over the road (towards +y)."""
    height = rng.uniform(2.6, 3.6)
    dark = Paint("pole", (40, 42, 44), 0.15)
    parts = [boxes((0.15, 0, height - 0.4), (0.3, 0.32, 0.95), dark)]
    if rng.random() < 0.4:
        high, out = rng.uniform(5.2, 6.2), rng.uniform(2.5, 6)
        parts.append(tubes((0, 0, high), (0, out, high), 0.07, _STEEL))
        parts.append(boxes((0.1, out - 0.3, high), (0.3, 0.34, 1.0), dark))
        height = high
    parts.append(tubes((0, 0, -0.3), (0, 0, height), rng.uniform(0.05, 0.12), _STEEL))
    return join(parts)


def sign(rng: np.random.Generator) -> Solid:
    """A traffic sign, street name or signpost."""
    height = rng.uniform(1.9, 3.2)
    radius = rng.uniform(0.025, 0.05)
    plate = Paint("pole", tuple(rng.uniform(60, 240, 3)), 0.9)
    size = rng.uniform(0.4, 0.9)
    parts = [tubes((0, 0, -0.2), (0, 0, height), radius, _STEEL)]
    for number in range(int(rng.integers(1, 3))):
        z = height - size / 2 - number * size * 1.1
        if z < 1.0:
            break
        kind = rng.random()
        if kind < 0.4:
            parts.append(tubes((0.04, 0, z), (0.06, 0, z), size / 2, plate, sides=12))
        elif kind < 0.6:
            angle = np.array([0.5, 7 / 6, 11 / 6]) * np.pi
            corners = [(0.05, size * 0.58 * np.cos(a), z + size * 0.58 * np.sin(a)) for a in angle]
            parts.append(quads(np.array([[*corners, corners[0]]]), plate))
        else:
            wide = size * rng.uniform(0.8, 2.0)
            parts.append(boxes((0.05, 0, z), (0.03, wide, size * rng.uniform(0.5, 1)), plate))
    return join(parts)


def large_sign(rng: np.random.Generator) -> Solid:
    """A direction sign on two posts, or an advertising board."""
    wide, tall, low = rng.uniform(2, 5), rng.uniform(1.2, 3), rng.uniform(0.6, 2.4)
    plate = Paint("pole", tuple(rng.uniform(40, 220, 3)), 0.8)
    posts = [(0, s * wide * 0.35, -0.3) for s in (-1, 1)]
    ends = [(0, s * wide * 0.35, low + tall) for s in (-1, 1)]
    return join(
        [
            tubes(posts, ends, 0.08, _STEEL),
            boxes((0.1, 0, low + tall / 2), (0.06, wide, tall), plate),
        ]
    )


def gantry(rng: np.random.Generator, width: float) -> Solid:
    """A portal over a road along x, ``width`` metres from post to post."""
    high = rng.uniform(5.5, 7)
    feet = np.array([(0, s * width / 2, -0.3) for s in (-1, 1)])
    beam = boxes((0, 0, high), (0.5, width, 0.6), _STEEL)
    plates = [(0.3, y, high + 0.2) for y in rng.uniform(-0.35, 0.35, 3) * width]
    plate = Paint("pole", (40, 80, 150), 0.8)
    return join(
        [
            tubes(feet, feet * [1, 1, 0] + [0, 0, high], 0.2, _STEEL),
            beam,
            boxes(plates, (0.08, 3.4, 2.4), plate),
        ]
    )


def bollard(rng: np.random.Generator) -> Solid:
    """A bollard or a marker post, 0.5 to 1.1 m."""
    height, radius = rng.uniform(0.5, 1.1), rng.uniform(0.04, 0.12)
    return tubes((0, 0, -0.2), (0, 0, height), radius, _STEEL, radius * 0.9, sides=8)


def power_line(rng: np.random.Generator, tops: np.ndarray, feet: np.ndarray) -> Solid:
    """Wooden or concrete masts from ``feet`` to ``tops`` (N, 3), with sagging wires."""
    parts = [tubes(feet, tops, 0.15, _WOOD, 0.1, sides=8)]
    parts.append(boxes(tops - [0, 0, 0.4], (0.12, 1.8, 0.12), _WOOD))
    share = np.linspace(0, 1, 9)[:, None]
    sag = -4 * share * (1 - share) * rng.uniform(0.3, 1.2)
    for offset in (-0.8, 0.0, 0.8):
        ends = tops + [0, offset, -0.3]
        for start, end in zip(ends[:-1], ends[1:], strict=True):
            wire = start + share * (end - start) + sag * [0, 0, 1]
            parts.append(tubes(wire[:-1], wire[1:], 0.015, _STEEL, sides=3))
    return join(parts)
