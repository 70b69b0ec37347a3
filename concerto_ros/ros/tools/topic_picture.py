# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Saves a message of a topic as a picture and a file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from PIL import Image as Picture
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from concerto_ros.labels.packed_cloud import instances_in, labels_in
from concerto_ros.ros.middleware.fastdds_profile import ros_session
from concerto_ros.ros.middleware.message_classes import message_class
from concerto_ros.sensors.images import decode_color
from concerto_ros.sensors.ply import write_labelled_ply
from concerto_ros.sensors.point_cloud2 import decode_point_cloud, point_cloud_fields
from concerto_ros.viz.cloud_picture import height_colors, render_cloud


def matching_qos(node: Node, topic: str) -> QoSProfile:
    """The strictest QoS that every publisher of ``topic`` offers."""
    offers = [info.qos_profile for info in node.get_publishers_info_by_topic(topic)]
    reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
    latched = all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    return QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def next_message(node: Node, topic: str, timeout: float) -> Any:
    """Wait for the next message on ``topic``.

    Raises:
        ValueError: If there is no such topic or no message within ``timeout`` seconds, or the
            message type is not installed.
    """
    deadline = time.monotonic() + timeout
    topic = node.resolve_topic_name(topic)
    types: list[str] = []
    while not types:
        types = dict(node.get_topic_names_and_types()).get(topic, [])
        if time.monotonic() > deadline:
            raise ValueError(f"{topic}: no such topic within {timeout:g} s; check the name")
        rclpy.spin_once(node, timeout_sec=0.1)
    cls = message_class(types[0])
    if cls is None:
        raise ValueError(f"{topic}: its message type {types[0]} is not installed")
    messages: list[Any] = []
    subscription = node.create_subscription(cls, topic, messages.append, matching_qos(node, topic))
    try:
        while not messages:
            if time.monotonic() > deadline:
                raise ValueError(f"{topic}: no message within {timeout:g} s")
            rclpy.spin_once(node, timeout_sec=0.1)
    finally:
        node.destroy_subscription(subscription)
    return messages[0]


def snapshot(topics: Sequence[str], folder: Path, timeout: float) -> Iterator[Path]:
    """Save the next message of each topic in ``folder``.

    Args:
        topics: Topics of PointCloud2 or Image messages.
        folder: Is created if it does not exist.
        timeout: Seconds to wait for a message of each topic.

    Yields:
        The files, as they are written.

    Raises:
        ValueError: See :func:`next_message` and :func:`save`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ros_session():
        node = Node("concerto_snapshot")
        for topic in topics:
            message = next_message(node, topic, timeout)
            yield from save(message, folder / topic.strip("/").replace("/", "_"), title=topic)
        node.destroy_node()


def save(message: Any, stem: Path, title: str) -> list[Path]:
    """Write a PointCloud2 as PNG and PLY, or an Image as PNG.

    Args:
        message: The message.
        stem: Path of the files without extension.
        title: Text in the picture of a cloud, and comment in its PLY file.

    Returns:
        The files written.

    Raises:
        ValueError: For a message of another type.
    """
    if hasattr(message, "encoding"):
        path = stem.with_suffix(".png")
        Picture.fromarray(decode_color(message)).save(path)
        return [path]
    if not hasattr(message, "point_step"):
        raise ValueError(
            f"{title}: got a {type(message).__name__}, expected a PointCloud2 or an Image"
        )
    frame = decode_point_cloud(message)
    colors = height_colors(frame.points) if frame.colors is None else frame.colors
    picture, file = stem.with_suffix(".png"), stem.with_suffix(".ply")
    Picture.fromarray(render_cloud(frame.points, colors, title=title)).save(picture)
    fields = point_cloud_fields(message)
    known = {
        "label": labels_in(fields),
        "confidence": fields.get("confidence"),
        "instance": instances_in(fields),
    }
    extra = {
        name: np.ascontiguousarray(values).reshape(-1)
        for name, values in known.items()
        if values is not None and values.size == len(frame)
    }
    write_labelled_ply(file, frame.points, colors, comment=title, **extra)
    return [picture, file]
