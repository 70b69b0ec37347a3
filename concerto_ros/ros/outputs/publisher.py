# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""All outputs about the map: which are needed, when they are due, and their publication."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

import numpy as np
from rclpy.lifecycle import LifecycleNode

from concerto_ros.labels.output_clouds import FEATURES, LABELS, needs_of
from concerto_ros.labels.prediction import NOT_FINITE, Prediction, not_like_training
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.msg import PerceptionStatus
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.inputs.comparison import Comparison
from concerto_ros.ros.inputs.transforms import TransformListener
from concerto_ros.ros.middleware.qos import CLOUD_QOS, LATCHED_QOS, overridable
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.monitoring.status import ModelInfo, status_message
from concerto_ros.ros.outputs.classes import ClassOutputs
from concerto_ros.ros.outputs.clouds import CloudOutputs
from concerto_ros.ros.outputs.features import FeatureOutputs
from concerto_ros.ros.outputs.labelled_map import LabelledMap
from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.ros.outputs.objects import ObjectOutputs
from concerto_ros.ros.parameters import Parameters
from concerto_ros.stopwatch import Stopwatch

#: Consumers beside topics: label fusion, which runs without subscribers if it is so configured,
#: and the object stage.
FUSION, OBJECTS = "fusion", "objects"


class MapTaker(Protocol):
    """A consumer of labelled maps with a rate of its own: the object stage."""

    @property
    def due(self) -> bool:
        """Whether a map that came now would be used."""

    def offer(self, snapshot: MapSnapshot, prediction: Prediction) -> None:
        """Pass a labelled map to the consumer."""

    def ids_in(self, snapshot: MapSnapshot, prediction: Prediction) -> np.ndarray:
        """The ids (V,) uint32 of the objects of a labelled map, as far as they are current."""


class Outputs:
    """The publishers of a configured node; they also pass labelled maps to the object stage.

    Nothing is published before :meth:`begin`.

    Args:
        node: The node that publishes.
        parameters: Settings and filters.
        pipeline: Its label set and model are published.
        transforms: Transforms clouds into the frames of filters.
        comparison: Clouds of similarity are published while there is something to compare with.
        object_model: Name of what classifies objects.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: Parameters,
        pipeline: SemanticPipeline,
        transforms: TransformListener,
        comparison: Comparison,
        object_model: str,
    ):
        self._node = node
        self._parameters = parameters
        self._pipeline = pipeline
        self._comparison = comparison
        self.clouds = CloudOutputs(node, CLOUD_QOS, pipeline.labels, parameters, transforms)
        self.features = FeatureOutputs(node, parameters, pipeline)
        self.objects = ObjectOutputs(node, CLOUD_QOS, object_model, parameters)
        self._classes = ClassOutputs(node, LATCHED_QOS)
        self._status = node.create_lifecycle_publisher(
            PerceptionStatus, "~/status", **overridable(10)
        )
        self._statistics: Statistics | None = None
        self._object_stage: MapTaker | None = None

    def begin(self, statistics: Statistics, object_stage: MapTaker) -> None:
        """Publish the classes; count in ``statistics`` and pass maps to ``object_stage``."""
        self._statistics = statistics
        self._object_stage = object_stage
        self.publish_classes()

    def wanted(self) -> frozenset[str]:
        """The outputs with a subscriber, and those that are computed in any case."""
        if (
            not self._node.context.ok()
        ):  # interrupted: publishers are destroyed before the threads end
            return frozenset()
        wanted = self.clouds.wanted(similarity_active=self._comparison.active)
        settings = self._parameters.settings
        need_objects = settings.labels.need_objects and LABELS in needs_of(wanted)
        if self.features.subscribed():
            wanted.append(FEATURES)
        if settings.fusion.always:
            wanted.append(FUSION)
        if need_objects or settings.objects.enabled or self.objects.subscribed():
            wanted.append(OBJECTS)
        return frozenset(wanted)

    def due(self, wanted: Collection[str]) -> bool:
        """Whether to label a map now: objects alone wait for the rate of the object stage."""
        if set(wanted) != {OBJECTS}:
            return True
        return self._object_stage is not None and self._object_stage.due

    def publish(self, labelled: LabelledMap, wanted: Collection[str], watch: Stopwatch) -> None:
        """Publish the outputs in ``wanted``; ``watch`` has the times of the previous stages."""
        statistics, object_stage = self._running()
        prediction = labelled.prediction
        with watch("publish"):
            if OBJECTS in wanted:
                object_stage.offer(labelled.snapshot, prediction)
            if self._parameters.settings.labels.need_objects:
                instance = object_stage.ids_in(labelled.snapshot, prediction)
                labelled = replace(labelled, prediction=replace(prediction, instance=instance))
            if FEATURES in wanted:
                self.features.publish(labelled)
            skipped = self.clouds.publish(labelled, wanted)
        for topic, why in skipped.items():
            if statistics.output_skipped(topic, why):
                self._node.get_logger().warning(f"~/{topic} is not sent: {why}")
        latency_ms = (self._node.get_clock().now().nanoseconds - prediction.stamp) / 1e6
        deadline = self._parameters.settings.diagnostics.deadline
        size, bad = len(prediction.points), prediction.not_finite
        # Before the prediction is counted: the timer may report in between.
        if bad and statistics.not_finite(bad, size):
            self._node.get_logger().error(f"{bad} of {size} voxels are unlabelled: {NOT_FINITE}")
        unfamiliar = prediction.count_unfamiliar
        if prediction.unfamiliar is not None and statistics.unfamiliar(unfamiliar, size):
            what = not_like_training(self._parameters.settings.preset)
            self._node.get_logger().warning(f"{what}: {unfamiliar} of {size} voxels")
        statistics.inferred(
            size, latency_ms, watch.milliseconds, deadline, no_word=prediction.count_no_word
        )
        self.publish_status()

    def publish_classes(self) -> None:
        """Publish the label set; to be called after every change of the classes."""
        header = make_header(
            self._parameters.settings.fixed_frame, self._node.get_clock().now().nanoseconds
        )
        self._classes.publish(self._pipeline.labels, self._pipeline.model, header)

    def publish_status(self) -> None:
        """Publish ``~/status``."""
        if self._statistics is not None:
            report = self._statistics.report()
            header = make_header(self._parameters.settings.fixed_frame, report.stamp)
            self._status.publish(status_message(report, ModelInfo.of(self._pipeline), header))

    def close(self) -> None:
        """Destroy the publishers."""
        self._statistics = None  # first, so that publish_status uses no destroyed publisher
        self._node.destroy_lifecycle_publisher(self._status)
        for outputs in (self._classes, self.clouds, self.features, self.objects):
            outputs.destroy()

    def _running(self) -> tuple[Statistics, MapTaker]:
        if self._statistics is None or self._object_stage is None:
            raise RuntimeError("outputs are published before begin() or after close()")
        return self._statistics, self._object_stage
