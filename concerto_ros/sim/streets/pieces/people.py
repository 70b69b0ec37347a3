# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""People who stand, walk, sit and ride; x is forward, the feet stand at z = 0."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.streets.pieces.models import drawn_model
from concerto_ros.sim.streets.pieces.two_wheelers import two_wheeler
from concerto_ros.sim.streets.shapes import Paint, Solid, boxes, join, rounds, tubes

_SKIN = Paint("person", (206, 164, 136), 0.45)


def person(rng: np.random.Generator, pose: str = "stand") -> Solid:
    """A person of 1.05 to 1.98 m.

    Args:
        rng: for clothes, build and limbs.
        pose: ``stand``, ``walk``, ``sit`` (on a seat 0.45 m high) or ``ride`` (a saddle at 0.9 m).

    Raises:
        ValueError: the pose does not exist.
    """
    if pose not in ("stand", "walk", "sit", "ride"):
        raise ValueError(f"pose is {pose!r}, expected stand, walk, sit or ride")
    model = drawn_model(rng, "person") if pose in ("stand", "walk") else None
    if model is not None:
        return model
    scale = rng.uniform(0.6, 0.85) if rng.random() < 0.12 else rng.normal(0.985, 0.055)
    stout = rng.uniform(0.85, 1.3)
    top = Paint("person", tuple(rng.uniform(15, 240, 3)), rng.uniform(0.08, 0.7))
    legs = Paint("person", tuple(rng.uniform(15, 150, 3)), rng.uniform(0.08, 0.5))
    swing = rng.uniform(-0.45, 0.45) if pose == "walk" else rng.normal(0, 0.04)
    seat = {"sit": 0.47, "ride": 0.95}.get(pose, 0.9)
    lean = {"ride": rng.uniform(0.1, 0.6), "walk": 0.08}.get(pose, rng.normal(0.02, 0.05))
    hip = np.array([0.0, 0.0, seat])
    chest = hip + np.array([np.sin(lean), 0, np.cos(lean)]) * 0.48
    neck = hip + np.array([np.sin(lean), 0, np.cos(lean)]) * 0.6
    parts = [rounds(neck + [0.03, 0, 0.17], (0.2, 0.17, 0.25), _SKIN)]
    starts, ends, radius = [hip], [chest], [0.15 * stout]
    coat = rng.random() < 0.25 and pose in ("stand", "walk")
    for side, phase in ((-1, swing), (1, -swing)):
        thigh, knee, foot = _leg(hip, side, phase, pose)
        shin = Paint("person", legs.color, legs.reflectance)
        parts.append(tubes([thigh, knee], [knee, foot], [0.085 * stout, 0.06], shin, 0.05))
        parts.append(boxes(foot + [0.06, 0, 0.03], (0.25, 0.09, 0.09), shin))
        shoulder = chest + [0, side * 0.19, 0.07]
        elbow, hand = _arm(shoulder, side, phase, pose, rng)
        parts.append(tubes([shoulder, elbow], [elbow, hand], 0.05, top, 0.04))
    parts.append(tubes(starts, ends, radius, top, 0.17 * stout, sides=8))
    parts.append(rounds(chest + [0, 0, 0.02], (0.24, 0.44 * stout, 0.28), top))
    if coat:
        parts.append(tubes(hip + [0, 0, -0.4], hip + [0, 0, 0.1], 0.26, top, 0.17, sides=8))
    bag = rng.random()
    if bag < 0.15:
        parts.append(boxes(chest + [-0.22, 0, -0.1], (0.2, 0.32, 0.45), legs))
    elif bag < 0.25 and pose != "ride":
        parts.append(boxes((0.05, 0.32, 0.5), (0.3, 0.12, 0.35), legs))
    elif bag < 0.28 and pose in ("stand", "walk"):  # an umbrella
        parts.append(tubes((0.2, 0, 1.9), (0.2, 0, 2.15), 0.55, top, 0.02, sides=8))
    return join(parts).turned(np.diag([scale, scale, scale]))


def rider(rng: np.random.Generator, motor: bool | None = None) -> Solid:
    """A person on a bicycle or a motorcycle, all of the class person."""
    motor = rng.random() < 0.35 if motor is None else motor
    return join(
        [two_wheeler(rng, motor, label="person"), person(rng, "ride").moved((-0.15, 0, 0))]
    )


def _leg(hip, side: float, phase: float, pose: str) -> tuple[np.ndarray, ...]:
    thigh = hip + [0, side * 0.1, 0]
    if pose == "sit":
        knee = thigh + [0.42, side * 0.03, 0.0]
        return thigh, knee, np.array([knee[0] + 0.03, knee[1], 0.02])
    if pose == "ride":
        low = 0.22 * side
        knee = thigh + [0.33, 0, -0.25 + low * 0.6]
        return thigh, knee, knee + [-0.1, 0, -0.38 + low * 0.4]
    knee = thigh + [0.43 * np.sin(phase) + 0.03, 0, -0.43 * np.cos(phase)]
    back = phase - 0.35 * (phase < -0.1)
    foot = knee + [0.42 * np.sin(back), 0, -0.42 * np.cos(back)]
    return thigh, knee, np.array([foot[0], foot[1], max(foot[2], 0.02)])


def _arm(shoulder, side: float, phase: float, pose: str, rng) -> tuple[np.ndarray, np.ndarray]:
    if pose == "ride":
        return shoulder + [0.2, side * 0.08, -0.18], shoulder + [0.42, side * 0.05, -0.33]
    if rng.random() < 0.25:  # at a phone, a pocket or a handle
        elbow = shoulder + [0.0, side * 0.06, -0.28]
        return elbow, elbow + [0.22, -side * 0.08, rng.uniform(-0.05, 0.2)]
    back = -phase
    elbow = shoulder + [0.28 * np.sin(back), side * 0.05, -0.28 * np.cos(back)]
    return elbow, elbow + [0.25 * np.sin(back + 0.25), 0, -0.25 * np.cos(back + 0.25)]
