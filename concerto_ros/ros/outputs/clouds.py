# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The clouds that come out: labels, feature colours, likeness, and what planners asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2

from concerto_ros.intake.original_points import Reading
from concerto_ros.labels.class_filter import ClassFilter
from concerto_ros.labels.label_set import LabelSet
from concerto_ros.labels.prediction import Prediction
from concerto_ros.ros.inputs.transforms import Transforms
from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.ros.outputs.messages import (
    header,
    labels_message,
    pca_message,
    similarity_message,
)
from concerto_ros.ros.stages.inference_stage import Labelled
from concerto_ros.sensors.input_error import InputError
from concerto_ros.sensors.transform_tree import TransformUnavailable
from concerto_ros.settings.outputs import FilterSettings
from concerto_ros.settings.settings import Settings

#: Takes the topic of a cloud that is not sent, and why.
Withheld = Callable[[str, str], None]


class CloudOutputs:
    """Publishers of ``~/labels``, ``~/pca``, ``~/similarity`` and ``~/filtered/<name>``.

    Colours and filters follow the classes of each prediction, which grow where one is taught, and
    filters their parameters; ``filters`` gives another sequence after each change of those.
    Raises SettingsError for a filter of classes that are not in ``labels``.
    """

    def __init__(
        self,
        node: LifecycleNode,
        qos: QoSProfile,
        labels: LabelSet,
        filters: Callable[[], Sequence[FilterSettings]],
        transforms: Transforms,
    ):
        self._node = node
        self._filters_now = filters
        self._likeness = False
        self._use(labels)
        self._transforms = transforms
        self._publishers = {
            topic: node.create_lifecycle_publisher(PointCloud2, f"~/{topic}", **overridable(qos))
            for topic in ("labels", "pca", "similarity", *self._filters)
        }

    def listened(self) -> list[str]:
        """The topics that somebody subscribes to."""
        return [
            topic
            for topic, publisher in self._publishers.items()
            if publisher.get_subscription_count()
        ]

    def wanted(self, likeness: bool) -> list[str]:
        """The topics that are to be made: somebody subscribes to them.

        ``~/similarity`` while there is something to be like, and once more after it, empty.
        """
        listened = self.listened()
        if "similarity" in listened and not (likeness or self._likeness):
            listened.remove("similarity")
        return listened

    def publish(
        self, labelled: Labelled, settings: Settings, wanted: Collection[str], withheld: Withheld
    ) -> None:
        """Send the topics in ``wanted``; the map is in the fixed frame."""
        prediction, frame = labelled.prediction, settings.fixed_frame
        if prediction.classes is not self._classes or self._filters_now() is not self._settings:
            self._use(LabelSet("", "", prediction.classes))
        head, layout = header(frame, prediction.stamp), settings.labels.layout
        if "labels" in wanted and settings.labels.points == "voxels":
            self._send("labels", labels_message(prediction, self._palette, head, layout))
        elif "labels" in wanted and labelled.reading is not None:
            self._send("labels", self._labels_of(labelled.reading, labelled, layout))
        if "pca" in wanted:
            self._send("pca", pca_message(prediction, head))
        if prediction.similarity is not None:
            self._send("similarity", similarity_message(prediction, head))
        elif self._likeness:  # what is shown would stay on the screen
            nothing = replace(prediction, similarity=np.zeros(len(prediction.points), np.float32))
            self._send("similarity", similarity_message(nothing.where(slice(0)), head))
        self._likeness = prediction.similarity is not None
        for topic, chosen in self._filters.items():
            if topic in wanted:
                try:
                    message = self._filtered(chosen, prediction, frame, layout)
                except (TransformUnavailable, InputError) as error:
                    withheld(topic, str(error))
                else:
                    self._send(topic, message)

    def _use(self, labels: LabelSet) -> None:
        settings = self._filters_now()
        # First, as it may raise: what is used must be all of one label set.
        filters = {f"filtered/{entry.name}": ClassFilter.of(entry, labels) for entry in settings}
        self._classes, self._palette = labels.classes, labels.palette
        self._settings, self._filters = settings, filters

    def _labels_of(self, reading: Reading, labelled: Labelled, layout: str) -> PointCloud2:
        """The message's own points, each with the label of its voxel."""
        rows = labelled.snapshot.rows_of(reading.placed())
        prediction = labelled.prediction.at(reading.points, rows)
        head = header(reading.frame_id, reading.stamp)
        message = labels_message(prediction, self._palette, head, layout)
        message.height, message.width = reading.shape
        message.row_step = message.point_step * message.width
        message.is_dense = bool(np.isfinite(reading.points).all())
        return message

    def _filtered(
        self, chosen: ClassFilter, prediction: Prediction, frame: str, layout: str
    ) -> PointCloud2:
        kept = prediction.where(chosen.passes(prediction.label, prediction.confidence))
        target = chosen.frame or frame
        moved = self._transforms.lookup(target, frame, prediction.stamp)
        if target != frame:
            points = kept.points @ moved.rotation.T + moved.translation
            kept = replace(kept, points=points.astype(np.float32))
        return labels_message(kept, self._palette, header(target, prediction.stamp), layout)

    def _send(self, topic: str, message: PointCloud2) -> None:
        self._publishers[topic].publish(message)

    def destroy(self) -> None:
        """Take the publishers back."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}
