# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of the node and of its inputs as entities, the same live and from a recording.

Messages are taken with their attributes, whichever library they are of: rclpy or rosbags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from concerto_ros.labels.label_set import LabelSet, SemanticClass
from concerto_ros.labels.output_clouds import OUTPUT_CLOUDS
from concerto_ros.labels.packed_cloud import instances_in, labels_in
from concerto_ros.labels.track_colors import color_of, colors_of
from concerto_ros.sensors.camera_model import CameraModel
from concerto_ros.sensors.images import decode_color, decode_depth
from concerto_ros.sensors.images.topics import is_rectified
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.message_fields import stamp_ns
from concerto_ros.sensors.point_cloud2 import decode_point_cloud, point_cloud_fields
from concerto_ros.settings.inputs import CameraInput, CloudInput, InputSettings
from concerto_ros.viewer.scene import Scene
from concerto_ros.viz.cloud_picture import height_colors

CLOUD = "sensor_msgs/msg/PointCloud2"
CLASSES = "concerto_ros/msg/SemanticClasses"
OBJECTS = "concerto_ros/msg/SemanticObjectArray"
STATUS = "concerto_ros/msg/PerceptionStatus"

#: What is published under the prefix of the node, by name; its types.
OUTPUTS = {cloud.topic: CLOUD for cloud in OUTPUT_CLOUDS} | {
    "classes": CLASSES,
    "objects": OBJECTS,
    "status": STATUS,
}

#: The clouds of classes that a planner asked for, below the prefix.
FILTERED = "filtered/"

#: A quaternion below this length gives no direction.
SHORTEST_QUATERNION = 1e-6


