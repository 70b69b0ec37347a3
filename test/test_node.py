# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The perception node as a robot meets it: messages in, messages out, over DDS."""

from __future__ import annotations

import itertools
import threading

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import (
    LATCHED,
    ONE_CLOUD,
    START,
    Harness,
    camera_info,
    color_image,
    depth_image,
    room,
    stamp_of,
)
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

from concerto_ros.msg import SemanticClasses
from concerto_ros.ros.outputs import cloud_message, header, packed_rgb

SECOND = 1_000_000_000
CAMERA = {
    "cameras": ["head"],
    "cameras.head.color_topic": "/color",
    "cameras.head.depth_topic": "/depth",
    "cameras.head.info_topic": "/info",
    "fixed_frame": "camera",
    "input_rate": 100.0,
    "rate": 100.0,
}


@pytest.fixture
def harness(ros_context):
    """Makes harnesses; all are closed at the end."""
    made = []

    def make(**parameters):
        made.append(Harness(ros_context, **parameters))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def active(harness):
    """An active node with one cloud input, and a robot that listens to the labels."""
    one = harness(**ONE_CLOUD)
    one.listen_to_labels()
    one.start()
    return one


# Outputs -----------------------------------------------------------------------------------------


def test_a_cloud_comes_out_labelled(active):
    points = active.send_room()
    labels = active.labels(START)
    assert list(labels) == ["x", "y", "z", "rgb", "label", "confidence"]
    voxels = np.unique(np.floor(points.astype(np.float64) / 0.1), axis=0)
    assert len(labels["x"]) == len(voxels)
    assert labels["label"].dtype == np.uint32 and labels["label"].max() < 12
    assert ((labels["confidence"] > 0) & (labels["confidence"] <= 1)).all()
    message = active.received["/concerto/labels"][-1]
    assert message.header.frame_id == "odom"
    assert message.point_step == 24 and message.fields[3].datatype == PointField.FLOAT32


def test_the_colour_of_a_label_is_the_one_in_classes(active):
    active.listen("/concerto/classes", SemanticClasses, LATCHED)
    active.send_room()
    labels = active.labels(START)
    classes = active.wait(lambda: active.received["/concerto/classes"], "classes")[0].classes
    assert [entry.id for entry in classes] == list(range(12))
    palette = np.array([[e.color.r, e.color.g, e.color.b] for e in classes]) * 255
    wanted = packed_rgb(palette[labels["label"]].round().astype(np.uint8))
    assert (labels["rgb"].view(np.uint32) == wanted.view(np.uint32)).all()


def test_outputs_name_the_model_and_its_classes(active):
    active.listen("/concerto/classes", SemanticClasses, LATCHED)
    classes = active.wait(lambda: active.received["/concerto/classes"], "classes")[0]
    active.wait(lambda: active.status, "status")
    diagnosis = active.wait(active.diagnosis("model"), "diagnostics of the model")
    assert classes.model == active.status.model == "demo"
    assert [entry.name for entry in classes.classes][:2] == ["floor", "wall"]
    assert "demo" in diagnosis.message and diagnosis.level == DiagnosticStatus.OK


def test_pca_has_the_voxels_of_labels(active):
    active.listen("/concerto/pca", PointCloud2, QoSProfile(depth=10))
    active.send_room()
    labels = active.labels(START)
    pca = active.wait(lambda: active.received["/concerto/pca"], "pca")[-1]
    assert [field.name for field in pca.fields] == ["x", "y", "z", "rgb"]
    assert pca.width == len(labels["x"]) and stamp_of(pca) == START


def test_qos_is_what_rviz_and_late_subscribers_need(active):
    offers = {
        topic: active.robot.get_publishers_info_by_topic(f"/concerto/{topic}")[0].qos_profile
        for topic in ("labels", "pca", "classes", "legend")
    }
    assert all(qos.reliability == ReliabilityPolicy.RELIABLE for qos in offers.values())
    assert offers["labels"].durability == offers["pca"].durability == DurabilityPolicy.VOLATILE
    assert (
        offers["classes"].durability
        == offers["legend"].durability
        == DurabilityPolicy.TRANSIENT_LOCAL
    )


