# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A message's own points, in its own frame and order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np


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
        :meth:`Frame.transformed`."""
        turn = np.ascontiguousarray(self.rotation.T, dtype=np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            return self.points @ turn + self.translation.astype(np.float32)
