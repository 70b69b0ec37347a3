# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The rolling map: a running mean per voxel of a fixed lattice, over a window of time."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from concerto_ros.mapping.generation import Generation
from concerto_ros.mapping.key_table import KeyTable
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.sorted_rows import SortedRows
from concerto_ros.mapping.voxel_cells import CELL
from concerto_ros.mapping.voxel_grid import bounds, grid_sample, unpack
from concerto_ros.mapping.voxel_sums import VoxelSums, frame_sums, snapshot_sums
from concerto_ros.sensors.frame import Frame, OriginalPoints, View
from concerto_ros.sensors.input_error import InputError

#: Once a voxel has this many observations its sums are halved, so that the mean keeps following
#: the sensor (and float32 keeps counting) however long a voxel stays in view.
OBSERVATION_LIMIT = 4096.0

_NEVER = np.iinfo(np.int64).min
#: The stamp of voxels put into a map that has seen no frame yet.
_BEFORE = _NEVER + 1


@dataclass(frozen=True)
class Insertion:
    """What one :meth:`VoxelMap.insert` did.

    Attributes:
        points: Points that were fused.
        outside: Points left out because they lie more than 2**20 voxels from the origin.
        voxels: Voxels of the fused points.
        evicted: Voxels removed because of ``max_voxels``.
        cleared: Voxels removed because the sensor observed them as free.
        outdated: Whether the frame is older than the window; nothing of it was fused.
    """

    points: int = 0
    outside: int = 0
    voxels: int = 0
    evicted: int = 0
    cleared: int = 0
    outdated: bool = False

    @property
    def reason(self) -> str:
        """Why nothing of the frame was fused, a key of ``REASONS``; empty where something was."""
        if self.outdated:
            return "outdated"
        return "" if self.points else "off_map"

    def check(self, frame: Frame) -> None:
        """Raise an error if nothing of ``frame`` was fused.

        Raises:
            InputError: ``outdated`` or ``off_map``.
        """
        if self.reason == "outdated":
            raise InputError(
                "outdated",
                f"header.stamp: got {frame.stamp / 1e9:.3f} s, expected one within the window that"
                " ends at the newest stamp of all inputs",
            )
        if self.reason == "off_map":
            raise InputError(
                "off_map",
                f"got {len(frame)} points, {self.outside} of them more than 2^20 voxels from the"
                " origin of fixed_frame, the others farther than window_radius from the robot;"
                " expected at least one point nearer",
            )