def test_legend_is_latched(active):
    active.listen("/concerto/legend", Image, LATCHED)
    legend = active.wait(lambda: active.received["/concerto/legend"], "the legend")[0]
    assert legend.encoding == "rgb8" and legend.height > 100 and legend.width > 100


def test_status_counts_and_times_every_stage(active):
    active.send_room()
    active.labels(START)
    status = active.wait(
        lambda: active.status if active.status.inferences else None, "an inference"
    )
    assert (status.frames_received, status.frames_fused, status.frames_dropped) == (1, 1, 0)
    assert status.points_last_frame == 300 and status.voxels == len(active.labels()["x"])
    wanted = ["decode", "transform", "insert", "snapshot", "geometry", "features", "labels"]
    assert [name for name in status.stage_names if name in wanted] == wanted
    assert all(spent >= 0 for spent in status.stage_ms)
    assert stamp_of(status) == START and status.device == "cpu"


def test_nothing_is_inferred_while_nobody_listens(harness):
    one = harness(**ONE_CLOUD)
    one.start()
    one.send_room()
    one.wait_for_fused(1)
    assert one.status.inferences == 0
    one.listen_to_labels()  # a late subscriber gets the map as it is
    one.labels(START)


def test_an_rgbd_pair_comes_out_labelled(harness):
    one = harness(**CAMERA)
    one.listen_to_labels()
    one.start()
    send_pair(one, START)
    labels = one.labels(START)
    assert len(labels["x"]) > 100
    assert labels["z"] == pytest.approx(1.5, abs=0.01)
    assert {"normals", "decode"} <= set(one.status.stage_names)
    assert one.status.frames_received == 1


def test_depth_alone_works(harness):
    one = harness(**(CAMERA | {"cameras.head.color_topic": ""}))
    one.listen_to_labels()
    one.start()
    send_pair(one, START, color=False)
    assert one.labels(START)["z"] == pytest.approx(1.5, abs=0.01)


def test_depth_of_another_frame_is_reprojected_through_tf(harness):
    parameters = CAMERA | {"cameras.head.depth_info_topic": "/depth_info"}
    one = harness(**parameters)
    one.listen_to_labels()
    one.start()
    one.publisher("/depth_info", CameraInfo).publish(camera_info(40, 30, "ir", focal=50.0))
    one.publisher("/info", CameraInfo).publish(camera_info(80, 60))
    one.publisher("/color", Image).publish(color_image(80, 60))
    one.publisher("/depth", Image).publish(depth_image(40, 30, frame="ir"))
    one.send_transform("camera", "ir", static=True, x=0.25)  # it waits for this
    labels = one.labels(START)
    assert labels["z"] == pytest.approx(1.5, abs=0.01)
    alone = 40 / 50.0 * 1.5 / 2  # half the width of what the depth camera sees
    # Moved by 0.25 m to the side, and what the colour camera does not see is left out.
    assert labels["x"].min() == pytest.approx(0.25 - alone, abs=0.05)
    assert labels["x"].max() == pytest.approx(alone, abs=0.05)


def test_compressed_images_come_out_labelled(harness):
    parameters = CAMERA | {
        "cameras.head.color_topic": "/color/compressed",
        "cameras.head.depth_topic": "/depth/compressedDepth",
    }
    one = harness(**parameters)
    one.listen_to_labels()
    one.start()
    one.publisher("/info", CameraInfo).publish(camera_info(80, 60))
    pixels = np.full((60, 80, 3), (50, 100, 200), np.uint8)
    color = CompressedImage(
        header=header("camera", START),
        format="jpeg",
        data=cv2.imencode(".jpg", pixels)[1].tobytes(),
    )
    metres = np.full((60, 80), 1500, np.uint16)
    depth = CompressedImage(
        header=header("camera", START),
        format="16UC1; compressedDepth png",
        data=b"\0" * 12 + cv2.imencode(".png", metres)[1].tobytes(),
    )
    one.publisher("/color/compressed", CompressedImage).publish(color)
    one.publisher("/depth/compressedDepth", CompressedImage).publish(depth)
    assert one.labels(START)["z"] == pytest.approx(1.5, abs=0.01)


