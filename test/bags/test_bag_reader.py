# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags written by rosbags are read in every form, and the inputs in them are found by content."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from bag_recordings import CLOUD, IMAGE, INFO, START, STORE, TF, TYPES
from paths import DATA
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from concerto_ros.bags.reader import BagError, Topic, open_bag
from concerto_ros.bags.topic_discovery import find_inputs

COMPRESSED = "sensor_msgs/msg/CompressedImage"


def header(frame):
    stamp = TYPES["builtin_interfaces/msg/Time"](sec=1_700_000_000, nanosec=0)
    return TYPES["std_msgs/msg/Header"](stamp=stamp, frame_id=frame)


def image(frame, encoding, width=8, height=6):
    data = np.zeros(width * height * 4, np.uint8)
    return TYPES[IMAGE](header(frame), height, width, encoding, 0, width * 4, data)


def compressed(frame, form, width=8, height=6):
    depth = "compressedDepth" in form
    pixels = np.ones(
        (height, width) if depth else (height, width, 3), np.uint16 if depth else "u1"
    )
    content = cv2.imencode(".png" if depth else ".jpg", pixels)[1].tobytes()
    content = bytes(12) + content if depth else content
    return TYPES[COMPRESSED](header(frame), form, np.frombuffer(content, np.uint8))


