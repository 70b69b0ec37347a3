# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One measurement of a sensor as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

#: Metres; coordinates beyond count as infinite, because float32 does not hold their squares.
FARTHEST = 1e19

#: Rows of one product of :func:`rotated`: OpenBLAS divides those of more than 2**18
#: multiplications among threads.
_ROWS = 1 << 14


def rotated(points: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return ``rotation @ p`` of each point, computed in the calling thread alone.

    NumPy's BLAS divides a large product among threads that wait for each other by spinning. Where
    other processes occupy the cores, it takes a hundred times as long with them.

    Args:
        points: (N, 3) floating-point; the computation is in their type.
        rotation: (3, 3).

    Returns:
        (N, 3) in the type of ``points``.
    """
    transposed = np.ascontiguousarray(rotation.T, dtype=points.dtype)
    result = np.empty(points.shape, points.dtype)
    for start in range(0, len(points), _ROWS):
        rows = slice(start, start + _ROWS)
        np.matmul(points[rows], transposed, out=result[rows])
    return result


class View(Protocol):
    """What a sensor measured in each direction, and from where: for free-space clearing."""

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> View:
        """Return the view in another frame: ``p -> rotation @ p + translation``."""

    def sees_through(self, points: np.ndarray, voxel_size: float) -> np.ndarray:
        """Return which voxels this view observes as free.

        Args:
            points: (V, 3), metres, mean point of each voxel, in the frame of the view.
            voxel_size: Metres, edge of a voxel.

        Returns:
            (V,) bool, true where the sensor measured clearly behind the voxel.
        """


@dataclass(frozen=True, eq=False)
class OriginalPoints:
    """All points of a message, in its own frame and order, and where that frame lies.

    Attributes:
        points: (N, 3) float32, metres; may hold values that are not finite.
        shape: (height, width) of the message, N in all.
        stamp: Nanoseconds since the epoch of the sensor's clock.
        frame_id: The coordinate frame of ``points``.
        rotation: (3, 3) float64, from ``frame_id`` to the frame that :meth:`moved` led to.
        translation: (3,) float64, metres, likewise.
    """

    points: np.ndarray
    shape: tuple[int, int]
    stamp: int
    frame_id: str
    rotation: np.ndarray = field(default_factory=lambda: np.eye(3))
    translation: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> OriginalPoints:
        """Return the points with their frame moved: ``p -> rotation @ p + translation``."""
        return replace(
            self,
            rotation=rotation @ self.rotation,
            translation=rotation @ self.translation + translation,
        )

    def placed(self) -> np.ndarray:
        """Return the points (N, 3) float32 in the frame they were moved to.

        By the arithmetic of :meth:`~concerto_ros.sensors.frame.Frame.transformed`, so that both
        round alike.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            return rotated(self.points, self.rotation) + self.translation.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Frame:
    """Points seen by one sensor at one time, all expressed in ``frame_id``.

    Attributes:
        points: (N, 3) float32, metres, every value finite.
        stamp: Nanoseconds since the epoch of the sensor's clock.
        frame_id: The coordinate frame of ``points``, ``normals`` and ``origin`` (REP-105).
        source: Name of the input in the parameters, e.g. ``front``.
        colors: (N, 3) uint8 RGB, or None without colours.
        normals: (N, 3) float32 unit vectors facing the sensor, zeros where unknown, or None.
        intensity: (N,) float32 in the sensor's own unit, or None.
        origin: (3,) float64, metres, where the sensor was.
        view: The measurement for free-space clearing, or None if the sensor's origin is unknown.
        clipped: Points of the message left out because it holds more than ``max_points``.
        ignored: Points left out because they are on the robot's own body.
        decimation: Blocks of so many pixels each way of a depth image became one point each.
        original: All points of the message in its own order, where they were asked for.
        uncolored: Why the colours, which the cloud has or the image beside the depth, were not
            used; empty where nothing is wrong.
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
    ignored: int = 0
    decimation: int = 1
    original: OriginalPoints | None = None
    uncolored: str = ""

    def __post_init__(self) -> None:
        count = len(self.points)
        for name, kinds, shape in (
            ("points", "f", (count, 3)),
            ("colors", "u", (count, 3)),
            ("normals", "f", (count, 3)),
            ("intensity", "f", (count,)),
        ):
            value = getattr(self, name)
            if value is None and name != "points":
                continue
            if value.shape != shape or value.dtype.kind != kinds or value.dtype == np.uint16:
                expected = f"{'uint8' if kinds == 'u' else 'float32'} of shape {shape}"
                raise ValueError(
                    f"{name}: got {value.dtype} of shape {value.shape}, expected {expected}"
                )

    def __len__(self) -> int:
        return len(self.points)

    def transformed(self, rotation: np.ndarray, translation: np.ndarray, frame_id: str) -> Frame:
        """Return the measurement in another frame: ``p -> rotation @ p + translation``.

        Args:
            rotation: (3, 3) float64.
            translation: (3,) float64, metres.
            frame_id: Name of the other frame.
        """
        return replace(
            self,
            points=rotated(self.points, rotation) + translation.astype(np.float32),
            normals=None if self.normals is None else rotated(self.normals, rotation),
            origin=rotation @ self.origin + translation,
            view=None if self.view is None else self.view.moved(rotation, translation),
            original=(
                None if self.original is None else self.original.moved(rotation, translation)
            ),
            frame_id=frame_id,
        )

    def where(self, keep: np.ndarray) -> Frame:
        """Return the measurement of some of the points, with the whole view.

        Args:
            keep: (N,) bool.
        """
        return replace(
            self,
            points=self.points[keep],
            colors=None if self.colors is None else self.colors[keep],
            normals=None if self.normals is None else self.normals[keep],
            intensity=None if self.intensity is None else self.intensity[keep],
        )