def send_pair(one, stamp, color=True, depth_size=(80, 60), info=None):
    one.publisher("/info", CameraInfo).publish(info or camera_info(80, 60))
    if color:
        one.publisher("/color", Image).publish(color_image(80, 60, stamp - 10_000_000))
    one.publisher("/depth", Image).publish(depth_image(*depth_size, stamp))


# Transforms --------------------------------------------------------------------------------------


def test_a_frame_is_placed_by_its_transform(active):
    active.send_transform("odom", "lidar", START, x=1.0)
    active.send_transform("odom", "lidar", START + SECOND, x=2.0)
    points = active.send_room(START + SECOND // 2, frame="lidar")
    labels = active.labels(START + SECOND // 2)
    assert labels["x"].max() == pytest.approx(points[:, 0].max() + 1.5, abs=1e-4)


def test_a_frame_waits_for_its_transform(harness):
    one = harness(**(ONE_CLOUD | {"transform_timeout": 10.0}))
    one.listen_to_labels()
    one.start()
    one.send_transform("odom", "elsewhere", static=True)
    one.send_room(frame="lidar")
    one.wait(lambda: one.status and one.status.frames_received == 1, "the cloud to arrive")
    one.send_transform("odom", "lidar", static=True, x=3.0)
    assert one.labels(START)["x"].max() == pytest.approx(7.0, abs=1e-4)
    assert one.drops() == {}


def test_a_frame_without_transform_is_dropped_and_the_next_one_works(active):
    active.send_room(frame="nowhere")
    active.wait_for_drop("no_transform")
    diagnosis = active.wait(
        lambda: (d := active.diagnosis("input front")()) and "no_transform" in d.message and d,
        "diagnostics of the input",
    )
    assert diagnosis.level == DiagnosticStatus.ERROR
    assert any("nowhere" in value.value for value in diagnosis.values)
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


def test_the_window_is_centred_on_the_robot(harness):
    one = harness(**(ONE_CLOUD | {"robot_frame": "base_link", "window_radius": 3.0}))
    one.listen_to_labels()
    one.start()
    one.send_transform("odom", "base_link", static=True, x=4.0)
    points = one.send_room()
    near = np.linalg.norm(points - [4.0, 0.0, 0.0], axis=1)
    labels = one.labels(START)
    distance = np.linalg.norm(
        np.stack([labels["x"] - 4.0, labels["y"], labels["z"]], axis=1), axis=1
    )
    assert distance.max() < 3.1
    assert len(distance) > 0 and near.max() > 3.1


def test_a_transform_loop_is_named(active):
    active.send_transform("a", "b", static=True)
    active.send_transform("b", "a", static=True)
    active.send_room(frame="b")
    active.wait_for_drop("transform_loop")
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


def test_stamp_zero_is_never_placed_by_the_latest_transform(active):
    active.send_transform("odom", "lidar", START, x=1.0)
    active.send_room(0, frame="lidar")
    active.wait_for_drop("no_stamp")
    assert active.status.frames_fused == 0


def test_messages_without_a_stamp_are_no_restart(active):
    active.send_transform("odom", "lidar", START, x=1.0)
    points = active.send_room(START)
    active.wait_for_fused(1)
    for i in range(4):
        active.send_room(0, frame="lidar")
        active.wait_for_drop("no_stamp", i + 1)
    active.send_room(START)
    active.wait_for_fused(2)
    assert active.drops() == {"no_stamp": 4}
    assert active.labels(START)["x"].max() == pytest.approx(points[:, 0].max(), abs=1e-4)


def test_a_cloud_off_the_lattice_is_counted(active):
    """Geographic coordinates are farther from their origin than voxels can be numbered."""
    active.send_transform("odom", "lidar", static=True, x=500_000.0)
    active.send_room(frame="lidar")
    active.wait_for_drop("off_map")
    assert active.status.frames_fused == 0
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


def test_a_cloud_out_of_reach_of_the_robot_is_counted(harness):
    one = harness(**(ONE_CLOUD | {"robot_frame": "base_link", "window_radius": 3.0}))
    one.start()
    one.send_transform("odom", "base_link", static=True, x=50.0)
    one.send_room()
    one.wait_for_drop("off_map")


# Bad input ---------------------------------------------------------------------------------------


def broken(**changes):
    """A good cloud with some attributes changed."""
    message = cloud_message(header("odom", START), room())
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def without_xyz():
    fields = [PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate("abc")]
    return broken(fields=fields)


def with_unknown_datatype():
    fields = [PointField(name=n, offset=4 * i, datatype=9, count=1) for i, n in enumerate("xyz")]
    return broken(fields=fields)


def ten_million_points():
    return cloud_message(header("odom", START), np.ones((10_000_000, 3), np.float32))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (lambda: broken(data=b"\0" * 100), "malformed"),
        (lambda: broken(height=1000), "malformed"),
        (lambda: broken(point_step=2), "malformed"),
        (with_unknown_datatype, "unsupported"),
        (without_xyz, "no_xyz"),
        (lambda: broken(width=0, row_step=0, data=b""), "empty"),
        (lambda: cloud_message(header("odom", START), np.full((9, 3), np.nan, "f4")), "empty"),
        (ten_million_points, "too_large"),
        (lambda: broken(header=header("odom", 0), data=b""), "malformed"),
    ],
)
def test_a_bad_cloud_is_counted_and_the_next_one_works(active, message, reason):
    active.send_room(START - SECOND)
    active.wait_for_fused(1)
    active.send(message())
    active.wait_for_drop(reason)
    diagnosis = active.wait(
        lambda: (d := active.diagnosis("input front")()) and reason in d.message and d,
        f"diagnostics of {reason}",
    )
    assert diagnosis.level == DiagnosticStatus.WARN
    active.send_room(START + SECOND)
    active.labels(START + SECOND)
    assert active.status.frames_received == active.status.frames_fused + sum(
        active.drops().values()
    )


