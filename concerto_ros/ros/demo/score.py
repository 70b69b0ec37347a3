# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares labels with the ground truth that the simulated robot publishes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2

from concerto_ros.labels.confusion import Confusion
from concerto_ros.mapping.voxel_grid import find_keys, voxel_keys
from concerto_ros.ros.inputs.transforms import TransformListener
from concerto_ros.sensors.message_fields import stamp_ns
from concerto_ros.sensors.point_cloud2 import point_cloud_fields
from concerto_ros.sensors.transform_tree import TransformUnavailable
from concerto_ros.sim import CLASSES

GROUND_TRUTH = "/ground_truth/labels"

#: Most ground truth clouds that wait for their transform.
WAITING = 50
#: Seconds between two printed scores.
PERIOD = 4.0


class TruthMap:
    """Ground truth of the voxels seen so far: the number of points of each class in each voxel.

    Args:
        voxel_size: In metres.
    """

    def __init__(self, voxel_size: float):
        self._voxel_size = voxel_size
        self._keys = np.zeros(0, np.int64)
        self._counts = np.zeros((0, len(CLASSES)), np.int64)

    def add(self, points: np.ndarray, labels: np.ndarray) -> None:
        """Add (N, 3) points in the fixed frame with their (N,) labels; 255 is ignored."""
        known = labels < len(CLASSES)
        keys = np.concatenate([self._keys, voxel_keys(points[known], self._voxel_size)])
        counts = np.zeros((len(keys), len(CLASSES)), np.int64)
        counts[: len(self._keys)] = self._counts
        counts[np.arange(len(self._keys), len(keys)), labels[known]] = 1
        order = np.argsort(keys, kind="stable")
        first = np.flatnonzero(np.diff(keys[order], prepend=-1))
        self._keys = keys[order][first]
        self._counts = np.add.reduceat(counts[order], first) if len(first) else counts

    def labels(self, points: np.ndarray) -> np.ndarray:
        """(N,) the most frequent class in the voxel of each point; 255 for unseen voxels."""
        row = find_keys(self._keys, voxel_keys(points, self._voxel_size))
        # Row -1, of an unseen voxel, is the appended 255.
        return np.append(self._counts.argmax(1), 255)[row]


class DemoScore:
    """Subscribes to the simulator's ground truth, compares labels with it and prints scores.

    Args:
        node: Subscribes to the ground truth.
        transforms: Transforms it into the fixed frame.
        fixed_frame: Frame of the labels.
        voxel_size: Of the labels, metres.
    """

    def __init__(
        self, node: Node, transforms: TransformListener, fixed_frame: str, voxel_size: float
    ):
        self._transforms, self._fixed_frame = transforms, fixed_frame
        self._map = TruthMap(voxel_size)
        self._waiting: deque[PointCloud2] = deque(maxlen=WAITING)
        self._total = Confusion(len(CLASSES))
        self._printed = time.monotonic()
        self._subscription = node.create_subscription(
            PointCloud2, GROUND_TRUTH, self._on_ground_truth, QoSProfile(depth=10)
        )

    def add(self, labels: PointCloud2, names: Sequence[str]) -> None:
        """Compare a message of labels; ``names`` are those of its classes, in label order."""
        self._place()
        points, label_of = _points_and_labels(labels)
        to_sim = np.full(256, 255)
        for label, name in enumerate(names):
            if name in CLASSES:
                to_sim[label] = CLASSES.index(name)
        now = Confusion(len(CLASSES))
        predicted = np.minimum(label_of.astype(np.int64), 255)
        now.add(to_sim[predicted], self._map.labels(points))
        self._total = self._total + now
        if now.support.sum() and time.monotonic() - self._printed > PERIOD:
            self._printed = time.monotonic()
            print(f"compared with the ground truth: {_line(now)}", flush=True)

    def table(self) -> str:
        """A table of IoU per class and mIoU over all predictions; empty without any."""
        if not self._total.support.sum():
            return ""
        total = self._total
        lines = [f"{'class':<12}{'IoU':>8}{'voxels':>12}   (all predictions of the run together)"]
        for name, iou, support in zip(CLASSES, total.iou, total.support, strict=True):
            if support:
                lines.append(f"{name:<12}{iou:>8.3f}{support:>12}")
        seen = total.support > 0
        mean = total.iou[seen].mean()
        lines.append(f"{'mIoU':<12}{mean:>8.3f}   over the {np.count_nonzero(seen)} classes seen")
        return "\n".join(lines)

    def _on_ground_truth(self, message: PointCloud2) -> None:
        self._waiting.append(message)

    def _place(self) -> None:
        """Add the received clouds to the map; those whose transform is not known yet wait."""
        for _ in range(len(self._waiting)):
            message = self._waiting.popleft()
            try:
                pose = self._transforms.lookup(
                    self._fixed_frame, message.header.frame_id, stamp_ns(message)
                )
            except TransformUnavailable as error:
                if error.retry:
                    self._waiting.append(message)
                continue
            points, label_of = _points_and_labels(message)
            self._map.add(points @ pose.rotation.T + pose.translation, label_of)


def _points_and_labels(message: PointCloud2) -> tuple[np.ndarray, np.ndarray]:
    """The (N, 3) points and (N,) labels of a cloud with the fields x, y, z and label."""
    fields = point_cloud_fields(message)
    return np.stack([fields[axis].ravel() for axis in "xyz"], axis=1), fields["label"].ravel()


def _line(score: Confusion) -> str:
    seen = score.support > 0
    parts = [f"{name} {score.iou[i]:.2f}" for i, name in enumerate(CLASSES) if seen[i]]
    return f"mIoU {score.iou[seen].mean():.2f}: {', '.join(parts)}"