def info(frame, width=8, height=6):
    region = TYPES["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    one = np.eye(3).ravel()
    projection = np.eye(3, 4).ravel()
    return TYPES[INFO](
        header(frame), height, width, "plumb_bob", np.zeros(5), one, one, projection, 0, 0, region
    )


def cloud(frame, count=5, names="xyz"):
    fields = [
        TYPES["sensor_msgs/msg/PointField"](name, 4 * place, 7, 1)
        for place, name in enumerate(names)
    ]
    step = 4 * len(names)
    data = np.zeros(step * count, np.uint8)
    return TYPES[CLOUD](header(frame), 1, count, fields, False, step, step * count, data, True)


def transforms(*links):
    vector, quaternion = TYPES["geometry_msgs/msg/Vector3"], TYPES["geometry_msgs/msg/Quaternion"]
    pose = TYPES["geometry_msgs/msg/Transform"](vector(0, 0, 1), quaternion(0, 0, 0, 1))
    stamped = TYPES["geometry_msgs/msg/TransformStamped"]
    return TYPES[TF]([stamped(header(parent), child, pose) for parent, child in links])


def write(path, messages, storage=StoragePlugin.SQLITE3, store=STORE, step=100_000_000):
    """Write (topic, message) in their order, ``step`` nanoseconds apart."""
    connections = {}
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for number, (topic, message) in enumerate(messages):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            raw = store.serialize_cdr(message, kind)
            writer.write(connections[topic], START + number * step, raw)
    return path


def inputs(tmp_path, *messages):
    with open_bag(write(tmp_path / "bag", messages)) as bag:
        return find_inputs(bag)


# --- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", StoragePlugin)
@pytest.mark.parametrize("form", ["folder", "folder without metadata", "file"])
def test_a_bag_is_read_whatever_its_form(tmp_path, storage, form):
    path = write(tmp_path / "bag", [("/a", cloud("lidar", 3)), ("/b", info("eye"))] * 2, storage)
    if form == "folder without metadata":
        (path / "metadata.yaml").unlink()
    if form == "file":
        (path,) = path.glob("bag*.db3" if storage is StoragePlugin.SQLITE3 else "*.mcap")
    with open_bag(path) as bag:
        assert bag.topics == {"/a": Topic(CLOUD, 2), "/b": Topic(INFO, 2)}
        assert (bag.message_count, bag.start_ns) == (4, START)
        assert bag.end_ns == START + 300_000_000
        read = list(bag.messages())
        assert [entry[0] for entry in read] == ["/a", "/b", "/a", "/b"]
        assert [entry[2] - START for entry in read] == [0, 10**8, 2 * 10**8, 3 * 10**8]
        topic, kind, _, raw = read[2]
        assert type(raw) is bytes
        message = bag.deserialize(raw, kind)
        assert (message.header.frame_id, message.width) == ("lidar", 3)
        assert [entry[0] for entry in bag.messages(["/b"])] == ["/b", "/b"]


def test_files_of_a_folder_without_metadata_are_read_as_one_in_order_of_time(tmp_path):
    write(tmp_path / "one", [("/a", cloud("x"))] * 3, step=200)
    write(tmp_path / "two", [("/a", cloud("y"))] * 3, step=300)
    both = tmp_path / "both"
    both.mkdir()
    for name in ("one", "two"):
        shutil.copy(next((tmp_path / name).glob("*.db3")), both / f"{name}.db3")
    with open_bag(both) as bag:
        assert bag.topics == {"/a": Topic(CLOUD, 6)}
        times = [entry[2] - START for entry in bag.messages(["/a"])]
        assert times == [0, 0, 200, 300, 400, 600]
        assert bag.end_ns == START + 600


def test_types_of_ones_own_are_read_by_the_definition_in_the_bag(tmp_path):
    own = get_typestore(Stores.ROS2_JAZZY)
    own.register(get_types_from_msg("uint8 level\nstring name", "my_robot/msg/Battery"))
    message = own.types["my_robot/msg/Battery"](level=7, name="left")
    path = write(tmp_path / "bag", [("/battery", message)], StoragePlugin.MCAP, own)
    with open_bag(path) as bag:
        (_, kind, _, raw) = next(bag.messages())
        read = bag.deserialize(raw, kind)
        assert (read.level, read.name) == (7, "left")
        with pytest.raises(BagError, match="other_robot/msg/Arm is unknown"):
            bag.deserialize(raw, "other_robot/msg/Arm")
        with pytest.raises(BagError, match="a message of 3 bytes is not a sensor_msgs"):
            bag.deserialize(raw[:3], CLOUD)


def test_a_topic_that_is_not_there_is_refused_by_name(tmp_path):
    with open_bag(write(tmp_path / "bag", [("/a", cloud("x"))])) as bag:
        with pytest.raises(BagError, match="no topic /missing"):
            next(bag.messages(["/a", "/missing"]))
        assert list(bag.messages([])) == []


@pytest.mark.parametrize(
    "make, fault",
    [
        (lambda path: None, "does not exist, expected a bag"),
        (lambda path: path.mkdir(), "is not a bag: no metadata.yaml"),
        (lambda path: path.write_text("points"), "is not a bag: expected a folder"),
        (lambda path: write(path, []), "is a bag without messages"),
    ],
)
def test_what_is_no_bag_is_refused_in_one_line(tmp_path, make, fault):
    make(tmp_path / "thing")
    with pytest.raises(BagError) as caught, open_bag(tmp_path / "thing"):
        pass
    assert fault in str(caught.value) and str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["broken.db3", "broken.mcap", "broken/metadata.yaml"])
@pytest.mark.parametrize("content", [b"", b"\x89MCAP0\r\n and then nothing", b"a: [b\n" * 50])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(BagError) as caught, open_bag(tmp_path / name.split("/")[0]):
        pass
    assert "broken" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("storage", StoragePlugin)
def test_a_bag_cut_short_ends_in_an_error_or_in_what_is_left(tmp_path, storage):
    path = write(tmp_path / "bag", [("/a", cloud("x", 4000))] * 20, storage)
    (file,) = (entry for entry in path.iterdir() if entry.suffix != ".yaml")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    try:
        with open_bag(path) as bag:
            assert len(list(bag.messages())) < 20
    except BagError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["old.bag", "OLD.BAG", "old.bag.active", "old.db3", "old.mcap"])
@pytest.mark.parametrize("opened", ["file", "folder"])
def test_a_bag_of_ros_1_is_refused_with_the_way_out(tmp_path, name, opened):
    file = tmp_path / "run" / name
    file.parent.mkdir()
    file.write_text("#ROSBAG V2.0")
    with (
        pytest.raises(BagError, match="ROS 1; convert it.* rosbags-convert"),
        open_bag(file if opened == "file" else file.parent),
    ):
        pass


