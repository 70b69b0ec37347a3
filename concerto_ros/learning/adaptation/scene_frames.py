# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The frames of a sensor that a scene was made of, and what some of them see of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from concerto_ros.learning.data.augment import select
from concerto_ros.learning.data.batch import with_normals
from concerto_ros.learning.data.labelled_scan import Scan
from concerto_ros.learning.data.posed.point_map import PointMap
from concerto_ros.learning.data.posed.pointcept_splits import PointceptMap


@dataclass(frozen=True, eq=False)
class Seen:
    """What some frames see of a scene.

    Attributes:
        rows: (K,) int64, ascending: the points of the scene.
        normals: (K, 3) as these frames alone give them; None: the scene has none.
    """

    rows: np.ndarray
    normals: np.ndarray | None


@dataclass(frozen=True, eq=False)
class CloudFrames:
    """Frames whose points are a cloud, one after the other.

    Attributes:
        of: (N,) int64, the frame of each point.
        sensors: (F, 3) metres, where the sensor was.
        fitted: Whether normals are fitted, to as many points as there are.
    """

    of: np.ndarray
    sensors: np.ndarray
    fitted: bool

    def __len__(self) -> int:
        return len(self.sensors)

    def seen(self, scan: Scan, frames: range, voxel_size: float) -> Seen:
        """What some consecutive frames see; fitted normals face the sensor of the last."""
        rows = np.flatnonzero((self.of >= frames.start) & (self.of < frames.stop))
        part = select(scan, rows)
        if self.fitted:
            sensor = self.sensors[frames[-1]]
            part = with_normals(replace(part, normals=None), voxel_size, sensor)
        return Seen(rows, part.normals)


@dataclass(frozen=True, eq=False)
class ImageFrames:
    """Posed images that were fused to a map, which tells which points each of them sees.

    Attributes:
        found: The map.
    """

    found: PointMap | PointceptMap

    def __len__(self) -> int:
        return len(self.found.frames)

    def seen(self, scan: Scan, frames: range, voxel_size: float) -> Seen:
        """What some successive images see; normals stay those of the map."""
        rows = self.rows(frames)
        return Seen(rows, None if scan.normals is None else scan.normals[rows])

    def rows(self, frames: range) -> np.ndarray:
        """(K,) int64, ascending: the points that some images see."""
        pixels = [self.found.pixels(self.found.frames[at])[:, 2] for at in frames]
        rows = np.unique(np.concatenate(pixels)).astype(np.int64)
        return rows[rows >= 0]
