# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The points that a person clicks on in RViz, and what the map knows of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import torch
from geometry_msgs.msg import PointStamped
from rclpy.node import Node

from concerto_ros.heads.taught_regions import Ball, Sample, sample_rows
from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.ros.middleware.qos import overridable
from concerto_ros.ros.services.base import Running, ServiceError
from concerto_ros.ros.stages.inference_stage import Examined

TOPIC = "/clicked_point"

#: A click this many voxels beside a voxel still means it.
REACH = 2.0

#: Most voxels of either kind that a click keeps the features of.
MOST_ROWS = 512

#: Clicks that are kept until they teach something; older ones are forgotten.
MOST_CLICKS = 100


@dataclass(frozen=True, eq=False)
class Click:
    """What was clicked on: the voxel's feature (C,), and a sample of it and of the map then.

    ``stamp``: nanoseconds, of that map.
    """

    region: Ball
    sample: Sample
    feature: torch.Tensor
    stamp: int


class Clicks:
    """Listens to ``/clicked_point`` and keeps what was clicked on since the last lesson.

    The features are taken from the map at once: what a robot leaves behind can be taught later.
    ``running`` gives None while the node is not active; clicks are ignored then.
    """

    def __init__(self, node: Node, running: Callable[[], Running | None]):
        self._node = node
        self._running = running
        self._lock = threading.Lock()
        self._clicks: list[Click] = []
        self._waiting: list[Future] = []
        self._newest: Click | None = None
        self._subscription = node.create_subscription(
            PointStamped, TOPIC, self._on_click, **overridable(10)
        )

    def close(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)

    def waiting(self) -> list[Future]:
        """Clicks that the map has not been looked at for yet."""
        with self._lock:
            return list(self._waiting)

    def taken(self) -> list[Click]:
        """Those since the last call, which are forgotten with it."""
        with self._lock:
            taken, self._clicks = self._clicks, []
        return taken

    def put_back(self, clicks: list[Click]) -> None:
        """Keep ``clicks`` after all."""
        with self._lock:
            self._clicks = [*clicks, *self._clicks]

    def clear(self) -> int:
        """Forget all clicks, and what is compared with; how many there were."""
        with self._lock:
            count = len(self._clicks)
            self._clicks, self._newest = [], None
        return count

    @property
    def following(self) -> bool:
        """Whether features are to be compared with those of a click."""
        with self._lock:
            return self._newest is not None

    def like(self, stamp: int) -> torch.Tensor | None:
        """The feature to compare with in a map of this stamp; None once its time is over."""
        running = self._running()
        with self._lock:
            if self._newest is None or running is None:
                return None
            seconds = running.settings.similarity.seconds
            # A stamp before that of the click: time went back, and the click is of another one.
            if seconds and not 0 <= stamp - self._newest.stamp <= seconds * 1e9:
                self._newest = None
                return None
            return self._newest.feature

    def _on_click(self, message: PointStamped) -> None:
        running = self._running()
        if running is None:
            return
        point = np.array([message.point.x, message.point.y, message.point.z])
        frame = message.header.frame_id
        radius = running.settings.teach.radius
        future = running.inference.examined(
            lambda snapshot: _rows_round(
                snapshot, _placed(running, snapshot, point, frame), radius
            )
        )
        with self._lock:
            self._waiting.append(future)
        future.add_done_callback(lambda done: self._keep(done, running, radius))

    def _keep(self, done: Future, running: Running, radius: float) -> None:
        """Take what the map knows of a click; called by the thread that found it."""
        try:
            click = _click_of(done.result(), radius)
        except Exception as error:
            self._node.get_logger().warning(f"click ignored: {error}")
            click = None
        with self._lock:
            self._waiting.remove(done)
            if click is not None:
                self._newest = click
                self._clicks = [*self._clicks, click][-MOST_CLICKS:]
        running.inference.notify()  # the likeness of a map that does not change any more, too


def _placed(running: Running, snapshot: MapSnapshot, point: np.ndarray, frame: str) -> np.ndarray:
    """The point (3,) in the fixed frame, by TF at the stamp of the map that the person saw."""
    if not np.isfinite(point).all():
        raise ServiceError(f"point: got {point.tolist()}, wanted finite numbers")
    fixed = running.settings.fixed_frame
    there = running.transforms.lookup(fixed, frame or fixed, snapshot.stamp)
    return there.rotation @ point + there.translation


def _rows_round(snapshot: MapSnapshot, point: np.ndarray, radius: float) -> np.ndarray:
    """The row of the voxel clicked on, and after it those of its sample."""
    distance = np.linalg.norm(snapshot.points - point, axis=1)
    nearest = int(distance.argmin())
    if distance[nearest] > REACH * snapshot.voxel_size:
        where = ", ".join(f"{value:.3f}" for value in point)
        raise ServiceError(
            f"the map has no voxel at ({where}), the nearest is {distance[nearest]:.2f} m away"
        )
    region = Ball(snapshot.points[nearest], radius)
    return np.concatenate([[nearest], sample_rows(snapshot.points, region, MOST_ROWS)])


def _click_of(examined: Examined | None, radius: float) -> Click:
    if examined is None:
        raise ServiceError("the map is empty")
    snapshot = examined.labelled.snapshot
    points = snapshot.points[examined.rows]
    return Click(
        region=Ball(points[0], radius),
        sample=Sample(points[1:], examined.features[1:]),
        feature=examined.features[0],
        stamp=snapshot.stamp,
    )