class TopicView:
    """Shows the messages of topics.

    Args:
        scene: Where they are shown.
        inputs: The inputs of the node.
        prefix: Of the node's outputs, such as ``/concerto/``; empty: there are none.
        filtered: Names of the clouds below ``filtered/``.
        rate: Most clouds and images per second that are shown of each topic.

    Attributes:
        not_shown: How many messages could not be shown, by topic and reason.
    """

    def __init__(
        self,
        scene: Scene,
        inputs: Iterable[InputSettings],
        prefix: str,
        filtered: Iterable[str] = (),
        *,
        rate: float,
    ):
        self._scene = scene
        self._period = round(1e9 / rate)
        self._due: dict[str, int] = {}
        self._infos: dict[str, Any] = {}
        self._show: dict[str, Callable[[Any], None]] = {}
        self.not_shown: Counter[str] = Counter()
        for each in inputs:
            if isinstance(each, CloudInput):
                self._show[each.topic] = partial(self._cloud, f"inputs/{each.name}")
            elif isinstance(each, CameraInput):
                self._add_camera(each)
        if prefix:
            self._show |= {
                f"{prefix}labels": self._labels,
                f"{prefix}pca": partial(self._cloud, "pca"),
                f"{prefix}similarity": partial(self._cloud, "similarity"),
            }
            for name in filtered:
                self._show[f"{prefix}{FILTERED}{name}"] = partial(self._cloud, FILTERED + name)
        self._heavy = set(self._show)
        if prefix:
            self._show |= {
                f"{prefix}classes": self._classes,
                f"{prefix}objects": self._objects,
                f"{prefix}status": self._status,
            }

    @property
    def topics(self) -> tuple[str, ...]:
        """Names of the topics to pass to :meth:`show`, those of the transforms aside."""
        return tuple(self._show)

    def is_due(self, topic: str, now: int) -> bool:
        """Return whether the next message of a topic is to be shown, or comes too soon.

        Args:
            topic: One of ``topics``.
            now: Nanoseconds by a clock that does not go back.
        """
        if topic not in self._heavy:
            return True
        due = now >= self._due.get(topic, now)
        if due:
            self._due[topic] = now + self._period
        return due

    def show(self, topic: str, message: Any, received: int) -> None:
        """Show a message; one that cannot be decoded is counted in ``not_shown``.

        Args:
            topic: One of ``topics``.
            message: The message.
            received: Nanoseconds, the time to take where the message has no stamp.
        """
        try:
            self._scene.at(stamp_ns(message) or received)
            self._show[topic](message)
        except (InputError, AttributeError) as error:  # of another version: lacks an attribute
            self.not_shown[f"{topic}: {error}"] += 1

    def show_transforms(self, message: Any, received: int, *, static: bool) -> None:
        """Show a TFMessage; transforms of no use, as tf2 refuses them, are left out."""
        for each in message.transforms:
            parent = each.header.frame_id.removeprefix("/")
            child = each.child_frame_id.removeprefix("/")
            t, q = each.transform.translation, each.transform.rotation
            numbers = np.array([t.x, t.y, t.z, q.x, q.y, q.z, q.w])
            length = np.linalg.norm(numbers[3:])
            named = parent and child and parent != child
            if not named or not np.isfinite(numbers).all() or length < SHORTEST_QUATERNION:
                self.not_shown[f"transform of {child!r} in {parent!r}: invalid"] += 1
                continue
            self._scene.at(stamp_ns(each) or received)
            turn = numbers[3:] / length
            self._scene.transform(parent, child, numbers[:3], turn, static=static)

    def _add_camera(self, camera: CameraInput) -> None:
        color, depth = f"cameras/{camera.name}/color", f"cameras/{camera.name}/depth"
        optics = {}
        if camera.depth_topic:  # else it is predicted
            optics[depth] = camera.depth_info_topic or camera.info_topic
            self._show[camera.depth_topic] = partial(self._image, depth, decode_depth)
        if camera.color_topic:
            optics[color] = camera.info_topic
            self._show[camera.color_topic] = partial(self._image, color, decode_color)
        named = {color: camera.color_topic, depth: camera.depth_topic}
        for info in dict.fromkeys(optics.values()):
            images = {each: is_rectified(named[each]) for each in optics if optics[each] == info}
            self._show[info] = partial(self._info, images)

    def _image(self, entity: str, decode: Callable[[Any], np.ndarray], message: Any) -> None:
        pixels = decode(message)
        if entity.endswith("/depth"):
            self._scene.depth_image(entity, pixels)
        else:
            self._scene.color_image(entity, pixels)

    def _info(self, images: Mapping[str, bool | None], message: Any) -> None:
        for entity, rectified in images.items():
            model = CameraModel.from_info(message, rectified=rectified)
            if self._infos.get(entity) != (model, message.header.frame_id):
                self._infos[entity] = model, message.header.frame_id
                self._scene.camera(entity, model, message.header.frame_id.removeprefix("/"))

    def _cloud(self, entity: str, message: Any) -> None:
        if not message.width * message.height:  # e.g. nothing is an obstacle any more
            nothing = np.zeros((0, 3))
            self._scene.cloud(entity, nothing, nothing.astype(np.uint8))
            return
        frame = decode_point_cloud(message)
        rgb = height_colors(frame.points) if frame.colors is None else frame.colors
        self._scene.cloud(entity, frame.points, rgb, frame.frame_id)

    def _labels(self, message: Any) -> None:
        fields = point_cloud_fields(message)
        label = labels_in(fields)
        missing = {*"xyz"} - set(fields)
        if label is None or missing:
            missing = missing or {"label"}
            got = ", ".join(fields) or "none"
            raise InputError("malformed", f"fields: got {got}, expected {min(missing)} as well")
        points = np.stack([fields[axis].ravel() for axis in "xyz"], axis=1).astype(np.float32)
        label = label.ravel()
        finite = np.isfinite(points).all(axis=1)
        frame = message.header.frame_id.removeprefix("/")
        self._scene.labels(points[finite], np.minimum(label[finite], 255), frame)
        ids = instances_in(fields)
        if ids is not None:
            ids = ids.ravel()
            known = finite & (ids > 0)
            self._scene.cloud("instances", points[known], colors_of(ids[known]), frame)

    def _classes(self, message: Any) -> None:
        self._scene.classes(label_set_of(message), message.model)

    def _objects(self, message: Any) -> None:
        found = message.objects
        poses = [each.box_center for each in found]
        turns = [pose.orientation for pose in poses]
        self._scene.boxes(
            np.array([_xyz(pose.position) for pose in poses]),
            np.array([_xyz(each.box_size) for each in found]),
            np.array([2 * np.arctan2(turn.z, turn.w) for turn in turns]),
            [_title(each) for each in found],
            np.array([color_of(each.id) for each in found], np.uint8),
            message.header.frame_id.removeprefix("/"),
        )

    def _status(self, message: Any) -> None:
        for stage, spent in zip(message.stage_names, message.stage_ms, strict=False):
            self._scene.number(f"times/{stage}", float(spent))
        if np.isfinite(message.latency_ms):
            self._scene.number("times/latency", float(message.latency_ms))


def label_set_of(message: Any) -> LabelSet:
    """Return the classes of a SemanticClasses."""
    classes = tuple(
        SemanticClass(
            int(each.id),
            each.name,
            tuple(round(255 * channel) for channel in (each.color.r, each.color.g, each.color.b)),
            int(each.source_id),
        )
        for each in message.classes
    )
    return LabelSet(message.label_set, message.model, classes)


def _title(found: Any) -> str:
    if not found.hypotheses:
        return f"#{found.id}"
    best = max(found.hypotheses, key=lambda each: each.score)
    return f"{best.class_name} #{found.id}"


def _xyz(vector: Any) -> tuple[float, float, float]:
    return vector.x, vector.y, vector.z
