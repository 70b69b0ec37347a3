# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a frame lies in the fixed frame, and whether it was used."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from concerto_ros.mapping.voxel_map import Insertion
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.transform_tree import Transform
from concerto_ros.settings.settings import Settings

IDENTITY = Transform(np.eye(3), np.zeros(3))


class Lookup(Protocol):
    """Where one frame lies in another at a time."""

    def lookup(self, target: str, source: str, stamp: int) -> Transform:
        """The transform that takes points of ``source`` to ``target`` at ``stamp`` nanoseconds.

        Raises ``TransformUnavailable``, and ``InputError`` for a stamp of zero.
        """


def place(frame: Frame, settings: Settings, transforms: Lookup) -> tuple[Frame, np.ndarray]:
    """The frame in the fixed frame, and the position (3,) of the robot there."""
    transform = transforms.lookup(settings.fixed_frame, frame.frame_id, frame.stamp)
    placed = frame.transformed(transform.rotation, transform.translation, settings.fixed_frame)
    if not settings.robot_frame:
        return placed, placed.origin
    robot = transforms.lookup(settings.fixed_frame, settings.robot_frame, frame.stamp)
    return placed, robot.translation


def is_identity(target: str, source: str, stamp: int) -> bool:
    """Whether no transform is needed; ``InputError`` where one is and ``stamp`` is zero."""
    if target.lstrip("/") == source.lstrip("/"):
        return True
    if stamp == 0:
        raise InputError(
            "no_stamp",
            f"header.stamp: got 0, wanted the time of the reading, to place {source} in {target}",
        )
    return False


def check_used(insertion: Insertion, frame: Frame) -> None:
    """``InputError`` where nothing of a frame went into the map."""
    if insertion.outdated:
        raise InputError(
            "outdated",
            f"header.stamp: got {frame.stamp / 1e9:.3f} s, wanted one within the window that ends"
            " at the newest stamp of all inputs",
        )
    if insertion.points == 0:
        raise InputError(
            "off_map",
            f"got {len(frame)} points, {insertion.outside} of them more than 2^20 voxels from the"
            " origin of fixed_frame, the others farther than window_radius from the robot",
        )
