# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sensors, transforms and readers that come and go while the node runs."""

from __future__ import annotations

import itertools
import os
import threading

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import (
    CAMERA,
    ONE_CLOUD,
    SECOND,
    START,
    camera_info,
    cloud_message,
    color_image,
    depth_image,
    room,
    send_pair,
)
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from concerto_ros.msg import PerceptionStatus
from concerto_ros.ros.monitoring import input_diagnostics
from concerto_ros.ros.outputs.messages import make_header

#: The readers that come and go, and how many are there at once.
READERS, AT_ONCE = 100, 20


@pytest.fixture
def soon(monkeypatch):
    """What happened half a second ago is past."""
    monkeypatch.setattr(input_diagnostics, "RECENT", 0.5)


def is_missed(one, name: str):
    one.received["/diagnostics"].clear()
    diagnosis = one.diagnosis(f"input {name}")
    one.wait(
        lambda: (d := diagnosis()) and d.level != DiagnosticStatus.OK and d,
        f"{name} to be missed",
    )


def is_well(one, name: str, send):
    """Until the diagnostics say so, while ``send`` goes on sending."""
    one.received["/diagnostics"].clear()
    diagnosis = one.diagnosis(f"input {name}")

    def said():
        send()
        return (d := diagnosis()) and d.level == DiagnosticStatus.OK

    one.wait(said, f"{name} to be well")


# Sensors -----------------------------------------------------------------------------------------


