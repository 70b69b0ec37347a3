# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bag player where a bag is not what it hoped for."""

from __future__ import annotations

import sqlite3
import time

import pytest
from bag_recordings import START, STORE, note, transform, write
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from concerto_ros.ros.middleware.message_classes import message_class
from concerto_ros.ros.tools.bag_player import Player

#: As recorders of Humble write it.
INFINITE = QosTime(2147483647, 4294967295)


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
    with pytest.raises(ValueError, match="no topic of it can be published"):
        Player(tmp_path / "bag")


@pytest.mark.parametrize(
    "change",
    [
        "serialization_format = 'json'",
        "name = '/my notes'",
        "name = ''",
        "type = 'nowhere_msgs/msg/Nothing'",
        "type = ''",
    ],
)
def test_topics_that_ros_cannot_have_are_skipped_and_said(tmp_path, ros, capfd, change):
    path = write(tmp_path / "bag", [(0, "/a", note("a")), (1, "/b", note("b"))])
    (file,) = path.glob("*.db3")
    (path / "metadata.yaml").unlink()
    with sqlite3.connect(file) as database:
        database.execute(f"UPDATE topics SET {change} WHERE name = '/b'")
    player = Player(path)
    try:
        sent = []
        player.play(on_message=lambda: sent.append(1))
        assert len(sent) == 1
    finally:
        player.destroy_node()
    assert "is skipped: " in capfd.readouterr().err


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_invalid_is_refused(tmp_path, ros, rate):
    with pytest.raises(ValueError, match="rate"):
        Player(tmp_path / "bag", rate=rate)


# --- quality of service -------------------------------------------------------------------------


def profile(
    reliability="RELIABLE", durability="VOLATILE", depth=1, history="KEEP_LAST", deadline=INFINITE
):
    return Qos(
        QosHistory[history],
        depth,
        QosReliability[reliability],
        QosDurability[durability],
        deadline,
        INFINITE,
        QosLiveliness.AUTOMATIC,
        INFINITE,
        False,
    )


def record(path, storage, *topics):
    """Write a bag of (topic, profiles of its publishers, messages)."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for topic, profiles, messages in topics:
            kind = messages[0].__msgtype__
            connection = writer.add_connection(
                topic, kind, typestore=STORE, offered_qos_profiles=profiles
            )
            for number, message in enumerate(messages):
                writer.write(connection, START + number, STORE.serialize_cdr(message, kind))
    return path


def played_qos(tmp_path, topic, profiles, message=None):
    message = note("once") if message is None else message
    player = Player(record(tmp_path / "bag", StoragePlugin.MCAP, (topic, profiles, [message])))
    (info,) = player.get_publishers_info_by_topic(topic)
    player.destroy_node()
    return info.qos_profile


@pytest.mark.parametrize("reliability", ["RELIABLE", "BEST_EFFORT"])
@pytest.mark.parametrize("durability", ["VOLATILE", "TRANSIENT_LOCAL"])
def test_a_topic_is_played_as_it_was_offered(tmp_path, ros, reliability, durability):
    qos = played_qos(tmp_path, "/notes", [profile(reliability, durability)])
    assert (qos.reliability.name, qos.durability.name) == (reliability, durability)


@pytest.mark.parametrize(
    "profiles, expected",
    [
        ([], ("RELIABLE", "VOLATILE")),
        ([profile("UNKNOWN", "UNKNOWN", 0, "UNKNOWN")], ("RELIABLE", "VOLATILE")),
        ([profile("SYSTEM_DEFAULT", "SYSTEM_DEFAULT")], ("RELIABLE", "VOLATILE")),
        (
            [profile("BEST_EFFORT"), profile("RELIABLE", "TRANSIENT_LOCAL")],
            ("RELIABLE", "TRANSIENT_LOCAL"),
        ),
    ],
)
def test_what_was_not_recorded_or_differs_serves_all(tmp_path, ros, profiles, expected):
    qos = played_qos(tmp_path, "/notes", profiles)
    assert (qos.reliability.name, qos.durability.name) == expected


def test_a_deadline_is_kept_and_an_infinite_one_is_none(tmp_path, ros):
    qos = played_qos(tmp_path, "/notes", [profile(deadline=QosTime(0, 500_000_000)), profile()])
    assert qos.deadline.nanoseconds == 500_000_000
    assert qos.lifespan.nanoseconds > 10**18


@pytest.mark.parametrize("topic", ["/tf_static", "/robot_1/tf_static"])
def test_static_transforms_are_latched_however_they_were_recorded(tmp_path, ros, topic):
    qos = played_qos(tmp_path, topic, [profile("BEST_EFFORT")], transform(0))
    assert (qos.reliability.name, qos.durability.name) == ("RELIABLE", "TRANSIENT_LOCAL")


@pytest.mark.parametrize("storage", StoragePlugin)
def test_who_comes_late_gets_what_was_latched(tmp_path, ros, storage):
    from std_msgs.msg import String
    from tf2_msgs.msg import TFMessage

    latched = [profile(durability="TRANSIENT_LOCAL")]
    player = Player(
        record(
            tmp_path / "bag",
            storage,
            ("/latched", latched, [note("old"), note("new")]),
            ("/tf_static", latched * 3, [transform(0, f"frame_{n}") for n in range(3)]),
        )
    )
    player.play()
    reader = ros.create_node("late")
    notes, frames = [], set()
    qos = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    reader.create_subscription(String, "/latched", lambda got: notes.append(got.data), qos)
    reader.create_subscription(
        TFMessage,
        "/tf_static",
        lambda got: frames.update(each.child_frame_id for each in got.transforms),
        qos,
    )
    end = time.monotonic() + 20
    while time.monotonic() < end and (not notes or len(frames) < 3):
        ros.spin_once(reader, timeout_sec=0.1)
    assert notes == ["new"] and frames == {"frame_0", "frame_1", "frame_2"}
    for node in (reader, player):
        node.destroy_node()


def test_message_classes_by_name():
    assert message_class("sensor_msgs/msg/PointCloud2").__name__ == "PointCloud2"
    assert message_class("nowhere_msgs/msg/Nothing") is None
    assert message_class("sensor_msgs/msg/Nothing") is None
    assert message_class("") is None
