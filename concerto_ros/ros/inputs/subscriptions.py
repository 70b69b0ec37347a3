# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The inputs of the node: subscriptions, a mailbox each, and how a message becomes a frame."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from concerto_ros.intake.decoding import decode_cloud, decode_pair, is_rectified
from concerto_ros.intake.stamp_order import StampGate
from concerto_ros.ros.inputs.transforms import Transforms
from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.input_error import REASONS, InputError
from concerto_ros.sensors.pairing import StampPairer
from concerto_ros.sensors.point_cloud2 import all_points, stamp_ns
from concerto_ros.settings.inputs import CameraInput, CloudInput
from concerto_ros.settings.settings import Settings
from concerto_ros.stopwatch import Stopwatch

#: Takes the source, the reason, what is wrong in words and how many messages are not used.
Drop = Callable[..., bool]


@dataclass
class Pending:
    """A message on its way into the map; ``frame`` once it is decoded."""

    message: Any
    deadline: float
    frame: Frame | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)


class Source(ABC):
    """One input. Executor callbacks only put messages in; the intake thread does the rest."""

    def __init__(self, node: Node, about: CloudInput | CameraInput, window_seconds: float):
        self.name = about.name
        self.about = about
        self._node = node
        self._subscriptions: list[Any] = []
        self._clock = node.get_clock()
        self.gate = StampGate(int(window_seconds * 1e9))
        self.pending: Pending | None = None
        self.due = 0.0
        self._mailbox: Any = None
        self._lock = threading.Lock()
        self._statistics: Statistics | None = None
        self._wake: Callable[[], None] | None = None
        self._drop: Drop | None = None

    def unsubscribe(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def open(self, statistics: Statistics, wake: Callable[[], None], drop: Drop) -> None:
        """Accept messages from now on; ``wake`` is called for each, ``drop`` for a useless one."""
        self.clear()
        self._statistics, self._wake, self._drop = statistics, wake, drop

    def close(self) -> None:
        """Ignore messages from now on."""
        self._wake = self._drop = None

    @property
    def has_mail(self) -> bool:
        """Whether a message waits."""
        return self._mailbox is not None

    def take(self) -> Any:
        """The waiting message, or None."""
        with self._lock:
            message, self._mailbox = self._mailbox, None
        return message

    def clear(self) -> None:
        """Forget every message and stamp. What is sent only once (camera_info) stays."""
        self.take()
        self.pending = None
        self.gate.reset()

    def _put(self, message: Any) -> None:
        wake = self._wake
        if wake is None:
            return
        self._statistics.received(self.name, age=self._age(message))
        with self._lock:
            replaced, self._mailbox = self._mailbox is not None, message
        if replaced:
            self._statistics.dropped(self.name, "superseded")
        wake()

    def _age(self, message: Any) -> float:
        """Seconds since the stamp of ``message``; NaN where it has none."""
        stamp = stamp_ns(message)
        return (self._clock.now().nanoseconds - stamp) * 1e-9 if stamp else math.nan

    def _listen(self, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
        self._subscriptions.append(
            self._node.create_subscription(
                kind, topic, callback, **overridable(qos_profile_sensor_data)
            )
        )

    def own_points(self, pending: Pending) -> tuple[np.ndarray, tuple[int, int]]:
        """(N, 3) float32 points of a decoded message in its own order, and its height and width.

        Of a depth image only the pixels with a reading in range.
        """
        return pending.frame.points, (1, len(pending.frame))

    @abstractmethod
    def decode(self, pending: Pending, settings: Settings, transforms: Transforms) -> Frame:
        """The frame of a message, in the sensor's own frame.

        Raises ``InputError``, or ``TransformUnavailable`` where decoding itself needs a transform.
        """


class CloudSource(Source):
    """A PointCloud2 topic."""

    def __init__(self, node: Node, about: CloudInput, window_seconds: float):
        super().__init__(node, about, window_seconds)
        self._listen(PointCloud2, about.topic, self._put)

    def decode(self, pending: Pending, settings: Settings, transforms: Transforms) -> Frame:
        return decode_cloud(pending.message, self.about, settings, pending.watch)

    def own_points(self, pending: Pending) -> tuple[np.ndarray, tuple[int, int]]:
        message = pending.message
        return all_points(message), (message.height, message.width)


class CameraSource(Source):
    """Colour, depth and camera_info topics, paired by stamp."""

    def __init__(
        self, node: Node, about: CameraInput, sync_tolerance: float, window_seconds: float
    ):
        super().__init__(node, about, window_seconds)
        self._pairer = StampPairer(
            tolerance=int(sync_tolerance * 1e9), with_color=bool(about.color_topic)
        )
        self._pairer_lock = threading.Lock()
        self._depth_info: CameraInfo | None = None
        self._rectified = is_rectified(about.depth_topic)
        self._listen(_image_type(about.depth_topic), about.depth_topic, self._on("depth"))
        self._listen(CameraInfo, about.info_topic, self._on("info"))
        if about.color_topic:
            self._listen(_image_type(about.color_topic), about.color_topic, self._on("color"))
        if about.depth_info_topic:
            self._listen(CameraInfo, about.depth_info_topic, self._on_depth_info)

    def clear(self) -> None:
        super().clear()
        with self._pairer_lock:
            self._pairer.clear()

    def decode(self, pending: Pending, settings: Settings, transforms: Transforms) -> Frame:
        return decode_pair(
            pending.message,
            self.about,
            settings,
            pending.watch,
            depth_info=self._depth_info,
            rectified=self._rectified,
            transforms=transforms,
        )

    def _on(self, kind: str) -> Callable[[Any], None]:
        def receive(message: Any) -> None:
            drop = self._drop
            # A driver may send camera_info only once, before the node is activated.
            if drop is None and kind != "info":
                return
            with self._pairer_lock:
                before = self._pairer.dropped
                try:
                    pair = self._pairer.add(kind, message)
                except InputError as error:
                    self._statistics.received(self.name)
                    drop(self, error.reason, str(error))
                    return
                lost = self._pairer.dropped - before
            if drop is None:
                return
            if lost:
                self._statistics.received(self.name, lost)
                drop(self, "unpaired", REASONS["unpaired"], lost)
            if pair is not None:
                self._put(pair)

        return receive

    def _on_depth_info(self, message: CameraInfo) -> None:
        self._depth_info = message


def open_sources(
    node: Node, clouds: Sequence[CloudInput], cameras: Sequence[CameraInput], settings: Settings
) -> list[Source]:
    """Subscribe ``node`` to every input."""
    window = settings.window_seconds
    return [
        *(CloudSource(node, about, window) for about in clouds),
        *(CameraSource(node, about, settings.sync_tolerance, window) for about in cameras),
    ]


def _image_type(topic: str) -> type:
    """image_transport's convention: the name of the transport ends the topic."""
    compressed = topic.endswith(("/compressed", "/compressedDepth"))
    return CompressedImage if compressed else Image