def test_a_lidar_that_is_unplugged_is_missed_and_works_when_it_is_back(active, soon, fault):
    cycles = 5
    stamps = itertools.count(START, SECOND // 100)
    for _ in range(cycles):
        active.labels_of_room(next(stamps))
        is_well(active, "front", lambda: active.send_room(next(stamps)))
        active.unplug("/points")
        is_missed(active, "front")
    assert set(active.drops()) <= {"superseded"}
    fault(
        "a LiDAR is unplugged and plugged in again",
        cases=cycles,
        did="the diagnostics name the input; once it sends again, its frames are labelled"
        " and the diagnostics return to OK",
        lost="nothing that was sent",
    )


def test_a_camera_whose_colour_is_unplugged_works_when_it_is_back(harness, soon, fault):
    one = harness(**CAMERA)
    one.listen_to_labels()
    one.start()
    cycles = 3
    for cycle in range(cycles):
        stamp = START + 10 * cycle * SECOND
        send_pair(one, stamp)
        one.labels(stamp)
        one.unplug("/color")
        depth, lost = one.publisher("/depth", Image), one.drops().get("unpaired", 0)
        later = itertools.count(stamp + 1, SECOND // 1000)

        def counted(depth=depth, later=later, lost=lost):
            depth.publish(depth_image(80, 60, next(later)))
            return one.drops().get("unpaired", 0) > lost

        one.wait(counted, "depth images counted as unpaired")
        is_missed(one, "head")
    send_pair(one, last := START + 10 * cycles * SECOND)
    one.labels(last)
    fault(
        "the colour stream of a camera is unplugged and plugged in again",
        cases=cycles,
        did="depth images without colour are counted as unpaired and reported in the"
        " diagnostics; the next pair is labelled",
        lost="the depth images without a colour image",
    )


# Clouds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 100, 299])
def test_of_a_cloud_over_capacity_the_nearest_points_are_used(harness, most, fault):
    one = harness(**ONE_CLOUD, max_points=most)
    one.listen_to_labels()
    one.start()
    points = room()
    one.send(cloud_message(make_header("odom", START), points))
    labels = one.labels(START)
    nearest = points[np.argsort(np.linalg.norm(points, axis=1), kind="stable")[:most]]
    voxels = np.unique(np.floor(nearest.astype(np.float64) / 0.1), axis=0)
    assert len(labels["x"]) == len(voxels)
    diagnosis = one.wait(
        lambda: (d := one.diagnosis("input front")()) and "max_points" in d.message and d,
        "diagnostics of the input",
    )
    assert diagnosis.level == DiagnosticStatus.ERROR
    assert str(300 - most) in {entry.value for entry in diagnosis.values}
    assert one.drops() == {}
    fault(
        "a cloud over max_points",
        cases=1,
        did="its nearest points are used; the diagnostics report an ERROR with the number of"
        " the others",
        lost="the farthest points",
    )


# Transforms --------------------------------------------------------------------------------------


def test_transforms_that_stop_are_missed_and_frames_work_when_they_are_back(active, fault):
    cycles = 3
    for cycle in range(cycles):
        stamp = START + 20 * cycle * SECOND
        active.send_transform("odom", "lidar", stamp)
        active.send_room(stamp, frame="lidar")
        active.labels(stamp)
        for i in range(1, 4):
            active.send_room(stamp + i * SECOND, frame="lidar")
            active.wait_for_drop("no_transform", 3 * cycle + i)
    fault(
        "transforms stop and resume",
        cases=cycles,
        did="frames wait for transform_timeout and are then dropped as no_transform; the"
        " first one with a transform is labelled; old transforms are not used",
        lost="frames without a transform",
    )


def test_a_loop_of_transforms_is_named_and_ends_when_it_is_mended(active, fault):
    cycles = 3
    for cycle in range(cycles):
        stamp = START + 30 * cycle * SECOND
        active.send_transform("odom", "lidar", stamp)
        active.send_transform("odom", "lidar", stamp + 9 * SECOND)
        active.send_room(stamp, frame="lidar")
        active.labels(stamp)
        for second in (1, 2):
            active.send_transform("lidar", "odom", stamp + second * SECOND)
        moments = itertools.count(stamp + 3 * SECOND // 2, SECOND // 1000)
        before = active.drops().get("transform_loop", 0)

        def named(moments=moments, before=before):  # the loop may come after the first cloud
            active.send_room(next(moments), frame="lidar")
            return active.drops().get("transform_loop", 0) > before

        active.wait(named, "a cloud dropped as transform_loop")
        for second in (3, 9):
            active.send_transform("map", "odom", stamp + second * SECOND)
        active.send_room(stamp + 5 * SECOND, frame="lidar")
        active.labels(stamp + 5 * SECOND)
    fault(
        "a loop in the transform tree",
        cases=cycles,
        did="frames are dropped as transform_loop without waiting; once the loop is gone,"
        " the next frame is labelled",
        lost="frames during the loop",
    )


def test_frames_follow_a_transform_that_jumps(active, fault):
    points = room()
    jumps = [0.0, 500.0, -500.0, 0.25]
    for i, x in enumerate(jumps):
        stamp = START + 20 * i * SECOND  # the window has passed
        active.send_transform("odom", "lidar", stamp, x=x)
        active.send_room(stamp, frame="lidar")
        labels = active.labels(stamp)
        assert labels["x"].max() == pytest.approx(points[:, 0].max() + x, abs=1e-3)
        assert labels["x"].min() > points[:, 0].min() + x - 0.01
    fault(
        "a transform jumps by hundreds of metres",
        cases=len(jumps),
        did="each frame is transformed at its own stamp; voxels beyond window_radius are removed",
        lost="nothing",
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_transform_that_is_no_number_is_ignored(active, value, fault):
    active.send_transform("odom", "lidar", START, x=value)
    active.send_room(START, frame="lidar")
    active.wait_for_drop("no_transform")
    active.send_transform("odom", "lidar", START + SECOND)
    active.send_room(START + SECOND, frame="lidar")
    active.labels(START + SECOND)
    fault(
        "a transform that is not finite",
        cases=1,
        did="it is ignored; frames that need it are dropped as no_transform",
        lost="frames without another transform",
    )


# Readers -----------------------------------------------------------------------------------------


def resources() -> tuple[int, int, int]:
    """Descriptors, threads of the process, threads of Python."""
    tasks = len(os.listdir("/proc/self/task"))
    return len(os.listdir("/proc/self/fd")), tasks, threading.active_count()


def test_a_hundred_readers_come_and_go(active, fault):
    kinds = {"labels": PointCloud2, "pca": PointCloud2, "status": PerceptionStatus}
    before = None
    stamps = itertools.count(START, SECOND // 10)
    for _ in range(READERS // AT_ONCE + 1):
        got = [[] for _ in range(AT_ONCE)]
        readers = []
        for i, heard in enumerate(got):
            topic = list(kinds)[i % len(kinds)]
            readers.append(
                active.robot.create_subscription(
                    kinds[topic], f"/concerto/{topic}", heard.append, QoSProfile(depth=1)
                )
            )

        def everyone_heard(got=got):
            counts = active.node._activation.node.statistics.report().inputs["front"]
            if counts.received == counts.fused + counts.drops.total():
                active.send_room(next(stamps))
            return all(got)

        active.wait(everyone_heard, "every reader to hear something")
        for reader in readers:
            active.robot.destroy_subscription(reader)
        if before is None:  # the first ones: buffers and caches are made
            before = resources()
    for now, then in zip(resources(), before, strict=True):
        assert now <= then + 2
    active.labels_of_room(next(stamps))
    fault(
        "subscribers come and go",
        cases=READERS,
        did="each of them gets its topic; file descriptors and threads are released",
        lost="nothing",
    )


def test_a_camera_whose_colours_are_not_decoded_gives_its_depth(harness):
    one = harness(**CAMERA)
    one.listen_to_labels()
    one.start()
    color = color_image(80, 60, START)
    color.encoding = "h264"
    one.publisher("/info", CameraInfo).publish(camera_info(80, 60))
    one.publisher("/color", Image).publish(color)
    one.publisher("/depth", Image).publish(depth_image(80, 60, START))
    one.labels(START)
    diagnosis = one.diagnosis("input head")
    said = one.wait(
        lambda: (d := diagnosis()) and d.message.startswith("used without colour") and d,
        "the warning",
    )
    assert said.level == DiagnosticStatus.WARN and "encoding: got 'h264'" in said.message
    assert {value.key: value.value for value in said.values}["frames without colour"] == "1"


def test_a_number_for_no_reading_of_a_camera_is_a_parameter(harness):
    one = harness(**CAMERA, **{"cameras.head.no_reading": [1.5]})
    one.start()
    send_pair(one, START)
    one.wait(lambda: one.drops().get("empty"), "an image of nothing but no readings")


def test_the_decimation_of_a_camera_is_said(harness):
    one = harness(**CAMERA, **{"cameras.head.decimation": 2})
    one.start()
    diagnosis = one.diagnosis("input head")
    for number in range(3):
        send_pair(one, START + number * 200_000_000)

    def said():
        values = diagnosis().values if diagnosis() else []
        return {value.key: value.value for value in values}.get("decimation")

    assert one.wait(said, "how many pixels are used") == "2"
