# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The topics on which clouds are published."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2

from concerto_ros.labels.class_filter import ClassFilter
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.output_clouds import OUTPUT_CLOUDS, SIMILARITY, OutputCloud
from concerto_ros.labels.packed_cloud import CloudStyle, pack_prediction
from concerto_ros.labels.prediction import Prediction
from concerto_ros.ros.inputs.transforms import TransformListener
from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.ros.outputs.labelled_map import LabelledMap
from concerto_ros.ros.outputs.messages import cloud_message, make_header
from concerto_ros.ros.parameters import Parameters
from concerto_ros.sensors.frame import OriginalPoints
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.transform_tree import TransformUnavailable


class CloudOutputs:
    """Publishers of the clouds in :data:`OUTPUT_CLOUDS` and of ``~/filtered/<name>``.

    Colours and filters are updated when the classes change, because one was taught or forgotten,
    and filters also when their parameters change.

    Args:
        node: The node that publishes.
        qos: Default quality of service of the topics.
        labels: The label set of the first prediction.
        parameters: Settings and filters.
        transforms: Transforms clouds into the frames of the filters.

    Raises:
        SettingsError: For a filter that names classes that are not in ``labels``.
    """

    def __init__(
        self,
        node: LifecycleNode,
        qos: QoSProfile,
        labels: LabelSet,
        parameters: Parameters,
        transforms: TransformListener,
    ):
        self._node = node
        self._parameters = parameters
        self._transforms = transforms
        self._similarity_shown = False
        self._use(labels)
        topics = [cloud.topic for cloud in OUTPUT_CLOUDS]
        self._publishers = {
            topic: node.create_lifecycle_publisher(PointCloud2, f"~/{topic}", **overridable(qos))
            for topic in (*topics, *self._filters)
        }

    def subscribed(self) -> list[str]:
        """The topics that have a subscriber."""
        return [
            topic
            for topic, publisher in self._publishers.items()
            if publisher.get_subscription_count()
        ]

    def wanted(self, similarity_active: bool) -> list[str]:
        """The topics to publish: those with a subscriber.

        Args:
            similarity_active: Whether the map is compared with a click or a text. Clouds of
                similarity are published only then, and once more afterwards, empty.
        """
        if similarity_active or self._similarity_shown:
            return self.subscribed()
        idle = {cloud.topic for cloud in OUTPUT_CLOUDS if cloud.needs == SIMILARITY}
        return [topic for topic in self.subscribed() if topic not in idle]

    def publish(self, labelled: LabelledMap, wanted: Collection[str]) -> dict[str, str]:
        """Publish the topics in ``wanted``.

        Args:
            labelled: The map, in the fixed frame, and its labels.
            wanted: Names of topics, without ``~/``.

        Returns:
            The reason by topic, for those that could not be sent.
        """
        prediction, settings = labelled.prediction, self._parameters.settings
        if (
            prediction.classes is not self._classes
            or self._parameters.filters is not self._filter_settings
        ):
            self._use(LabelSet("", "", prediction.classes))
        style = CloudStyle(self._palette, settings.labels.layout, settings.labels.instances)
        for cloud in OUTPUT_CLOUDS:
            if cloud.topic in wanted:
                message = self._message(cloud, labelled, style)
                if message is not None:
                    self._send(cloud.topic, message)
                if cloud.needs == SIMILARITY:
                    self._similarity_shown = prediction.similarity is not None
        skipped = {}
        for topic, class_filter in self._filters.items():
            if topic in wanted:
                try:
                    message = self._filtered(class_filter, prediction, style)
                except (TransformUnavailable, InputError) as error:
                    skipped[topic] = str(error)
                else:
                    self._send(topic, message)
        return skipped

    def _use(self, labels: LabelSet) -> None:
        settings = self._parameters.filters
        # Before anything is stored, as it may raise: all attributes must match one label set.
        filters = {f"filtered/{each.name}": ClassFilter.of(each, labels) for each in settings}
        self._classes, self._palette = labels.classes, labels.palette
        self._filter_settings, self._filters = settings, filters

    def _message(
        self, cloud: OutputCloud, labelled: LabelledMap, style: CloudStyle
    ) -> PointCloud2 | None:
        """The message of one topic; None if it has nothing to publish."""
        prediction, settings = labelled.prediction, self._parameters.settings
        if cloud.of_input and settings.labels.points == "input":
            newest = labelled.snapshot.newest
            return None if newest is None else _of_newest(cloud, newest, labelled, style)
        # One empty cloud removes the last one from the screen; after it there is nothing to send.
        empty = cloud.needs == SIMILARITY and prediction.similarity is None
        if empty and not self._similarity_shown:
            return None
        header = make_header(settings.fixed_frame, prediction.stamp)
        return cloud_message(cloud.pack(prediction, style), header)

    def _filtered(
        self, class_filter: ClassFilter, prediction: Prediction, style: CloudStyle
    ) -> PointCloud2:
        kept = prediction.where(class_filter.passes(prediction.label, prediction.confidence))
        fixed_frame = self._parameters.settings.fixed_frame
        target = class_filter.frame or fixed_frame
        pose = self._transforms.lookup(target, fixed_frame, prediction.stamp)
        if target != fixed_frame:
            points = kept.points @ pose.rotation.T + pose.translation
            kept = replace(kept, points=points.astype(np.float32))
        return cloud_message(pack_prediction(kept, style), make_header(target, prediction.stamp))

    def _send(self, topic: str, message: PointCloud2) -> None:
        self._publishers[topic].publish(message)

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}


def _of_newest(
    cloud: OutputCloud, newest: OriginalPoints, labelled: LabelledMap, style: CloudStyle
) -> PointCloud2:
    """A cloud of the newest input message's own points, each with the values of its voxel."""
    rows = labelled.snapshot.rows_of(newest.placed())
    prediction = labelled.prediction.at(newest.points, rows)
    header = make_header(newest.frame_id, newest.stamp)
    message = cloud_message(cloud.pack(prediction, style), header)
    message.height, message.width = newest.shape
    message.row_step = message.point_step * message.width
    message.is_dense = bool(np.isfinite(newest.points).all())
    return message
