# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A furnished room that rays can be cast into."""

from __future__ import annotations

import numpy as np

from concerto_ros.sim.library import FurnitureLibrary
from concerto_ros.sim.library.in_rooms import furnished_from
from concerto_ros.sim.lighting import Light
from concerto_ros.sim.mesh import CLASSES, join
from concerto_ros.sim.rooms.floor_plan import FloorPlan, build_shell, draw_plan
from concerto_ros.sim.rooms.layout import furnish, lamp_place
from concerto_ros.sim.rooms.room_shells import build_varied_shell, draw_varied_plan
from concerto_ros.sim.rooms.room_types import KINDS, furnish_kind
from concerto_ros.sim.scene import Scene


class Room(Scene):
    """A room with furniture, made from a seed: the same seed gives the same room, bit for bit.

    ``kind`` is ``"home"``, a living room that holds every class, or one of
    :data:`~concerto_ros.sim.rooms.room_types.KINDS`, whose plans, openings, surfaces and furniture
    vary much more. With a ``furniture`` library more than half of the pieces are its models.

    The frame is REP-103's: z up, the floor at z = 0, the origin in the middle of the floor plan's
    bounding rectangle; metres.

    Attributes:
        classes: names of the labels, see :data:`~concerto_ros.sim.mesh.CLASSES`.
        seed: what the room was made from.
        kind: its room type.
        plan: the floor plan with its walls, door and windows.
        mesh: all triangles with their labels and colours.

    Raises:
        ValueError: the room type does not exist.
    """

    classes = CLASSES

    def __init__(
        self, seed: int = 0, kind: str = "home", furniture: FurnitureLibrary | None = None
    ):
        if kind != "home" and kind not in KINDS:
            raise ValueError(f"kind is {kind!r}, expected home or one of {', '.join(KINDS)}")
        # Two streams, so that a change to the furniture leaves the floor plans as they were.
        shell_rng, furniture_rng = np.random.default_rng(seed).spawn(2)
        self.seed = seed
        self.kind = kind
        with furnished_from(furniture):
            if kind == "home":
                self.plan: FloorPlan = draw_plan(shell_rng)
                shell = build_shell(self.plan, shell_rng)
                inside = furnish(self.plan, furniture_rng)
            else:
                varied = draw_varied_plan(shell_rng, kind)
                self.plan, shell = varied, build_varied_shell(varied, shell_rng)
                inside = furnish_kind(varied, furniture_rng, kind)
        mesh = join(shell, inside).called_by_class(CLASSES)
        super().__init__(mesh, *_lights(self.plan, shell_rng))


def _lights(plan: FloorPlan, rng: np.random.Generator) -> tuple[list[Light], float]:
    """Return the ceiling lamp and the windows, and the strength of ambient light."""
    lamp, day = rng.uniform(0.15, 0.35), rng.uniform(0.15, 0.5)
    x, y = lamp_place(plan)
    corner = np.array([x - 0.3, y - 0.3, plan.height - 0.14])
    lights = [Light(corner, np.array([0.6, 0, 0]), np.array([0, 0.6, 0]), lamp)]
    for opening in plan.openings:
        if opening.kind != "window":
            continue
        wall = plan.walls[opening.wall]
        start = np.array([*wall.point(opening.start, -0.1), opening.low])
        end = np.array([*wall.point(opening.end, -0.1), opening.low])
        up = np.array([0.0, 0.0, opening.high - opening.low])
        lights.append(Light(start, end - start, up, day))
    return lights, float(rng.uniform(0.30, 0.42))
