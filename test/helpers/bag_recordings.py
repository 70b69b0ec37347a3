# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small recordings that tests make, and what becomes of them."""

from __future__ import annotations

import json

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from concerto_ros.bags.messages import type_store
from concerto_ros.bags.reader import open_bag
from concerto_ros.offline.job import Job, run_job

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
CLOUD, IMAGE, INFO = (f"sensor_msgs/msg/{name}" for name in ("PointCloud2", "Image", "CameraInfo"))
TF = "tf2_msgs/msg/TFMessage"

#: Nanoseconds; a sensor stamp like any other, and the period of a LiDAR.
START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
STEP = SECOND // 10
DEADLINE = 300.0


def header(frame, time=0):
    stamp = START + time
    moment = TYPES["builtin_interfaces/msg/Time"](stamp // SECOND, stamp % SECOND)
    return TYPES["std_msgs/msg/Header"](moment, frame)


def cloud(time, frame="lidar", size=300):
    """A floor and a wall, seen again at every ``time``."""
    points = np.random.default_rng(time % 2**32).uniform((1, -2, 0), (4, 2, 2), (size, 3))
    points[: size // 2, 2] = 0
    points[size // 2 :, 0] = 4
    data = points.astype(np.float32).view(np.uint8).ravel()
    field = TYPES["sensor_msgs/msg/PointField"]
    fields = [field(name, 4 * place, 7, 1) for place, name in enumerate("xyz")]
    head = header(frame, time)
    return TYPES[CLOUD](head, 1, size, fields, False, 12, 12 * size, data, True)


def transform(time, child="lidar", height=1.0):
    """``child`` at ``height`` above odom."""
    vector, quaternion = TYPES["geometry_msgs/msg/Vector3"], TYPES["geometry_msgs/msg/Quaternion"]
    pose = TYPES["geometry_msgs/msg/Transform"](vector(0, 0, height), quaternion(0, 0, 0, 1))
    stamped = TYPES["geometry_msgs/msg/TransformStamped"]
    return TYPES[TF]([stamped(header("odom", time), child, pose)])


def image(time, encoding, pixels):
    height, width = pixels.shape[:2]
    data = pixels.view(np.uint8).ravel()
    head = header("eye", time)
    return TYPES[IMAGE](head, height, width, encoding, 0, data.size // height, data)


def camera_info(time, width=32, height=24):
    region = TYPES["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    matrix = np.array([[30.0, 0, width / 2], [0, 30.0, height / 2], [0, 0, 1]])
    projection = np.hstack([matrix, np.zeros((3, 1))]).ravel()
    return TYPES[INFO](
        header("eye", time),
        height,
        width,
        "plumb_bob",
        np.zeros(5),
        matrix.ravel(),
        np.eye(3).ravel(),
        projection,
        0,
        0,
        region,
    )


def note(text):
    return TYPES["std_msgs/msg/String"](text)


def write(path, messages, storage=StoragePlugin.SQLITE3):
    """Write (seconds, topic, message), a message also as (type, bytes); the path."""
    connections = {}
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for seconds, topic, message in messages:
            kind, raw = message if isinstance(message, tuple) else (message.__msgtype__, None)
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            raw = bytes(STORE.serialize_cdr(message, kind)) if raw is None else raw
            writer.write(connections[topic], START + round(seconds * SECOND), raw)
    return path


def drive(frames=10):
    """A LiDAR at 10 Hz with its transforms, and something else that is only copied."""
    for number in range(frames):
        moment = number / 10
        yield moment, "/tf", transform(number * STEP, height=1 + number / 100)
        yield moment + 0.01, "/points", cloud(number * STEP)
        yield moment + 0.02, "/notes", note(f"note {number}")


def label(source, out, **options):
    return run_job(Job(source, out, **options))


def read(path, topics=None):
    """(topic, log time, bytes) of a bag."""
    with open_bag(path) as bag:
        return [(topic, at, raw) for topic, _, at, raw in bag.messages(topics)]


def added(path, prefix="/concerto/"):
    return [entry for entry in read(path) if entry[0].startswith(prefix)]


def messages(path, topic):
    with open_bag(path) as bag:
        kind = bag.topics[topic].type
        return [type_store().deserialize_cdr(raw, kind) for _, _, _, raw in bag.messages([topic])]


def stamp_of(message):
    return message.header.stamp.sec * SECOND + message.header.stamp.nanosec - START


def received(counts):
    """Checks that every message is accounted for; how many there were."""
    for entry in counts["inputs"].values():
        assert entry["received"] == entry["used"] + sum(entry["dropped"].values())
    assert counts["received"] == counts["used"] + sum(counts["dropped"].values())
    return counts["received"]


def config_file(path, **parameters):
    path.write_text(json.dumps({"/**": {"ros__parameters": parameters}}))
    return path
