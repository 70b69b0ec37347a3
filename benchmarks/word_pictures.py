# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of docs/words.md, by the real node and a simulated robot.

``python -m benchmarks.word_pictures OUT.jpg [seconds]`` lets the robot drive through a room,
labels its map by words, looks for two texts, and draws what the node published and answered.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from benchmarks.teach_pictures import (
    NODE,
    Watcher,
    active,
    drawn,
    overrides,
    save_panels,
    wait_for,
)
from concerto_ros.msg import SemanticObjectArray
from concerto_ros.ros.demo.object_picture import box_edges
from concerto_ros.ros.middleware.fastdds_profile import ros_session
from concerto_ros.ros.node import PerceptionNode
from concerto_ros.ros.outputs.object_messages import FOUND
from concerto_ros.ros.tools.simulated_robot import SimulatedRobot
from concerto_ros.sensors.point_cloud2 import point_cloud_fields
from concerto_ros.srv import Find, SetWords

WORDS = ("floor|ground", "wall", "table|desk", "chair|office chair", "sofa|couch", "plant")
TEXTS = ("something to sit on", "floor lamp")


class Person(Watcher):
    """A user: subscribes to outputs of the node, and calls its services."""

    def __init__(self):
        super().__init__()
        self.look()

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """The answer of a service; print how long it took."""
        client = self.create_client(kind, f"/concerto/{name}")
        wait_for(client.service_is_ready)
        start = time.monotonic()
        future = client.call_async(request)
        wait_for(future.done)
        print(f"~/{name}: {1000 * (time.monotonic() - start):.0f} ms")
        if not future.result().success:
            raise SystemExit(future.result().message)
        return future.result()


def found_in(person: Person, text: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Points, colours and title of the heat of a text, with the boxes of what was found."""
    before = person.newest.get("similarity")
    answer = person.call(Find, "find", Find.Request(text=text))
    wait_for(lambda: person.newest.get("similarity") is not before)
    points, colors = drawn(person.newest["similarity"])
    for edges, _ in box_edges(SemanticObjectArray(objects=answer.objects), 0.01):
        points = np.concatenate([points, edges])
        colors = np.concatenate([colors, np.broadcast_to(FOUND, edges.shape)])
    scores = ", ".join(f"{score:.2f}" for score in answer.scores[:4])
    return points, colors, f"~/find: {text} ({scores or 'not found'})"


def watched(
    robot: SimulatedRobot, node: PerceptionNode, person: Person
) -> tuple[tuple[np.ndarray, np.ndarray], list[tuple[Any, ...]]]:
    """Set words and find: where to look from, and the panels to draw."""
    robot._timer.cancel()
    person.call(SetWords, "set_words", SetWords.Request(names=WORDS))

    def labelled_by_words() -> bool:
        label = point_cloud_fields(person.newest["labels"])["label"]
        return bool((label[label < 255] < len(WORDS)).all())

    wait_for(lambda: "labels" in person.newest and labelled_by_words())
    snapshot = node._configured.pipeline.snapshot()
    legend = [(entry.name, entry.color) for entry in node._configured.pipeline.labels.classes]
    panels: list[tuple] = [
        (snapshot.points, snapshot.colors.round().astype(np.uint8), "input"),
        (*drawn(person.newest["labels"]), "~/labels after ~/set_words", legend),
        *(found_in(person, text) for text in TEXTS),
    ]
    middle = snapshot.points.mean(axis=0)
    view = (middle + (-1.5, -2.5, 6.0), middle)  # from above, over the walls
    return view, panels


def main() -> None:
    """Drive, set words, find, draw."""
    out, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    with ros_session():
        values = {"seed": 0, "rate": 2.0, "width": 320, "height": 240}
        robot = SimulatedRobot(parameter_overrides=overrides(values))
        node, person = PerceptionNode(parameter_overrides=overrides(NODE)), Person()
        with active(node, robot, person):
            time.sleep(seconds)
            view, panels = watched(robot, node, person)
            save_panels(out, view, panels)


if __name__ == "__main__":
    main()
