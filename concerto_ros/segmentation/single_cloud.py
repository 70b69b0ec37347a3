# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A single cloud, independent of the map: its voxels, and the answer for each of its points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from concerto_ros.labels.label_set import UNLABELLED
from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_map import VoxelMap
from concerto_ros.ptv3.hierarchy import LARGEST_INDEX
from concerto_ros.segmentation.level import Level, find_level
from concerto_ros.sensors.array_frame import checked_points, single_frame
from concerto_ros.sensors.frame import rotated


@dataclass(frozen=True, eq=False)
class SingleCloud:
    """Points as they were given, and the voxels that the model sees.

    Attributes:
        given: (N, 3) metres, as they were given.
        voxels: the V voxels of the cloud, near the origin and turned level where it was tilted.
        kept: (n,) int64, the points that the voxels are made of.
        row: (N,) int64, the voxel of each point; -1: in none.
        strays: how many points are left out because they are far from the others.
        offset: (3,) metres, subtracted from points far from the origin.
        turn: turned the voxels level; None: they are as the points.
    """

    given: np.ndarray
    voxels: MapSnapshot
    kept: np.ndarray
    row: np.ndarray
    strays: int
    offset: np.ndarray
    turn: Level | None

    @classmethod
    def of(
        cls,
        points: npt.ArrayLike,
        colors: npt.ArrayLike | None,
        normals: npt.ArrayLike | None,
        origin: npt.ArrayLike | None,
        *,
        level: bool,
        into: VoxelMap,
    ) -> SingleCloud:
        """Sort a cloud into voxels.

        Args:
            points: (N, 3) metres, z up, at least roughly.
            colors: as for :func:`~concerto_ros.sensors.array_frame.single_frame`.
            normals: likewise.
            origin: (3,) position of the sensor, metres; None: not known.
            level: whether a cloud that is tilted is turned level by its ground.
            into: an empty map of the voxel size to use, with room for as many voxels as points.

        Raises:
            ValueError: no point is finite, or an array has the wrong shape, type or unit.
        """
        largest = (LARGEST_INDEX - 1) * into.voxel_size
        frame, kept, strays, offset = single_frame(points, colors, normals, origin, largest)
        vehicle = np.zeros(3) if origin is None else frame.origin
        turn = find_level(frame.points, into.voxel_size) if level else None
        if turn is not None:
            frame = frame.transformed(turn.rotation, turn.translation, "")
            vehicle = turn.rotation @ vehicle + turn.translation
        into.insert(frame, vehicle)
        voxels = into.snapshot()
        given = checked_points(points)
        row = np.full(len(given), -1)
        row[kept] = voxels.rows_of(frame.points)
        return cls(given, voxels, kept, row, strays, offset, turn)

    @property
    def places(self) -> np.ndarray:
        """Where the voxels are among the points, (V, 3) float64, metres."""
        points = self.voxels.points.astype(np.float64)
        if self.turn is not None:
            points = rotated(points - self.turn.translation, self.turn.rotation.T)
        return points + self.offset

    def of_points(self, by_voxel: Prediction, *, unfamiliar_labelled: bool) -> Prediction:
        """Return the prediction of the N points from that of the voxels.

        Args:
            by_voxel: the prediction of :attr:`voxels`.
            unfamiliar_labelled: whether unfamiliar voxels keep their label.
        """
        with np.errstate(over="ignore"):
            own = self.given if self.offset.any() else self.given.astype(np.float32)
        prediction = by_voxel.at(own, self.row)
        reasons = {
            "not_finite": len(self.given) - len(self.kept) - self.strays,
            "stray": self.strays,
            "below_floor": prediction.count_below_floor,
            "output_not_finite": prediction.not_finite,
            "unfamiliar": 0 if unfamiliar_labelled else prediction.count_unfamiliar,
            "no_word": prediction.count_no_word,
        }
        without = int(np.count_nonzero(prediction.label == UNLABELLED))
        reasons["no_score"] = without - sum(reasons.values())
        tilt = 0.0 if self.turn is None else self.turn.tilt
        return replace(prediction, tilt=tilt, unlabelled={r: n for r, n in reasons.items() if n})
