# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The real node and messages with anything in them: each is fused or dropped by name."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from message_strategies import camera_triples, clouds, damaged
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
)
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from concerto_ros.ros.outputs.messages import make_header

#: A message that is lost on the way is no message that the node was tried with.
RELIABLE = QoSProfile(depth=10)

STEP = SECOND // 1000

DID = "each message is fused, or dropped with a reason; none causes an internal error"
LOST = "invalid messages"


def reliable(*topics: str) -> dict[str, str]:
    return {f"qos_overrides.{topic}.subscription.reliability": "reliable" for topic in topics}


def many(count: int):
    """Tries that many examples, whatever they take."""
    return settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


class Lockstep:
    """Counts what the node made of each message before the next one is sent."""

    def __init__(self, one, name: str):
        self.one, self.name = one, name
        self.sent = 0

    @property
    def counts(self):
        return self.one.node._activation.node.statistics.report().inputs[self.name]

    def settled(self) -> bool:
        counts = self.counts
        return counts.received == self.sent == counts.fused + counts.drops.total()

    def sent_one(self) -> None:
        self.sent += 1
        self.one.wait(self.settled, f"message {self.sent} to be fused or dropped")

    def check(self) -> None:
        assert "internal" not in self.counts.drops
        assert self.counts.fused > 0 and self.counts.drops.total() > 0


@pytest.fixture
def cloud_node(harness):
    one = harness(**(ONE_CLOUD | {"transform_timeout": 0.0}), **reliable("/points"))
    one.start()
    return one


def test_clouds_with_anything_in_them(cloud_node, nightly, fault):
    one, cases = cloud_node, 6000 if nightly else 300
    publisher = one.publisher("/points", PointCloud2, RELIABLE)
    lockstep = Lockstep(one, "front")
    stamps = itertools.count(START, STEP)

    @many(cases)
    @given(st.data())
    def send(data):
        publisher.publish(data.draw(clouds(next(stamps))))
        lockstep.sent_one()

    send()
    lockstep.check()
    one.listen_to_labels()
    one.send_room(last := next(stamps))
    one.labels(last)
    fault("PointCloud2 with arbitrary contents", cases=lockstep.sent, did=DID, lost=LOST)


def test_images_and_camera_infos_with_anything_in_them(harness, nightly, fault):
    cases = 4000 if nightly else 200
    one = harness(**CAMERA, **reliable("/info", "/color", "/depth"))
    one.start()
    outputs = [
        one.publisher(topic, kind, RELIABLE)
        for topic, kind in (("/info", CameraInfo), ("/color", Image), ("/depth", Image))
    ]
    lockstep = Lockstep(one, "head")
    stamps = itertools.count(START, STEP)

    def send(messages):
        for output, message in zip(outputs, messages, strict=True):
            output.publish(message)
        lockstep.sent_one()

    def good(stamp):
        return camera_info(80, 60), color_image(80, 60, stamp), depth_image(80, 60, stamp)

    @many(cases)
    @given(st.data())
    def send_spoiled(data):
        send(data.draw(camera_triples(next(stamps))))

    send(good(next(stamps)))
    send_spoiled()
    lockstep.check()
    one.listen_to_labels()
    for _ in range(2):  # the camera_info of the first may come after its images
        send(good(last := next(stamps)))
    one.labels(last)
    fault("Image and CameraInfo with arbitrary contents", cases=lockstep.sent, did=DID, lost=LOST)


def test_damaged_bytes_on_the_wire(cloud_node, nightly, fault):
    """What the middleware refuses never reaches the node; what it lets pass is counted."""
    one, cases = cloud_node, 1000 if nightly else 50
    publisher = one.publisher("/points", PointCloud2, RELIABLE)
    stamps = itertools.count(START, STEP)
    sent = 0

    def message():
        return serialize_message(cloud_message(make_header("odom", next(stamps)), room(size=20)))

    @many(cases)
    @given(st.data())
    def send(data):
        nonlocal sent
        publisher.publish(data.draw(damaged(message())))
        sent += 1

    send()
    one.listen_to_labels()
    # The damage may be in the stamps: at a later time, three good messages are a restart at most.
    later = START + 100_000 * SECOND
    one.wait(lambda: stamp_fused(one, later), "good messages to be fused again")
    assert "internal" not in Lockstep(one, "front").counts.drops
    fault(
        "damaged serialized messages",
        cases=sent,
        did="refused by the middleware, or fused, or dropped with a reason",
        lost="the damaged messages; the next valid ones are used normally",
    )


def stamp_fused(one, stamp: int) -> bool:
    one.send_room(stamp)
    return one.node._activation.node.statistics.report().stamp == stamp
