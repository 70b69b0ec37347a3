# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforming frames into the fixed frame."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.transform_tree import Transform
from concerto_ros.settings.settings import Settings

IDENTITY = Transform(np.eye(3), np.zeros(3))


class Lookup(ABC):
    """Looks up transforms between coordinate frames at stamps."""

    def lookup(self, target: str, source: str, stamp: int) -> Transform:
        """Return the transform of points from ``source`` to ``target``.

        Args:
            target: Frame to transform into.
            source: Frame to transform from; the identity where it is ``target``.
            stamp: Nanoseconds.

        Raises:
            TransformUnavailable: There is no such transform, or not yet.
            InputError: ``no_stamp``: the stamp is zero and the frames differ; the newest transform
                would be a guess.
        """
        if not needs_transform(target, source, stamp):
            return IDENTITY
        return self._find(target, source, stamp)

    def clear(self) -> None:  # noqa: B027
        """Forget every moving transform; without effect by default."""

    @abstractmethod
    def _find(self, target: str, source: str, stamp: int) -> Transform:
        """:meth:`lookup` of two frames that differ, at a stamp that is not zero."""


def needs_transform(target: str, source: str, stamp: int) -> bool:
    """Return whether the frames differ.

    Raises:
        InputError: ``no_stamp``: they differ and ``stamp`` is zero.
    """
    if target.lstrip("/") == source.lstrip("/"):
        return False
    if stamp == 0:
        raise InputError(
            "no_stamp",
            "header.stamp: got 0, expected the time of the measurement, to"
            f" transform {source} into {target}",
        )
    return True


def place(frame: Frame, settings: Settings, transforms: Lookup) -> tuple[Frame, np.ndarray]:
    """Transform a frame into the fixed frame.

    Args:
        frame: The frame, in its own coordinates.
        settings: With ``fixed_frame`` and ``robot_frame``.
        transforms: Looks up both at the stamp of the frame.

    Returns:
        The frame in the fixed frame, and the position (3,) of the robot there, metres.

    Raises:
        TransformUnavailable: A transform is not available.
        InputError: ``no_stamp``: a transform is needed and the stamp is zero.
    """
    transform = transforms.lookup(settings.fixed_frame, frame.frame_id, frame.stamp)
    placed = frame.transformed(transform.rotation, transform.translation, settings.fixed_frame)
    if not settings.robot_frame:
        return placed, placed.origin
    robot = transforms.lookup(settings.fixed_frame, settings.robot_frame, frame.stamp)
    return placed, robot.translation
