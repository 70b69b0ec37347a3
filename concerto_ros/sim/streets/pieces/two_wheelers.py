# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bicycles, motorcycles and scooters; x is forward, the wheels stand at z = 0."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import rotation_about
from concerto_ros.sim.streets.pieces.cars import RUBBER
from concerto_ros.sim.streets.shapes import (
    Paint,
    Solid,
    boxes,
    join,
    rounds,
    tubes,
)


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
            RUBBER,
        ),
    ]
    return join(parts)


def leaning(solid: Solid, rng: np.random.Generator) -> Solid:
    """A two-wheeler on its stand."""
    return solid.turned(rotation_about("x", rng.normal(0, 0.12)))
