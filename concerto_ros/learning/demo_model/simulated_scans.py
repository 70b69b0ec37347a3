# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled scans of simulated rooms by depth cameras and LiDARs, with sensor errors.

Camera views and LiDAR sweeps are fused by the same voxel map and get the same normals as on the
robot.
"""

from __future__ import annotations

import numpy as np

from concerto_ros.learning.data.augment import select
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.demo_model.sensing.cameras import camera_scan
from concerto_ros.learning.demo_model.sensing.lidars import lidar_scan
from concerto_ros.learning.demo_model.sensing.meshes import mesh_scan
from concerto_ros.learning.demo_model.sensing.viewpoints import (
    above_a_top,
    low_robot,
    near_furniture,
)
from concerto_ros.sim import Room
from concerto_ros.sim.library import FurnitureLibrary
from concerto_ros.sim.rooms.room_types import KINDS

#: The scans of each room, in order: three single views across it, one from close by (by a low
#: robot, near furniture or above a table top), a sampled mesh of the room, several fused views,
#: and a LiDAR's.
SORTS = ("view", "view", "view", "close", "mesh", "views", "lidar")
SCANS = len(SORTS)
#: Points of a scan, at most: it is cut off around a random place, for files of a few megabytes.
MOST_POINTS = 70_000
_HOME_SHARE = 0.2
#: Where the camera of a close view is and what it looks at, as likely each.
CLOSE = (near_furniture, low_robot, above_a_top)


def room_of(seed: int, furniture: FurnitureLibrary | None = None) -> Room:
    """The room of a seed: a home with a probability of 0.2, else of another room type."""
    rng = np.random.default_rng((seed, 1))
    # A flat and an office contain more classes than a corridor.
    type_weights = {
        "office": 3, "flat": 3, "meeting": 2, "kitchen": 2, "bedroom": 3, "lounge": 3, "hotel": 2,
    }  # fmt: skip
    weights = np.array([type_weights.get(kind, 1) for kind in KINDS], float)
    kind = str(rng.choice(list(KINDS), p=weights / weights.sum()))
    return Room(seed, "home" if rng.random() < _HOME_SHARE else kind, furniture)


def scans_of(seed: int, furniture: FurnitureLibrary | None = None) -> list[Scan]:
    """The scans of the room of ``seed``; equal seeds give equal scans, bit for bit."""
    room = room_of(seed, furniture)
    return [
        # A stream each, so that a change to one sort of scan leaves the others as they were.
        _limited(_scan(sort, f"room{seed}-{room.kind}-{sort}{number}", room, rng), rng)
        for number, (sort, rng) in enumerate(
            zip(SORTS, np.random.default_rng((seed, 2)).spawn(SCANS), strict=True)
        )
    ]


def _limited(scan: Scan, rng: np.random.Generator) -> Scan:
    """At most :data:`MOST_POINTS` points, those nearest to a random one in plan."""
    if len(scan) <= MOST_POINTS:
        return scan
    place = scan.points[rng.integers(len(scan)), :2]
    distance = np.square(scan.points[:, :2] - place).sum(1)
    return select(scan, np.sort(np.argpartition(distance, MOST_POINTS)[:MOST_POINTS]))


def _scan(sort: str, name: str, room: Room, rng: np.random.Generator) -> Scan:
    """A scan of one of the :data:`SORTS`."""
    if sort == "mesh":
        return mesh_scan(name, room, rng)
    if sort == "lidar":
        return lidar_scan(name, room, rng)
    if sort == "close":
        return camera_scan(name, room, rng, viewpoint=CLOSE[rng.integers(len(CLOSE))])
    return camera_scan(name, room, rng, frames=int(rng.integers(3, 11)) if sort == "views" else 1)
