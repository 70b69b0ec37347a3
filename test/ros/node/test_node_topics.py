# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Topics on which nothing comes, or not all: /diagnostics says which, and why."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import (
    CAMERA,
    DEADLINE,
    LATCHED,
    ONE_CLOUD,
    SECOND,
    START,
    camera_info,
    color_image,
    depth_image,
    send_pair,
)
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR

RELIABLE = QoSProfile(depth=5)


def values_of(status) -> dict[str, str]:
    return {entry.key: entry.value for entry in status.values}


def send_images(one, number: int, color: bool = True, depth: bool = True) -> None:
    """One image of each kind, 0.1 s after the one before."""
    stamp = START + number * SECOND // 10
    if color:
        one.publisher("/color", Image).publish(color_image(80, 60, stamp))
    if depth:
        one.publisher("/depth", Image).publish(depth_image(80, 60, stamp))


def said_of_input(one, name: str, wanted: str, send=lambda number: None, without=()):
    """The diagnostic of an input once its message has ``wanted``, while ``send`` sends.

    And once it has nothing of ``without``, such as topics that were found only then.
    """
    found, end = one.diagnosis(f"input {name}"), time.monotonic() + DEADLINE
    for number in range(10_000):
        send(number)
        status = found()
        text = "" if status is None else status.message
        if wanted in text and not any(word in text for word in without):
            return status
        assert time.monotonic() < end, text
        time.sleep(0.05)
    raise AssertionError


# camera_info -------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [True, False], ids=["before the node", "after the node"])
def test_a_camera_info_that_is_sent_once_and_latched_is_enough(harness, before):
    if before:
        sender = harness(namespace="other")
        sender.robot.create_publisher(CameraInfo, "/info", LATCHED).publish(camera_info(80, 60))
    one = harness(**CAMERA)
    one.start()
    if not before:
        one.robot.create_publisher(CameraInfo, "/info", LATCHED).publish(camera_info(80, 60))
    said = said_of_input(one, "head", "frames are fused", lambda number: send_images(one, number))
    assert values_of(said)["info_topic"].startswith("/info: 1 messages, 1 publisher (/robot: ")


def test_a_latched_camera_info_gives_way_to_a_newer_volatile_one(harness):
    one = harness(**CAMERA)
    one.start()
    one.robot.create_publisher(CameraInfo, "/info", LATCHED).publish(camera_info(40, 30))
    said_of_input(one, "head", "bad_camera_info", lambda number: send_images(one, number))
    seconds = itertools.count(1000)

    def fused() -> int:
        # With a camera_info of the size of the images, which may arrive before it.
        send_pair(one, START + next(seconds) * SECOND)
        return one.status.frames_fused

    one.wait(fused, "a pair by the newer camera_info")


@pytest.mark.parametrize("color", [True, False], ids=["with colour", "depth alone"])
def test_a_missing_camera_info_is_named_with_its_topic_and_publishers(harness, color):
    one = harness(**(CAMERA | ({} if color else {"cameras.head.color_topic": ""})))
    one.start()
    said_of_input(
        one,
        "head",
        "no camera_info yet: nobody publishes /info (cameras.head.info_topic)",
        lambda number: send_images(one, number, color=color),
        without=("/color", "/depth"),
    )
    one.publisher("/info", CameraInfo, RELIABLE)  # is there, and silent
    said = said_of_input(
        one,
        "head",
        "no camera_info yet on /info (cameras.head.info_topic), 1 publisher (/robot: reliable,"
        " volatile); the node requests best_effort, volatile",
        lambda number: send_images(one, number, color=color),
    )
    values = values_of(said)
    assert values["depth_topic"].startswith("/depth: ") and "0 messages" in values["info_topic"]
    assert ("color_topic" in values) == color


# Colour and depth --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "role"), [("color", "colour image"), ("depth", "depth image")]
)
def test_missing_images_are_named_and_topics_of_their_type_proposed(harness, missing, role):
    one = harness(**CAMERA)
    one.start()
    other = one.robot.create_publisher(Image, f"/eye/{missing}/image_raw", 5)
    one.publisher("/info", CameraInfo).publish(camera_info(80, 60))
    said = said_of_input(
        one,
        "head",
        f"no {role} yet: nobody publishes /{missing} (cameras.head.{missing}_topic)",
        lambda number: send_images(one, number, **{missing: False}),
        without=("camera_info", "publishes: none"),
    )
    assert other.topic in said.message
    assert said.level in (WARN, ERROR)


def test_images_that_stop_are_named(harness, monkeypatch):
    from concerto_ros.ros.monitoring import topic_state

    monkeypatch.setattr(topic_state, "SILENT_AFTER", 0.5)
    one = harness(**CAMERA)
    one.start()
    one.publisher("/info", CameraInfo).publish(camera_info(80, 60))
    said_of_input(one, "head", "frames are fused", lambda number: send_images(one, number))
    said = said_of_input(
        one,
        "head",
        "s on /depth (cameras.head.depth_topic), 1 publisher",
        lambda number: send_images(one, 1000 + number, depth=False),
    )
    assert "no depth image for " in said.message