GOOD = (color_image(80, 60), depth_image(80, 60), camera_info(80, 60))


@pytest.mark.parametrize(
    ("index", "bad", "reason"),
    [
        (1, depth_image(40, 30), "size_mismatch"),
        (1, depth_image(80, 60, frame="ir"), "not_registered"),
        (2, camera_info(80, 60, focal=0.0), "bad_camera_info"),
    ],
)
def test_a_bad_pair_is_counted_and_the_next_one_works(harness, index, bad, reason):
    one = harness(**CAMERA)
    one.listen_to_labels()
    one.start()
    color, depth, info = (bad if i == index else good for i, good in enumerate(GOOD))
    for topic, message in (("/info", info), ("/color", color), ("/depth", depth)):
        one.publisher(topic, type(message)).publish(message)
    one.wait_for_drop(reason)
    send_pair(one, START + SECOND)
    one.labels(START + SECOND)


def test_an_unknown_encoding_is_counted_and_the_next_pair_works(harness):
    one = harness(**CAMERA)
    one.listen_to_labels()
    one.start()
    bayer = color_image(80, 60)
    bayer.encoding = "yuv422"
    for topic, message in (
        ("/info", camera_info(80, 60)),
        ("/color", bayer),
        ("/depth", depth_image(80, 60)),
    ):
        one.publisher(topic, type(message)).publish(message)
    one.wait_for_drop("unsupported")
    send_pair(one, START + SECOND)
    one.labels(START + SECOND)


