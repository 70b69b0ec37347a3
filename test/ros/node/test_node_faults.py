# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the perception node makes of bad input, of time that jumps and of its own errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import (
    CAMERA,
    LATCHED,
    ONE_CLOUD,
    SECOND,
    START,
    camera_info,
    cloud_message,
    color_image,
    depth_image,
    room,
    send_pair,
    stamp_of,
)
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField

from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.ros.stages import inference_stage

# Bad input ---------------------------------------------------------------------------------------


def broken(**changes):
    """A good cloud with some attributes changed."""
    message = cloud_message(make_header("odom", START), room())
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def without_xyz():
    fields = [PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate("abc")]
    return broken(fields=fields)


def with_unknown_datatype():
    fields = [PointField(name=n, offset=4 * i, datatype=9, count=1) for i, n in enumerate("xyz")]
    return broken(fields=fields)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (lambda: broken(data=b"\0" * 100), "malformed"),
        (lambda: broken(height=1000), "malformed"),
        (lambda: broken(point_step=2), "malformed"),
        (with_unknown_datatype, "unsupported"),
        (without_xyz, "no_xyz"),
        (lambda: broken(width=0, row_step=0, data=b""), "empty"),
        (
            lambda: cloud_message(make_header("odom", START), np.full((9, 3), np.nan, "f4")),
            "empty",
        ),
        (lambda: broken(header=make_header("odom", 0), data=b""), "malformed"),
    ],
)
def test_a_bad_cloud_is_counted_and_the_next_one_works(active, message, reason):
    active.send_room(START - SECOND)
    active.wait_for_fused(1)
    active.send(message())
    active.wait_for_drop(reason)
    diagnosis = active.wait(
        lambda: (d := active.diagnosis("input front")()) and reason in d.message and d,
        f"diagnostics of {reason}",
    )
    # WARN, or ERROR where the first room was fused more than five seconds ago.
    assert diagnosis.level != DiagnosticStatus.OK
    active.send_room(START + SECOND)
    active.labels(START + SECOND)
    assert active.status.frames_received == active.status.frames_fused + sum(
        active.drops().values()
    )


GOOD = (color_image(80, 60), depth_image(80, 60), camera_info(80, 60))


@pytest.mark.parametrize(
    ("index", "bad", "reason"),
    [
        (1, depth_image(40, 30), "size_mismatch"),
        (1, depth_image(80, 60, frame="ir"), "not_registered"),
        (2, camera_info(80, 60, focal=0.0), "bad_camera_info"),
    ],
)
def test_a_bad_pair_is_counted_and_the_next_one_works(harness, index, bad, reason):
    one = harness(**CAMERA)
    one.listen_to_labels()
    one.start()
    color, depth, info = (bad if i == index else good for i, good in enumerate(GOOD))
    for topic, message in (("/info", info), ("/color", color), ("/depth", depth)):
        one.publisher(topic, type(message)).publish(message)
    one.wait_for_drop(reason)
    send_pair(one, START + SECOND)
    one.labels(START + SECOND)


def test_a_depth_of_an_unknown_encoding_is_counted_and_the_next_pair_works(harness):
    one = harness(**CAMERA)
    one.listen_to_labels()
    one.start()
    depth = depth_image(80, 60)
    depth.encoding = "8UC1"
    for topic, message in (
        ("/info", camera_info(80, 60)),
        ("/color", color_image(80, 60)),
        ("/depth", depth),
    ):
        one.publisher(topic, type(message)).publish(message)
    one.wait_for_drop("unsupported")
    send_pair(one, START + SECOND)
    one.labels(START + SECOND)


