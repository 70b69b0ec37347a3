# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a message to a frame in the sensor's own coordinates, for the node and for bags.

Messages are any objects with the attributes of their type, rclpy's or those of a bag.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from concerto_ros.intake.placing import Lookup
from concerto_ros.sensors.depth_frame import depth_frame
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.pairing import Pair
from concerto_ros.sensors.point_cloud2 import decode_point_cloud, stamp_ns
from concerto_ros.settings.inputs import CameraInput, CloudInput
from concerto_ros.settings.settings import Settings
from concerto_ros.stopwatch import Stopwatch


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
