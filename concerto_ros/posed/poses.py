# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses that files write as quaternions, and between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from concerto_ros.files.data_error import DataError
from concerto_ros.sensors.transform_tree import (
    Transform,
    TransformTree,
    TransformUnavailable,
    transform_of,
)

#: A quaternion may be this much longer or shorter than 1, as files round it.
LENGTH_ERROR = 0.05


def matrix_of(quaternion: Sequence[float], translation: Sequence[float]) -> np.ndarray:
    """Return the (4, 4) matrix of a pose; NaN where one of its numbers is not finite.

    Args:
        quaternion: x, y, z, w.
        translation: x, y, z.

    Raises:
        DataError: The quaternion is not of length 1.
    """
    pose = np.full((4, 4), np.nan)
    if not np.isfinite([*quaternion, *translation]).all():
        return pose
    stamped = _stamped(0, quaternion, translation)
    return as_matrix(transform_of(stamped))


class Trajectory:
    """Poses over time.

    Args:
        nanoseconds: (N,) int, ascending.
        quaternions: (N, 4) x, y, z, w.
        translations: (N, 3).

    Raises:
        DataError: A quaternion is not of length 1.
    """

    def __init__(self, nanoseconds: np.ndarray, quaternions: np.ndarray, translations: np.ndarray):
        first, last = int(nanoseconds[0]), int(nanoseconds[-1])
        self.nanoseconds = nanoseconds
        self._tree = TransformTree(cache_seconds=(last - first) * 1e-9 + 1)
        for stamp, quaternion, translation in zip(
            nanoseconds, quaternions, translations, strict=True
        ):
            self._tree.insert(_stamped(int(stamp), quaternion, translation))

    def at(self, nanoseconds: int, reach: int) -> np.ndarray | None:
        """Return the pose (4, 4) at a time, between its neighbours.

        Args:
            nanoseconds: The time.
            reach: Nanoseconds within which the nearest pose has to be.

        Returns:
            None where no pose is near enough, or all are earlier or later.
        """
        after = int(np.searchsorted(self.nanoseconds, nanoseconds))
        near = self.nanoseconds[max(0, after - 1) : after + 1]
        if not len(near) or np.abs(near - nanoseconds).min() > reach:
            return None
        inside = min(max(nanoseconds, int(self.nanoseconds[0])), int(self.nanoseconds[-1]))
        try:
            return as_matrix(self._tree.lookup("world", "camera", inside))
        except TransformUnavailable:
            return None


def as_matrix(transform: Transform) -> np.ndarray:
    """Return a transform as (4, 4)."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = transform.rotation, transform.translation
    return pose


def _stamped(
    nanoseconds: int, quaternion: Sequence[float], translation: Sequence[float]
) -> SimpleNamespace:
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1) > LENGTH_ERROR:
        raise DataError(
            f"pose: quaternion {[round(float(q), 4) for q in quaternion]} of length {length:.3g},"
            " expected 1"
        )
    x, y, z, w = (float(value) / length for value in quaternion)
    sec, nanosec = divmod(nanoseconds, 10**9)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id="world"),
        child_frame_id="camera",
        transform=SimpleNamespace(
            rotation=SimpleNamespace(x=x, y=y, z=z, w=w),
            translation=SimpleNamespace(**dict(zip("xyz", map(float, translation), strict=True))),
        ),
    )
