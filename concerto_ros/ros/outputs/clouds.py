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

    Colours and filters follow the classes of each prediction, which grow where one is taught, and
    filters their parameters. Raises SettingsError for a filter of classes that are not in
    ``labels``.
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

    def listened(self) -> list[str]:
        """The topics that somebody subscribes to."""
        return [
            topic
            for topic, publisher in self._publishers.items()
            if publisher.get_subscription_count()
        ]

    def wanted(self, following: bool) -> list[str]:
        """The topics that are to be made: somebody subscribes to them.

        What needs a similarity while a click is ``following``, and once more after it, empty.
        """
        if following or self._similarity_shown:
            return self.listened()
        idle = {cloud.topic for cloud in OUTPUT_CLOUDS if cloud.needs == SIMILARITY}
        return [topic for topic in self.listened() if topic not in idle]

    def publish(self, labelled: LabelledMap, wanted: Collection[str]) -> dict[str, str]:
        """Send the topics in ``wanted``, but for those in the answer, which says why not.

        The map is in the fixed frame.
        """
        prediction, settings = labelled.prediction, self._parameters.settings
        if (
            prediction.classes is not self._classes
            or self._parameters.filters is not self._filter_settings
        ):
            self._use(LabelSet("", "", prediction.classes))
        style = CloudStyle(self._palette, settings.labels.layout)
        for cloud in OUTPUT_CLOUDS:
            if cloud.topic in wanted:
                message = self._message(cloud, labelled, style)
                if message is not None:
                    self._send(cloud.topic, message)
        self._similarity_shown = prediction.similarity is not None
        withheld = {}
        for topic, chosen in self._filters.items():
            if topic in wanted:
                try:
                    message = self._filtered(chosen, prediction, style)
                except (TransformUnavailable, InputError) as error:
                    withheld[topic] = str(error)
                else:
                    self._send(topic, message)
        return withheld

    def _use(self, labels: LabelSet) -> None:
        settings = self._parameters.filters
        # First, as it may raise: what is used must be all of one label set.
        filters = {f"filtered/{entry.name}": ClassFilter.of(entry, labels) for entry in settings}
        self._classes, self._palette = labels.classes, labels.palette
        self._filter_settings, self._filters = settings, filters

    def _message(
        self, cloud: OutputCloud, labelled: LabelledMap, style: CloudStyle
    ) -> PointCloud2 | None:
        """The message of one topic; None where there is nothing to say on it."""
        prediction, settings = labelled.prediction, self._parameters.settings
        if cloud.of_input and settings.labels.points == "input":
            newest = labelled.snapshot.newest
            return None if newest is None else _of_newest(cloud, newest, labelled, style)
        # One empty cloud takes the last one off the screen; without that there is nothing to send.
        empty = cloud.needs == SIMILARITY and prediction.similarity is None
        if empty and not self._similarity_shown:
            return None
        header = make_header(settings.fixed_frame, prediction.stamp)
        return cloud_message(cloud.pack(prediction, style), header)

    def _filtered(
        self, chosen: ClassFilter, prediction: Prediction, style: CloudStyle
    ) -> PointCloud2:
        kept = prediction.where(chosen.passes(prediction.label, prediction.confidence))
        fixed_frame = self._parameters.settings.fixed_frame
        target = chosen.frame or fixed_frame
        pose = self._transforms.lookup(target, fixed_frame, prediction.stamp)
        if target != fixed_frame:
            points = kept.points @ pose.rotation.T + pose.translation
            kept = replace(kept, points=points.astype(np.float32))
        return cloud_message(pack_prediction(kept, style), make_header(target, prediction.stamp))

    def _send(self, topic: str, message: PointCloud2) -> None:
        self._publishers[topic].publish(message)

    def destroy(self) -> None:
        """Take the publishers back."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}


def _of_newest(
    cloud: OutputCloud, newest: OriginalPoints, labelled: LabelledMap, style: CloudStyle
) -> PointCloud2:
    """The message's own points, each with what is known of its voxel."""
    rows = labelled.snapshot.rows_of(newest.placed())
    prediction = labelled.prediction.at(newest.points, rows)
    header = make_header(newest.frame_id, newest.stamp)
    message = cloud_message(cloud.pack(prediction, style), header)
    message.height, message.width = newest.shape
    message.row_step = message.point_step * message.width
    message.is_dense = bool(np.isfinite(newest.points).all())
    return message
