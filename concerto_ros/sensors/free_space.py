# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Free-space clearing: voxels that were occupied and that a depth image or scan observes as free.

A voxel is observed as free where every ray through and around it ends clearly behind it. Around,
because the readings beside it reveal thin structure that one ray misses, and surfaces at a grazing
angle: the nearest of them counts. A voxel that no ray passes through stays unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.frame import rotated
from concerto_ros.sensors.nearest_readings import NearestReadings

#: Half the diagonal of a voxel, in edges: the radius of a ball that contains it.
BALL = math.sqrt(3) / 2

#: Largest error of poses and calibrations in the direction of a reading, radians.
ANGLE_ERROR = 0.005

#: How far behind a voxel a reading of a depth camera must be, beyond the voxel's own size: metres,
#: and 1 / metres times the distance squared. Three standard deviations of the first Kinect
#: (Nguyen, Izadi and Lovell, 2012), about as much as stereo cameras need.
DEPTH_OFFSET, DEPTH_NOISE = 0.01, 0.006

#: The same for a scan: metres, and a fraction of the distance.
SCAN_OFFSET, SCAN_NOISE = 0.03, 0.01

#: Edge of the cells that a scan is sorted into, radians: 0.2 degrees, as far apart as the readings
#: along a ring of a common LiDAR.
CELL = math.radians(0.2)

#: Directions nearer to the poles than this are ignored: cells are too narrow there, radians.
POLE = math.radians(10)

#: Cells of 180 degrees of elevation and of 360 degrees of azimuth.
ROWS, COLUMNS = 900, 1800

#: Half the largest square of cells searched, 12 degrees; nearer voxels would need larger ones.
MARGIN = 60

#: Readings nearer than this are invalid, metres.
MIN_DISTANCE = 1e-3


@dataclass(frozen=True, eq=False)
class DepthView:
    """A depth image and where it was taken.

    Attributes:
        camera: The camera model of the depth image.
        depth: (H, W) float32, metres along the optical axis; NaN where there is no reading.
        rotation: (3, 3) float64, from the camera's optical frame to that of the map.
        translation: (3,) float64, metres, likewise.
    """

    camera: CameraModel
    depth: np.ndarray
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> DepthView:
        """Return the image in another frame: ``p -> rotation @ p + translation``."""
        rotation, translation = _chained(self, rotation, translation)
        return replace(self, rotation=rotation, translation=translation)

    def sees_through(self, points: np.ndarray, voxel_size: float) -> np.ndarray:
        """Implement :meth:`concerto_ros.sensors.frame.View.sees_through`."""
        x, y, z = into_view(self, points)
        column, row = self.camera.project(x, y, z)
        height, width = self.depth.shape
        with np.errstate(invalid="ignore"):
            inside = (column >= 0) & (column < width - 1) & (row >= 0) & (row < height - 1)
        rows = np.flatnonzero(inside)
        column, row = (np.rint(v[rows]).astype(np.int64) for v in (column, row))
        behind = z[rows] + BALL * voxel_size + DEPTH_OFFSET + DEPTH_NOISE * z[rows] ** 2
        with np.errstate(invalid="ignore"):
            clear = self.depth[row, column] > behind  # rules most voxels out by their own pixel
        rows, row, column, behind = rows[clear], row[clear], column[clear], behind[clear]

        focal = max(self.camera.fx, self.camera.fy)
        inner = np.ceil(focal * voxel_size / 2 / z[rows]).astype(np.int64)
        outer = np.ceil(focal * (BALL * voxel_size / z[rows] + ANGLE_ERROR)).astype(np.int64)
        whole = np.minimum(row, column) >= outer
        whole &= (row + outer < height) & (column + outer < width)
        rows, row, column, behind, inner, outer = (
            v[whole] for v in (rows, row, column, behind, inner, outer)
        )
        # In the voxel itself, a missing reading counts as occupied: thin and dark objects often
        # give none. Around it, a missing reading is ignored.
        unread = np.isnan(self.depth)
        for half, missing in ((inner, 0.0), (outer, np.inf)):
            readings = NearestReadings(np.where(unread, np.float32(missing), self.depth))
            nearest = readings.within(row - half, column - half, 2 * half + 1)
            behind = np.where(nearest > behind, behind, np.inf)
        return _marked(len(points), rows[behind < np.inf])