def test_images_too_far_apart_are_told_how_far(harness):
    one = harness(**CAMERA)
    one.start()
    one.publisher("/info", CameraInfo).publish(camera_info(80, 60))

    def send(number):
        stamp = START + number * SECOND // 10
        one.publisher("/color", Image).publish(color_image(80, 60, stamp + SECOND // 20))
        one.publisher("/depth", Image).publish(depth_image(80, 60, stamp))

    said_of_input(
        one,
        "head",
        "unpaired: the nearest stamps on /color and /depth are 0.050 s apart, expected at most"
        " sync_tolerance, 0.02 s",
        send,
    )


#: A participant of another process: one alone cannot have two types on a topic.
COMPRESSED = """
import rclpy
from sensor_msgs.msg import CompressedImage
rclpy.init()
node = rclpy.create_node("driver")
node.create_publisher(CompressedImage, "/color", 5)
rclpy.spin(node)
"""


@pytest.fixture
def compressed(ros_domain):
    process = subprocess.Popen([sys.executable, "-c", COMPRESSED])
    yield
    process.kill()
    process.wait()


def test_a_topic_of_another_type_is_named(harness, compressed):
    one = harness(**CAMERA)
    one.start()
    said_of_input(
        one,
        "head",
        "/color (cameras.head.color_topic): /driver publishes sensor_msgs/msg/CompressedImage,"
        " expected sensor_msgs/msg/Image",
        lambda number: send_images(one, number, color=False),
    )


# QoS ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "asked", "both"),
    [
        (
            "reliability",
            "reliable",
            "best_effort, volatile, but the node requests reliable",
        ),
        ("durability", "transient_local", "best_effort, volatile, but the node requests best"),
    ],
)
def test_a_publisher_that_offers_less_than_is_asked_for_is_named(harness, policy, asked, both):
    one = harness(**ONE_CLOUD, **{f"qos_overrides./points.subscription.{policy}": asked})
    one.start()
    one.robot.create_publisher(PointCloud2, "/points", qos_profile_sensor_data)
    said = said_of_input(one, "front", f"/points (clouds.front.topic): /robot offers {both}")
    assert "qos_overrides./points.subscription" in said.message


def test_one_publisher_of_two_that_is_not_heard_is_named_while_the_other_is_used(harness):
    one = harness(**ONE_CLOUD, **{"qos_overrides./points.subscription.reliability": "reliable"})
    one.start()
    one.publisher("/points", PointCloud2, RELIABLE)
    one.robot.create_publisher(PointCloud2, "/points", qos_profile_sensor_data)
    said = said_of_input(
        one,
        "front",
        "/robot offers best_effort, volatile",
        lambda number: one.send_room(START + number * SECOND // 10),
        without=("no cloud",),
    )
    assert said.level == WARN and "2 publishers" in values_of(said)["topic"]


def test_every_topic_is_named_when_all_is_well(active):
    active.send_room()
    said = said_of_input(active, "front", "frames are fused")
    assert said.level == OK
    assert values_of(said)["topic"] == (
        "/points: 1 messages, 1 publisher (/robot: best_effort, volatile); the node requests"
        " best_effort, volatile"
    )


def test_a_latched_cloud_from_before_has_its_remedy(harness):
    one = harness(**ONE_CLOUD)
    one.start()
    one.robot.create_publisher(PointCloud2, "/points", LATCHED)
    said_of_input(
        one,
        "front",
        "set qos_overrides./points.subscription.durability to transient_local and .reliability to"
        " reliable",
    )


# No input ----------------------------------------------------------------------------------------


def test_a_node_without_inputs_says_so(harness):
    one = harness(cloud_names=[""])
    one.start()
    found = one.diagnosis(": input")
    said = one.wait(found, "the diagnostic")
    assert said.level == WARN
    assert said.message == (
        "no input is configured: set the parameter cloud_names or camera_names"
    )


# losses ------------------------------------------------------------------------------------------


def test_a_loss_that_the_middleware_cannot_count_is_one_message(harness):
    """rmw_fastrtps gives the largest number of 32 bits in some events."""
    one = harness(**ONE_CLOUD)
    one.start()
    topic = ONE_CLOUD["clouds.front.topic"]
    subscription = next(s for s in one.node.subscriptions if s.topic_name == topic)
    (lost,) = (h for h in subscription.event_handlers if "MESSAGE_LOST" in h.event_type.name)
    for change in (2**31 - 1, 3):
        lost.callback(SimpleNamespace(total_count=2**64 - 2**31, total_count_change=change))
    found = one.diagnosis("input front")
    counted = "(4 lost before the node)"
    one.wait(lambda: (said := found()) and counted in values_of(said)["topic"], counted)
