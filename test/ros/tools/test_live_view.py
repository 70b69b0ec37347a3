# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A running node in the viewer, read back from the file that is recorded."""

from __future__ import annotations

import time

import pytest
from node_harness import SECOND, START, room
from rclpy.executors import SingleThreadedExecutor
from viewer_files import ViewerFile

from concerto_ros.ros.tools import live_view
from concerto_ros.ros.tools.live_view import LiveView
from concerto_ros.viewer.scene import Scene

rerun = pytest.importorskip("rerun")

DEADLINE = 60.0


@pytest.fixture
def shown(ros_context):
    """Makes a viewer of a node, and an executor that serves it."""
    executor = SingleThreadedExecutor(context=ros_context)
    made = []

    def make(name):
        made.append(LiveView(name, context=ros_context))
        executor.add_node(made[-1])
        return made[-1], executor

    yield make
    executor.shutdown()
    for node in made:
        node.destroy_node()


def test_a_running_node_is_shown_with_its_input_labels_and_a_point_that_is_compared(
    active, shown, tmp_path
):
    active.send_transform("odom", "lidar", x=1.0, static=True)
    view, executor = shown("/concerto")
    view.find(executor)
    recording = rerun.RecordingStream("test")
    recording.save(tmp_path / "out.rrd")
    scene = Scene(recording)
    view.start(scene, 100.0, tuple(float(value) for value in room()[0]))

    expected = {"labels", "pca", "similarity", "classes", "inputs/front", "frames/lidar"}
    end, number = time.monotonic() + DEADLINE, 0
    while not expected <= scene.entities:
        assert time.monotonic() < end, f"only {scene.entities} came"
        active.send_room(START + number * SECOND // 10)
        number += 1
        for _ in range(5):
            executor.spin_once(timeout_sec=0.02)
    recording.disconnect()

    file = ViewerFile(tmp_path / "out.rrd")
    assert file.entities >= expected
    assert any(entity.startswith("times/") for entity in file.entities)
    assert file.rows("labels", "CoordinateFrame:frame") == [["odom"]]
    assert file.rows("frames/lidar", "Transform3D:translation")[0][0] == [1, 0, 0]
    assert set(file.newest("labels", "Points3D:class_ids")) <= set(file.classes())
    assert file.has_blueprint
    assert dict(view.view.not_shown) == {}


def test_without_an_active_node_the_viewer_says_what_to_start(harness, shown, monkeypatch):
    from node_harness import ONE_CLOUD

    harness(**ONE_CLOUD).configure()  # and not activated
    monkeypatch.setattr(live_view, "START_TIMEOUT", 0.5)
    view, executor = shown("/concerto")
    with pytest.raises(ValueError, match="no active node /concerto within 0.5 s: start it"):
        view.find(executor)


def test_the_name_of_a_node_is_its_full_one(ros_context):
    with pytest.raises(ValueError, match="--node: got 'concerto', expected a full name"):
        LiveView("concerto", context=ros_context)
