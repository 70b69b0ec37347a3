# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stamps and clocks that jump: nothing is fused in the wrong order, and the node goes on."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_harness import ONE_CLOUD, SECOND, START, cloud_message, room
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2

from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.sensors.transform_tree import Transform, TransformUnavailable

#: How far a stamp goes from the one before it, seconds: onward, again, late, from another time.
STEPS = [0.1, 0.1, 0.1, 0.0, -0.05, -3.0, -30.0, 3600.0, -3600.0]

#: A message that is lost on the way is no message that the node was tried with.
RELIABLE = QoSProfile(depth=10)


@pytest.fixture
def exact(harness):
    """An active node that gets every cloud."""
    one = harness(**ONE_CLOUD, **{"qos_overrides./points.subscription.reliability": "reliable"})
    one.start()
    return one


def test_any_order_of_stamps_is_fused_or_dropped_by_name(exact, nightly, fault):
    publisher = exact.publisher("/points", PointCloud2, RELIABLE)
    sent = 0
    days = itertools.count(START, 86_400 * SECOND)

    def counts():
        return exact.node._activation.node.statistics.report().inputs["front"]

    def send(stamp: int):
        nonlocal sent
        publisher.publish(cloud_message(make_header("odom", stamp), room(size=30)))
        sent += 1
        exact.wait(lambda: counts().fused + counts().drops.total() == sent, "its fate")

    @settings(
        max_examples=300 if nightly else 15,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=12))
    def try_order(steps):
        stamp = next(days)
        for step in steps:
            stamp += int(step * SECOND)
            send(stamp)
        # Whatever came before, the first message of a later time is fused.
        fused = counts().fused
        send(next(days))
        assert counts().fused == fused + 1

    try_order()
    assert set(counts().drops) <= {"out_of_order", "outdated", "restart"}
    assert counts().received == sent
    fault(
        "late, repeated, past and future stamps",
        cases=sent,
        did="each message is fused, or dropped as out_of_order, outdated or restart; the"
        " first message with a later stamp is always fused",
        lost="late messages, and the first two after a jump back",
    )


def test_the_same_message_twice_changes_nothing(exact, fault):
    exact.listen_to_labels()
    exact.publisher("/points", PointCloud2, RELIABLE)
    points = exact.send_room(START)
    first = exact.labels(START)
    for count in (2, 3, 4):
        exact.send_room(START)
        exact.wait_for_fused(count)
    assert exact.drops() == {}
    exact.send(cloud_message(make_header("odom", START + SECOND), points))
    again = exact.labels(START + SECOND)
    for axis in "xyz":
        np.testing.assert_allclose(again[axis], first[axis], atol=1e-5)
    fault(
        "a message arrives twice",
        cases=3,
        did="it is fused again, which does not change the map (sensors that send one scan in"
        " parts use one stamp for all parts)",
        lost="nothing",
    )


def test_the_ros_clock_jumps_both_ways(harness, fault):
    one = harness(use_sim_time=True, **ONE_CLOUD)
    one.listen_to_labels()
    one.start()
    clock = one.publisher("/clock", Clock, QoSProfile(depth=10))
    years = 10 * 365 * 86_400
    jumps = [0, 3600, -7200, 86_400, -86_000, 1, -2, years, 7 - years]
    now = START
    for i, jump in enumerate(jumps):
        now += jump * SECOND
        clock.publish(Clock(clock=make_header("", now).stamp))
        one.wait(lambda now=now: one.node.get_clock().now().nanoseconds == now, "the clock")
        points, labels = one.labels_of_room(now, seed=i)
        if jump < 0:  # a jump back clears the map
            voxels = np.unique(np.floor(points.astype(np.float64) / 0.1), axis=0)
            assert len(labels["x"]) == len(voxels)
    assert set(one.drops()) <= {"restart", "superseded"}
    fault(
        "/clock jumps by seconds to years, forwards and backwards",
        cases=len(jumps) - 1,
        did="a jump back clears map and transforms once; after a jump forwards old voxels"
        " are removed; the first frame with the new time is labelled",
        lost="the map before a jump back",
    )


def heard(one, stamp: int) -> Transform | None:
    """Where the lidar is known to be at ``stamp``."""
    try:
        return one.node._configured.transforms.lookup("odom", "lidar", stamp)
    except TransformUnavailable:
        return None


def placed_by(one, stamp: int, x: float) -> None:
    """Wait until the lidar is known to be ``x`` metres ahead at ``stamp``."""
    one.wait(
        lambda: (found := heard(one, stamp)) and found.translation[0] == x,
        f"the transform of {stamp}",
    )


def test_the_ros_clock_goes_back_while_the_node_is_inactive(harness):
    one = harness(use_sim_time=True, **ONE_CLOUD)
    one.listen_to_labels()
    assert one.configure()
    clock = one.publisher("/clock", Clock, QoSProfile(depth=10))
    before = START - 3600 * SECOND
    for now, x in ((START, 1.0), (before, 2.0)):
        clock.publish(Clock(clock=make_header("", now).stamp))
        one.wait(lambda now=now: one.node.get_clock().now().nanoseconds == now, "the clock")
        one.send_transform("odom", "lidar", now, x=x)
        placed_by(one, now, x)
    one.activate()
    points = one.send_room(before, frame="lidar")
    assert one.labels(before)["x"].max() == pytest.approx(points[:, 0].max() + 2.0, abs=0.1)


def test_a_bag_without_clock_begins_again_while_the_node_is_inactive(harness):
    one = harness(**ONE_CLOUD)
    one.listen_to_labels()
    assert one.configure()
    one.send_transform("odom", "lidar", START, x=1.0)
    placed_by(one, START, 1.0)
    before = START - 3600 * SECOND
    for tenth in itertools.count():
        stamp = before + tenth * SECOND // 10
        one.send_transform("odom", "lidar", stamp, x=2.0)
        time.sleep(0.1)
        if heard(one, stamp):
            break
        assert tenth < 200, "the transforms of the second run were not taken"
    one.activate()  # what came before it, and is of this time, still counts
    points = one.send_room(stamp, frame="lidar")
    assert one.labels(stamp)["x"].max() == pytest.approx(points[:, 0].max() + 2.0, abs=0.1)


def test_one_stamp_from_the_future_does_not_outdate_the_others_for_good(harness, fault):
    both = {"cloud_names": ["front", "back"], "clouds.back.topic": "/back", "window_seconds": 0.5}
    one = harness(**(ONE_CLOUD | both))
    one.listen_to_labels()
    one.start()
    one.send_room(START + 3600 * SECOND)  # and nothing more of it
    one.wait_for_fused(1)
    stamps = itertools.count(START, SECOND // 10)

    def fused_again():
        one.send_room(next(stamps), topic="/back")
        return one.status.frames_fused > 1

    one.wait(fused_again, "the other sensor to be fused")
    one.send_room(last := next(stamps), topic="/back")
    one.labels(last)
    assert one.drops()["outdated"] >= 2
    fault(
        "a sensor sends one future stamp and stops",
        cases=1,
        did="frames of the other sensors are dropped as outdated; after a window with only"
        " such frames the map is cleared and they are used again",
        lost="frames of one window, and the map",
    )