def test_a_dead_colour_stream_is_counted(harness):
    one = harness(**CAMERA)
    one.start()
    one.publisher("/info", CameraInfo).publish(camera_info(80, 60))
    depth = one.publisher("/depth", Image)
    stamps = itertools.count(START, SECOND // 10)

    def counted():
        depth.publish(depth_image(80, 60, next(stamps)))
        return one.drops().get("unpaired")

    one.wait(counted, "depth images counted as unpaired")
    one.wait(
        lambda: (d := one.diagnosis("input head")()) and "unpaired" in d.message,
        "diagnostics of the input",
    )


def test_images_without_a_partner_are_logged_once(harness, monkeypatch):
    one = harness(**CAMERA)
    said = []
    monkeypatch.setattr(one.node.get_logger(), "warning", lambda text, **_: said.append(text))
    one.start()
    depth = one.publisher("/depth", Image)
    stamps = itertools.count(START, SECOND // 10)

    def counted_twice():
        depth.publish(depth_image(80, 60, next(stamps)))
        return one.drops().get("unpaired", 0) >= 2

    one.wait(counted_twice, "depth images counted as unpaired")
    assert [text for text in said if "unpaired" in text] == [
        "head: message dropped, unpaired: no camera_info on /info yet; no colour image on /color"
        " yet"
    ]


def test_a_camera_info_that_is_sent_once_outlives_inactivity_and_restarts(harness):
    one = harness(**CAMERA, **{"qos_overrides./info.subscription.durability": "transient_local"})
    one.listen_to_labels()
    assert one.configure()
    one.publisher("/info", CameraInfo, LATCHED).publish(camera_info(80, 60))
    one.listen("/info", CameraInfo, LATCHED)
    one.wait(lambda: one.received["/info"], "camera_info to be sent")
    for life in range(2):
        one.activate()
        stamp = START + life * SECOND
        one.publisher("/color", Image).publish(color_image(80, 60, stamp))
        one.publisher("/depth", Image).publish(depth_image(80, 60, stamp))
        one.labels(stamp)
        one.node.trigger_deactivate()


def test_bytes_that_are_no_message_change_nothing(active):
    good = serialize_message(cloud_message(make_header("odom", START), room()))
    publisher = active.publisher("/points", PointCloud2)
    for raw in (b"", good[:9], np.random.default_rng(0).bytes(300), good[:40] + b"\xff" * 60):
        publisher.publish(raw)
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


def test_a_frame_name_that_is_no_text_is_reported(active):
    raw = serialize_message(cloud_message(make_header("lidar", START), room()))
    active.publisher("/points", PointCloud2).publish(raw.replace(b"lidar", b"\xff\xfeli\xfd"))
    active.wait_for_drop("no_transform")
    active.wait(
        lambda: (d := active.diagnosis("input front")()) and "no_transform" in d.message,
        "diagnostics",
    )
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


# Time --------------------------------------------------------------------------------------------


def test_a_late_message_is_dropped(active):
    active.send_room(START)
    active.wait_for_fused(1)
    active.send_room(START - SECOND)
    active.wait_for_drop("out_of_order")
    assert active.status.frames_fused == 1


def test_an_input_whose_clock_is_behind_the_window_is_counted(harness):
    both = {"cloud_names": ["front", "back"], "clouds.back.topic": "/back", "window_seconds": 1.0}
    one = harness(**(ONE_CLOUD | both))
    one.start()
    one.send_room(START)
    one.wait_for_fused(1)
    one.send_room(START - 5 * SECOND, topic="/back")
    one.wait_for_drop("outdated")
    assert one.status.frames_fused == 1


def test_a_bag_that_begins_again_clears_the_map_once(active):
    long_ago = START - 100 * SECOND
    active.send_room(START, seed=1)
    active.labels(START)
    for i in range(2):
        active.send_room(long_ago + i * SECOND, seed=2)
        active.wait_for_drop("out_of_order", i + 1)
    third = active.send_room(long_ago + 2 * SECOND, seed=2)
    labels = active.labels(long_ago + 2 * SECOND)
    assert len(labels["x"]) == len(np.unique(np.floor(third.astype(np.float64) / 0.1), axis=0))
    active.send_room(long_ago + 3 * SECOND)
    active.labels(long_ago + 3 * SECOND)
    assert active.drops() == {"out_of_order": 2}


def test_undecodable_messages_with_stamp_zero_are_no_restart(active):
    active.send_room(START)
    active.wait_for_fused(1)
    for i in range(4):
        active.send(broken(header=make_header("odom", 0), data=b""))
        active.wait_for_drop("malformed", i + 1)
    active.send_room(START - SECOND)
    active.wait_for_drop("out_of_order")


def test_the_ros_clock_going_back_clears_the_map(harness):
    one = harness(use_sim_time=True, **ONE_CLOUD)
    one.listen_to_labels()
    one.start()
    clock = one.publisher("/clock", Clock, QoSProfile(depth=10))
    clock.publish(Clock(clock=make_header("", START).stamp))
    one.send_room(START, seed=1)
    one.labels(START)
    clock.publish(Clock(clock=make_header("", START - 2 * SECOND).stamp))
    one.wait(lambda: one.node.get_clock().now().nanoseconds < START, "the node's clock to go back")
    # What waits in the mailbox while the map is cleared goes with it.
    one.wait(lambda: stamp_of(one.status) == 0, "the map to be cleared")
    points = one.send_room(START - 2 * SECOND, seed=2)
    labels = one.labels(START - 2 * SECOND)
    assert len(labels["x"]) == len(np.unique(np.floor(points.astype(np.float64) / 0.1), axis=0))


def test_messages_beyond_the_input_rate_are_superseded_by_the_newest(harness):
    one = harness(**(ONE_CLOUD | {"input_rate": 1.0}))
    one.listen_to_labels()
    one.start()
    for i in range(5):
        one.send_room(START + i * SECOND // 10)
        one.wait(lambda i=i: received_at_least(one, i + 1), "its arrival")
    one.labels(START + 4 * SECOND // 10)
    one.wait(lambda: one.status.frames_fused == 2, "the first and the newest")
    assert one.drops() == {"superseded": 3}
    diagnosis = one.wait(one.diagnosis("input front"), "diagnostics")
    assert diagnosis.level != DiagnosticStatus.ERROR


def received_at_least(one, count):
    return one.node._activation.node.statistics.report().inputs["front"].received >= count


def test_a_fast_input_does_not_starve_a_slow_one(harness):
    parameters = ONE_CLOUD | {"cloud_names": ["front", "rear"], "clouds.rear.topic": "/rear"}
    one = harness(**parameters)
    one.start()
    one.publisher("/rear", PointCloud2)
    for i in range(40):
        one.send_room(START + i * SECOND // 100)
    one.send_room(START, topic="/rear")
    counts = lambda: one.node._activation.node.statistics.report().inputs["rear"]  # noqa: E731
    one.wait(lambda: counts().fused == 1, "the slow input")


# Faults inside -----------------------------------------------------------------------------------


def test_an_error_while_fusing_is_counted_and_the_next_frame_works(active, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of luck")

    with monkeypatch.context() as patch:
        patch.setattr(active.node._configured.pipeline, "insert", fail)
        active.send_room(START)
        active.wait_for_drop("internal")
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


def test_a_map_whose_inference_failed_is_tried_again_if_no_newer_frame_comes(active, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(inference_stage, "SETTLE", 0.2)
    with monkeypatch.context() as patch:
        patch.setattr(active.node._configured.pipeline, "infer", fail)
        active.send_room(START)
        active.wait(lambda: active.status.inferences_failed >= 2, "two failures")
    active.labels(START)


def test_an_error_while_inferring_is_counted_and_the_next_snapshot_works(active, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(active.node._configured.pipeline, "infer", fail)
        active.send_room(START)
        active.wait(lambda: active.status.inferences_failed, "a failure")
        diagnosis = active.wait(
            lambda: (d := active.diagnosis("inference")()) and "out of memory" in d.message and d,
            "diagnostics",
        )
    assert diagnosis.level == DiagnosticStatus.ERROR
    active.send_room(START + SECOND)
    active.labels(START + SECOND)
