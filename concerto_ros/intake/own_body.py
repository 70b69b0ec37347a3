# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Removing a robot's own body from what its sensors see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from concerto_ros.intake.placing import Lookup
from concerto_ros.sensors.frame import Frame, rotated
from concerto_ros.sensors.input_error import InputError
from concerto_ros.settings.inputs import InputSettings


def without_body(
    frame: Frame, config: InputSettings, robot_frame: str, transforms: Lookup
) -> Frame:
    """Return a frame without the points in ``ignore_box`` and within ``ignore_radius``.

    Args:
        frame: The frame, in its own coordinates. Its view stays as it is: a ray that ends at the
            body still clears nothing behind it.
        config: The parameters of its input.
        robot_frame: TF frame of box and radius; empty: that of the points.
        transforms: Looks up ``robot_frame`` at the stamp of the frame.

    Returns:
        The frame, with the number of removed points in ``ignored``.

    Raises:
        TransformUnavailable: The transform to ``robot_frame`` is not available.
        InputError: ``empty``: no other point is left; ``no_stamp``: a transform is needed and the
            stamp is zero.
    """
    box, radius = config.box, config.ignore_radius
    if box is None and not radius:
        return frame
    points = frame.points
    if robot_frame:
        transform = transforms.lookup(robot_frame, frame.frame_id, frame.stamp)
        turned = rotated(points, transform.rotation)
        points = turned + transform.translation.astype(np.float32)
    ignored = np.einsum("nd,nd->n", points, points) < radius**2
    if box is not None:
        ignored |= ((points >= box[0]) & (points <= box[1])).all(axis=1)
    count = int(np.count_nonzero(ignored))
    if not count:
        return frame
    if count == len(frame):
        raise InputError(
            "empty",
            f"got {count} points, all of them in ignore_box or within ignore_radius of the input;"
            " expected points outside; check both, which are in robot_frame where that is set",
        )
    return replace(frame.where(~ignored), ignored=count)
