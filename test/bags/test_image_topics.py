# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The finder of inputs knows every image that the node decodes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from bag_recordings import IMAGE, INFO, START, STORE, TYPES
from rosbags.rosbag2 import Writer

from concerto_ros.bags.reader import open_bag
from concerto_ros.bags.topic_discovery import find_inputs
from concerto_ros.intake.inputs import Pending
from concerto_ros.intake.opening import open_input
from concerto_ros.intake.tally import NoTally
from concerto_ros.settings.settings import Settings

HEIGHT, WIDTH = 24, 32
COLOR = np.full((HEIGHT, WIDTH, 3), (90, 60, 30), np.uint8)
DEPTH = np.full((HEIGHT, WIDTH), 2000, np.uint16)
PNG, JPEG = (cv2.imencode(f".{kind}", COLOR)[1].tobytes() for kind in ("png", "jpg"))
DEPTH_PNG = cv2.imencode(".png", DEPTH)[1].tobytes()


def header():
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=1_700_000_000, nanosec=0)
    return TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")


def image(encoding, pixels):
    data = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8)
    return TYPES[IMAGE](header(), HEIGHT, WIDTH, encoding, 0, len(data) // HEIGHT, data)


def compressed(form, content):
    kind = TYPES["sensor_msgs/msg/CompressedImage"]
    return kind(header(), form, np.frombuffer(content, np.uint8))


def info():
    region = TYPES["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    k = np.array([30.0, 0, 16, 0, 30, 12, 0, 0, 1])
    p = np.array([30.0, 0, 16, 0, 0, 30, 12, 0, 0, 0, 1, 0])
    kind = TYPES[INFO]
    r = np.eye(3).ravel()
    return kind(header(), HEIGHT, WIDTH, "plumb_bob", np.zeros(5), k, r, p, 0, 0, region)


def found(path, messages):
    with Writer(path, version=9) as writer:
        for number, (topic, message) in enumerate(messages.items()):
            name = message.__msgtype__
            connection = writer.add_connection(topic, name, typestore=STORE)
            raw = STORE.serialize_cdr(message, name)
            writer.write(connection, START + number, raw)
    with open_bag(path) as bag:
        return find_inputs(bag)


def frame_of(inputs, messages):
    """What the input that was found makes of these messages."""
    (config,) = inputs.inputs
    source = open_input(config, Settings().with_preset())
    for topic in source.topics:
        source.receive(topic.kind, messages[topic.name], NoTally())
    pending = source.take()
    assert isinstance(pending, Pending)
    return source.decode(pending, Settings().with_preset(), None)


INFOS = {"/c/color/camera_info": info(), "/c/depth/camera_info": info()}
RAW_COLOR, RAW_DEPTH = image("rgb8", COLOR), image("16UC1", DEPTH)
HEAD = bytes(12)


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("image_raw", image("mono16", DEPTH)),
        ("image_raw", image("16UC1", DEPTH)),
        ("image_raw", image("32FC1", (DEPTH / 1000).astype(np.float32))),
        ("image_raw", image("64FC1", DEPTH / 1000)),
        ("image_raw/compressed", compressed("16UC1; png compressed ", DEPTH_PNG)),
        ("image_raw/compressed", compressed("mono16; png compressed ", DEPTH_PNG)),
        ("image_raw/compressed", compressed("png", DEPTH_PNG)),
        ("image_raw/compressedDepth", compressed("16UC1; compressedDepth", HEAD + DEPTH_PNG)),
        ("image_raw/compressedDepth", compressed("16UC1; compressedDepth png", HEAD + DEPTH_PNG)),
    ],
)
def test_every_depth_that_the_node_decodes_is_found(tmp_path, topic, message):
    messages = {"/c/color/image_raw": RAW_COLOR, f"/c/depth/{topic}": message} | INFOS
    inputs = found(tmp_path / "bag", messages)
    assert [tuple(camera)[:2] for camera in inputs.cameras] == [tuple(messages)[:2]]
    assert len(frame_of(inputs, messages)) == HEIGHT * WIDTH


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("image_raw", image("8UC3", COLOR)),
        ("image_raw", image("BGR8", COLOR)),
        ("image_raw", image("8UC4", np.dstack([COLOR, COLOR[..., 0]]))),
        ("image_raw", image("rgb16", COLOR.astype(np.uint16) * 257)),
        ("image_raw", image("bayer_grbg8", COLOR[..., 0])),
        ("image_raw", image("yuv422_yuy2", COLOR[..., :2])),
        ("image_raw", image("nv12", np.zeros(HEIGHT * WIDTH * 3 // 2, np.uint8))),
        ("image_raw/compressed", compressed("rgb8; jpeg compressed bgr8", JPEG)),
        ("image_raw/compressed", compressed("jpeg", JPEG)),
        ("image_raw/compressed", compressed("png", PNG)),
        ("image_raw", image("mono8", COLOR[..., 0])),
    ],
)
def test_every_colour_that_the_node_decodes_is_found(tmp_path, topic, message):
    messages = {f"/c/color/{topic}": message, "/c/depth/image_raw": RAW_DEPTH} | INFOS
    inputs = found(tmp_path / "bag", messages)
    assert [tuple(camera)[:2] for camera in inputs.cameras] == [tuple(messages)[:2]]
    frame = frame_of(inputs, messages)
    assert len(frame) == len(frame.colors) == HEIGHT * WIDTH and not frame.uncolored


def test_colours_that_nobody_decodes_cost_the_camera_only_them(tmp_path):
    video = compressed("h264", b"\0\0\0\1gB\0\x1f" * 9)
    messages = {"/c/color/image_raw/compressed": video, "/c/depth/image_raw": RAW_DEPTH} | INFOS
    inputs = found(tmp_path / "bag", messages)
    assert "The encoding h264 of /c/color/image_raw/compressed is not decoded." in inputs.why
    frame = frame_of(inputs, messages)
    assert len(frame) == HEIGHT * WIDTH and frame.colors is None and "'h264'" in frame.uncolored


def test_a_camera_with_colours_goes_before_one_whose_colours_are_not_decoded(tmp_path):
    video = compressed("h264", b"\0\0\0\1gB\0\x1f" * 9)
    messages = {
        "/c/color/image_raw/compressed": video,
        "/c/grey/image_raw": image("rgb8", COLOR),
        "/c/depth/image_raw": RAW_DEPTH,
    }
    inputs = found(tmp_path / "bag", messages | INFOS)
    assert [camera.color for camera in inputs.cameras] == ["/c/grey/image_raw"]


def test_numbers_that_are_no_distances_are_no_depth(tmp_path):
    messages = {
        "/c/color/image_raw": RAW_COLOR,
        "/c/ir/image_raw": RAW_DEPTH,
        "/c/confidence/map": image("32FC1", DEPTH.astype(np.float32)),
        "/c/z/image_raw": RAW_DEPTH,
    }
    inputs = found(tmp_path / "bag", messages | INFOS)
    assert [camera.depth for camera in inputs.cameras] == ["/c/z/image_raw"]
    assert sum("no distances" in sentence for sentence in inputs.why) == 2
