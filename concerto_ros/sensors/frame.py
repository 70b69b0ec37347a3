# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One sensor reading as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np


class View(Protocol):
    """What a sensor measured in each direction, and from where."""

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> View:
        """The same view in another frame: ``p -> rotation @ p + translation``."""

    def sees_through(self, points: np.ndarray, voxel_size: float) -> np.ndarray:
        """(V,) bool: whether it shows that voxels are empty now, whose mean ``points`` (V, 3) was.

        ``points`` and ``voxel_size`` are metres, in the frame the view was moved to.
        """


@dataclass(frozen=True, eq=False)
class OriginalPoints:
    """All points of a message, in its own frame and order, and where that frame lies.

    Attributes
    ----------
    points: (N, 3) float32, metres; may hold values that are not finite.
    shape: (height, width) of the message, N in all.
    stamp: nanoseconds.
    frame_id: the coordinate frame of ``points``.
    rotation, translation: (3, 3) and (3,) float64, ``frame_id`` to the frame they were moved to.
    """

    points: np.ndarray
    shape: tuple[int, int]
    stamp: int
    frame_id: str
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> OriginalPoints:
        """The same points with their frame moved: ``p -> rotation @ p + translation``."""
        return replace(
            self,
            rotation=rotation @ self.rotation,
            translation=rotation @ self.translation + translation,
        )

    def placed(self) -> np.ndarray:
        """(N, 3) float32, the points in the frame they were moved to, by the arithmetic of
        :meth:`~concerto_ros.sensors.frame.Frame.transformed`."""
        turn = np.ascontiguousarray(self.rotation.T, dtype=np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            return self.points @ turn + self.translation.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Frame:
    """Points seen by one sensor at one time, all expressed in ``frame_id``.

    Attributes
    ----------
    points: (N, 3) float32, metres, every value finite.
    stamp: nanoseconds since the epoch of the sensor's clock.
    frame_id: the coordinate frame of ``points``, ``normals`` and ``origin`` (REP-105).
    source: name of the input in the parameters, e.g. ``front``.
    colors: (N, 3) uint8 RGB, or None where the sensor has none.
    normals: (N, 3) float32 unit vectors facing the sensor, zeros where unknown, or None.
    intensity: (N,) float32 in the sensor's own unit, or None.
    origin: (3,) float64, metres, where the sensor was.
    view: what the sensor saw through, or None where that is not known.
    clipped: points of the message left out because it holds more than ``max_points``.
    original: all points of the message in its own order, where they were asked for.
    """

    points: np.ndarray
    stamp: int
    frame_id: str
    source: str = ""
    colors: np.ndarray | None = None
    normals: np.ndarray | None = None
    intensity: np.ndarray | None = None
    origin: np.ndarray = field(default_factory=lambda: np.zeros(3))
    view: View | None = None
    clipped: int = 0
    original: OriginalPoints | None = None

    def __len__(self) -> int:
        return len(self.points)

    def transformed(self, rotation: np.ndarray, translation: np.ndarray, frame_id: str) -> Frame:
        """The same reading in another frame: ``p -> rotation @ p + translation``.

        ``rotation`` is (3, 3) and ``translation`` (3,), both float64.
        """
        turn = np.ascontiguousarray(rotation.T, dtype=np.float32)
        return replace(
            self,
            points=self.points @ turn + translation.astype(np.float32),
            normals=None if self.normals is None else self.normals @ turn,
            origin=rotation @ self.origin + translation,
            view=None if self.view is None else self.view.moved(rotation, translation),
            original=(
                None if self.original is None else self.original.moved(rotation, translation)
            ),
            frame_id=frame_id,
        )