@dataclass(frozen=True, eq=False)
class ScanView:
    """The points of a scan, as seen from where the sensor was.

    Attributes:
        points: (N, 3) float32, metres, in the sensor's frame; may hold values that are not finite.
        min_range: Metres; nearer points are ignored.
        max_range: Metres; farther points are ignored.
        rotation: (3, 3) float64, from the sensor's frame to that of the map.
        translation: (3,) float64, metres, likewise.
    """

    points: np.ndarray
    min_range: float = 0.0
    max_range: float = np.inf
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> ScanView:
        """Return the scan in another frame: ``p -> rotation @ p + translation``."""
        rotation, translation = _chained(self, rotation, translation)
        return replace(self, rotation=rotation, translation=translation)

    def sees_through(self, points: np.ndarray, voxel_size: float) -> np.ndarray:
        """Implement :meth:`concerto_ros.sensors.frame.View.sees_through`."""
        image, lowest = self._cells()
        row, column, distance = _directions(*into_view(self, points))
        row -= lowest
        rows = np.flatnonzero((row >= 0) & (row < len(image)) & (distance > MIN_DISTANCE))
        row, column, distance = row[rows], column[rows], distance[rows]
        behind = distance + BALL * voxel_size + SCAN_OFFSET + SCAN_NOISE * distance

        # A ray has to pass through the voxel, and none around it may end in or before it.
        inner = np.ceil(voxel_size / 4 / distance / CELL).astype(np.int64)
        narrow = np.cos((row + lowest) * CELL - math.pi / 2)
        outer = np.ceil((BALL * voxel_size / distance + ANGLE_ERROR) / narrow / CELL).astype(
            np.int64
        )
        outer = np.maximum(outer, _to_next_rings(image, row, inner))
        whole = (outer <= MARGIN) & (row >= outer) & (row + outer < len(image))
        rows, row, column, behind, inner, outer = (
            v[whole] for v in (rows, row, column, behind, inner, outer)
        )
        readings = NearestReadings(image)

        def nearest(selected: np.ndarray, half_widths: np.ndarray) -> np.ndarray:
            half = half_widths[selected]
            left = (column[selected] - half) % COLUMNS
            return readings.within(row[selected] - half, left, 2 * half + 1)

        through = nearest(np.arange(len(rows)), inner)
        clear = np.flatnonzero((through > behind) & (through < np.inf))
        clear = clear[nearest(clear, outer) > behind[clear]]
        return _marked(len(points), rows[clear])

    def _cells(self) -> tuple[np.ndarray, int]:
        """Return the range image of the scan, and the number of its first row.

        (H, COLUMNS + 2 * MARGIN) float32: distance of the nearest reading, infinite without one.
        Rows go up from the lowest reading. Empty rows below and above, and the first columns
        repeated after the last, keep every square inside the image.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            squared = np.einsum("ij,ij->i", self.points, self.points)
        finite = np.isfinite(squared) & (squared > max(self.min_range, MIN_DISTANCE) ** 2)
        finite &= squared <= self.max_range**2
        row, column, distance = _directions(*self.points[finite].T)
        sideways = np.flatnonzero(np.abs(row * CELL - math.pi / 2) < math.pi / 2 - POLE)
        row, column, distance = row[sideways], column[sideways], distance[sideways]
        lowest = int(row.min(initial=ROWS)) - MARGIN
        height = int(row.max(initial=0)) + 1 + MARGIN - lowest if len(row) else 0
        image = np.full((height, COLUMNS + 2 * MARGIN), np.inf, np.float32)
        np.minimum.at(image, (row - lowest, column), distance)
        image[:, COLUMNS:] = image[:, : 2 * MARGIN]
        return image, lowest


def _to_next_rings(image: np.ndarray, row: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Return (N,) rows from ``row`` (N,) to the next ring below or above those within ``inner``.

    The farther of the two; 0 where no ring follows. Rings are far apart: over a floor at a grazing
    angle one passes, and the next below ends on it.
    """
    rings = np.flatnonzero(np.isfinite(image).any(axis=1))
    below = np.append(-1, rings)[np.searchsorted(rings, row - inner)]
    above = np.append(rings, -1)[np.searchsorted(rings, row + inner, side="right")]
    return np.maximum(np.where(below < 0, 0, row - below), np.where(above < 0, 0, above - row))


def into_view(view: DepthView | ScanView, points: np.ndarray) -> np.ndarray:
    """Transform points (V, 3) from the map's frame to the sensor's: (3, V) float32."""
    seen = rotated(points - view.translation, view.rotation.T)
    return np.ascontiguousarray(seen.T, np.float32)


def _chained(
    view: DepthView | ScanView, rotation: np.ndarray, translation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rotation and translation of ``view`` followed by another transform."""
    return rotation @ view.rotation, rotation @ view.translation + translation


def _directions(
    x: np.ndarray, y: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows and columns of the cells, and distances, of points in a scanner's frame."""
    flat = np.hypot(x, y)
    column = ((np.arctan2(y, x) + np.float32(math.pi)) / np.float32(CELL)).astype(np.int64)
    row = ((np.arctan2(z, flat) + np.float32(math.pi / 2)) / np.float32(CELL)).astype(np.int64)
    return row, column % COLUMNS, np.hypot(flat, z)


def _marked(size: int, rows: np.ndarray) -> np.ndarray:
    marks = np.zeros(size, bool)
    marks[rows] = True
    return marks