@pytest.mark.parametrize("storage", StoragePlugin)
def test_names_in_capitals_are_read(tmp_path, storage):
    path = write(tmp_path / "bag", [("/a", cloud("x", 4))] * 3, storage)
    for file in list(path.iterdir()):
        file.rename(path / file.name.upper())
    with open_bag(path) as bag:
        assert bag.message_count == 3


def test_what_cannot_be_opened_is_refused_in_words(tmp_path):
    os.mkfifo(tmp_path / "pipe.mcap")
    with pytest.raises(BagError) as caught, open_bag(tmp_path / "pipe.mcap"):
        pass
    assert "cannot be read" in str(caught.value) and "Errno" not in str(caught.value)


# --- finding inputs -----------------------------------------------------------------------------

CAMERA = [
    ("/eye/color/image_raw", image("color_frame", "rgb8")),
    ("/eye/color/camera_info", info("color_frame")),
]
REGISTERED = [("/eye/aligned/image_raw", image("color_frame", "16UC1"))]
UNREGISTERED = [
    ("/eye/depth/image_rect_raw", image("depth_frame", "16UC1", 12, 10)),
    ("/eye/depth/camera_info", info("depth_frame", 12, 10)),
]
MOUNTED = [
    ("/tf", transforms(("map", "odom"), ("odom", "base"))),
    (
        "/tf_static",
        transforms(("base", "color_frame"), ("base", "depth_frame"), ("base", "lidar")),
    ),
]


def test_registered_depth_is_preferred_and_the_root_of_tf_is_fixed(tmp_path):
    found = inputs(tmp_path, *CAMERA, *UNREGISTERED, *REGISTERED, *MOUNTED)
    expected = ("/eye/color/image_raw", "/eye/aligned/image_raw", "/eye/color/camera_info", None)
    assert found.cameras == [expected] and found.clouds == []
    assert found.fixed_frame == "map"
    assert any("registered" in sentence for sentence in found.why)


def test_depth_of_another_frame_is_taken_with_its_camera_info_where_tf_connects_them(tmp_path):
    found = inputs(tmp_path, *CAMERA, *UNREGISTERED, *MOUNTED)
    assert found.cameras[0].depth == "/eye/depth/image_rect_raw"
    assert found.cameras[0].depth_info == "/eye/depth/camera_info"


def test_depth_that_tf_does_not_connect_cannot_pair(tmp_path):
    found = inputs(tmp_path, *CAMERA, *UNREGISTERED, ("/points", cloud("lidar")))
    assert found.cameras == [] and found.clouds == ["/points"]
    assert any("turn on aligned depth" in sentence for sentence in found.why)


def test_two_cameras_are_two_inputs(tmp_path):
    second = [
        ("/back/color/image_raw", image("back_frame", "bgr8", 4, 4)),
        ("/back/color/camera_info", info("back_frame", 4, 4)),
        ("/back/aligned/image_raw", image("back_frame", "32FC1", 4, 4)),
    ]
    links = ("/tf_static", transforms(("base", "color_frame"), ("base", "back_frame")))
    found = inputs(tmp_path, *CAMERA, *REGISTERED, *second, links)
    assert [camera.depth for camera in found.cameras] == [
        "/back/aligned/image_raw",
        "/eye/aligned/image_raw",
    ]
    assert found.fixed_frame == "base"


def test_a_camera_of_another_tree_is_left_out_with_a_sentence(tmp_path):
    second = [
        ("/x/color/image_raw", image("x_frame", "bgr8")),
        ("/x/color/camera_info", info("x_frame")),
        ("/x/depth/image_raw", image("x_frame", "32FC1")),
    ]
    found = inputs(tmp_path, *CAMERA, *REGISTERED, *second, *MOUNTED)
    assert [camera.color for camera in found.cameras] == ["/eye/color/image_raw"]
    assert any("/x/depth/image_raw" in sentence for sentence in found.why)


