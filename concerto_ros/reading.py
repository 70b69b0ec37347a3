# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a message to a frame in the map: the steps that the node and the bags share.

Messages are any objects with the attributes of their type, rclpy's or those of a bag.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from concerto_ros.cloud.depth import depth_frame
from concerto_ros.cloud.frame import Frame, InputError
from concerto_ros.cloud.pairing import Pair
from concerto_ros.cloud.point_cloud2 import decode_point_cloud, stamp_ns
from concerto_ros.cloud.transform_tree import Transform
from concerto_ros.cloud.voxel_map import Insertion
from concerto_ros.settings import CameraInput, CloudInput, Settings
from concerto_ros.stopwatch import Stopwatch

IDENTITY = Transform(np.eye(3), np.zeros(3))


class Lookup(Protocol):
    """Where one frame lies in another at a time."""

    def lookup(self, target: str, source: str, stamp: int) -> Transform:
        """The transform that takes points of ``source`` to ``target`` at ``stamp`` nanoseconds.

        Raises ``TransformUnavailable``, and ``InputError`` for a stamp of zero.
        """


def decode_cloud(message: Any, about: CloudInput, settings: Settings, watch: Stopwatch) -> Frame:
    """The frame of a PointCloud2 of the input ``about``; raises ``InputError``."""
    with watch("decode"):
        frame = decode_point_cloud(
            message,
            source=about.name,
            min_range=settings.min_range,
            max_range=settings.max_range,
            max_points=settings.max_points,
        )
    # Rays begin at the sensor, and these frames do not say where that is.
    elsewhere = {name.lstrip("/") for name in (settings.fixed_frame, settings.robot_frame)}
    if about.clears and frame.frame_id.lstrip("/") not in elsewhere:
        return frame
    return replace(frame, view=None)


def decode_pair(
    pair: Pair,
    about: CameraInput,
    settings: Settings,
    watch: Stopwatch,
    *,
    depth_info: Any | None,
    rectified: bool,
    transforms: Lookup,
) -> Frame:
    """The frame of colour and depth of the camera ``about``.

    ``depth_info``: camera_info of the depth image where that is not registered to colour.
    Raises ``InputError``, or ``TransformUnavailable`` where colour and depth are not connected.
    """
    depth_to_color = None
    if depth_info is not None and pair.color is not None:
        target, source = pair.color.header.frame_id, pair.depth.header.frame_id
        if source != target:
            depth_to_color = transforms.lookup(target, source, stamp_ns(pair.depth))
    frame = depth_frame(
        pair.color,
        pair.depth,
        pair.info,
        depth_info=depth_info,
        depth_to_color=depth_to_color,
        source=about.name,
        min_range=settings.min_range,
        max_range=settings.max_range,
        rectified=rectified,
        watch=watch,
    )
    return frame if about.clears else replace(frame, view=None)


def is_rectified(depth_topic: str) -> bool:
    """image_proc's convention for the topics of rectified images."""
    return "rect" in depth_topic.rpartition("/")[2]


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