class VoxelMap:
    """Running sums per voxel of a lattice that is anchored at the fixed frame's origin.

    A voxel is removed when its newest stamp leaves the window; seen again after that, it starts
    from scratch. All memory that outlives a call is allocated at construction. Inserting takes
    time in proportion to the frame, not to the map, except with ``max_voxels`` in the map, where
    finding the farthest voxels examines all of them. Results depend on the frames only. Not
    thread-safe.

    Attributes:
        voxel_size: Metres, edge of a voxel.
        radius: Metres from the robot that the map keeps; 0: no limit.
        max_voxels: Maximum number of voxels.
        clear_after: Frames that observe a voxel as free before it is removed; 0: never.
        generation: Ends when the map is cleared or its content is replaced.
    """

    def __init__(
        self,
        voxel_size: float,
        *,
        window_seconds: float,
        window_frames: int = 0,
        radius: float = 0.0,
        max_voxels: int,
        clear_after: int = 0,
    ):
        """Make an empty map.

        Args:
            voxel_size: Metres, edge of a voxel.
            window_seconds: Seconds before the newest stamp that a voxel is kept.
            window_frames: Frames before the newest that a voxel is kept; 0: no limit.
            radius: Metres from the robot that a voxel is kept; 0: no limit.
            max_voxels: Maximum number of voxels; the farthest from the robot are removed first.
            clear_after: A voxel is removed once this many frames observed it as free since it was
                last seen; 0: never.

        Raises:
            ValueError: A value is out of range.
        """
        _require(0 < voxel_size < math.inf, "voxel_size", voxel_size, "metres > 0")
        _require(0 < window_seconds < math.inf, "window_seconds", window_seconds, "seconds > 0")
        _require(window_frames >= 0, "window_frames", window_frames, ">= 0 (0: no limit)")
        _require(0 <= radius < math.inf, "radius", radius, "metres >= 0 (0: no limit)")
        _require(0 < max_voxels <= 2**30, "max_voxels", max_voxels, "1 to 2**30 voxels")
        self.voxel_size = float(voxel_size)
        self.radius = float(radius)
        _require(0 <= clear_after <= 255, "clear_after", clear_after, "0 (never) to 255 frames")
        self.max_voxels = int(max_voxels)
        self.clear_after = int(clear_after)
        self._window = round(window_seconds * 1e9)
        self._window_frames = int(window_frames)
        self._table = KeyTable(self.max_voxels)
        self._keys = np.zeros(self.max_voxels, dtype=np.int64)
        self._sorted = SortedRows(self.max_voxels)
        self._sums = VoxelSums(self.max_voxels, self.voxel_size, OBSERVATION_LIMIT)
        self._stamps = np.empty(self.max_voxels, dtype=np.int64)
        self._first_seen = np.zeros(self.max_voxels, dtype=np.int64)
        # Revisions at which the voxel of each row entered the map, and was last seen.
        self._entered = np.zeros(self.max_voxels, dtype=np.int64)
        self._changed = np.zeros(self.max_voxels, dtype=np.int64)
        self._free_observations = np.zeros(self.max_voxels, dtype=np.uint8)  # since last seen
        self._free = np.empty(self.max_voxels, dtype=np.int64)
        self.generation = Generation()
        self.clear()

    def clear(self) -> None:
        """Remove all voxels, and forget all stamps."""
        self._begin_generation()
        self._table.clear()
        self._sorted.clear()
        self._stamps.fill(_NEVER)
        self._free[:] = np.arange(self.max_voxels)[::-1]  # a stack: low rows are used first
        self._free_count = self.max_voxels
        self._frame_stamps: list[int] = []  # of the window, sorted
        self._oldest = _NEVER
        self._robot = np.zeros(3)
        self._newest: OriginalPoints | None = None

    def _begin_generation(self) -> None:
        self.generation.end()
        self.generation, self._revision = Generation(), 0

    def __len__(self) -> int:
        """Return the number of voxels in the window."""
        return int(np.count_nonzero(self._stamps >= max(self._oldest, _NEVER + 1)))

    @property
    def newest_stamp(self) -> int | None:
        """Nanoseconds of the newest frame; None before the first."""
        return self._frame_stamps[-1] if self._frame_stamps else None

    def insert(self, frame: Frame, robot: np.ndarray) -> Insertion:
        """Fuse a frame.

        Args:
            frame: In the coordinates of the fixed frame.
            robot: (3,), metres, where the robot was.
        """
        if not self._advance(frame.stamp, robot):
            return Insertion(outdated=True)
        self._revision += 1
        seen = grid_sample(
            frame.points, self.voxel_size, colors=frame.colors, normals=frame.normals
        )
        if self.radius:
            near = self._squared_distance(seen.index) <= self.radius**2
            if not near.all():  # which copies all of it
                seen = seen.where(near)
        keys = seen.keys
        sums = frame_sums(seen, frame.origin, self.voxel_size)
        rows = self._table.find(keys).astype(np.int64)
        self._touch(rows[rows >= 0], frame.stamp)
        absent = np.flatnonzero(rows < 0)
        new = len(absent)
        evicted = 0
        if new > self._free_count:
            self._release(np.flatnonzero((self._stamps > _NEVER) & (self._stamps < self._oldest)))
            if new > self._free_count:
                absent, evicted = self._evict(absent, keys)
                rows = self._table.find(keys).astype(np.int64)
        rows[absent] = self._admit(keys[absent], frame.stamp)
        stays = rows >= 0
        if not stays.all():
            rows, sums = rows[stays], sums[torch.from_numpy(stays)]
        self._sums.add(rows, sums)
        cleared = 0
        if self.clear_after and frame.view is not None:
            cleared = self._clear(frame.view, frame.stamp)
        newest = self._newest
        if len(seen) and (newest is None or frame.stamp >= newest.stamp):
            self._newest = frame.original
        return Insertion(
            points=int(seen.count.sum(dtype=np.float64)),
            outside=seen.outside,
            voxels=len(seen),
            evicted=evicted,
            cleared=cleared,
        )

    def put(self, snapshot: MapSnapshot) -> None:
        """Replace the map content with the voxels of ``snapshot``; the stamps of frames stay.

        Each voxel counts as one observation by the newest frame; in a map without frames, by the
        first that follows.

        Raises:
            ValueError: It has more than ``max_voxels`` voxels.
        """
        size = len(snapshot)
        _require(size <= self.max_voxels, "index", size, f"<= {self.max_voxels} rows")
        self._begin_generation()
        self._release(np.flatnonzero(self._stamps > _NEVER))
        self._newest = None
        newest = self.newest_stamp
        rows = self._admit(snapshot.keys, _BEFORE if newest is None else newest)
        self._sums.add(rows, snapshot_sums(snapshot, self.voxel_size))

    def snapshot(self) -> MapSnapshot:
        """Copy the voxels in the window and the radius.

        Before the first frame the position of the robot is unknown, and the radius does not
        apply to voxels of :meth:`put`.
        """
        self._sorted.merge(self._keys)
        keys, rows = self._sorted.keys, self._sorted.rows
        index = unpack(keys)
        stamps = self._stamps[rows]
        outside = stamps < self._oldest
        if self.radius and self._frame_stamps and len(rows):
            outside |= self._beyond_radius(index)
        if outside.any():
            self._release(rows[outside])
            self._sorted.merge(self._keys)
            keys, rows = self._sorted.keys, self._sorted.rows
            stays = np.flatnonzero(~outside)
            index, stamps = index.take(stays, axis=0), stamps[stays]
        means = self._sums.means(rows, keys)
        return MapSnapshot(
            keys=keys,
            index=index,
            points=means.points,
            colors=means.colors,
            has_color=means.has_color,
            normals=means.normals,
            sensor_directions=means.sensor_directions,
            stamps=stamps,
            first_seen=self._first_seen[rows],
            stamp=self.newest_stamp or 0,
            robot=self._robot.copy(),
            voxel_size=self.voxel_size,
            frames=len(self._frame_stamps),
            newest=self._newest,
            generation=self.generation,
            revision=self._revision,
            slots=rows,
            entered=self._entered[rows],
            changed=self._changed[rows],
            map_cells=self._sorted.cells.of(rows),
        )

    def _advance(self, stamp: int, robot: np.ndarray) -> bool:
        """Advance the window to ``stamp``; return whether ``stamp`` is in the window."""
        if stamp < self._oldest:
            return False
        if not self._frame_stamps or stamp >= self._frame_stamps[-1]:
            self._robot = np.array(robot, dtype=np.float64)
        stamps = self._frame_stamps
        if not stamps:
            self._stamps[self._stamps == _BEFORE] = stamp
        bisect.insort(stamps, stamp)
        self._oldest = stamps[-1] - self._window
        if 0 < self._window_frames <= len(stamps):
            self._oldest = max(self._oldest, stamps[-self._window_frames])
        del stamps[: bisect.bisect_left(stamps, self._oldest)]
        return stamp >= self._oldest

    def _touch(self, rows: np.ndarray, stamp: int) -> None:
        """Note that ``rows`` were seen; those that had left the window restart at zero."""
        stamps = self._stamps[rows]
        expired = stamps < self._oldest
        self._stamps[rows] = np.maximum(stamps, stamp)
        self._free_observations[rows] = 0
        self._changed[rows] = self._revision
        restarted = rows[expired]
        self._first_seen[restarted] = stamp
        self._entered[restarted] = self._revision
        self._sums.restart(restarted)

    def _admit(self, keys: np.ndarray, stamp: int) -> np.ndarray:
        """Give new voxels a row each, with sums of zero; return the rows."""
        self._free_count -= len(keys)
        rows = self._free[self._free_count : self._free_count + len(keys)]
        self._table.insert(keys, rows.astype(np.int32))
        self._sorted.add(rows)
        self._keys[rows] = keys
        self._stamps[rows] = self._first_seen[rows] = stamp
        self._entered[rows] = self._changed[rows] = self._revision
        self._free_observations[rows] = 0
        self._sums.restart(rows)
        return rows

    def _clear(self, view: View, stamp: int) -> int:
        """Remove the voxels that ``clear_after`` frames observed as free; return how many."""
        older = (self._stamps >= max(self._oldest, _BEFORE)) & (self._stamps < stamp)
        rows = np.flatnonzero(older)
        rows = rows[view.sees_through(self._sums.points(rows, self._keys[rows]), self.voxel_size)]
        self._free_observations[rows] += 1
        cleared = rows[self._free_observations[rows] >= self.clear_after]
        self._release(cleared)
        return len(cleared)

    def _release(self, rows: np.ndarray) -> None:
        """Remove the voxels of ``rows``."""
        self._table.remove(self._keys[rows])
        self._sorted.remove(rows)
        self._stamps[rows] = _NEVER
        self._free[self._free_count : self._free_count + len(rows)] = rows
        self._free_count += len(rows)

    def _evict(self, absent: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, int]:
        """Keep the nearest ``max_voxels`` of the map's voxels and new ones.

        Of equally distant voxels the later one in (x, y, z) is removed.

        Args:
            absent: Rows of ``keys`` that are not in the map.
            keys: Keys of the voxels of the frame.

        Returns:
            Those of ``absent`` that stay, and how many voxels within the radius were removed.
        """
        held = np.flatnonzero(self._stamps > _NEVER)
        candidates = np.concatenate([self._keys[held], keys[absent]])
        distance = self._squared_distance(unpack(candidates))
        limit = np.partition(distance, self.max_voxels - 1)[self.max_voxels - 1]
        stays = distance < limit
        ties = np.flatnonzero(distance == limit)
        ties = ties[np.argsort(candidates[ties])]
        stays[ties[: self.max_voxels - np.count_nonzero(stays)]] = True
        self._release(held[~stays[: len(held)]])
        within = distance <= self.radius**2 if self.radius else True
        return absent[stays[len(held) :]], int(np.count_nonzero(~stays & within))

    def _beyond_radius(self, index: np.ndarray) -> np.ndarray:
        """Return which voxels (V,) are farther from the robot than the radius."""
        # The corner of the bounding box of their cells that is farthest away tells for most maps.
        low, high = bounds(unpack(self._sorted.cells.corners))
        corners = np.array(list(product(*zip(low, high + CELL - 1, strict=True))))
        if (self._squared_distance(corners) <= self.radius**2).all():
            return np.zeros(len(index), bool)
        return self._squared_distance(index) > self.radius**2

    def _squared_distance(self, index: np.ndarray) -> np.ndarray:
        """Return squared distances (V,) float64, m^2, from the newest robot position to voxels."""
        offset = (index + 0.5) * self.voxel_size - self._robot
        return offset[:, 0] ** 2 + offset[:, 1] ** 2 + offset[:, 2] ** 2


def _require(valid: bool, name: str, value: object, expected: str) -> None:
    if not valid:
        raise ValueError(f"{name}: got {value}, expected {expected}")
