# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Records the outputs of the demo, accumulates its input and draws both."""

from __future__ import annotations

import statistics
import threading
from operator import itemgetter
from pathlib import Path

import numpy as np
import open3d as o3d
from PIL import Image as Picture
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2

from concerto_ros.mapping.map_snapshot import MapSnapshot
from concerto_ros.mapping.voxel_map import Insertion, VoxelMap
from concerto_ros.msg import PerceptionStatus, SemanticClasses, SemanticObjectArray
from concerto_ros.ros.demo.object_picture import box_edges, object_legend, paler
from concerto_ros.ros.demo.plan import DemoPlan
from concerto_ros.ros.demo.score import DemoScore
from concerto_ros.ros.inputs.subscriptions import Subscriptions
from concerto_ros.ros.inputs.transforms import listen
from concerto_ros.ros.monitoring.statistics import Statistics
from concerto_ros.ros.stages.intake_stage import IntakeStage
from concerto_ros.ros.tools.bag_recorder import BagRecorder
from concerto_ros.sensors.frame import Frame
from concerto_ros.sensors.point_cloud2 import decode_point_cloud
from concerto_ros.settings.settings import Settings
from concerto_ros.viz.cloud_picture import height_colors, open_view, render_cloud

LABELS, PCA, CLASSES, STATUS, OBJECTS = (
    "/concerto/labels",
    "/concerto/pca",
    "/concerto/classes",
    "/concerto/status",
    "/concerto/objects",
)

#: Most classes in the legend below the labels.
LEGEND_SIZE = 12