def test_raw_images_are_preferred_to_compressed_ones(tmp_path):
    packed = [
        ("/eye/color/image_raw/compressed", compressed("color_frame", "rgb8; jpeg compressed")),
        (
            "/eye/aligned/image_raw/compressedDepth",
            compressed("color_frame", "16UC1; compressedDepth png"),
        ),
    ]
    found = inputs(tmp_path, *packed, *CAMERA, *REGISTERED)
    assert found.cameras[0][:2] == ("/eye/color/image_raw", "/eye/aligned/image_raw")
    assert len(found.cameras) == 1


def test_compressed_images_are_found_where_there_are_no_others(tmp_path):
    found = inputs(
        tmp_path,
        ("/eye/color/image_raw/compressed", compressed("color_frame", "bgr8; jpeg compressed")),
        ("/eye/color/camera_info", info("color_frame")),
        (
            "/eye/aligned/image_raw/compressedDepth",
            compressed("color_frame", "16UC1; compressedDepth"),
        ),
    )
    assert found.cameras == [
        (
            "/eye/color/image_raw/compressed",
            "/eye/aligned/image_raw/compressedDepth",
            "/eye/color/camera_info",
            None,
        )
    ]


def test_infrared_images_are_not_taken_for_colour_beside_a_colour_camera(tmp_path):
    infrared = [
        ("/eye/infra/image_raw", image("depth_frame", "mono8", 12, 10)),
        ("/eye/infra/camera_info", info("depth_frame", 12, 10)),
    ]
    found = inputs(tmp_path, *infrared, *UNREGISTERED, *CAMERA, *REGISTERED, *MOUNTED)
    assert [camera.color for camera in found.cameras] == ["/eye/color/image_raw"]


def test_without_camera_info_there_is_no_camera(tmp_path):
    found = inputs(tmp_path, CAMERA[0], *REGISTERED, ("/points", cloud("lidar")))
    assert found.clouds == ["/points"]
    assert any("camera_info" in sentence for sentence in found.why)


def test_a_camera_is_preferred_to_clouds(tmp_path):
    found = inputs(tmp_path, *CAMERA, *REGISTERED, ("/points", cloud("lidar")))
    assert found.clouds == [] and len(found.cameras) == 1
    assert any("/points" in sentence for sentence in found.why)


def test_of_clouds_in_one_frame_the_fullest_is_taken_and_maps_are_not(tmp_path):
    found = inputs(
        tmp_path,
        ("/ground", cloud("lidar", 3)),
        ("/points", cloud("lidar", 9)),
        ("/map_cloud", cloud("map", 99)),
        ("/echo", cloud("lidar", 99, names="xy")),
        *MOUNTED,
    )
    assert found.clouds == ["/points"] and found.fixed_frame == "map"
    told = " ".join(found.why)
    assert all(name in told for name in ("/ground", "/map_cloud", "/echo"))


def test_without_tf_the_cloud_is_its_own_fixed_frame(tmp_path):
    found = inputs(tmp_path, ("/points", cloud("/lidar")))
    assert (found.clouds, found.fixed_frame) == (["/points"], "lidar")


def test_a_loop_in_tf_is_reported_and_survived(tmp_path):
    loop = ("/tf", transforms(("lidar", "a"), ("a", "lidar")))
    found = inputs(tmp_path, ("/points", cloud("lidar")), loop)
    assert found.fixed_frame == "lidar" and any("loop" in sentence for sentence in found.why)


def test_transforms_that_make_no_sense_are_counted(tmp_path):
    tf = transforms(("odom", "lidar"), ("odom", "odom"))
    found = inputs(tmp_path, ("/points", cloud("lidar")), ("/tf", tf))
    assert found.fixed_frame == "odom" and any("1 transforms" in each for each in found.why)


def test_no_usable_input_is_an_error_that_lists_what_there_is(tmp_path):
    with pytest.raises(BagError) as caught:
        inputs(tmp_path, *UNREGISTERED, ("/scan", cloud("lidar", names="xy")))
    assert "/scan (sensor_msgs/msg/PointCloud2)" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- bad messages before good ones --------------------------------------------------------------


