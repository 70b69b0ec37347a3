# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Transforms from the topics, by tf2 where it is installed."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from geometry_msgs.msg import TransformStamped
from node_harness import DEADLINE, LATCHED, SECOND, START
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from concerto_ros.ros.inputs import transforms
from concerto_ros.ros.outputs.messages import make_header
from concerto_ros.sensors.transform_tree import TransformUnavailable


class Buffer:
    """What of tf2_ros.Buffer is used, for transforms of one stamp; it answers as tf2 does."""

    def __init__(self):
        self.put = []
        self.count = 0

    def set_transform(self, transform, authority):
        self._set("moving", transform)

    def set_transform_static(self, transform, authority):
        self._set("static", transform)

    def _set(self, kind, transform):
        transform.header.frame_id = transform.header.frame_id.removeprefix("/")
        transform.child_frame_id = transform.child_frame_id.removeprefix("/")
        self.put.append((kind, transform))
        self.count += 1

    def lookup_transform(self, target, source, time):
        known = {each.child_frame_id: each for _, each in self.put}
        frames = {*known, *(each.header.frame_id for each in known.values())}
        for role, name in (("target_frame", target), ("source_frame", source)):
            asked = f'"{name}" passed to lookupTransform argument {role}'
            if name.startswith("/"):
                raise InvalidArgumentException(
                    f"Invalid argument {asked} - in tf2 frame_ids cannot start with a '/'"
                )
            if name not in frames:
                raise TransformException(f"{asked} does not exist. ")
        frame, steps = source, []
        while frame != target and frame in known:
            steps.append(known[frame])
            frame = known[frame].header.frame_id
            if len(steps) > len(known):
                raise TransformException("The tf tree is invalid because it contains a loop.\n")
        if frame != target:
            raise TransformException(
                f"Could not find a connection between '{target}' and '{source}' because they are"
                " not part of the same tree.Tf has two or more unconnected trees."
            )
        (step,) = steps
        return step

    def clear(self):
        self.put = [(kind, transform) for kind, transform in self.put if kind == "static"]


class TransformException(Exception):
    pass


class InvalidArgumentException(TransformException):
    pass


@pytest.fixture
def tf2(ros_context, monkeypatch):
    """A listener that asks the stand-in of tf2, and someone to talk to it."""
    stand_in = SimpleNamespace(Buffer=Buffer, TransformException=TransformException)
    monkeypatch.setattr(transforms, "tf2_ros", stand_in)
    talk = Talk(ros_context)
    yield talk
    talk.close()


class Talk:
    """A node that listens and a robot that it hears."""

    def __init__(self, context):
        self.node, self.robot = (Node(name, context=context) for name in ("listener", "robot"))
        self.listener = transforms.listen(self.node)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._publishers = {
            True: self.robot.create_publisher(TFMessage, "/tf_static", LATCHED),
            False: self.robot.create_publisher(TFMessage, "/tf", 10),
        }
        self._end = time.monotonic() + DEADLINE
        for publisher in self._publishers.values():
            self._spin_until(lambda one=publisher: one.get_subscription_count() > 0)

    @property
    def put(self):
        """What the buffer holds: the kind of each and its transform."""
        return self.listener._buffer.put

    def send(self, parent, child, stamp=START, x=2.0, static=False):
        """Send one transform and wait until the buffer was given it."""
        transform = TransformStamped(header=make_header(parent, stamp), child_frame_id=child)
        transform.transform.translation.x = x
        transform.transform.rotation.w = 1.0
        before = self.listener._buffer.count
        self._publishers[static].publish(TFMessage(transforms=[transform]))
        self._spin_until(lambda: self.listener._buffer.count > before)

    def _spin_until(self, condition):
        while not condition():
            self._executor.spin_once(timeout_sec=0.1)
            assert time.monotonic() < self._end, "nothing came"

    def close(self):
        self.listener.close()
        self._executor.shutdown()
        self.node.destroy_node()
        self.robot.destroy_node()


def refused(tf2, target, source, stamp=START):
    with pytest.raises(TransformUnavailable) as caught:
        tf2.listener.lookup(target, source, stamp)
    return caught.value


def test_a_tf2_buffer_is_filled_from_both_topics_with_qos_of_choice(tf2):
    assert tf2.node.has_parameter("qos_overrides./tf_static.subscription.depth")
    tf2.send("odom", "base_link")
    tf2.send("odom", "map", static=True)
    kinds = {known.child_frame_id: kind for kind, known in tf2.put}
    assert kinds == {"base_link": "moving", "map": "static"}
    assert tf2.listener.lookup("odom", "base_link", START).translation.tolist() == [2, 0, 0]
    tf2.listener.clear()
    assert "base_link" in str(refused(tf2, "odom", "base_link"))
    assert tf2.listener.lookup("odom", "map", START).translation.tolist() == [2, 0, 0]


@pytest.fixture
def now(monkeypatch):
    """A clock of the listener's that is set by hand, in a list of one."""
    value = [100.0]
    monkeypatch.setattr(transforms, "time", SimpleNamespace(monotonic=lambda: value[0]))
    return value


def test_transforms_that_stay_in_the_past_replace_the_others(tf2, now):
    tf2.send("odom", "map", static=True)
    tf2.send("odom", "arm")
    tf2.send("odom", "base_link")
    before = START - 3600 * SECOND
    for late in (START - SECOND, before, before, before):  # late, and thrice from another time
        tf2.send("odom", "base_link", late)
    assert len(tf2.put) == 7
    now[0] += transforms.RESTART_SECONDS
    tf2.send("odom", "base_link", before, x=3.0)
    assert {known.child_frame_id for _, known in tf2.put} == {"map", "base_link"}
    assert tf2.listener.lookup("odom", "base_link", before).translation.tolist() == [3, 0, 0]
    tf2.send("odom", "arm", before)
    assert len(tf2.put) == 3  # nothing more is forgotten for the same reason


def test_a_second_publisher_with_stale_or_no_stamps_forgets_nothing(tf2, now):
    tf2.send("odom", "arm")
    for second in range(4):
        tf2.send("odom", "base_link", START + second * SECOND)
        for stale in (START - 3600 * SECOND, 0, 0, 0, START - 3599 * SECOND):
            now[0] += 0.19
            tf2.send("odom", "base_link", stale)
    assert len(tf2.put) == 25


def test_tf2_is_asked_without_the_slash_of_old_drivers(tf2):
    tf2.send("/odom", "/velodyne")
    for target, source in (("/odom", "/velodyne"), ("odom", "/velodyne"), ("/odom", "velodyne")):
        assert tf2.listener.lookup(target, source, START).translation.tolist() == [2, 0, 0]


def test_of_tf2_only_a_loop_is_one(tf2):
    tf2.send("odom", "base_link")
    error = refused(tf2, "odom", "loop_lidar")
    assert (error.reason, error.retry) == ("no_transform", True)
    tf2.send("left", "right")
    tf2.send("right", "left")
    error = refused(tf2, "odom", "left")
    assert (error.reason, error.retry) == ("transform_loop", False)


def test_tf2_is_not_asked_for_a_time_before_zero(tf2):
    tf2.send("odom", "base_link")
    error = refused(tf2, "odom", "base_link", -SECOND)
    assert (error.reason, error.retry) == ("no_transform", False)
    assert "'base_link' to 'odom' at -1.000 s" in str(error)
