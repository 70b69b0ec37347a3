# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bag player where a bag is not what it hoped for."""

from __future__ import annotations

import pytest
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from concerto_ros.ros.middleware.message_classes import message_class
from concerto_ros.ros.tools.bag_player import Player


def write_bag_of_unknown_type(path):
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg("uint8 value", "nowhere_msgs/msg/Nothing"))
    kind = store.types["nowhere_msgs/msg/Nothing"]
    with Writer(path, version=9) as writer:
        connection = writer.add_connection("/nothing", "nowhere_msgs/msg/Nothing", typestore=store)
        raw = store.serialize_cdr(kind(value=1), "nowhere_msgs/msg/Nothing")
        writer.write(connection, 1, raw)


def test_a_bag_of_which_nothing_can_be_played_is_refused(tmp_path, ros):
    write_bag_of_unknown_type(tmp_path / "bag")
    with pytest.raises(ValueError, match="no topic of it has a type that is installed"):
        Player(tmp_path / "bag")


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(tmp_path, ros, rate):
    with pytest.raises(ValueError, match="rate"):
        Player(tmp_path / "bag", rate=rate)


def test_message_classes_by_name():
    assert message_class("sensor_msgs/msg/PointCloud2").__name__ == "PointCloud2"
    assert message_class("nowhere_msgs/msg/Nothing") is None
    assert message_class("sensor_msgs/msg/Nothing") is None
    assert message_class("") is None
