# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A running node in the viewer: its outputs, its inputs and the transforms."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from tf2_msgs.msg import TFMessage

from concerto_ros.msg import SemanticClasses
from concerto_ros.ros.middleware.fastdds_profile import ros_session
from concerto_ros.ros.middleware.message_classes import message_class
from concerto_ros.ros.middleware.qos import CLOUD_QOS, LATCHED_QOS
from concerto_ros.sensors.images.topics import is_compressed
from concerto_ros.settings.inputs import INPUTS, InputSettings
from concerto_ros.settings.settings import Settings, listed
from concerto_ros.viewer.layout import layout, whole_view
from concerto_ros.viewer.scene import Scene
from concerto_ros.viewer.topics import FILTERED, OUTPUTS, TopicView

#: Seconds to wait for the node to be active, and for it to tell its parameters.
START_TIMEOUT, ANSWER_TIMEOUT = 60.0, 10.0

#: Seconds between looks for new kinds of outputs, and between clicks until one is answered.
LOOK_PERIOD, CLICK_PERIOD = 0.5, 2.0

#: A map this many times as long as at the last look is looked at anew, as a whole.
GROWTH = 2.0

#: What a node shows sooner or later.
EXPECTED = ("labels", "pca", "classes", "times")

#: The parameters that say what the node takes and gives.
WHAT = (*INPUTS, "filter_names", "fixed_frame")

