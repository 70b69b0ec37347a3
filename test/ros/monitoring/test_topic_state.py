# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is said of messages that are lost between a publisher and the node."""

from __future__ import annotations

import pytest
import rclpy
from rclpy.qos import qos_profile_sensor_data

from concerto_ros.intake.inputs import InputTopic
from concerto_ros.ros.monitoring.topic_state import TopicState, loss


def state(**values) -> TopicState:
    topic = InputTopic("/depth", "depth", "sensor_msgs/msg/Image")
    return TopicState(
        topic, "cameras.head.depth_topic", "/depth", qos_profile_sensor_data, **values
    )


def test_lost_messages_are_told_with_their_size_and_the_remedy(monkeypatch):
    monkeypatch.setattr(rclpy, "get_rmw_implementation_identifier", lambda: "rmw_fastrtps_cpp")
    topic = state(received_lately=50, lost_lately=100, lost=300, size=614_400, received=90)
    text = loss([topic, state(received_lately=150)])
    assert text.startswith(
        "messages lost between publisher and node in the last 5 s: 100 of 150 on /depth of 0.614"
        " MB each;"
        " start the publisher with FASTRTPS_DEFAULT_PROFILES_FILE=/"
    )
    assert "fastdds.xml" in text and "net.core.rmem_max" in text
    assert topic.text.startswith("/depth: 90 messages (300 lost before the node), 0 publishers")


def test_other_middleware_is_not_told_of_fast_dds(monkeypatch):
    monkeypatch.setattr(rclpy, "get_rmw_implementation_identifier", lambda: "rmw_cyclonedds_cpp")
    text = loss([state(received_lately=50, lost_lately=100, size=614_400)])
    assert "net.core.rmem_max" in text and "FAST" not in text and "Fast" not in text


def test_small_messages_are_not_lost_for_their_size():
    text = loss([state(received_lately=50, lost_lately=100, size=1000)])
    assert "too busy" in text and "rmem_max" not in text


@pytest.mark.parametrize(("received", "lost"), [(150, 0), (150, 2), (1000, 50)])
def test_a_few_lost_messages_are_no_reason_to_warn(received, lost):
    assert loss([state(received_lately=received, lost_lately=lost, size=614_400)]) == ""
