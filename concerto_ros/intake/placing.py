# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a frame lies in the fixed frame."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.transform_tree import Transform
from concerto_ros.settings.settings import Settings

IDENTITY = Transform(np.eye(3), np.zeros(3))


class Lookup(ABC):
    """Where one coordinate frame lies in another at a time."""

    def lookup(self, target: str, source: str, stamp: int) -> Transform:
        """The transform that takes points of ``source`` to ``target`` at ``stamp`` nanoseconds.

        Raises ``TransformUnavailable``, and ``InputError`` for a stamp of zero: the newest
        transform would be a guess. A frame in itself needs no transform, whatever the stamp.
        """
        if not needs_transform(target, source, stamp):
            return IDENTITY
        return self._find(target, source, stamp)

    def clear(self) -> None:  # noqa: B027
        """Forget every moving transform."""

    @abstractmethod
    def _find(self, target: str, source: str, stamp: int) -> Transform:
        """:meth:`lookup` of two frames that differ, at a stamp that is not zero."""


def needs_transform(target: str, source: str, stamp: int) -> bool:
    """Whether the frames differ; ``InputError`` where they do and ``stamp`` is zero."""
    if target.lstrip("/") == source.lstrip("/"):
        return False
    if stamp == 0:
        raise InputError(
            "no_stamp",
            "header.stamp: got 0, expected the time of the reading, to place"
            f" {source} in {target}",
        )
    return True


def place(frame: Frame, settings: Settings, transforms: Lookup) -> tuple[Frame, np.ndarray]:
    """The frame in the fixed frame, and the position (3,) of the robot there."""
    transform = transforms.lookup(settings.fixed_frame, frame.frame_id, frame.stamp)
    placed = frame.transformed(transform.rotation, transform.translation, settings.fixed_frame)
    if not settings.robot_frame:
        return placed, placed.origin
    robot = transforms.lookup(settings.fixed_frame, settings.robot_frame, frame.stamp)
    return placed, robot.translation