def broken_image(encoding):
    message = image("color_frame", encoding)
    return replace(message, data=message.data[: len(message.data) // 3])


UNUSABLE = {
    "/eye/color/image_raw": [broken_image("rgb8"), image("", "rgb8"), image("x", "rgb8", 0, 0)],
    "/eye/color/camera_info": [replace(info("color_frame"), k=np.zeros(9), p=np.zeros(12))],
    "/eye/aligned/image_raw": [broken_image("16UC1"), image("color_frame", "")],
}


@pytest.mark.parametrize("times", [1, 30])
def test_messages_that_the_node_drops_do_not_decide(tmp_path, times):
    bad = [(topic, each) for topic, messages in UNUSABLE.items() for each in messages * times]
    found = inputs(tmp_path, *bad, *CAMERA, *REGISTERED)
    expected = ("/eye/color/image_raw", "/eye/aligned/image_raw", "/eye/color/camera_info", None)
    assert found.cameras == [expected]


@pytest.mark.parametrize(
    "unusable",
    [
        cloud("lidar", 0),
        cloud("lidar", names="xy"),
        cloud("lidar", names=""),
        cloud(""),
        replace(cloud("lidar"), data=np.zeros(3, np.uint8)),
        replace(cloud("lidar"), data=np.full(15, np.nan, np.float32).view(np.uint8)),
    ],
    ids=["empty", "without z", "without fields", "without frame", "cut", "not finite"],
)
def test_clouds_that_the_node_drops_do_not_decide(tmp_path, unusable):
    found = inputs(tmp_path, *[("/points", unusable)] * 50, ("/points", cloud("lidar", 9)))
    assert (found.clouds, found.fixed_frame) == (["/points"], "lidar")


def test_garbage_does_not_decide(tmp_path):
    path = tmp_path / "bag"
    with Writer(path, version=9) as writer:
        connection = writer.add_connection("/points", CLOUD, typestore=STORE)
        for number in range(20):
            writer.write(connection, START + number, b"\0\1\0\0 garbage")
        writer.write(connection, START + 20, STORE.serialize_cdr(cloud("lidar"), CLOUD))
    with open_bag(path) as bag:
        assert find_inputs(bag).clouds == ["/points"]


def test_a_topic_without_any_usable_message_is_left_out_with_the_first_reason(tmp_path):
    bad = [("/eye/depth", broken_image("16UC1"))] * 7 + [("/scan", cloud("lidar", 0))]
    found = inputs(tmp_path, *bad, ("/points", cloud("lidar")))
    told = " ".join(found.why)
    assert (
        "Leaves out /eye/depth: none of its first 7 messages can be used; of the first, " in told
    )
    assert "Leaves out /scan: " in told
    with pytest.raises(BagError, match=r"/scan \(sensor_msgs/msg/PointCloud2\).*Leaves out /scan"):
        inputs(tmp_path / "none", ("/scan", cloud("lidar", 0)))


# --- real recordings ----------------------------------------------------------------------------


@pytest.mark.skipif(not (DATA / "rgbd_desk_bag").exists(), reason="real sensor data is not here")
def test_the_desk_bag_holds_a_camera_in_the_map():
    with open_bag(DATA / "rgbd_desk_bag") as bag:
        found = find_inputs(bag)
        assert found.cameras == [
            (
                "/camera/color/image_raw",
                "/camera/aligned_depth_to_color/image_raw",
                "/camera/color/camera_info",
                None,
            )
        ]
        assert found.fixed_frame == "map"
        assert sum(1 for _ in bag.messages()) == bag.message_count == 92


@pytest.mark.skipif(not (DATA / "lidar_vlp16_bag").exists(), reason="real sensor data is not here")
def test_the_lidar_bag_holds_a_cloud_in_its_own_frame():
    with open_bag(DATA / "lidar_vlp16_bag") as bag:
        found = find_inputs(bag)
        assert (found.clouds, found.fixed_frame) == (["/velodyne_points"], "velodyne")
        (_, kind, _, raw) = next(bag.messages(found.clouds))
        assert bag.deserialize(raw, kind).width > 10_000
