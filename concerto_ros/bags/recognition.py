# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What kind of input a topic of a bag is, by the first of its messages that the node would use.

A new kind of input needs a function here and a row in :data:`RECOGNISERS`.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

from concerto_ros.bags.reader import Bag, BagError
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.images.color import decode_color
from concerto_ros.sensors.images.depth import decode_depth
from concerto_ros.sensors.images.encodings import image_role
from concerto_ros.sensors.images.topics import base_topic
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.point_cloud2 import decode_point_cloud

#: Messages of a topic that are read in search of one that can be used.
SEARCHED = 2000


class Stream(NamedTuple):
    """A topic with messages that the node can use.

    Attributes:
        topic: Name of the topic.
        frame: Frame of its messages.
        kind: color, grey, undecoded, depth, info or cloud.
        size: (width, height) of the images; None where it is not known.
        compressed: Whether it holds compressed images.
        points: Number of points of a cloud.
        of_camera: Whether a cloud is that of a camera: with colours, or in an optical frame
            (REP-103).
        remark: A sentence for the user; may be empty.
    """

    topic: str
    frame: str
    kind: str
    size: tuple[int, int] | None = None
    compressed: bool = False
    points: int = 0
    of_camera: bool = False
    remark: str = ""

    @property
    def folder(self) -> str:
        """The namespace that a camera's topics share, without the transport's suffix."""
        return os.path.dirname(base_topic(self.topic))


#: Makes a stream of (topic, frame, message). Raises InputError where the message cannot be used,
#: ``unsupported`` where no message of the topic can.
Recogniser = Callable[[str, str, Any], Stream]


def recognise(bag: Bag, topic: str) -> tuple[Stream | None, str]:
    """Look for a message of a topic that the node would use.

    Returns:
        The stream, and a sentence for the user, which may be empty: where there is no stream, why
        the topic of an input cannot be used.
    """
    message_type = bag.topics[topic].type
    recogniser = RECOGNISERS.get(message_type)
    if recogniser is None:
        return None, ""
    tried, first = 0, ""
    for _, _, _, raw in islice(bag.messages([topic]), SEARCHED):
        tried += 1
        try:
            message = bag.deserialize(raw, message_type)
            frame = message.header.frame_id.removeprefix("/")
            if not frame:
                raise InputError("malformed", "its messages name no frame")
            stream = recogniser(topic, frame, message)
        except (BagError, InputError) as error:
            first = first or str(error)
            if isinstance(error, InputError) and error.reason == "unsupported":
                break
        else:
            return stream, stream.remark
    if tried > 1:
        first = f"none of its first {tried} messages can be used; of the first, {first}"
    return None, f"Leaves out {topic}: {first}." if tried else ""


def _cloud(topic: str, frame: str, message: Any) -> Stream:
    cloud = decode_point_cloud(message)
    of_camera = cloud.colors is not None or "optical" in frame
    return Stream(topic, frame, "cloud", points=len(cloud), of_camera=of_camera)


def _info(topic: str, frame: str, message: Any) -> Stream:
    try:
        CameraModel.from_info(message, rectified=False)
    except InputError:  # of images that are rectified, P alone is used
        CameraModel.from_info(message, rectified=True)
    return Stream(topic, frame, "info", (message.width, message.height))


def _image(topic: str, frame: str, message: Any) -> Stream:
    role, encoding = image_role(topic, message)
    remark = ""
    if not encoding:
        raise InputError("malformed", "its messages name no encoding")
    if role == "other":
        text = f"its numbers ({encoding}) are no distances, by its name"
        raise InputError("unsupported", text)
    if role == "depth":
        decode_depth(message)
    elif role != "undecoded":
        try:
            decode_color(message)
        except InputError as error:
            if error.reason != "unsupported":
                raise
            role = "undecoded"
    if role == "undecoded":
        remark = f"The encoding {encoding} of {topic} is not decoded."
    compressed = not hasattr(message, "encoding")
    size = None if compressed else (message.width, message.height)
    return Stream(topic, frame, role, size, compressed, remark=remark)


#: How the topics of each message type are recognised.
RECOGNISERS: dict[str, Recogniser] = {
    "sensor_msgs/msg/PointCloud2": _cloud,
    "sensor_msgs/msg/CameraInfo": _info,
    "sensor_msgs/msg/Image": _image,
    "sensor_msgs/msg/CompressedImage": _image,
}
