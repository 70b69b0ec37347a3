# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The points that are clicked in RViz, and the features that the map has there."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial

import numpy as np
from geometry_msgs.msg import PointStamped
from rclpy.node import Node

from concerto_ros.heads.taught_regions import Ball, Sample, sample_rows
from concerto_ros.labels.output_clouds import SIMILARITY
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.ros.inputs.clicks import Click, Clicks
from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.ros.outputs.labelled_map import RowFeatures
from concerto_ros.ros.services.active_node import Activation, ActiveNode
from concerto_ros.ros.services.base import ServiceError, in_fixed_frame, vector_of

#: Relative: in a namespace, each of several robots hears the clicks that are meant for it.
TOPIC = "clicked_point"

#: Largest distance of a click to the nearest voxel, in voxels.
REACH = 2.0

#: Most voxels inside, and most voxels outside of its region that a click keeps the features of.
MAX_ROWS = 512


class ClickListener:
    """Listens to ``clicked_point`` and adds each point with its features to ``clicks``.

    The features are taken from the map at once, so that a place can be taught after it left the
    map. Clicks are ignored while the node is not active.
    """

    def __init__(self, node: Node, clicks: Clicks, activation: Activation):
        self._node = node
        self._clicks = clicks
        self._activation = activation
        self._subscription = node.create_subscription(
            PointStamped, TOPIC, self._on_click, **overridable(10)
        )

    def close(self) -> None:
        """Destroy the subscription."""
        self._node.destroy_subscription(self._subscription)

    def _on_click(self, message: PointStamped) -> None:
        active = self._activation.node
        if active is None:
            return
        radius = active.settings.teach.radius
        future = active.inference.next_features(partial(_rows_around, active, message, radius))
        self._clicks.expect(future)
        future.add_done_callback(partial(self._keep, active, radius))

    def _keep(self, active: ActiveNode, radius: float, done: Future) -> None:
        """Add a click whose features are known; called by the inference thread."""
        try:
            click = _click_of(done.result(), radius)
        except Exception as error:
            self._node.get_logger().warning(f"click ignored: {error}")
            click = None
        self._clicks.add(done, click)
        # Compare the map with the click, even if no new frame comes.
        active.inference.refresh(SIMILARITY)


def _rows_around(
    active: ActiveNode, message: PointStamped, radius: float, snapshot: MapSnapshot
) -> np.ndarray:
    """The row of the clicked voxel, followed by the rows of its sample."""
    point = vector_of("point", message.point)
    point = in_fixed_frame(active, point[None], message.header.frame_id, snapshot.stamp)[0]
    distance = np.linalg.norm(snapshot.points - point, axis=1)
    nearest = int(distance.argmin())
    if distance[nearest] > REACH * snapshot.voxel_size:
        where = ", ".join(f"{value:.3f}" for value in point)
        raise ServiceError(
            f"the map has no voxel at ({where}), the nearest is {distance[nearest]:.2f} m away"
        )
    region = Ball(snapshot.points[nearest], radius)
    return np.concatenate([[nearest], sample_rows(snapshot.points, region, MAX_ROWS)])


def _click_of(features: RowFeatures | None, radius: float) -> Click:
    if features is None:
        raise ServiceError("the map is empty")
    snapshot = features.labelled.snapshot
    if not features.features[0].isfinite().all():
        raise ServiceError("the feature of the clicked voxel is not finite (NaN or infinity)")
    points = snapshot.points[features.rows]
    return Click(
        region=Ball(points[0], radius),
        sample=Sample(points[1:], features.features[1:]),
        feature=features.features[0],
        stamp=snapshot.stamp,
    )
