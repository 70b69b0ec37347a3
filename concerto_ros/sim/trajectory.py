# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The trajectory of a robot that drives around furniture, and of the camera on it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from concerto_ros.sim.room import Room
from concerto_ros.sim.rooms.layout import lamp_place

#: Pose of camera_link in base_link, (4, 4): 1 m up, looking down by 0.3 rad (REP-103 axes).
CAMERA_MOUNT = np.array(
    [
        [np.cos(0.3), 0.0, np.sin(0.3), 0.10],
        [0.0, 1.0, 0.0, 0.0],
        [-np.sin(0.3), 0.0, np.cos(0.3), 1.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
#: Pose of the optical frame (z forward, x right, y down) in camera_link (x forward, z up).
OPTICAL = np.array(
    [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)

#: Edge of a cell of the occupancy grid, metres.
CELL = 0.05
#: The robot's radius and a little air, metres.
CLEARANCE = 0.28
#: Driving speed, metres a second, and turning speed, radians a second.
SPEED = 0.45
TURN = 0.8


class FreeSpace:
    """Where a robot fits: a grid of the distance to the nearest obstacle.

    Attributes:
        corner: (2,) world coordinates of the middle of cell (0, 0), metres.
        clearance: (nx, ny) float32, metres from each cell's middle to the nearest obstacle or
            wall.
        reachable: (nx, ny) bool, the largest connected region where the clearance is enough.

    Raises:
        ValueError: the robot fits nowhere in the room.
    """

    def __init__(self, room: Room):
        import cv2

        half = np.array([room.plan.width, room.plan.depth]) / 2 + 2 * CELL
        count = np.ceil(2 * half / CELL).astype(int) + 1
        self.corner = -half
        x, y = np.meshgrid(
            *(self.corner[i] + CELL * np.arange(count[i]) for i in (0, 1)), indexing="ij"
        )
        # Looking straight down from the ceiling: where the floor is not seen, the robot cannot be.
        start = np.stack([x.ravel(), y.ravel(), np.full(x.size, room.plan.height - 0.01)], axis=1)
        hits = room.cast(start, np.broadcast_to((0.0, 0.0, -1.0), start.shape))
        height = np.where(hits.hit, start[:, 2] - hits.distance, np.inf)
        inside = [room.plan.contains(a, b, a, b) for a, b in start[:, :2]]
        free = ((height < 0.03) & inside).reshape(x.shape)
        free[_below_lamp(room, x, y)] = True
        steps = cv2.distanceTransform(free.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        self.clearance = steps * np.float32(CELL)
        _, parts = cv2.connectedComponents(
            (self.clearance > CLEARANCE).astype(np.uint8), connectivity=4
        )
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        if not sizes.any():
            raise ValueError(
                f"the room of seed {room.seed} has no free floor for a robot; choose another seed"
            )
        self.reachable = parts == sizes.argmax()

    def cell(self, point: Sequence[float] | np.ndarray) -> tuple[int, int]:
        """Return the cell that contains a point (2,) in metres."""
        i, j = np.rint((np.asarray(point) - self.corner) / CELL).astype(int)
        return int(i), int(j)

    def place(self, cells: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
        """Return world coordinates of the middles of cells (..., 2), metres."""
        return self.corner + CELL * np.asarray(cells, np.float64)

    def path(self, start: tuple[int, int], goal: tuple[int, int]) -> np.ndarray:
        """Return the cheapest path from cell to cell, (n, 2) metres, that keeps off obstacles.

        Dijkstra's search over reachable cells; a step costs more the nearer an obstacle is.
        """
        cost = 1.0 + 0.15 / np.maximum(self.clearance - CLEARANCE + 0.05, 0.05)
        best, previous, queue = {start: 0.0}, {}, [(0.0, start)]
        while queue:
            so_far, here = heapq.heappop(queue)
            if here == goal:
                break
            if so_far > best[here]:
                continue
            for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)):
                there = (here[0] + di, here[1] + dj)
                if not self.reachable[there]:
                    continue
                total = so_far + float(cost[there]) * (1.414 if di and dj else 1.0)
                if total < best.get(there, np.inf):
                    best[there], previous[there] = total, here
                    heapq.heappush(queue, (total, there))
        cells = [goal]
        while cells[-1] != start:
            cells.append(previous[cells[-1]])
        return self._smooth(self.place(cells[::-1]))

    def _smooth(self, path: np.ndarray) -> np.ndarray:
        """Smooth corners, as long as every point keeps its clearance; the ends stay."""
        for _ in range(60):
            pulled = path.copy()
            pulled[1:-1] += 0.5 * ((path[:-2] + path[2:]) / 2 - path[1:-1])
            i, j = np.rint((pulled - self.corner) / CELL).astype(int).T
            path = np.where(self.reachable[i, j, None], pulled, path)
        return path


def _below_lamp(room: Room, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the cells under the ceiling lamp, which hides the floor from above."""
    lamp = lamp_place(room.plan)
    return np.hypot(x - lamp[0], y - lamp[1]) < 0.25


def drive(room: Room, rate: float, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield poses (4, 4) of base_link in the room, one every 1 / ``rate`` seconds, without end.

    The robot drives from goal to goal drawn from ``seed``, turns at limited speed, stays on the
    floor (z = 0) and off the furniture.

    Raises:
        ValueError: ``rate`` is not above 0, or the robot fits nowhere in the room.
    """
    if not rate > 0:
        raise ValueError(f"rate is {rate}, expected a positive number of poses a second")
    space, rng, step = FreeSpace(room), np.random.default_rng(seed), 1.0 / rate
    cells = np.argwhere(space.reachable)
    # Goals in the open half of the free space: from a wall there is nothing to see but the wall.
    open_cells = cells[_rank(space.clearance[tuple(cells.T)]) >= 0.5]
    # A good first look: from where the far side of the room is farthest away.
    here = open_cells[np.argmax(np.linalg.norm(space.place(open_cells), axis=1))]
    heading = float(np.arctan2(*-space.place(here)[::-1]))
    while True:
        far = open_cells[np.linalg.norm(open_cells - here, axis=1) * CELL > 1.2]
        choice = far if len(far) else open_cells
        goal = choice[rng.integers(len(choice))]
        path = space.path(_cell(here), _cell(goal))
        for place, turned in _follow(path, heading, step):
            heading = turned
            yield _pose(place, heading)
        here = goal


def _cell(row: np.ndarray) -> tuple[int, int]:
    return int(row[0]), int(row[1])


def trajectory(room: Room, seconds: float, rate: float = 10.0, seed: int = 0) -> np.ndarray:
    """Return poses of base_link in the room, (n, 4, 4) float64, ``rate`` a second.

    See :func:`drive`, whose errors it raises, too.

    Raises:
        ValueError: ``seconds`` is too short for one pose.
    """
    count = round(seconds * rate)
    if count < 1:
        raise ValueError(
            f"seconds is {seconds}, which at {rate} Hz gives no pose; expected at least one"
        )
    return np.stack(list(islice(drive(room, rate, seed), count)))


def camera_pose(base: np.ndarray) -> np.ndarray:
    """Return the pose (4, 4) of the camera's optical frame for a pose of base_link."""
    return base @ CAMERA_MOUNT @ OPTICAL


def _rank(values: np.ndarray) -> np.ndarray:
    """Return the position of each value in sorted order, from 0 to just below 1."""
    return values.argsort(kind="stable").argsort(kind="stable") / len(values)


def _follow(path: np.ndarray, heading: float, step: float) -> Iterator[tuple[np.ndarray, float]]:
    """Yield points along a path and headings that turn towards it; slow while still turning."""
    lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
    travelled = np.concatenate([[0.0], np.cumsum(lengths)])
    position, speed = 0.0, 0.0
    while position < travelled[-1]:
        ahead = _along(path, travelled, position + 0.35) - _along(path, travelled, position)
        if np.linalg.norm(ahead) < 1e-6:
            break
        wanted = np.arctan2(ahead[1], ahead[0])
        error = (wanted - heading + np.pi) % (2 * np.pi) - np.pi
        heading += float(np.clip(error, -TURN * step, TURN * step))
        allowed = SPEED * max(0.0, np.cos(error)) ** 2
        rest = travelled[-1] - position
        speed = min(allowed, speed + 0.6 * step, 0.08 + rest)
        position = min(position + speed * step, travelled[-1])
        yield _along(path, travelled, position), heading


def _along(path: np.ndarray, travelled: np.ndarray, distance: float) -> np.ndarray:
    return np.array([np.interp(distance, travelled, path[:, i]) for i in (0, 1)])


def _pose(place: np.ndarray, heading: float) -> np.ndarray:
    pose = np.eye(4)
    c, s = np.cos(heading), np.sin(heading)
    pose[:2, :2] = ((c, -s), (s, c))
    pose[:2, 3] = place
    return pose
