# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The features of the map as a topic, and the directions that its components are."""

from __future__ import annotations

from array import array

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float32MultiArray, MultiArrayDimension, MultiArrayLayout

from concerto_ros.heads.projection import FeatureProjection
from concerto_ros.labels.packed_cloud import pack_features
from concerto_ros.pipeline import SemanticPipeline
from concerto_ros.ros.middleware.qos import CLOUD_QOS, LATCHED_QOS, overridable
from concerto_ros.ros.outputs.labelled_map import LabelledMap
from concerto_ros.ros.outputs.messages import cloud_message, make_header
from concerto_ros.ros.parameters import Parameters
from concerto_ros.settings.field import SettingsError


class FeatureOutputs:
    """Publishers of ``~/features`` and, latched, ``~/features_projection``.

    The projection is sent before the first cloud.

    Args:
        node: The node that publishes.
        parameters: How the features are written.
        pipeline: Whose features they are.

    Raises:
        SettingsError: The model has not as many components.
    """

    def __init__(self, node: LifecycleNode, parameters: Parameters, pipeline: SemanticPipeline):
        channels = sum(pipeline.encoder.channels)
        components = parameters.settings.features.components
        if components > channels:
            raise SettingsError(
                f"features.components: got {components}, expected at most {channels}, the"
                f" channels of {pipeline.encoder.name}"
            )
        self._node, self._parameters, self._pipeline = node, parameters, pipeline
        self._cloud = node.create_lifecycle_publisher(
            PointCloud2, "~/features", **overridable(CLOUD_QOS)
        )
        self._directions = node.create_lifecycle_publisher(
            Float32MultiArray, "~/features_projection", **overridable(LATCHED_QOS)
        )
        self._sent = False

    def subscribed(self) -> bool:
        """Whether somebody takes the features."""
        return bool(self._cloud.get_subscription_count())

    def publish(self, labelled: LabelledMap) -> None:
        """Publish the features of a map, if its prediction has them."""
        prediction, settings = labelled.prediction, self._parameters.settings
        if prediction.components is None:
            return
        if not self._sent:
            projection = self._pipeline.projection.first(settings.features.components)
            self._directions.publish(_directions_message(projection, self._pipeline))
            self._sent = True
        packed = pack_features(
            prediction.points, prediction.components, settings.features.encoding
        )
        header = make_header(settings.fixed_frame, prediction.stamp)
        self._cloud.publish(cloud_message(packed, header))

    def destroy(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._cloud, self._directions):
            self._node.destroy_lifecycle_publisher(publisher)


def _directions_message(
    projection: FeatureProjection, pipeline: SemanticPipeline
) -> Float32MultiArray:
    """The (C, K) directions, row by row; the first label names the encoder and its digest."""
    rows, columns = projection.axes.shape
    sizes = (
        (f"channels of {pipeline.encoder.identity}", rows, rows * columns),
        ("components", columns, columns),
    )
    return Float32MultiArray(
        layout=MultiArrayLayout(
            dim=[MultiArrayDimension(label=name, size=n, stride=step) for name, n, step in sizes]
        ),
        data=array("f", projection.axes.flatten().tolist()),
    )