def test_a_dead_colour_stream_is_counted(harness):
    one = harness(**CAMERA)
    one.start()
    one.publisher("/info", CameraInfo).publish(camera_info(80, 60))
    depth = one.publisher("/depth", Image)
    stamps = itertools.count(START, SECOND // 10)

    def counted():
        depth.publish(depth_image(80, 60, next(stamps)))
        return one.drops().get("unpaired")

    one.wait(counted, "depth images counted as unpaired")
    one.wait(
        lambda: (d := one.diagnosis("input head")()) and "unpaired" in d.message,
        "diagnostics of the input",
    )


def test_images_without_a_partner_are_logged_once(harness, monkeypatch):
    one = harness(**CAMERA)
    said = []
    monkeypatch.setattr(one.node.get_logger(), "warning", lambda text, **_: said.append(text))
    one.start()
    depth = one.publisher("/depth", Image)
    stamps = itertools.count(START, SECOND // 10)

    def counted_twice():
        depth.publish(depth_image(80, 60, next(stamps)))
        return one.drops().get("unpaired", 0) >= 2

    one.wait(counted_twice, "depth images counted as unpaired")
    assert [text for text in said if "unpaired" in text] == [
        "head: message dropped, unpaired: no colour, depth and camera_info within sync_tolerance"
        " of each other"
    ]


def test_a_camera_info_that_is_sent_once_outlives_inactivity_and_restarts(harness):
    one = harness(**CAMERA, **{"qos_overrides./info.subscription.durability": "transient_local"})
    one.listen_to_labels()
    assert one.configure()
    one.publisher("/info", CameraInfo, LATCHED).publish(camera_info(80, 60))
    one.listen("/info", CameraInfo, LATCHED)
    one.wait(lambda: one.received["/info"], "camera_info to be sent")
    for life in range(2):
        one.activate()
        stamp = START + life * SECOND
        one.publisher("/color", Image).publish(color_image(80, 60, stamp))
        one.publisher("/depth", Image).publish(depth_image(80, 60, stamp))
        one.labels(stamp)
        one.node.trigger_deactivate()


def test_bytes_that_are_no_message_change_nothing(active):
    good = serialize_message(cloud_message(header("odom", START), room()))
    publisher = active.publisher("/points", PointCloud2)
    for raw in (b"", good[:9], np.random.default_rng(0).bytes(300), good[:40] + b"\xff" * 60):
        publisher.publish(raw)
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


def test_a_frame_name_that_is_no_text_is_reported(active):
    raw = serialize_message(cloud_message(header("lidar", START), room()))
    active.publisher("/points", PointCloud2).publish(raw.replace(b"lidar", b"\xff\xfeli\xfd"))
    active.wait_for_drop("no_transform")
    active.wait(
        lambda: (d := active.diagnosis("input front")()) and "no_transform" in d.message,
        "diagnostics",
    )
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


# Time --------------------------------------------------------------------------------------------


def test_a_late_message_is_dropped(active):
    active.send_room(START)
    active.wait_for_fused(1)
    active.send_room(START - SECOND)
    active.wait_for_drop("out_of_order")
    assert active.status.frames_fused == 1


def test_an_input_whose_clock_is_behind_the_window_is_counted(harness):
    both = {"clouds": ["front", "back"], "clouds.back.topic": "/back", "window_seconds": 1.0}
    one = harness(**(ONE_CLOUD | both))
    one.start()
    one.send_room(START)
    one.wait_for_fused(1)
    one.send_room(START - 5 * SECOND, topic="/back")
    one.wait_for_drop("outdated")
    assert one.status.frames_fused == 1


def test_a_bag_that_begins_again_clears_the_map_once(active):
    long_ago = START - 100 * SECOND
    active.send_room(START, seed=1)
    active.labels(START)
    for i in range(2):
        active.send_room(long_ago + i * SECOND, seed=2)
        active.wait_for_drop("out_of_order", i + 1)
    third = active.send_room(long_ago + 2 * SECOND, seed=2)
    labels = active.labels(long_ago + 2 * SECOND)
    assert len(labels["x"]) == len(np.unique(np.floor(third.astype(np.float64) / 0.1), axis=0))
    active.send_room(long_ago + 3 * SECOND)
    active.labels(long_ago + 3 * SECOND)
    assert active.drops() == {"out_of_order": 2}


def test_undecodable_messages_with_stamp_zero_are_no_restart(active):
    active.send_room(START)
    active.wait_for_fused(1)
    for i in range(4):
        active.send(broken(header=header("odom", 0), data=b""))
        active.wait_for_drop("malformed", i + 1)
    active.send_room(START - SECOND)
    active.wait_for_drop("out_of_order")


def test_the_ros_clock_going_back_clears_the_map(harness):
    one = harness(use_sim_time=True, **ONE_CLOUD)
    one.listen_to_labels()
    one.start()
    clock = one.publisher("/clock", Clock, QoSProfile(depth=10))
    clock.publish(Clock(clock=header("", START).stamp))
    one.send_room(START, seed=1)
    one.labels(START)
    clock.publish(Clock(clock=header("", START - 2 * SECOND).stamp))
    one.wait(lambda: one.node.get_clock().now().nanoseconds < START, "the node's clock to go back")
    points = one.send_room(START - 2 * SECOND, seed=2)
    labels = one.labels(START - 2 * SECOND)
    assert len(labels["x"]) == len(np.unique(np.floor(points.astype(np.float64) / 0.1), axis=0))


def test_messages_beyond_the_input_rate_are_superseded_by_the_newest(harness):
    one = harness(**(ONE_CLOUD | {"input_rate": 1.0}))
    one.listen_to_labels()
    one.start()
    for i in range(5):
        one.send_room(START + i * SECOND // 10)
        one.wait(lambda i=i: one.status and received_at_least(one, i + 1), "its arrival")
    one.labels(START + 4 * SECOND // 10)
    one.wait(lambda: one.status.frames_fused == 2, "the first and the newest")
    assert one.drops() == {"superseded": 3}
    diagnosis = one.wait(one.diagnosis("input front"), "diagnostics")
    assert diagnosis.level != DiagnosticStatus.ERROR


def received_at_least(one, count):
    return one.node._statistics.report().inputs["front"].received >= count


def test_a_fast_input_does_not_starve_a_slow_one(harness):
    parameters = ONE_CLOUD | {"clouds": ["front", "rear"], "clouds.rear.topic": "/rear"}
    one = harness(**parameters)
    one.start()
    one.publisher("/rear", PointCloud2)
    for i in range(40):
        one.send_room(START + i * SECOND // 100)
    one.send_room(START, topic="/rear")
    counts = lambda: one.node._statistics.report().inputs["rear"]  # noqa: E731
    one.wait(lambda: counts().fused == 1, "the slow input")


# Faults inside -----------------------------------------------------------------------------------


def test_an_error_while_fusing_is_counted_and_the_next_frame_works(active, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of luck")

    with monkeypatch.context() as patch:
        patch.setattr(active.node._pipeline, "insert", fail)
        active.send_room(START)
        active.wait_for_drop("internal")
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


def test_an_error_while_inferring_is_counted_and_the_next_snapshot_works(active, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(active.node._pipeline, "infer", fail)
        active.send_room(START)
        active.wait(lambda: active.status and active.status.inferences_failed, "a failure")
        diagnosis = active.wait(
            lambda: (d := active.diagnosis("inference")()) and "out of memory" in d.message and d,
            "diagnostics",
        )
    assert diagnosis.level == DiagnosticStatus.ERROR
    active.send_room(START + SECOND)
    active.labels(START + SECOND)


# Parameters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("preset", "underwater", "one of indoor, outdoor"),
        ("rate", -3.0, "0.01 to 100 Hz"),
        ("rate", "fast", "float"),
        ("max_voxels", 0, "1 to 2e+07"),
        ("fixed_frame", "", "a name"),
        ("precision", "int4", "one of auto, float32, bfloat16, float16"),
        ("device", "toaster", "auto, cpu, cuda or cuda:N"),
        ("checkpoint", "no/such/file.pth", "a path"),
        ("label_set", "no_such_set", "scannet20"),
        ("clouds", ["a b"], "letters, digits and _"),
        ("clouds.front.topic", "", "a name"),
        ("max_range", 0.1, "more than min_range"),
    ],
)
def test_a_wrong_value_refuses_to_configure_and_is_named(harness, name, value, wanted):
    one = harness(**(ONE_CLOUD | {"min_range": 0.5} | {name: value}))
    assert not one.configure()
    said = one.wait(
        lambda: (d := one.diagnosis("state")()) and name in d.message and d, "the reason"
    )
    assert wanted in said.message and str(value).strip("[]'") in said.message


def test_a_wrong_value_can_be_mended(harness):
    one = harness(**(ONE_CLOUD | {"rate": -3.0}))
    assert not one.configure()
    assert one.node.set_parameters([Parameter("rate", value=3.0)])[0].successful
    one.start()


def test_whole_numbers_are_welcome_where_a_float_is_meant(harness):
    one = harness(**(ONE_CLOUD | {"rate": 3}))
    assert one.configure()


def test_an_empty_name_means_no_input(harness):
    one = harness(clouds=[""], cameras=[""])
    assert one.configure()


def test_live_parameters_change_and_the_others_say_read_only(active):
    def change(**values):
        return active.node.set_parameters_atomically(
            [Parameter(name, value=value) for name, value in values.items()]
        )

    assert change(rate=2.0, transform_timeout=0.1).successful
    assert active.node._ros_parameters.settings.rate == 2.0
    refused = change(rate=7.0, voxel_size=0.2)
    assert not refused.successful and "voxel_size: read_only" in refused.reason
    assert active.node.get_parameter("rate").value == 2.0
    out_of_range = change(rate=1000.0)
    assert not out_of_range.successful
    assert not change(max_range=0.001, min_range=5.0).successful


def test_every_parameter_is_described(active):
    for name in active.node.get_parameters_by_prefix(""):
        if name.startswith("qos_overrides") or name == "use_sim_time":
            continue
        descriptor = active.node.describe_parameter(name)
        assert len(descriptor.description) > 10, name
    assert active.node.describe_parameter("rate").floating_point_range[0].to_value == 100.0


def test_qos_can_be_overridden(harness):
    one = harness(**ONE_CLOUD, **{"qos_overrides./points.subscription.reliability": "reliable"})
    assert one.configure()
    offered = one.robot.get_subscriptions_info_by_topic("/points")[0].qos_profile
    assert offered.reliability == ReliabilityPolicy.RELIABLE


# Lifecycle ---------------------------------------------------------------------------------------


def test_messages_are_ignored_while_inactive(harness):
    one = harness(**ONE_CLOUD)
    assert one.configure()
    one.send_room(START)
    one.activate()
    one.wait(lambda: one.status, "status")
    assert one.status.frames_received == 0
    one.send_room(START + SECOND)
    one.wait_for_fused(1)


def test_a_whole_life_twice(harness):
    one = harness(**ONE_CLOUD)
    one.listen_to_labels()
    before = threading.active_count()
    for life in range(2):
        stamp = START + life * SECOND
        one.start()
        one.send_room(stamp)
        one.labels(stamp)
        one.node.trigger_deactivate()
        assert threading.active_count() == before
        one.node.trigger_cleanup()
        one._publishers.clear()
        one.received["/concerto/status"].clear()


def test_sensor_data_qos_is_met(active):
    asked = active.robot.get_subscriptions_info_by_topic("/points")[0].qos_profile
    assert asked.reliability == qos_profile_sensor_data.reliability
