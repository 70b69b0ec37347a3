# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stairs: what one walks on is floor, strings and rails are other.

Builders follow the convention of :mod:`concerto_ros.sim.pieces.furniture`.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.mesh import Finish, Mesh, box, join, rod
from concerto_ros.sim.names import named
from concerto_ros.sim.pieces.finishes import any_color, lacquer, metal
from concerto_ros.sim.pieces.furniture import Rng, pick, wooden


@named("stairs")
def stairs(rng: Rng, height: float) -> Mesh:
    """A flight along a wall, up to a ceiling or a few steps to a platform; rises along x.

    Args:
        rng: draws the steps.
        height: of the ceiling, metres.
    """
    finish = pick(rng, (wooden(rng), lacquer(rng), any_color(rng, "carpet")))
    rise, tread, wide = rng.uniform(0.16, 0.2), rng.uniform(0.24, 0.3), rng.uniform(0.7, 1.1)
    most = int((height - 0.05) / rise)
    steps = most if rng.random() < 0.5 else int(rng.integers(2, 6))
    long, closed, parts = steps * tread, rng.random() < 0.6, []
    for i in range(steps):
        x, z = (i + 0.5) * tread - long / 2, (i + 1) * rise
        if closed:
            parts.append(box((tread, wide, z), (x, wide / 2, z / 2), finish, "floor"))
        else:
            parts.append(box((tread + 0.03, wide, 0.04), (x, wide / 2, z - 0.02), finish, "floor"))
    slope = np.array([long, 0.0, steps * rise])
    start = np.array([-long / 2, 0.0, 0.0])
    if not closed:
        string = Finish(finish.color, "wood")
        for y in (0.03, wide - 0.03):
            parts.append(rod(start + (0, y, 0.02), start + slope + (0, y, -0.06), 0.05, string,
                             "other", 6))  # fmt: skip
    if rng.random() < 0.75:
        rail, high, y = metal(rng), rng.uniform(0.85, 1.0), wide - 0.04
        end = slope * min(1.0, (height - high - 0.05) / (steps * rise))
        lift = np.array([0.0, y, high])
        parts.append(rod(start + lift, start + end + lift, 0.025, rail, "other", 8))
        for part in np.linspace(0.05, 0.95, max(2, steps // 2)):
            foot = start + part * end + (0, y, 0)
            parts.append(rod(foot, foot + (0, 0, high), 0.014, rail, "other", 6))
    return join(*parts)