#: Latched by its broadcaster.
STATIC_QOS = QoSProfile(
    depth=100,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


def show_node(
    outlet: AbstractContextManager[Any],
    name: str,
    *,
    rate: float,
    query: Sequence[float] | None = None,
    seconds: float | None = None,
) -> None:
    """Show a running node until Ctrl-C.

    Args:
        outlet: Where to show it; opened once the node is found.
        name: Full name of the node.
        rate: Most clouds and images per second of each topic.
        query: (3,) metres in the fixed frame: a point to compare the map with; None: none.
        seconds: How long to show it; None: until Ctrl-C.

    Raises:
        ValueError: There is no such node, or it is not active.
    """
    with ros_session():
        node = LiveView(name)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            node.get_logger().info(f"waiting for {name}")
            node.find(executor)
            with outlet as recording:
                node.start(Scene(recording), rate, query)
                node.get_logger().info(f"showing {name}; Ctrl-C ends it")
                _serve(executor, seconds)
            for reason, count in node.view.not_shown.most_common(10):
                node.get_logger().warning(f"{count} not shown: {reason}")
        except ExternalShutdownException:  # Ctrl-C before the node was found
            return
        finally:
            executor.shutdown()
            node.destroy_node()


def _serve(executor: SingleThreadedExecutor, seconds: float | None) -> None:
    """Serve callbacks until Ctrl-C or the end of the time; what a callback raises is logged."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        try:
            executor.spin_once(timeout_sec=0.1)
        except (KeyboardInterrupt, ExternalShutdownException):
            return
        except Exception:
            for node in executor.get_nodes():
                node.get_logger().error(f"not shown:\n{traceback.format_exc()}", once=True)


class LiveView(Node):
    """A node that shows another one.

    Args:
        name: Full name of the node to show, such as ``/concerto``.
        context: Of rclpy; None: the default one.

    Attributes:
        view: Shows the messages, from :meth:`start` on.
    """

    view: TopicView

    def __init__(self, name: str, context: Context | None = None):
        if not name.startswith("/") or name.endswith("/"):
            raise ValueError(f"--node: got {name!r}, expected a full name such as /concerto")
        super().__init__("concerto_view", context=context)
        self._shown = name
        self._namespace = name.rpartition("/")[0]
        self._laid_out: set[str] = set()
        self._extent = 0.0

    def find(self, executor: SingleThreadedExecutor) -> None:
        """Wait for the node to be active, and read what it takes and gives.

        Raises:
            ValueError: There is no such node, or it is not active, or does not answer.
        """
        active: list[Any] = []
        classes = self.create_subscription(
            SemanticClasses, f"{self._shown}/classes", active.append, LATCHED_QOS
        )
        client = AsyncParameterClient(self, self._shown)
        why = f"no active node {self._shown} within {START_TIMEOUT:g} s: start it with"
        why += " concerto-ros node, or name it with --node"
        _wait(executor, lambda: active and client.services_are_ready(), START_TIMEOUT, why)
        self.destroy_subscription(classes)
        why = f"{self._shown} did not tell its parameters within {ANSWER_TIMEOUT:g} s"
        names = client.list_parameters()
        _wait(executor, names.done, ANSWER_TIMEOUT, why)
        wanted = [
            each
            for each in names.result().result.names
            if each in WHAT or each.split(".")[0] in ("clouds", "cameras")
        ]
        answer = client.get_parameters(wanted)
        _wait(executor, answer.done, ANSWER_TIMEOUT, why)
        values = dict(
            zip(wanted, map(parameter_value_to_python, answer.result().values), strict=True)
        )
        settings = Settings.from_mapping({name: values[name] for name in WHAT if name in values})
        self._inputs = [each for names in INPUTS for each in listed(names, settings, values)]
        self._filtered = settings.filter_names
        self._fixed_frame = settings.fixed_frame

    def start(self, scene: Scene, rate: float, query: Sequence[float] | None) -> None:
        """Show what comes from now on; see :func:`show_node`."""
        self._scene = scene
        prefix = f"{self._shown}/"
        inputs = [self._resolved(each) for each in self._inputs]
        self.view = TopicView(scene, inputs, prefix, self._filtered, rate=rate)
        kinds: dict[str, Any] = {
            prefix + name: message_class(kind) for name, kind in OUTPUTS.items()
        }
        kinds |= {f"{prefix}{FILTERED}{name}": PointCloud2 for name in self._filtered}
        for topic in self.view.topics:
            own = topic in kinds
            kind = kinds[topic] if own else _kind_of(topic, inputs)
            quality = CLOUD_QOS if own else qos_profile_sensor_data
            if topic == f"{prefix}classes":
                quality = LATCHED_QOS
            callback = partial(self._on_message, topic, kind)
            self.create_subscription(kind, topic, callback, quality, raw=True)
        for topic, static in (("/tf", False), ("/tf_static", True)):
            self.create_subscription(
                TFMessage,
                topic,
                partial(self._on_transforms, static),
                STATIC_QOS if static else 100,
            )
        self._expected = {*EXPECTED, *({"inputs"} if inputs else ())}
        self.create_timer(LOOK_PERIOD, self._lay_out)
        if query is not None:
            self._click = self.create_publisher(
                PointStamped, f"{self._namespace}/clicked_point", 10
            )
            self.create_timer(CLICK_PERIOD, partial(self._compare, query))
        self._lay_out()

    def _resolved(self, source: InputSettings) -> InputSettings:
        """The input with the full names of its topics."""
        full: dict[str, Any] = {
            key: topic if topic.startswith("/") else f"{self._namespace}/{topic}"
            for key, topic in source.topics.items()
        }
        return replace(source, **full)

    def _on_message(self, topic: str, kind: type, raw: bytes) -> None:
        # Most of a camera's messages come too soon, and need not be deserialised for that.
        if self.view.is_due(topic, time.monotonic_ns()):
            message = deserialize_message(raw, kind)
            self.view.show(topic, message, self.get_clock().now().nanoseconds)

    def _on_transforms(self, static: bool, message: TFMessage) -> None:
        self.view.show_transforms(message, self.get_clock().now().nanoseconds, static=static)

    def _lay_out(self) -> None:
        """Arrange the viewer anew for a new kind of output, or a map of more than twice the size.

        Otherwise it stays, as people change it: what they look at, and from where.
        """
        entities = self._scene.entities | self._expected
        kinds = {name if "cameras/" in name else name.split("/")[0] for name in entities}
        points = self._scene.labelled
        extent = float(np.ptp(points, axis=0).max()) if len(points) else 0.0
        if kinds != self._laid_out or extent > GROWTH * self._extent:
            self._laid_out, self._extent = kinds, extent
            look = whole_view(points)
            self._scene.look(layout(entities, fixed_frame=self._fixed_frame, view_from=look))

    def _compare(self, query: Sequence[float]) -> None:
        """Click on a point until the node compares the map with it; it ignores what is nowhere."""
        if "labels" in self._scene.entities and "similarity" not in self._scene.entities:
            click = PointStamped()
            click.header.frame_id = self._fixed_frame
            click.point.x, click.point.y, click.point.z = query
            self._click.publish(click)


def _kind_of(topic: str, inputs: Sequence[InputSettings]) -> type:
    """The message class of an input's topic."""
    for each in inputs:
        for key, name in each.topics.items():
            if name == topic and key.endswith("info_topic"):
                return CameraInfo
            if name == topic and key in ("color_topic", "depth_topic"):
                return CompressedImage if is_compressed(topic) else Image
    return PointCloud2


def _wait(
    executor: SingleThreadedExecutor, condition: Callable[[], object], timeout: float, why: str
) -> None:
    """Serve callbacks until a condition is met.

    Raises:
        ValueError: It is not within ``timeout`` seconds; with the text ``why``.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise ValueError(why)
        executor.spin_once(timeout_sec=0.1)
