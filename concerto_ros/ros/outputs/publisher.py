# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""All that is published of the map: which of it is wanted, when, and the sending."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from rclpy.lifecycle import LifecycleNode

from concerto_ros.labels.prediction import Prediction
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.msg import PerceptionStatus
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.inputs.clicks import Clicks
from concerto_ros.ros.inputs.transforms import TransformListener
from concerto_ros.ros.middleware.qos import CLOUD_QOS, LATCHED_QOS, overridable
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.monitoring.status import ModelInfo, status_message
from concerto_ros.ros.outputs.classes import ClassOutputs
from concerto_ros.ros.outputs.clouds import CloudOutputs
from concerto_ros.ros.outputs.labelled_map import LabelledMap
from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.ros.outputs.objects import ObjectOutputs
from concerto_ros.ros.parameters import Parameters
from concerto_ros.stopwatch import Stopwatch

#: What is wanted beside topics: labels that are fused whether or not somebody listens, and maps
#: for the object stage.
FUSION, OBJECTS = "fusion", "objects"


class MapTaker(Protocol):
    """Whoever works on labelled maps at a rate of its own: the object stage."""

    @property
    def due(self) -> bool:
        """Whether a map that came now would be looked at."""

    def offer(self, snapshot: MapSnapshot, prediction: Prediction) -> None:
        """Hand over a labelled map."""


class Outputs:
    """The publishers of a configured node, and the object stage that is fed beside them.

    Nothing is published before :meth:`begin`.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: Parameters,
        pipeline: SemanticPipeline,
        transforms: TransformListener,
        clicks: Clicks,
        object_model: str,
    ):
        self._node = node
        self._parameters = parameters
        self._pipeline = pipeline
        self._clicks = clicks
        self.clouds = CloudOutputs(node, CLOUD_QOS, pipeline.labels, parameters, transforms)
        self.objects = ObjectOutputs(node, CLOUD_QOS, object_model, parameters)
        self._classes = ClassOutputs(node, LATCHED_QOS)
        self._status = node.create_lifecycle_publisher(
            PerceptionStatus, "~/status", **overridable(10)
        )
        self._statistics: Statistics | None = None
        self._object_stage: MapTaker | None = None

    def begin(self, statistics: Statistics, object_stage: MapTaker) -> None:
        """Count in ``statistics`` from now on, and give maps to ``object_stage``."""
        self._statistics = statistics
        self._object_stage = object_stage
        self.publish_classes()

    def wanted(self) -> frozenset[str]:
        """The outputs that somebody listens to, or that are made in any case."""
        if not self._node.context.ok():  # interrupted: the publishers are gone before the threads
            return frozenset()
        wanted = self.clouds.wanted(following=self._clicks.following)
        settings = self._parameters.settings
        if settings.fusion.always:
            wanted.append(FUSION)
        if settings.objects.enabled or self.objects.listened():
            wanted.append(OBJECTS)
        return frozenset(wanted)

    def due(self, wanted: Collection[str]) -> bool:
        """Objects alone are no reason to label a map before their time."""
        return set(wanted) != {OBJECTS} or self._object_stage.due

    def publish(self, labelled: LabelledMap, wanted: Collection[str], watch: Stopwatch) -> None:
        """Send the outputs in ``wanted``; ``watch`` has the times of the stages before."""
        prediction = labelled.prediction
        with watch("publish"):
            if OBJECTS in wanted:
                self._object_stage.offer(labelled.snapshot, prediction)
            withheld = self.clouds.publish(labelled, wanted)
        for topic, why in withheld.items():
            if self._statistics.withheld(topic, why):
                self._node.get_logger().warning(f"~/{topic} is not sent: {why}")
        latency_ms = (self._node.get_clock().now().nanoseconds - prediction.stamp) / 1e6
        deadline = self._parameters.settings.diagnostics.deadline
        self._statistics.inferred(len(prediction.points), latency_ms, watch.milliseconds, deadline)
        self.publish_status()

    def publish_classes(self) -> None:
        """Say what the labels mean; again after every change of the classes."""
        header = make_header(
            self._parameters.settings.fixed_frame, self._node.get_clock().now().nanoseconds
        )
        self._classes.publish(self._pipeline.labels, self._pipeline.model, header)

    def publish_status(self) -> None:
        """Say what was counted so far."""
        if self._statistics is not None:
            report = self._statistics.report()
            header = make_header(self._parameters.settings.fixed_frame, report.stamp)
            self._status.publish(status_message(report, ModelInfo.of(self._pipeline), header))

    def close(self) -> None:
        """Take the publishers back."""
        self._statistics = None  # nothing to report, before nowhere to
        self._node.destroy_lifecycle_publisher(self._status)
        for outputs in (self._classes, self.clouds, self.objects):
            outputs.destroy()
