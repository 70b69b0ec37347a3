# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of docs/teach.md, by the real node, a simulated robot and simulated clicks.

``python -m benchmarks.teach_pictures OUT.jpg [seconds]`` lets the robot drive through a room
with a plant, clicks on the plant, teaches it, and draws what the node published before and after.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

import numpy as np
from geometry_msgs.msg import Point, PointStamped
from PIL import Image
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2

from benchmarks.teach import KINDS, NEW, tagged
from concerto_ros.ros.middleware.fastdds_profile import ros_session
from concerto_ros.ros.middleware.spinning import spinning
from concerto_ros.ros.node import PerceptionNode
from concerto_ros.ros.tools.simulated_robot import SimulatedRobot
from concerto_ros.sensors.point_cloud2 import decode_point_cloud, point_cloud_fields
from concerto_ros.sim.pieces import small_objects as things
from concerto_ros.srv import Teach
from concerto_ros.viz.cloud_picture import render_cloud

ROOM, KIND, CLICKS = 0, "plant", 5
DEADLINE = 600.0
NODE = {
    "camera_names": ["head"],
    "cameras.head.color_topic": "/camera/color/image_raw",
    "cameras.head.depth_topic": "/camera/aligned_depth_to_color/image_raw",
    "cameras.head.info_topic": "/camera/color/camera_info",
    "window_seconds": 3600.0,
    "window_radius": 20.0,
    "max_range": 6.0,
}


class Watcher(Node):
    """Somebody who looks at outputs of the node."""

    def __init__(self):
        super().__init__("person")
        self.newest: dict[str, PointCloud2] = {}

    def look(self) -> None:
        """Subscribe, so that the node computes labels and similarity."""
        for topic in ("labels", "similarity"):
            self.create_subscription(
                PointCloud2,
                f"/concerto/{topic}",
                lambda message, topic=topic: self.newest.update({topic: message}),
                QoSProfile(depth=1),
            )


class Person(Watcher):
    """A user: subscribes to outputs of the node, clicks, and calls its services."""

    def __init__(self):
        super().__init__()
        self._clicked = self.create_publisher(PointStamped, "/clicked_point", 10)
        self._teach = self.create_client(Teach, "/concerto/teach")

    def click(self, point: np.ndarray) -> None:
        """Click on a point of the fixed frame."""
        x, y, z = map(float, point)
        message = PointStamped(point=Point(x=x, y=y, z=z))
        message.header.frame_id = "odom"
        self._clicked.publish(message)

    def teach(self, name: str) -> Teach.Response:
        """Teach the clicked points as a class."""
        future = self._teach.call_async(Teach.Request(class_name=name))
        wait_for(future.done)
        return future.result()


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until ``condition`` is true."""
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"the node did not answer within {DEADLINE:g} s")
        time.sleep(0.05)


def overrides(values: dict) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


def simulated_robot() -> tuple[SimulatedRobot, np.ndarray]:
    """A robot in a room with a plant, and points on the plant's surface, (n, 3)."""
    label = NEW + KINDS.index(KIND)
    build = tagged(getattr(things, KIND), label)
    kinds = tuple(build if one.__name__ == KIND else one for one in things.ON_FLOOR)
    with mock.patch.object(things, "ON_FLOOR", kinds):
        values = {"seed": ROOM, "rate": 2.0, "width": 320, "height": 240}
        robot = SimulatedRobot(parameter_overrides=overrides(values))
    mesh = robot._room.mesh
    return robot, mesh.corners[mesh.label == label].mean(axis=1)


@contextlib.contextmanager
def active(node: PerceptionNode, *others: Node) -> Iterator[None]:
    """Activate the node, and serve each of them in a thread; close the node at the end."""
    node.trigger_configure()
    node.trigger_activate()
    with contextlib.closing(node), contextlib.ExitStack() as threads:
        for one in (node, *others):
            threads.enter_context(spinning(one))
        yield


def watched(
    robot: SimulatedRobot, plant: np.ndarray, node: PerceptionNode, person: Person
) -> tuple[tuple[np.ndarray, np.ndarray], list[tuple[Any, ...]]]:
    """Click, teach, and see: where to look from, and the panels to draw."""
    robot._timer.cancel()
    person.look()
    wait_for(lambda: "labels" in person.newest)
    before = person.newest["labels"]

    points = decode_point_cloud(before).points
    distance = np.linalg.norm(points[:, None] - plant[::5], axis=2).min(axis=1)
    near_plant = np.flatnonzero(distance < 0.04)
    middle = np.linalg.norm(points[near_plant] - plant.mean(axis=0), axis=1).argmin()
    others = np.random.default_rng(1).choice(near_plant, CLICKS - 1, replace=False)
    chosen = [near_plant[middle], *others]
    person.click(points[chosen[0]])
    wait_for(lambda: "similarity" in person.newest)
    similarity = person.newest["similarity"]
    for number, row in enumerate(chosen[1:], start=2):
        person.click(points[row])
        wait_for(lambda number=number: len(node._configured.clicks._clicks) == number)
    start = time.monotonic()
    answer = person.teach(KIND)
    print(f"{time.monotonic() - start:.1f} s: {answer}")
    wait_for(lambda: (point_cloud_fields(person.newest["labels"])["label"] == answer.label).any())
    after = person.newest["labels"]
    taught = point_cloud_fields(after)["label"].ravel() == answer.label
    print(
        f"{len(near_plant)} voxels near the plant, {taught[near_plant].sum()} of them labelled"
        " as plant;"
    )
    print(
        f"{taught.sum() - taught[near_plant].sum()} of {len(points)} labelled as plant elsewhere"
    )

    snapshot = node._configured.pipeline.snapshot()
    middle = plant.mean(axis=0)
    inward = -middle * (1, 1, 0) / np.linalg.norm(middle[:2])
    view = (middle + 2.6 * inward + (0.4, 0.4, 1.1), middle + 0.5 * inward)
    panels = [
        (snapshot.points, snapshot.colors.round().astype(np.uint8), "input"),
        (*drawn(similarity), "~/similarity after one click on the plant"),
        (*drawn(before), "~/labels before"),
        (*drawn(after), f"~/labels after {CLICKS} clicks and ~/teach"),
    ]
    return view, panels


def main() -> None:
    """Drive, click, teach, draw."""
    out, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    with ros_session():
        robot, plant = simulated_robot()
        node, person = PerceptionNode(parameter_overrides=overrides(NODE)), Person()
        with active(node, robot, person):
            time.sleep(seconds)
            view, panels = watched(robot, plant, node, person)
            save_panels(out, view, panels)


def save_panels(
    out: str, view: tuple[np.ndarray, np.ndarray], panels: Sequence[tuple[Any, ...]]
) -> None:
    """Draw two rows of two panels: points, colours, title and, if there is one, the legend."""
    pictures = [
        render_cloud(
            points,
            colors,
            width=800,
            height=520,
            view_from=view,
            point_size=0.04,
            title=title,
            legend=legend[0] if legend else (),
        )
        for points, colors, title, *legend in panels
    ]
    rows = [np.hstack(pictures[:2]), np.hstack(pictures[2:])]
    Image.fromarray(np.vstack(rows)).save(out, quality=85)


def drawn(message: PointCloud2) -> tuple[np.ndarray, np.ndarray]:
    """Points and colours of a cloud."""
    frame = decode_point_cloud(message)
    return frame.points, frame.colors


if __name__ == "__main__":
    main()