class InputView:
    """Accumulates the input as the node does, for its picture.

    Args:
        settings: Those of the node.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self._lock = threading.Lock()
        self.clear()

    @property
    def voxel_size(self) -> float:
        """As :attr:`SemanticPipeline.voxel_size`."""
        return self.settings.voxel_size

    def insert(self, frame: Frame, robot: np.ndarray) -> Insertion:
        """As :meth:`SemanticPipeline.insert`."""
        with self._lock:
            return self._map.insert(frame, robot)

    def clear(self) -> None:
        """As :meth:`SemanticPipeline.clear`."""
        self._map = VoxelMap(
            self.settings.voxel_size,
            window_seconds=self.settings.window_seconds,
            radius=self.settings.window_radius,
            max_voxels=self.settings.max_voxels,
        )

    def notify(self) -> None:
        """Do nothing: new frames are only drawn at the end."""

    def snapshot(self) -> MapSnapshot:
        """A snapshot of the accumulated input."""
        with self._lock:
            return self._map.snapshot()


class Viewer(Node):
    """A node that records the outputs, collects stage times and accumulates the input.

    Args:
        plan: What is played.
        settings: Those of the node.
        bag: Folder of the bag to write.

    Attributes:
        recorder: Writes the bag.
        stages: Milliseconds of each prediction by stage.
        latencies: Milliseconds from stamp to publication of each prediction.
        objects: The newest message of ``~/objects``.
        input_view: The accumulated input.
        score: Compares with the ground truth; None if there is none.
    """

    def __init__(self, plan: DemoPlan, settings: Settings, bag: Path):
        super().__init__(
            "concerto_demo",
            parameter_overrides=[Parameter("use_sim_time", value=plan.sim_time)],
        )
        message_classes = {
            LABELS: PointCloud2,
            PCA: PointCloud2,
            CLASSES: SemanticClasses,
            STATUS: PerceptionStatus,
        }
        self.recorder = BagRecorder(self, bag, message_classes, latched={CLASSES})
        self.stages: dict[str, list[float]] = {}
        self.latencies: list[float] = []
        self._newest_inference = 0
        self.create_subscription(PerceptionStatus, STATUS, self._on_status, 50)
        self.objects = SemanticObjectArray()
        self.create_subscription(SemanticObjectArray, OBJECTS, self._on_objects, 1)
        self.input_view = InputView(settings)
        transforms = listen(self)
        subscriptions = Subscriptions(self, plan.inputs, settings, transforms)
        fixed_frame, voxel_size = settings.fixed_frame, settings.voxel_size
        self.score = (
            DemoScore(self, transforms, fixed_frame, voxel_size) if plan.ground_truth else None
        )
        self._scored = 0
        self._intake = IntakeStage(
            subscriptions,
            self.input_view,
            self.input_view,
            Statistics(list(subscriptions.configs)),
            self.input_view,
            self.get_logger(),
        )
        self._intake.start()

    def close(self) -> None:
        """Stop accumulating and finish the bag."""
        self._intake.stop()
        self._intake.join(5.0)
        self.recorder.close()

    def compare(self) -> None:
        """Compare the newest labels with the ground truth, if there is one."""
        count, classes = self.recorder.counts[LABELS], self.recorder.newest(CLASSES)
        if self.score is None or count == self._scored or classes is None:
            return
        self._scored = count
        self.score.add(self.recorder.newest(LABELS), [each.name for each in classes.classes])

    def write_pictures(self, out: Path) -> list[Path]:
        """Draw input, labels, feature colours and objects from one viewpoint as PNG files."""
        classes = self.recorder.newest(CLASSES)
        label_points, label_colors = _points_and_colors(self.recorder.newest(LABELS))
        pca_points, pca_colors = _points_and_colors(self.recorder.newest(PCA))
        seen = self.input_view.snapshot().with_normals()
        colored = seen.has_color.any()
        colors = seen.colors.round().astype(np.uint8) if colored else height_colors(seen.points)
        pictures = {
            "input": (
                seen.points,
                colors,
                "input" if colored else "input, coloured by height",
                (),
            ),
            "labels": (
                label_points,
                label_colors,
                f"labels: {classes.model}",
                _legend(classes, label_colors),
            ),
            "pca": (pca_points, pca_colors, f"feature PCA: {classes.model}", ()),
            "objects": (
                seen.points,
                paler(colors),
                f"objects: {self.objects.model}",
                object_legend(self.objects, LEGEND_SIZE),
            ),
        }
        added = {"objects": box_edges(self.objects, seen.voxel_size)}
        view = open_view(seen.points, seen.normals)
        for name, (points, rgb, title, legend) in pictures.items():
            shown = _faces(points, view[0], seen)
            drawn = [(points[shown], rgb[shown]), *added.get(name, ())]
            picture = render_cloud(
                *(np.concatenate(parts) for parts in zip(*drawn, strict=True)),
                view_from=view,
                # A LiDAR's rings are farther apart than its voxels are wide.
                point_size=seen.voxel_size if colored else None,
                title=title,
                legend=legend,
            )
            Picture.fromarray(picture).save(out / f"{name}.png")
        return [out / f"{name}.png" for name in pictures]

    def table(self, rate: float) -> str:
        """A table of stage times over the run, and of used and dropped frames.

        Args:
            rate: Multiple of the recorded speed at which a bag was played.
        """
        status = self.recorder.newest(STATUS)
        lines = [
            "",
            f"model {status.model}, {status.device}, {status.precision}",
            f"{'stage':<12}{'median ms':>12}{'max ms':>12}",
        ]
        for name, spent in self.stages.items():
            lines.append(f"{name:<12}{statistics.median(spent):>12.1f}{max(spent):>12.1f}")
        if self.latencies:
            # The clock of a bag that is played slower runs slower, too.
            spent = [latency / rate for latency in self.latencies]
            lines.append(f"{'latency':<12}{statistics.median(spent):>12.1f}{max(spent):>12.1f}")
        drops = dict(zip(status.drop_reasons, status.drop_counts, strict=True))
        dropped = ", ".join(f"{count} {reason}" for reason, count in drops.items()) or "none"
        lines += [
            f"frames: {status.frames_received} received, {status.frames_fused} fused;"
            f" dropped: {dropped}",
            f"voxels in the last snapshot: {status.voxels}; predictions: {status.inferences}",
            "",
        ]
        if self.score is not None and self.score.table():
            lines += [self.score.table(), ""]
        return "\n".join(lines)

    def _on_objects(self, objects: SemanticObjectArray) -> None:
        self.objects = objects

    def _on_status(self, status: PerceptionStatus) -> None:
        if status.inferences == self._newest_inference:
            return
        self._newest_inference = status.inferences
        self.latencies.append(status.latency_ms)
        for name, spent in zip(status.stage_names, status.stage_ms, strict=True):
            self.stages.setdefault(name, []).append(spent)


def _points_and_colors(message: PointCloud2) -> tuple[np.ndarray, np.ndarray]:
    frame = decode_point_cloud(message)
    if frame.colors is None:
        raise ValueError(f"got a cloud without colours in {message.header.frame_id}, expected rgb")
    return frame.points, frame.colors


def _faces(points: np.ndarray, eye: np.ndarray, seen: MapSnapshot) -> np.ndarray:
    """A mask of the points on surfaces that face the eye.

    The others are walls seen from behind, which would hide the room. The surface of a point is
    that of the nearest voxel of the accumulated input ``seen``.
    """
    search = o3d.core.nns.NearestNeighborSearch(_tensor(seen.points))
    search.knn_index()
    nearest = search.knn_search(_tensor(points), 1)[0].numpy()[:, 0]
    away = np.einsum("ij,ij->i", seen.normals[nearest], eye - points) < 0
    return ~away


def _tensor(points: np.ndarray) -> o3d.core.Tensor:
    return o3d.core.Tensor.from_numpy(np.ascontiguousarray(points))


def _legend(classes: SemanticClasses, rgb: np.ndarray) -> list[tuple[str, tuple[int, int, int]]]:
    """Name and colour of the classes in the picture, most frequent first."""
    colors, counts = np.unique(rgb, axis=0, return_counts=True)
    frequency = {tuple(color): count for color, count in zip(colors.tolist(), counts, strict=True)}
    shown = []
    for semantic_class in classes.classes:
        value = semantic_class.color
        color = (round(255 * value.r), round(255 * value.g), round(255 * value.b))
        if color in frequency:
            shown.append((frequency[color], semantic_class.name, color))
    shown.sort(key=itemgetter(0), reverse=True)
    return [(name, color) for _, name, color in shown[:LEGEND_SIZE]]
