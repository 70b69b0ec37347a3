# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A node is served in a thread that has ended when its block has, and so does the process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from rclpy.node import Node
from std_msgs.msg import Empty

from concerto_ros.ros.middleware.spinning import spinning

DEADLINE = 20.0

#: A program with a node that is served in a thread, and always busy.
PROGRAM = """
import threading
import rclpy
from concerto_ros.ros.middleware.fastdds_profile import ros_session
from concerto_ros.ros.middleware.spinning import spinning

called = threading.Event()
with ros_session():
    node = rclpy.create_node("viewer")
    node.create_timer(0.001, called.set)
    with spinning(node):
        called.wait(20.0)
    node.destroy_node()
"""


@pytest.fixture
def node(ros_context):
    one = Node("viewer", context=ros_context)
    yield one
    one.destroy_node()


def test_the_callback_under_way_and_the_thread_have_ended_after_the_block(node):
    begun, ended = threading.Event(), threading.Event()

    def callback():
        begun.set()
        time.sleep(0.3)
        ended.set()

    timer = node.create_timer(0.01, callback)
    before = set(threading.enumerate())
    with spinning(node):
        assert begun.wait(DEADLINE)
        timer.cancel()
    assert ended.is_set()
    assert set(threading.enumerate()) <= before


def test_a_thread_that_nothing_wakes_ends_too(node):
    before = set(threading.enumerate())
    with spinning(node):
        time.sleep(0.1)  # it waits in rclpy by now
    assert set(threading.enumerate()) <= before


def test_an_exception_in_a_callback_is_logged_and_later_ones_are_called(node, capfd):
    heard = []

    def callback(_):
        heard.append(len(heard))
        raise ValueError(f"message {len(heard)}")

    node.create_subscription(Empty, "topic", callback, 10)
    publisher = node.create_publisher(Empty, "topic", 10)
    with spinning(node):
        end = time.monotonic() + DEADLINE
        while len(heard) < 2 and time.monotonic() < end:
            publisher.publish(Empty())
            time.sleep(0.02)
    assert "ValueError: message 1" in capfd.readouterr().err
    assert len(heard) >= 2


def test_a_context_that_is_shut_down_ends_the_thread_quietly(node, ros_context, capfd):
    before = set(threading.enumerate())
    with spinning(node):
        ros_context.shutdown()
        end = time.monotonic() + DEADLINE
        while set(threading.enumerate()) > before and time.monotonic() < end:
            time.sleep(0.01)
    assert set(threading.enumerate()) <= before
    assert capfd.readouterr().err == ""


def test_a_program_that_serves_a_node_in_a_thread_ends_well(ros_domain):
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
